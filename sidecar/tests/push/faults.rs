//! Nothing is said to be kept before it is: full, draining, killed.

use crate::{
    common::Site,
    rig::{At, BOTH, one, open_to_all, open_to_all_at, push},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use outrigger_function::{Function, Program, program::Action};
use outrigger_testkit::{Oracle, Outgoing, Producer, process::WAIT_MAX};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

/// Which statuses make Event Grid drop an event.
const DROP: [u16; 5] = [400, 401, 403, 404, 413];

#[tokio::test]
async fn row_21_a_full_journal_is_answered_503_and_takes_events_again_when_some_have_left() {
    for at in BOTH {
        let function = Function::start(Program::always(Action::hold("gate")));
        let site = open_to_all(&function).set("journal.bytes_max", "1MiB");
        let _process = site.start().await;
        let large = |id: usize| {
            one(at, &id.to_string())
                .replace("e30=", &STANDARD.encode(vec![7; 75_000]))
                .replace("{}", &json!("x".repeat(100_000)).to_string())
        };
        let mut accepted = 0;
        let refused = loop {
            let status = push(&site, at, large(accepted)).await.status().as_u16();
            if status != at.taken() {
                break status;
            }
            accepted += 1;
            assert!(accepted < 20, "{at:?}: a journal of 1 MiB took 2 MiB");
        };
        assert_eq!(refused, 503, "{at:?}");
        if at == At::EventGrid {
            assert_eq!(push(&site, at, format!("[{{}},{}]", large(0))).await.status(), 503);
            assert!(site.letters().await.is_empty(), "a batch that is refused leaves nothing behind");
        }
        function.open("gate");
        let deadline = Instant::now() + WAIT_MAX;
        while push(&site, at, one(at, "fresh")).await.status() != at.taken() {
            assert!(Instant::now() < deadline, "{at:?}: room that is free again is not used");
            sleep(Duration::from_millis(20)).await; // until what was settled is written down
        }
        function.wait_for(|stats| stats.distinct == accepted as u64 + 1).await;
    }
}

#[tokio::test]
async fn what_is_pushed_and_is_no_event_is_told_in_the_log_with_its_reason_and_once() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function).set("log.format", "json");
    let process = site.start().await;
    // Pub/Sub sends what it is refused again and again, and shows nobody why.
    for _ in 0..3 {
        assert_eq!(push(&site, At::Pubsub, "{}").await.status(), 400);
    }
    let line = process.line("a pushed request was refused").await;
    assert!(line.contains("pubsub_push") && line.contains("JSON of another shape"), "{line}");
    // Event Grid is told that it is kept.
    for _ in 0..3 {
        assert_eq!(push(&site, At::EventGrid, r#"{"specversion":"1.0","id":"1"}"#).await.status(), 200);
    }
    let line = process.line("became dead letters").await;
    assert!(line.contains("eventgrid_webhook") && line.contains("is missing"), "{line}");
    let log = process.log();
    let said = |what| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!((said("a pushed request was refused"), said("became dead letters")), (1, 1), "{log}");
}

#[tokio::test]
async fn a_full_window_is_answered_by_a_status_that_keeps_the_event() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let site = open_to_all(&function).set("ingress.http.sync", "true").set("ingress.http.sync_timeout", "2s");
    let site = site.set("window.events", "1").set("function.concurrency", "1");
    let _process = site.start().await;
    let held = ask(&site, At::Pubsub, "held");
    function.wait_for(|stats| stats.held == 1).await;
    for at in BOTH {
        let status = push(&site, at, one(at, "1")).await.status().as_u16();
        assert!(status >= 429 && !DROP.contains(&status), "{at:?}: {status}");
    }
    assert_eq!(held.await.unwrap(), 504);
}

fn ask(site: &Site, at: At, id: &str) -> JoinHandle<u16> {
    let url = format!("http://{}{}", site.ingress, at.path());
    let body = one(at, id);
    let headers = crate::common::headers([(
        "content-type",
        if at == At::Pubsub { "application/json" } else { "application/cloudevents+json" },
    )]);
    tokio::spawn(async move { Producer::new(&url).post(headers, body).await.unwrap().status().as_u16() })
}

