//! Events in every mode, through the shipped binary, to a real function; and what comes back.

mod common;

use bytes::Bytes;
use common::{Site, headers, real};
use http::Response;
use outrigger_function::{
    Function, Match, Program, Rule, identity,
    program::{Action, Reply},
};
use outrigger_testkit::{Mode, Oracle, Outgoing, Producer};
use std::collections::BTreeMap;

/// Sends real payloads in all modes and judges what arrived; `None` when they are absent.
async fn deliver_real_payloads(
    test: &str,
    site: impl FnOnce(&Function) -> Site,
    status: u16,
) -> Option<Function> {
    let events = real::events(test)?;
    let function = Function::start(Program::default());
    let site = site(&function);
    let _process = site.start().await;
    let (producer, oracle) = (site.producer(), Oracle::default());
    for (event, mode) in events.iter().zip(Mode::ALL.into_iter().cycle()) {
        oracle.sending(event);
        let answer = producer.send(event, mode).await.unwrap();
        assert_eq!(answer.status(), status, "{mode:?} {}: {:?}", event.id, answer.body());
        oracle.acknowledged(&event.id);
    }
    function.wait_for(|stats| stats.distinct == events.len() as u64 && stats.running == 0).await;
    oracle.judge_at(&function).assert_clean(0);
    Some(function)
}

#[tokio::test]
async fn real_payloads_of_every_mode_arrive_byte_for_byte() {
    let name = "real_payloads_of_every_mode_arrive_byte_for_byte";
    let Some(function) = deliver_real_payloads(name, Site::of, 202).await else { return };
    assert!(function.log().iter().all(|record| record.mode == identity::Mode::Binary));
}

#[tokio::test]
async fn a_function_that_wants_structured_events_gets_the_same_payloads() {
    let name = "a_function_that_wants_structured_events_gets_the_same_payloads";
    let site = |function: &Function| Site::of(function).set("function.mode", "structured");
    let Some(function) = deliver_real_payloads(name, site, 202).await else { return };
    assert!(function.log().iter().all(|record| record.mode == identity::Mode::Structured));
}

#[tokio::test]
async fn senders_who_wait_for_the_outcome_have_it_for_real_payloads_of_every_mode() {
    let name = "senders_who_wait_for_the_outcome_have_it_for_real_payloads_of_every_mode";
    deliver_real_payloads(name, |function| Site::of(function).set("ingress.http.sync", "true"), 200).await;
}

#[tokio::test]
async fn payloads_that_are_no_json_are_not_touched_on_any_way() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    let _process = site.start().await;
    let (producer, oracle) = (site.producer(), Oracle::default());
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let kinds = [
        ("application/octet-stream", every_byte),
        ("text/plain", "ä\n\0\u{feff}".into()),
        ("a/b", Vec::new()),
    ];
    for (mode, (content_type, data)) in
        Mode::ALL.iter().flat_map(|mode| kinds.iter().map(move |kind| (*mode, kind)))
    {
        let id = format!("{mode:?} {content_type}");
        let mut event = Outgoing::new(&id, None).with_data(content_type, data.clone());
        event.extensions.push(("unknown".to_owned(), "Euro € 😀 %41".to_owned()));
        oracle.sending(&event);
        assert_eq!(producer.send(&event, mode).await.unwrap().status(), 202, "{id}");
        oracle.acknowledged(&id);
    }
    function.wait_for(|stats| stats.distinct == 9 && stats.running == 0).await;
    oracle.judge_at(&function).assert_clean(0);
    for record in function.log() {
        let seen =
            record.headers.iter().find(|(name, _)| name == "ce-unknown").map(|(_, value)| value.as_str());
        assert_eq!(seen, Some("Euro%20%E2%82%AC%20%F0%9F%98%80%20%2541"), "{:?}", record.id);
    }
}

/// A function whose answer depends on the event's id.
fn answering() -> Function {
    let attributes = ["id", "source", "type"].map(|name| (name.to_owned(), format!("reply-{name}")));
    let reply = |structured| Action {
        reply: Some(Reply {
            structured,
            attributes: BTreeMap::from(attributes.clone()),
            data: Some(serde_json::json!({"done": true})),
        }),
        ..Action::default()
    };
    let text = Action {
        status: Some(201),
        ..Action::text("plain words").with_header("content-type", "text/x-plain")
    };
    let rules = [
        ("binary", reply(false)),
        ("structured", reply(true)),
        ("text", text),
        ("nothing", Action::status(204)),
        ("refused", Action::status(422)),
        ("busy", Action { retry_after: Some("7".to_owned()), ..Action::status(503) }),
        ("held", Action::hold("gate")),
    ];
    let program = rules
        .into_iter()
        .fold(Program::default(), |program, (id, action)| program.rule(Rule::new(Match::id(id), action)));
    Function::start(program)
}

async fn ask(producer: &Producer, id: &str) -> Response<Bytes> {
    producer.send(&Outgoing::new(id, None), Mode::Binary).await.unwrap()
}

