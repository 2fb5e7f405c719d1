//! Deduplication and results through the shipped binary: at once, one after another, over a restart, across two replicas.

#![expect(clippy::float_cmp, reason = "what is counted is whole")]

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

/// A question whose answer depends on `q` alone.
fn question(id: &str, q: u32) -> Outgoing {
    Outgoing::new(id, None).with_data("application/json", format!(r#"{{"q": {q}, "n": "{id}"}}"#))
}

#[tokio::test]
async fn what_a_result_answers_is_marked_and_a_duplicate_is_not_looked_up_among_results() {
    let function = Function::start(Program::always(Action::text("four")));
    let (site, mut process) = start(&function, &[("cache.results.key", "/data/q")]).await;
    let send = async |id: &str| {
        let answer = site.producer().send(&question(id, 2), Mode::Binary).await.unwrap();
        (answer.status().as_u16(), answer.into_body())
    };
    assert_eq!(send("a").await, (200, "four".into()));
    assert_eq!(send("b").await, (200, "four".into()));
    assert_eq!((calls(&function, "a"), calls(&function, "b")), (1, 0));
    assert_eq!(send("b").await.0, 200);
    assert_eq!(site.metric("outrigger_results_total{outcome=\"hit\"}").await, 1.0);
    assert_eq!(site.metric("outrigger_events_ended_total{how=\"duplicate\"}").await, 1.0);
    process.kill().await;
    let _next = site.start().await;
    assert_eq!(send("b").await.0, 200, "it was handled, although nobody was called");
    assert_eq!(calls(&function, "b"), 0);
}

#[tokio::test]
async fn results_are_forgotten_as_the_owner_or_a_marked_source_wants() {
    let function = Function::start(Program::always(Action::text("four")));
    let settings = [
        ("cache.results.key", "/data/q"),
        ("cache.results.tags", "/data/q"),
        ("ingress.http.control", "true"),
    ];
    let (site, _process) = start(&function, &settings).await;
    let producer = site.producer();
    let ask = async |id: &str| {
        assert_eq!(producer.send(&question(id, 2), Mode::Binary).await.unwrap().status(), 200);
        calls(&function, id)
    };
    assert_eq!((ask("a").await, ask("b").await), (1, 0));
    let said = site.verb(&["cache", "stats", "--json"]).await;
    assert_eq!((said.code, &said.json()["results"]["kept"]), (Some(0), &serde_json::json!(1)), "{said:?}");

    let said = site.verb(&["cache", "invalidate", "--tag", "2", "--prefix", "none such", "--json"]).await;
    assert_eq!((said.code, &said.json()["forgotten"]), (Some(0), &serde_json::json!(1)), "{said:?}");
    assert_eq!((ask("c").await, ask("d").await), (1, 0));
    assert_eq!(site.verb(&["cache", "invalidate"]).await.code, Some(2), "of what?");

    let mut control = Outgoing::new("control", None).with_data("application/json", r#"{"all": true}"#);
    control.ty = "io.outrigger.cache.invalidate".to_owned();
    assert_eq!(producer.send(&control, Mode::Binary).await.unwrap().status(), 200);
    assert_eq!((ask("e").await, calls(&function, "control")), (1, 0));
    assert_eq!(site.metric("outrigger_control_events_total{outcome=\"done\"}").await, 1.0);
}

#[tokio::test]
async fn a_control_event_of_a_source_that_is_not_marked_does_nothing_and_reaches_nobody() {
    for sync in ["true", "false"] {
        let function = Function::start(Program::always(Action::text("four")));
        // Whoever does not wait gets no reply, so nothing is the result there.
        let settings = [
            ("cache.results.key", "/data/q"),
            ("cache.results.keep_empty", "true"),
            ("ingress.http.sync", sync),
        ];
        let (site, _process) = start(&function, &settings).await;
        let producer = site.producer();
        assert!(producer.send(&question("a", 2), Mode::Binary).await.unwrap().status().is_success());
        site.until("its result is kept", |status| status["delivered"] == 1).await;
        let mut control = Outgoing::new("control", None).with_data("application/json", r#"{"all": true}"#);
        control.ty = "io.outrigger.cache.invalidate".to_owned();
        assert!(producer.send(&control, Mode::Structured).await.unwrap().status().is_success());
        site.until_metric("outrigger_control_events_total{outcome=\"discarded\"}", |count| count == 1.0)
            .await;
        assert!(producer.send(&question("b", 2), Mode::Binary).await.unwrap().status().is_success());
        site.until("both are handled", |status| status["delivered"] == 2).await;
        assert_eq!((calls(&function, "b"), calls(&function, "control")), (0, 0), "sync: {sync}");
    }
}
