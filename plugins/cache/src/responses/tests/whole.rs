//! The whole in paused time: requests at once, answers that break off, and what is never served.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_fresh_is_served_without_the_function_until_it_is_not() {
    let mut rig = Rig::new(settings());
    let first = rig.fill(get("/a"), fresh("one")).await;
    assert_eq!(first, (200, "outrigger; fwd=uri-miss; stored".into(), "one".into()));
    advance(Duration::from_secs(59)).await;
    assert_eq!(rig.hit(get("/a")).await, (200, "outrigger; hit; ttl=1".into(), "one".into()));
    advance(Duration::from_secs(1)).await;
    let again = rig.fill(get("/a"), fresh("two")).await;
    assert_eq!(again, (200, "outrigger; fwd=stale; stored".into(), "two".into()));
    assert_eq!(rig.hit(get("/a")).await.2, "two");
    assert_eq!(rig.fill(get("/a?b"), fresh("three")).await.2, "three");
    rig.fill(post("/b"), answer(200, &[], "")).await;
    let stats = Stats { bytes: 0, ..rig.responses.stats() };
    assert_eq!(stats, Stats { hits: 2, misses: 3, passed: 1, kept: 2, ..Stats::default() });
}

/// Row 37 of the faults.
#[tokio::test(start_paused = true)]
async fn a_failed_answer_and_another_tenants_are_never_served() {
    let tenant = HeaderName::from_static("x-tenant");
    let mut rig = Rig::new(Settings { tenant: Tenant::Header(tenant), ..settings() });
    let of = |tenant| with(get("/a"), "x-tenant", tenant);
    for status in [500, 502, 503, 504] {
        let failed = answer(status, &[("cache-control", "max-age=60, public")], "failed");
        assert_eq!(rig.fill(of("one"), failed).await.0, status);
    }
    rig.fill(of("one"), fresh("of one")).await;
    assert_eq!(rig.hit(of("one")).await.2, "of one");
    assert_eq!(rig.fill(of("two"), fresh("of two")).await.2, "of two");
    let nobody = rig.fill(get("/a"), fresh("of nobody")).await;
    assert_eq!(nobody, (200, "outrigger; fwd=bypass; detail=tenant".into(), "of nobody".into()));
    let other_host =
        Request::get("/a").header("host", "y").header("x-tenant", "one").body(Body::default()).unwrap();
    assert_eq!(rig.fill(other_host, fresh("of another host")).await.2, "of another host");
    assert_eq!((rig.hit(of("one")).await.2, rig.hit(of("two")).await.2), ("of one".into(), "of two".into()));
}

#[tokio::test(start_paused = true)]
async fn who_has_credentials_gets_only_what_is_public_and_leaves_nothing_else() {
    let mut rig = Rig::new(settings());
    let known = |path| with(get(path), "authorization", "Bearer me");
    rig.fill(get("/a"), fresh("of all")).await;
    let own = rig.fill(known("/a"), fresh("of me")).await;
    assert_eq!(own, (200, "outrigger; fwd=bypass; detail=credentials".into(), "of me".into()));
    assert_eq!(rig.hit(get("/a")).await.2, "of all");
    let mut by_certificate = get("/a");
    by_certificate.extensions_mut().insert(Caller { key: "certificate\nme".into() });
    assert_eq!(rig.fill(by_certificate, fresh("of me")).await.2, "of me");
    rig.fill(known("/b"), answer(200, &[("cache-control", "max-age=60, public")], "of all")).await;
    assert_eq!(
        (rig.hit(known("/b")).await.2, rig.hit(get("/b")).await.2),
        ("of all".into(), "of all".into())
    );
}

