//! What others get while one request is under way, and what of one client's request must not come to another.

use super::*;

/// Lets every task that can go on do so.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_a_part_or_a_condition_is_never_the_page() {
    let mut rig = Rig::new(settings());
    let fresh_as =
        |status| answer(status, &[("cache-control", "max-age=60"), ("etag", "\"a\"")], "not the page");
    for (name, value, status) in [
        ("range", "bytes=99-", 416),
        ("range", "bytes=99-", 404),
        ("range", "bytes=0-1", 206),
        ("if-none-match", "\"x\"", 304),
        ("if-none-match", "\"x\"", 412),
        ("expect", "something", 417),
        ("x", "y", 429),
        ("x", "y", 431),
    ] {
        rig.fill(with(get("/a"), name, value), fresh_as(status)).await;
        assert!(rig.responses.hit(&get("/a")).is_none(), "{name} {status}");
    }
    let whole = rig.fill(with(get("/a"), "range", "bytes=0-1"), fresh("whole")).await;
    assert_eq!(whole.1, "outrigger; fwd=uri-miss; stored");
    assert_eq!(rig.hit(get("/a")).await.2, "whole");
}

#[tokio::test(start_paused = true)]
async fn while_the_function_is_slow_one_more_is_asked_and_the_first_to_come_serves_all() {
    let mut rig = Rig::new(settings());
    let first = rig.ask(get("/a"));
    let (_, respond) = rig.call().await;
    let others: Vec<_> = (0..10).map(|_| rig.ask(get("/a"))).collect();
    let _second = rig.call().await;
    settle().await;
    assert!(rig.calls.is_empty(), "all of them went at once");
    respond.send(Ok(fresh("one"))).unwrap();
    read(first).await;
    settle().await;
    let served = others.iter().filter(|other| other.is_finished()).count();
    assert_eq!(served, 9, "all but the one that went");
    assert!(rig.calls.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_holds_up_others_once_only() {
    let mut rig = Rig::new(settings());
    let stuck = rig.ask(get("/a"));
    rig.call().await.1.send(Ok(fresh("never read"))).unwrap();
    let _never_read = stuck.await.unwrap().unwrap();
    let start = Instant::now();
    let second = rig.ask(get("/a"));
    rig.call().await.1.send(Ok(answer(200, &[("cache-control", "private")], "two"))).unwrap();
    assert_eq!(read(second).await.2, "two");
    assert_eq!(start.elapsed(), settings().coalesce_wait);
    advance(settings().pass_for).await;
    assert_eq!(rig.fill(get("/a"), fresh("three")).await.2, "three");
    assert_eq!(start.elapsed(), settings().coalesce_wait + settings().pass_for, "it did not wait");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_for_all_where_the_function_hangs() {
    let mut rig = Rig::new(settings());
    let start = Instant::now();
    let _others: Vec<_> = (0..10).map(|_| rig.ask(get("/a"))).collect();
    let (mut hang, mut after) = (Vec::new(), Vec::new());
    while hang.len() < 10 {
        hang.push(rig.call().await);
        after.push(start.elapsed());
    }
    let wait = settings().coalesce_wait;
    assert_eq!((after[0], after[1], after[2], after[9]), (Duration::ZERO, wait, 2 * wait, 2 * wait));
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_meanwhile_lets_those_who_wait_go_at_once() {
    let mut rig = Rig::new(settings());
    let first = rig.ask(get("/a"));
    let (_, respond) = rig.call().await;
    let _others: Vec<_> = (0..5).map(|_| rig.ask(get("/a"))).collect();
    settle().await;
    rig.fill(post("/a"), answer(200, &[], "")).await;
    respond.send(Ok(fresh("from before"))).unwrap();
    read(first).await;
    settle().await;
    assert_eq!(rig.calls.len(), 5, "one after the other");
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_of_something_else_leaves_what_is_under_way() {
    for (what, is_kept) in [
        (Invalidate::Tag("other".into()), true),
        (Invalidate::Key("/b".into()), true),
        (Invalidate::Prefix("/b".into()), true),
        (Invalidate::Tag("mine".into()), false),
        (Invalidate::Key("/a".into()), false),
        (Invalidate::Prefix("/".into()), false),
        (Invalidate::All, false),
    ] {
        let mut rig = Rig::new(settings());
        let asked = rig.ask(get("/a"));
        let (_, respond) = rig.call().await;
        rig.responses.invalidate(&what);
        let tagged = answer(200, &[("cache-control", "max-age=60"), ("cache-tag", "mine")], "one");
        respond.send(Ok(tagged)).unwrap();
        read(asked).await;
        assert_eq!(rig.responses.hit(&get("/a")).is_some(), is_kept, "{what:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_variant_is_one_call() {
    let mut rig = Rig::new(settings());
    let of = |accept| with(get("/a"), "accept", accept);
    let varies = |body| answer(200, &[("cache-control", "max-age=60"), ("vary", "accept")], body);
    let first = rig.ask(of("a"));
    let (_, respond) = rig.call().await;
    let others: Vec<_> = (0..10).map(|at| rig.ask(of(if at < 5 { "a" } else { "b" }))).collect();
    settle().await;
    respond.send(Ok(varies("a"))).unwrap();
    read(first).await;
    let (request, respond) = rig.call().await;
    settle().await;
    assert!(rig.calls.is_empty(), "those of one variant wait for one another");
    assert_eq!(request.headers()["accept"], "b");
    respond.send(Ok(varies("b"))).unwrap();
    // Each reads by itself: any of them may be the one that went, and is waited for.
    let reads: Vec<_> = others.into_iter().map(|other| tokio::spawn(read(other))).collect();
    for (at, read) in reads.into_iter().enumerate() {
        assert_eq!(read.await.unwrap().2, if at < 5 { "a" } else { "b" });
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_comes_to_whom_it_was_given_only() {
    let mut rig = Rig::new(settings());
    let first = rig.ask(get("/own"));
    let (_, respond) = rig.call().await;
    let waits = rig.ask(get("/own"));
    settle().await;
    respond
        .send(Ok(answer(200, &[("cache-control", "max-age=60"), ("set-cookie", "sid=1")], "own")))
        .unwrap();
    assert_eq!(first.await.unwrap().unwrap().headers()["set-cookie"], "sid=1");
    rig.call().await.1.send(Ok(fresh("other"))).unwrap();
    assert!(!waits.await.unwrap().unwrap().headers().contains_key("set-cookie"));

    let shared = ("cache-control", "s-maxage=1");
    let page = answer(200, &[shared, ("etag", "\"a\""), ("set-cookie", "sid=2")], "page");
    rig.fill(get("/page"), page).await;
    let hit = rig.responses.hit(&get("/page")).unwrap();
    assert!(!hit.headers().contains_key("set-cookie"));
    advance(Duration::from_secs(2)).await;
    let asks = rig.ask(get("/page"));
    let unchanged = answer(304, &[shared, ("set-cookie", "sid=3"), ("set-cookie", "b=1")], "");
    rig.call().await.1.send(Ok(unchanged)).unwrap();
    let answered = asks.await.unwrap().unwrap();
    let cookies: Vec<_> = answered.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["sid=3", "b=1"], "who asked gets them");
    assert_eq!(answered.status(), StatusCode::OK);
    assert!(!rig.responses.hit(&get("/page")).unwrap().headers().contains_key("set-cookie"));
}

#[tokio::test(start_paused = true)]
async fn cookies_are_kept_by_choice() {
    let mut rig = Rig::new(Settings { keeps_cookies: true, ..settings() });
    rig.fill(get("/a"), answer(200, &[("cache-control", "max-age=60"), ("set-cookie", "a=b")], "one")).await;
    assert_eq!(rig.responses.hit(&get("/a")).unwrap().headers()["set-cookie"], "a=b");
}

#[tokio::test(start_paused = true)]
async fn only_answers_count_as_kept() {
    let mut rig = Rig::new(settings());
    for path in ["/a", "/b"] {
        rig.fill(get(path), answer(200, &[("cache-control", "private")], "own")).await;
    }
    rig.fill(get("/c"), fresh("page")).await;
    assert_eq!((rig.responses.len(), rig.responses.stats().kept), (1, 1));
    assert_eq!(rig.responses.invalidate(&Invalidate::All), 1);
    assert_eq!(rig.responses.stats().kept, 0);
}

#[tokio::test(start_paused = true)]
async fn only_if_cached_never_asks_the_function_whatever_else_is_said() {
    let mut rig = Rig::new(settings());
    for (name, value) in [("cache-control", "no-store"), ("range", "bytes=0-1,3-4"), ("if-match", "\"a\"")] {
        let only = with(with(get("/"), name, value), "cache-control", "only-if-cached");
        assert_eq!(rig.hit(only).await.0, 504, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_around_the_front_is_told_as_well() {
    let mut rig = Rig::new(settings());
    let inner = rig.inner.clone();
    let asked = tokio::spawn(async move { inner.send(with(get("/"), "upgrade", "websocket"), &cx()).await });
    rig.call().await.1.send(Ok(answer(101, &[], ""))).unwrap();
    assert_eq!(read(asked).await.1, "outrigger; fwd=bypass; detail=upgrade");
    let told = rig.fill(with(get("/"), "cache-control", "no-store"), fresh("")).await.1;
    assert_eq!(told, "outrigger; fwd=bypass; detail=no-store", "once");
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_the_asking_leaves_the_page() {
    for status in [408, 412, 417, 429, 431] {
        let mut rig = Rig::new(settings());
        rig.fill(get("/a"), fresh("the page")).await;
        let again = with(get("/a"), "cache-control", "no-cache");
        assert_eq!(rig.fill(again, answer(status, &[], "not so")).await.0, status);
        assert_eq!(rig.hit(get("/a")).await.2, "the page", "after a {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_one_of_its_url_whatever_proxies_say_of_who_made_it() {
    for ways in [1, 2, 40] {
        let names: Vec<_> = (0..ways).map(|n| HeaderValue::try_from(format!("n{n}")).unwrap()).collect();
        let by = |mut request: Request<Body>, name: &HeaderValue| {
            request.headers_mut().insert("x-forwarded-user", name.clone());
            request
        };
        let mut rig = Rig::new(settings());
        for name in &names {
            rig.fill(by(get("/a"), name), fresh("before")).await;
            rig.fill(by(get("/b"), name), fresh("other")).await;
        }
        rig.fill(by(post("/a"), &names[0]), answer(200, &[], "")).await;
        for name in &names {
            assert_eq!(rig.fill(by(get("/a"), name), fresh("after")).await.2, "after");
            assert_eq!(rig.hit(by(get("/b"), name)).await.2, "other");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_older_than_what_came_meanwhile_is_not_kept_in_its_place() {
    let dated = |date, body| answer(200, &[("cache-control", "max-age=999999999"), ("date", date)], body);
    let mut rig = Rig::new(settings());
    let slow = rig.ask(get("/a"));
    let (_, respond) = rig.call().await;
    advance(settings().coalesce_wait).await;
    let newer = dated("Thu, 01 Jan 2026 00:00:09 GMT", "newer");
    rig.fill(get("/a"), newer).await;
    respond.send(Ok(dated("Thu, 01 Jan 2026 00:00:01 GMT", "older"))).unwrap();
    assert_eq!(read(slow).await.2, "older", "whoever asked gets it");
    assert_eq!(rig.responses.len(), 1);
    let kept = rig.responses.pages.peek("x\n/a\n\n").unwrap();
    assert_eq!(kept.of(&HeaderMap::new()).unwrap().body, "newer");
}

#[tokio::test(start_paused = true)]
async fn a_tenants_change_leaves_what_another_has_on_its_way() {
    let mut rig =
        Rig::new(Settings { tenant: Tenant::Header(HeaderName::from_static("x-tenant")), ..settings() });
    let asked = rig.ask(with(get("/a"), "x-tenant", "one"));
    let (_, respond) = rig.call().await;
    rig.fill(with(post("/a"), "x-tenant", "two"), answer(200, &[], "")).await;
    respond.send(Ok(fresh("mine"))).unwrap();
    read(asked).await;
    assert_eq!(rig.hit(with(get("/a"), "x-tenant", "one")).await.2, "mine");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_fetched_anew_is_tried_again_after_a_while() {
    let stale = || {
        answer(200, &[("cache-control", "max-age=0, stale-while-revalidate=99, stale-if-error=99")], "old")
    };
    let mut rig = Rig::new(settings());
    rig.fill(get("/a"), stale()).await;
    for status in [503, 500] {
        assert_eq!(read(rig.ask(get("/a"))).await.2, "old");
        rig.call().await.1.send(Ok(answer(status, &[], "down"))).unwrap();
        settle().await;
        for _ in 0..5 {
            assert_eq!(rig.hit(get("/a")).await.2, "old");
        }
        settle().await;
        assert!(rig.calls.is_empty(), "after a {status}");
        advance(settings().pass_for).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_nobody_saw_may_have_been_made() {
    let mut rig = Rig::new(settings());
    rig.fill(get("/a"), fresh("before")).await;
    let left = rig.ask(post("/a"));
    let _unanswered = rig.call().await;
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    assert_eq!(rig.fill(get("/a"), fresh("after")).await.2, "after");
}