#[tokio::test]
async fn row_8_what_a_drain_cuts_off_is_answered_503() {
    for at in BOTH {
        let function = Function::start(Program::always(Action::hold("gate")));
        let site = open_to_all(&function).set("ingress.http.sync", "true").set("drain.deadline", "50ms");
        let mut process = site.start().await;
        let held = ask(&site, at, "1");
        function.wait_for(|stats| stats.held == 1).await;
        process.terminate();
        assert_eq!(held.await.unwrap(), 503, "{at:?}");
        assert_eq!(process.wait().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_function_that_is_down_is_no_reason_to_drop_an_event() {
    let function = Function::start(Program::always(Action::status(500)));
    let site = open_to_all(&function).set("ingress.http.sync", "true");
    let _process = site.start().await;
    for status in [400, 401, 403, 404, 413, 429, 500] {
        function.set_program(Program::always(Action::status(status)));
        let answered =
            push(&site, At::EventGrid, one(At::EventGrid, &status.to_string())).await.status().as_u16();
        assert!(!DROP.contains(&answered), "the function's {status} became {answered}");
    }
}

#[tokio::test]
async fn without_a_function_to_be_reached_an_event_stays_with_its_sender() {
    let site = open_to_all_at("http://127.0.0.1:1/").set("ingress.http.sync", "true");
    let site = site.set("ingress.http.sync_timeout", "200ms");
    let _process = site.start_unready().await;
    for at in BOTH {
        let status = push(&site, at, one(at, "1")).await.status().as_u16();
        assert!(status >= 500, "{at:?}: {status}");
    }
    assert!(site.letters().await.is_empty(), "an outage is no reason to give up an event");
}

/// Sends batches of one key each as Event Grid does, or messages as Pub/Sub does, until one is not answered any more.
fn senders(life: u64, site: &Site, oracle: &Arc<Oracle>) -> Vec<JoinHandle<()>> {
    let sender = |number: usize| {
        let at = BOTH[number % 2];
        let producer = Producer::new(&format!("http://{}{}", site.ingress, at.path()));
        let oracle = oracle.clone();
        tokio::spawn(async move {
            for batch in 0.. {
                let count = if at == At::EventGrid { 5 } else { 1 };
                let event = |n: usize| {
                    Outgoing::new(&format!("{life}-{number}-{batch}-{n}"), Some(&number.to_string()))
                };
                let events: Vec<_> = (0..count).map(event).collect();
                for event in &events {
                    oracle.sending(event);
                }
                let (content_type, body) = match at {
                    At::EventGrid => {
                        let members: Vec<_> = events.iter().map(Outgoing::json).collect();
                        ("application/cloudevents+json; charset=utf-8", format!("[{}]", members.join(",")))
                    }
                    At::Pubsub => ("application/json", wrapped(&events[0])),
                };
                let headers = crate::common::headers([("content-type", content_type)]);
                match producer.post(headers, body).await {
                    Ok(answer) if answer.status() == at.taken() => {
                        for event in &events {
                            oracle.acknowledged(&event.id);
                        }
                    }
                    _ => return, // not acknowledged, so nothing is owed
                }
            }
        })
    };
    (0..8).map(sender).collect()
}

fn wrapped(event: &Outgoing) -> String {
    let attributes = json!({"content-type": "application/cloudevents+json"});
    let message =
        json!({"data": STANDARD.encode(event.json()), "messageId": event.id, "attributes": attributes});
    json!({"message": message, "subscription": "projects/p/subscriptions/s"}).to_string()
}

#[tokio::test]
async fn rows_1_to_4_killed_under_load_nothing_that_was_answered_is_lost() {
    let function = Function::start(Program::always(Action::delay_ms(5)));
    let site = open_to_all(&function);
    let oracle = Arc::new(Oracle::default());
    for life in 1..=3_u64 {
        let mut process = site.start().await;
        let load = senders(life, &site, &oracle);
        function.wait_for(|stats| stats.distinct >= life * 150).await;
        process.kill().await;
        for sender in load {
            sender.await.unwrap();
        }
    }
    let _process = site.start().await;
    function.wait_for(|_| oracle.owed(&function.log()).is_empty()).await;
    let judgement = oracle.judge_at(&function);
    println!("killed under load, three times: {judgement}");
    assert!(judgement.lost.is_empty() && judgement.altered.is_empty(), "{judgement}");
    assert_eq!(site.status().await["dead_lettered"], 0);
}