#[tokio::test(start_paused = true)]
async fn equal_requests_at_once_are_one_at_the_function() {
    let mut rig = Rig::new(settings());
    let first = rig.ask(get("/a"));
    let (_, respond) = rig.call().await;
    let others = [rig.ask(get("/a")), rig.ask(get("/a"))];
    let different = rig.ask(get("/b"));
    assert_eq!(rig.call().await.0.uri(), "/b");
    respond.send(Ok(fresh("one"))).unwrap();
    assert_eq!(read(first).await.1, "outrigger; fwd=uri-miss; stored");
    for other in others {
        assert_eq!(
            read(other).await,
            (200, "outrigger; fwd=uri-miss; ttl=60; collapsed".into(), "one".into())
        );
    }
    assert!(rig.calls.is_empty());
    different.abort();
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_nobody_else_frees_those_who_wait_and_later_ones_do_not_wait() {
    let mut rig = Rig::new(settings());
    let own = || answer(200, &[("cache-control", "private")], "own");
    let first = rig.ask(get("/a"));
    let (_, respond) = rig.call().await;
    let others = [rig.ask(get("/a")), rig.ask(get("/a"))];
    tokio::task::yield_now().await;
    respond.send(Ok(own())).unwrap();
    let at_once = [rig.call().await.1, rig.call().await.1];
    let later = rig.ask(get("/a"));
    let (_, later_respond) = rig.call().await;
    for respond in at_once.into_iter().chain([later_respond]) {
        respond.send(Ok(own())).unwrap();
    }
    for asked in others.into_iter().chain([first, later]) {
        assert_eq!(read(asked).await.1, "outrigger; fwd=uri-miss; detail=directive");
    }
    advance(settings().pass_for).await;
    let (_first, _other) = (rig.ask(get("/a")), rig.ask(get("/a")));
    let _respond = rig.call().await;
    tokio::task::yield_now().await;
    assert!(rig.calls.is_empty(), "they wait for one another again");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_another_has_an_end() {
    let mut rig = Rig::new(settings());
    let _first = rig.ask(get("/a"));
    let _hangs = rig.call().await;
    let asked_at = Instant::now();
    let other = rig.ask(get("/a"));
    let (_, respond) = rig.call().await;
    assert_eq!(asked_at.elapsed(), settings().coalesce_wait);
    respond.send(Ok(fresh("one"))).unwrap();
    assert_eq!(read(other).await.1, "outrigger; fwd=uri-miss; stored");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_is_not_kept_and_the_next_one_goes() {
    let mut rig = Rig::new(settings());
    for is_cut_by_the_client in [true, false] {
        let first = rig.ask(get("/a"));
        let (_, respond) = rig.call().await;
        let other = rig.ask(get("/a"));
        let (feed, body) = pieces();
        respond.send(Ok(fresh("").map(|_| body))).unwrap();
        let mut body = first.await.unwrap().unwrap().into_body();
        feed.send(Ok(Frame::data("half".into()))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        if is_cut_by_the_client {
            drop(body);
        } else {
            feed.send(Err(Error::new(Kind::Interrupted, "cut"))).await.unwrap();
            assert!(body.frame().await.unwrap().is_err());
        }
        let (_, respond) = rig.call().await;
        respond.send(Ok(answer(404, &[], "none"))).unwrap();
        assert_eq!(read(other).await.0, 404);
        advance(settings().pass_for).await;
    }
    assert!(rig.responses.page("x\n/a\n\n").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_body_is_kept_as_it_came_in_pieces_unless_it_is_too_large() {
    let mut rig = Rig::new(settings());
    for (path, piece, is_kept) in [("/small", 400, true), ("/large", 600, false)] {
        let asked = rig.ask(get(path));
        let (feed, body) = pieces();
        rig.call().await.1.send(Ok(fresh("").map(|_| body))).unwrap();
        for _ in 0..2 {
            feed.send(Ok(Frame::data(vec![b'x'; piece].into()))).await.unwrap();
        }
        drop(feed);
        assert_eq!(read(asked).await.2.len(), 2 * piece);
        assert_eq!(rig.responses.hit(&get(path)).is_some(), is_kept, "{path}");
    }
    let large = rig.fill(get("/known"), fresh("").map(|_| text(vec![b'x'; 1_025]))).await;
    assert_eq!((large.1.as_str(), large.2.len()), ("outrigger; fwd=uri-miss; detail=too-large", 1_025));
    let (feed, body) = pieces();
    feed.send(Ok(Frame::data("x".into()))).await.unwrap();
    feed.send(Ok(Frame::trailers(map(&[("a", "b")])))).await.unwrap();
    drop(feed);
    rig.fill(get("/trailers"), fresh("").map(|_| body)).await;
    assert!(rig.responses.hit(&get("/trailers")).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_function_may_say_that_what_is_kept_still_holds() {
    let mut rig = Rig::new(settings());
    rig.fill(get("/a"), answer(200, &[("cache-control", "max-age=1"), ("etag", "\"a\""), ("x", "1")], "one"))
        .await;
    advance(Duration::from_secs(2)).await;
    let asked = rig.ask(with(get("/a"), "if-none-match", "\"theirs\""));
    let _ = rig.call().await; // a client's own condition does not wait, and is replaced
    let asked_again = rig.ask(get("/a"));
    let (request, respond) = rig.call().await;
    assert_eq!(request.headers()["if-none-match"], "\"a\"");
    respond.send(Ok(answer(304, &[("cache-control", "max-age=9"), ("x", "2")], ""))).unwrap();
    let (parts, body) = asked_again.await.unwrap().unwrap().into_parts();
    assert_eq!(parts.headers["cache-status"], "outrigger; fwd=stale; fwd-status=304; ttl=9; stored");
    assert_eq!((parts.status, &parts.headers["x"]), (StatusCode::OK, &HeaderValue::from(2)));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "one");
    advance(Duration::from_secs(8)).await;
    assert_eq!(rig.hit(get("/a")).await.2, "one");
    asked.abort();
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_is_served_while_one_request_fetches_it_anew() {
    let mut rig = Rig::new(settings());
    let stale = ("cache-control", "max-age=1, stale-while-revalidate=10");
    rig.fill(get("/a"), answer(200, &[stale, ("etag", "\"a\"")], "one")).await;
    advance(Duration::from_secs(3)).await;
    for _ in 0..3 {
        let read = read(rig.ask(get("/a"))).await;
        assert_eq!(read, (200, "outrigger; hit; ttl=-2; detail=stale-while-revalidate".into(), "one".into()));
    }
    let (request, respond) = rig.call().await;
    assert_eq!(request.headers()["if-none-match"], "\"a\"");
    assert!(rig.calls.is_empty(), "once");
    respond.send(Ok(fresh("two"))).unwrap();
    while rig.responses.hit(&get("/a")).is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.hit(get("/a")).await.2, "two");
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_stands_in_for_a_failure_where_the_function_allows_it() {
    let mut rig = Rig::new(settings());
    let (lenient, strict) = ("max-age=1, stale-if-error=10", "max-age=1, stale-if-error=10, must-revalidate");
    for (path, control) in [("/lenient", lenient), ("/strict", strict)] {
        rig.fill(get(path), answer(200, &[("cache-control", control), ("etag", "\"a\"")], "one")).await;
    }
    advance(Duration::from_secs(3)).await;
    let down = || answer(503, &[], "down");
    let read = rig.fill(get("/lenient"), down()).await;
    let told = "outrigger; fwd=stale; fwd-status=503; ttl=-2; detail=stale-if-error";
    assert_eq!(read, (200, told.into(), "one".into()));
    let asked = rig.ask(get("/lenient"));
    rig.call().await.1.send(Err(Error::new(Kind::Unreachable, "down"))).unwrap();
    assert_eq!(asked.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(rig.fill(get("/strict"), down()).await.0, 503);
    advance(Duration::from_secs(8)).await;
    assert_eq!(rig.fill(get("/lenient"), down()).await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn what_a_method_changes_is_forgotten_also_what_is_on_its_way() {
    let mut rig = Rig::new(settings());
    for path in ["/a", "/b", "/c"] {
        rig.fill(get(path), fresh("one")).await;
    }
    assert_eq!(rig.fill(post("/a"), answer(500, &[], "")).await.1, "outrigger; fwd=method");
    assert_eq!(rig.hit(get("/a")).await.2, "one", "a failure changes nothing");
    rig.fill(post("/a"), answer(201, &[("location", "/b")], "")).await;
    for path in ["/a", "/b"] {
        assert!(rig.responses.hit(&get(path)).is_none(), "{path}");
    }
    assert!(rig.responses.hit(&get("/c")).is_some());

    let asked = rig.ask(get("/a"));
    let (_, respond) = rig.call().await;
    let mut put = post("/a");
    *put.method_mut() = Method::from_bytes(b"M-SEARCH").unwrap();
    rig.fill(put, answer(200, &[], "")).await;
    respond.send(Ok(fresh("from before"))).unwrap();
    assert_eq!(read(asked).await.2, "from before");
    assert!(rig.responses.hit(&get("/a")).is_none(), "it may be from before");
}

#[tokio::test(start_paused = true)]
async fn a_key_a_tag_and_a_prefix_can_be_forgotten() {
    let mut rig = Rig::new(settings());
    let paths = ["/a?x=1", "/a?x=2", "/b/1", "/b/2"];
    for path in paths {
        let tag = if path.ends_with('1') { "ones" } else { "twos" };
        rig.fill(get(path), answer(200, &[("cache-control", "max-age=60"), ("cache-tag", tag)], "one")).await;
    }
    let kept = |rig: &Rig| paths.map(|path| rig.responses.hit(&get(path)).is_some());
    assert_eq!(rig.responses.invalidate(&Invalidate::Key("/a".into())), 0);
    assert_eq!(rig.responses.invalidate(&Invalidate::Key("/a?x=1".into())), 1);
    assert_eq!(kept(&rig), [false, true, true, true]);
    assert_eq!(rig.responses.invalidate(&Invalidate::Tag("ones".into())), 1);
    assert_eq!(kept(&rig), [false, true, false, true]);
    assert_eq!(rig.responses.invalidate(&Invalidate::Prefix("/b".into())), 1);
    assert_eq!(kept(&rig), [false, true, false, false]);
    assert_eq!(rig.responses.invalidate(&Invalidate::All), 1);
    assert!(rig.responses.is_empty());
}

#[tokio::test(start_paused = true)]
async fn answers_that_vary_are_kept_beside_each_other() {
    let mut rig = Rig::new(settings());
    let varies = |body| answer(200, &[("cache-control", "max-age=60"), ("vary", "accept")], body);
    for (accept, told) in
        [("a", "outrigger; fwd=uri-miss; stored"), ("b", "outrigger; fwd=vary-miss; stored")]
    {
        assert_eq!(rig.fill(with(get("/"), "accept", accept), varies(accept)).await.1, told);
    }
    for accept in ["a", "b"] {
        assert_eq!(rig.hit(with(get("/"), "accept", accept)).await.2, accept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_is_served_from_a_whole_answer_and_is_itself_never_kept() {
    let mut rig = Rig::new(settings());
    let head = || {
        let mut head = get("/");
        *head.method_mut() = Method::HEAD;
        head
    };
    let miss =
        rig.fill(head(), answer(200, &[("cache-control", "max-age=60"), ("content-length", "3")], "")).await;
    assert_eq!(miss.1, "outrigger; fwd=uri-miss; detail=head");
    rig.fill(get("/"), fresh("one")).await;
    let (parts, body) = rig.ask(head()).await.unwrap().unwrap().into_parts();
    assert_eq!((parts.status, &parts.headers["content-length"]), (StatusCode::OK, &HeaderValue::from(3)));
    assert!(body.collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_if_cached_never_asks_the_function() {
    let mut rig = Rig::new(settings());
    let only = || with(get("/"), "cache-control", "only-if-cached");
    assert_eq!(rig.hit(only()).await.0, 504);
    rig.fill(get("/"), fresh("one")).await;
    assert_eq!(rig.hit(only()).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn it_takes_no_more_memory_than_it_may() {
    let bytes_max = 200_000;
    let mut rig = Rig::new(Settings { bytes_max, ..settings() });
    for number in 0..400 {
        rig.fill(get(&format!("/{number}")), fresh("").map(|_| text(vec![b'x'; 1_000]))).await;
    }
    let bytes = rig.responses.bytes();
    assert!((bytes_max / 2..=bytes_max).contains(&bytes), "{bytes} bytes");
    assert!(rig.responses.len() < 200, "{} answers", rig.responses.len());
}
