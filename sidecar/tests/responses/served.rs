//! What is served without the function, and what is not kept.

use crate::rig::{Keeping, Told, answers, ask, at, fresh};
use http::Method;
use outrigger_function::{Action, Fault, Function, Program};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_hit_needs_neither_a_place_nor_a_function_that_is_there() {
    let held = Action { hold: Some("gate".to_owned()), ..Action::default() };
    let function = Function::start(fresh().rule(at("/held", held)));
    let keeping = Keeping::start(&function, |site| site.set("function.concurrency", "1")).await;
    assert_eq!(keeping.get("/a").await.cache(), "outrigger; fwd=uri-miss; stored");

    let proxy = keeping.proxy;
    let holds = tokio::spawn(async move { ask(proxy, Method::GET, "/held", &[]).await });
    function.wait_for(|stats| stats.received == 2).await;
    let hit = keeping.get("/a").await;
    assert_eq!((hit.status, &hit.body[..]), (200, &b"fresh"[..]));
    assert!(hit.cache().starts_with("outrigger; hit; ttl="), "{}", hit.cache());
    assert!(hit.headers.contains_key("age") && hit.headers["content-length"] == "5");
    function.open("gate");
    holds.await.unwrap().unwrap();

    function.stop();
    keeping.get("/another").await; // the connection that was kept may break under it
    let other = keeping.get("/other").await;
    assert_eq!((other.status, other.cache()), (503, "outrigger; detail=unavailable"));
    assert!(keeping.get("/a").await.cache().starts_with("outrigger; hit"));
}

#[tokio::test]
async fn equal_requests_at_once_are_one_call_of_the_function() {
    let held = Action { hold: Some("gate".to_owned()), ..answers(&[("cache-control", "max-age=60")], "one") };
    let function = Function::start(Program::always(held));
    let keeping = Keeping::start(&function, |site| site).await;
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        asked.spawn(ask(keeping.proxy, Method::GET, "/a", &[]));
    }
    function.wait_for(|stats| stats.received == 1).await;
    function.open("gate");
    let mut told: Vec<Told> = Vec::new();
    while let Some(answer) = asked.join_next().await {
        told.push(answer.unwrap().unwrap());
    }
    assert!(told.iter().all(|told| told.status == 200 && &told.body[..] == b"one"));
    assert_eq!(told.iter().filter(|told| told.cache().ends_with("; stored")).count(), 1);
    assert_eq!(function.stats().received, 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_served() {
    for fault in [Fault::Truncate, Fault::ResetBody] {
        let cut = Action { fault: Some(fault), ..answers(&[("cache-control", "max-age=60")], "half of it") };
        let function = Function::start(Program::always(cut));
        let keeping = Keeping::start(&function, |site| site).await;
        assert!(ask(keeping.proxy, Method::GET, "/a", &[]).await.is_err(), "{fault:?}");
        function.set_program(fresh());
        assert_eq!(keeping.get("/a").await.cache(), "outrigger; fwd=uri-miss; stored", "{fault:?}");
    }
}

#[tokio::test]
async fn what_a_method_changes_is_asked_anew() {
    let function = Function::start(fresh());
    let keeping = Keeping::start(&function, |site| site).await;
    keeping.get("/a").await;
    assert!(keeping.get("/a").await.cache().starts_with("outrigger; hit"));
    assert_eq!(keeping.ask(Method::DELETE, "/a", &[]).await.cache(), "outrigger; fwd=method");
    assert_eq!(keeping.get("/a").await.cache(), "outrigger; fwd=uri-miss; stored");
}

#[tokio::test]
async fn what_the_owner_invalidates_is_asked_anew_and_metrics_count() {
    let tagged = answers(&[("cache-control", "max-age=60"), ("cache-tag", "fruit, food")], "fresh");
    let function = Function::start(Program::always(tagged));
    let keeping = Keeping::start(&function, |site| site).await;
    for way in [&["--key", "/a?b"][..], &["--prefix", "/a"], &["--tag", "food"], &["--all"]] {
        assert_eq!(keeping.get("/a?b").await.cache(), "outrigger; fwd=uri-miss; stored");
        assert!(keeping.get("/a?b").await.cache().starts_with("outrigger; hit"));
        let said = keeping.site.verb(&[&["cache", "invalidate"], way].concat()).await;
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let (_, metrics) = outrigger_testkit::process::get(keeping.site.admin, "/metrics").await.unwrap();
    for line in
        ["outrigger_responses_total{outcome=\"hit\"} 4", "outrigger_responses_total{outcome=\"miss\"} 4"]
    {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn every_answer_tells_what_the_cache_did() {
    let function = Function::start(fresh());
    let keeping = Keeping::start(&function, |site| site.set("proxy.routes", "{\"/admin/*\": refuse}")).await;
    let refused = keeping.get("/admin/x").await;
    assert_eq!((refused.status, refused.cache()), (404, "outrigger; detail=route"));
    let part = keeping.ask(Method::GET, "/a", &[("range", "bytes=0-1,3-4")]).await;
    assert_eq!(part.cache(), "outrigger; fwd=bypass; detail=range");
}

#[tokio::test]
async fn what_is_not_turned_on_says_and_keeps_nothing() {
    let function = Function::start(fresh());
    let keeping = Keeping::start(&function, |site| site.set("cache.responses.bytes_max", "off")).await;
    for _ in 0..2 {
        assert!(!keeping.get("/a").await.headers.contains_key("cache-status"));
    }
    assert_eq!(function.stats().received, 2);
}
