//! Deduplication through the shipped binary: at once, one after another, over a restart, and across two replicas.

mod common;

use common::Site;
use outrigger_function::{Action, Function, Program};
use outrigger_testkit::{Mode, Outgoing, Process, redis};
use std::sync::Arc;

/// Senders wait for the outcome; what is handled is known for an hour.
async fn start(function: &Function, settings: &[(&str, &str)]) -> (Site, Process) {
    let site = Site::of(function).set("ingress.http.sync", "true").set("cache.dedup.window", "1h");
    let site = settings.iter().fold(site, |site, (path, value)| site.set(path, value));
    let process = site.start().await;
    (site, process)
}

fn calls(function: &Function, id: &str) -> usize {
    function.log().iter().filter(|record| record.id.as_deref() == Some(id)).count()
}

#[tokio::test]
async fn row_25_a_hundred_senders_of_one_event_share_one_call_and_its_answer() {
    let function =
        Function::start(Program::always(Action { hold: Some("gate".to_owned()), ..Action::text("done") }));
    let (site, _process) = start(&function, &[]).await;
    let producer = Arc::new(site.producer());
    let senders = (0..100).map(|n| {
        let producer = producer.clone();
        let key = ["k1", "k2"].get(n % 3).copied();
        tokio::spawn(async move { producer.send(&Outgoing::new("a", key), Mode::Binary).await.unwrap() })
    });
    let senders: Vec<_> = senders.collect();
    site.until_metric("outrigger_window_events", |inside| inside == 100.0).await;
    function.open("gate");
    for sender in senders {
        let answer = sender.await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"done"[..]));
    }
    assert_eq!(calls(&function, "a"), 1);
    let again = producer.send(&Outgoing::new("a", None), Mode::Binary).await.unwrap();
    assert_eq!((again.status(), calls(&function, "a")), (http::StatusCode::OK, 1));
    assert_eq!(site.metric("outrigger_dedup_marks").await, 1.0);
}

#[tokio::test]
async fn row_26_another_payload_is_refused_where_the_configuration_says_so() {
    let function = Function::start(Program::default());
    let (site, _process) = start(&function, &[("cache.dedup.conflict", "reject")]).await;
    let producer = site.producer();
    for (data, status) in [("one", 200), ("other", 409), ("one", 200)] {
        let event = Outgoing::new("a", None).with_data("text/plain", data);
        assert_eq!(producer.send(&event, Mode::Binary).await.unwrap().status(), status, "{data}");
    }
    assert_eq!(calls(&function, "a"), 1);
}

#[tokio::test]
async fn what_was_handled_is_known_after_a_kill() {
    let function = Function::start(Program::default());
    let (site, mut process) = start(&function, &[]).await;
    for id in ["a", "b"] {
        assert_eq!(site.producer().send(&Outgoing::new(id, None), Mode::Binary).await.unwrap().status(), 200);
    }
    process.kill().await;
    let _next = site.start().await;
    for id in ["a", "b", "c"] {
        assert_eq!(
            site.producer().send(&Outgoing::new(id, None), Mode::Structured).await.unwrap().status(),
            200
        );
        assert_eq!(calls(&function, id), 1, "{id}");
    }
    site.until_metric("outrigger_dedup_marks", |marks| marks == 3.0).await;
}

#[tokio::test]
async fn what_one_replica_has_handled_the_other_settles_without_a_call() {
    let test = "what_one_replica_has_handled_the_other_settles_without_a_call";
    let Some(mut server) = redis::server(test) else { return };
    let function = Function::start(Program::default());
    let url = server.url();
    let shared = [("cache.dedup.redis.url", url.as_str()), ("cache.dedup.redis.timeout", "2s")];
    let (first, _one) = start(&function, &shared).await;
    let (second, _other) = start(&function, &shared).await;
    for (site, id) in [(&first, "a"), (&second, "a"), (&second, "b"), (&first, "b")] {
        assert_eq!(site.producer().send(&Outgoing::new(id, None), Mode::Binary).await.unwrap().status(), 200);
        assert_eq!(calls(&function, id), 1, "{id}");
    }
    server.stop();
    for site in [&first, &second] {
        assert_eq!(
            site.producer().send(&Outgoing::new("c", None), Mode::Binary).await.unwrap().status(),
            200
        );
    }
    assert_eq!(calls(&function, "c"), 2, "without the store an event is delivered, perhaps again");
    assert!(second.metric("outrigger_dedup_redis_failures_total").await > 0.0);
}