#[tokio::test]
async fn a_reply_event_comes_back_to_the_sender_whichever_way_the_function_wrote_it() {
    let function = answering();
    let site = Site::of(&function).set("ingress.http.sync", "true");
    let _process = site.start().await;
    for id in ["binary", "structured"] {
        let answer = ask(&site.producer(), id).await;
        assert_eq!(answer.status(), 200);
        for name in ["id", "source", "type"] {
            assert_eq!(answer.headers()[&format!("ce-{name}")], format!("reply-{name}"), "{id}");
        }
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.body(), r#"{"done":true}"#);
    }
    assert!(function.log()[0].headers.contains(&("prefer".to_owned(), "reply".to_owned())));
}

#[tokio::test]
async fn what_is_no_event_comes_back_as_it_is() {
    let function = answering();
    let site = Site::of(&function).set("ingress.http.sync", "true");
    let _process = site.start().await;
    let producer = site.producer();
    let text = ask(&producer, "text").await;
    assert_eq!((text.status().as_u16(), text.body().as_ref()), (201, &b"plain words"[..]));
    assert_eq!(text.headers()["content-type"], "text/x-plain");
    let nothing = ask(&producer, "nothing").await;
    assert_eq!((nothing.status().as_u16(), nothing.body().len()), (204, 0));
    assert!(!nothing.headers().contains_key("ce-id"));
}

#[tokio::test]
async fn a_failed_call_is_one_attempt_and_the_sender_gets_its_status() {
    let function = answering();
    let site = Site::of(&function).set("ingress.http.sync", "true").set("ingress.http.sync_timeout", "2s");
    let _process = site.start().await;
    let producer = site.producer();
    assert_eq!(ask(&producer, "refused").await.status(), 422);
    let busy = ask(&producer, "busy").await;
    assert_eq!(busy.status(), 503);
    assert!(busy.headers().contains_key("retry-after"), "{busy:?}");
    assert_eq!(ask(&producer, "held").await.status(), 504);
    let stats = function.wait_for(|stats| stats.received == 3 && stats.running == 0).await;
    assert_eq!((stats.received, stats.gone), (3, 1), "the call that nobody waited for was cut off");
    assert_eq!(site.letters().await.len(), 0, "the sender knows, so nothing is kept");
}

#[tokio::test]
async fn a_batch_whose_members_fail_says_which() {
    let function = answering();
    let site = Site::of(&function).set("ingress.http.sync", "true");
    let _process = site.start().await;
    let events = ["text", "refused", "nothing"].map(|id| Outgoing::new(id, None));
    let answer = site.producer().send_batch(&events).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((answer.status().as_u16(), &body["delivered"]), (502, &2.into()), "{body}");
    assert_eq!(body["failed"].as_array().unwrap().len(), 1);
    assert_eq!(body["failed"][0]["index"], 1);
}

#[tokio::test]
async fn malformed_members_of_a_batch_are_kept_as_they_came_and_the_rest_is_delivered() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    let _process = site.start().await;
    let good = ["1", "2"].map(|id| Outgoing::new(id, None).json());
    // The spaces would not survive being parsed and written again.
    let bad = [r#"{ "specversion" : "1.0", "id":"x" }"#, " 7 ", r#"{"specversion":"0.3","id":"y"}"#];
    let body = format!("[{},{},{},{},{}]", bad[0], good[0], bad[1], good[1], bad[2]);
    let batch = || headers([("content-type", "application/cloudevents-batch+json")]);
    let answer = site.producer().post(batch(), body).await.unwrap();
    let counts: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(counts, serde_json::json!({"accepted": 2, "dead_lettered": 3}));
    function.wait_for(|stats| stats.distinct == 2).await;

    let letters = site.letters().await;
    assert_eq!(letters.len(), 3);
    for (letter, bad) in letters.iter().zip(bad) {
        assert_eq!(
            (&letter["reason"], &letter["malformed"]),
            (&"malformed".into(), &true.into()),
            "{letter}"
        );
        assert_eq!(letter["origin"], "http");
        let raw = site.verb(&["dead", "show", "--raw", &letter["id"].to_string()]).await;
        assert_eq!(raw.stdout.trim(), bad.trim());
        assert!(!letter["detail"].as_str().unwrap().is_empty());
    }
    let replayed = site.verb(&["dead", "replay", "--all"]).await;
    assert_eq!(replayed.code, Some(1), "what is no event cannot be replayed: {replayed:?}");
    assert_eq!(site.letters().await.len(), 3);
}

#[tokio::test]
async fn what_is_no_batch_at_all_is_refused_and_nothing_is_kept() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    let _process = site.start().await;
    for body in ["", "{}", "[", r#"[{"id":"1"}"#, "nonsense", "[]x"] {
        let batch = headers([("content-type", "application/cloudevents-batch+json")]);
        let answer = site.producer().post(batch, body).await.unwrap();
        assert_eq!(answer.status(), 400, "{body:?}");
        assert!(!answer.body().is_empty(), "{body:?} is refused with a reason");
    }
    assert_eq!(site.letters().await.len(), 0);
}
