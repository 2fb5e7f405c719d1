//! What arrives at the function and what comes back, over real sockets.

mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use common::{Fixture, call_to, cx, event, one};
use futures_util::StreamExt;
use outrigger_core::{Call, Event, Kind};
use outrigger_function::{
    Action, Function, Program,
    program::{Payload, Reply as Answer},
};
use outrigger_http::{Mode, Replies};

fn header<'a>(record: &'a outrigger_function::Record, name: &str) -> Option<&'a str> {
    let mut found = record.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let first = found.next();
    assert_eq!(found.next(), None, "{name} is there twice");
    first
}

fn replies_with(answer: Answer) -> Program {
    Program::always(Action { reply: Some(answer), ..Action::default() })
}

fn answer_attributes() -> BTreeMap<String, String> {
    [("id", "r-1"), ("source", "/function"), ("type", "done")].map(|(k, v)| (k.into(), v.into())).into()
}

#[tokio::test]
async fn an_event_arrives_in_the_binary_mode_with_its_data_untouched() {
    let f = Fixture::start(Program::default());
    f.one().await.unwrap();
    let [record] = &f.function.log()[..] else { panic!("one request") };
    assert_eq!((&*record.method, &*record.path), ("POST", "/"));
    assert_eq!(record.body.as_deref(), Some(&b"{\"n\": 1}"[..]));
    let address = f.function.addr().to_string();
    for (name, value) in [
        ("host", address.as_str()),
        ("content-length", "8"),
        ("content-type", "application/json"),
        ("ce-id", "1"),
        ("ce-source", "/tests"),
        ("ce-subject", "Euro%20%E2%82%AC"),
        ("prefer", "reply"),
    ] {
        assert_eq!(header(record, name), Some(value), "{name}");
    }
    assert_eq!(header(record, "transfer-encoding"), None);
}

#[tokio::test]
async fn an_event_arrives_in_the_structured_mode_at_the_path_of_the_url() {
    let function = Function::start(Program::default());
    let call = call_to(&format!("{}/a/b?c=d", function.url()), |config| {
        config.mode = Mode::Structured;
        config.replies = Replies::Ignored;
    });
    one(&call, &event("1")).await.unwrap();
    let [record] = &function.log()[..] else { panic!("one request") };
    assert_eq!(&*record.path, "/a/b");
    assert_eq!(header(record, "content-type"), Some("application/cloudevents+json; charset=utf-8"));
    assert_eq!(header(record, "prefer"), None);
    let body = record.body.clone().unwrap();
    assert_eq!(header(record, "content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(outrigger_core::event::json::decode(body).unwrap(), event("1"));
}

#[tokio::test]
async fn an_event_arrives_as_a_message_of_protobuf_and_so_may_the_reply() {
    let echo = Program::always(Action { body: Some(Payload::Echo), ..Action::default() });
    let f = Fixture::with(echo, |config| config.mode = Mode::Protobuf);
    let reply = f.one().await.unwrap();
    assert_eq!(reply.event, Some(event("1")));
    let [record] = &f.function.log()[..] else { panic!("one request") };
    assert_eq!(header(record, "content-type"), Some("application/cloudevents+protobuf"));
    let body = record.body.clone().unwrap();
    assert_eq!(outrigger_core::event::proto::decode(body).unwrap(), event("1"));
}

#[tokio::test]
async fn in_the_raw_mode_nothing_says_that_it_is_an_event() {
    let f = Fixture::with(Program::default(), |config| config.mode = Mode::Raw);
    f.one().await.unwrap();
    let [record] = &f.function.log()[..] else { panic!("one request") };
    assert_eq!(record.body.as_deref(), Some(&b"{\"n\": 1}"[..]));
    let names: Vec<&str> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "host", "content-length"], "no attribute and no preference");
}

#[tokio::test]
async fn an_event_without_data_has_a_content_length_too() {
    let f = Fixture::start(Program::default());
    f.send(&Event::new("1", "/tests", "t").unwrap()).await.unwrap();
    assert_eq!(header(&f.function.log()[0], "content-length"), Some("0"));
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let f = Fixture::start(Program::always(Action::text("an answer with a body")));
    for n in 0..50 {
        f.send(&event(&n.to_string())).await.unwrap();
    }
    assert_eq!(f.function.stats().connections, 1);
    let calls = (0..200).map(|n| {
        let call = f.call.clone();
        async move { one(&call, &event(&format!("c{n}"))).await }
    });
    let answered =
        futures_util::stream::iter(calls).buffer_unordered(8).filter(|a| std::future::ready(a.is_ok()));
    assert_eq!(answered.count().await, 200);
    let stats = f.function.stats();
    assert!(stats.connections <= 8, "{} connections for 8 at once", stats.connections);
}

#[tokio::test]
async fn a_large_event_passes_and_its_connection_is_used_again() {
    let f = Fixture::start(Program::default());
    let data = Bytes::from(vec![b'x'; 5 << 20]);
    let large = Event::new("1", "/tests", "t").unwrap().with_data("text/plain", data).unwrap();
    for n in 0..3 {
        f.send(&large).await.unwrap();
        assert_eq!(f.function.log()[n].body_len, 5 << 20);
        // Its connection is free once hyper's task has had its turn after the answer.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(f.function.stats().connections, 1);
}

#[tokio::test]
async fn a_reply_event_is_recognised_in_both_modes() {
    for structured in [false, true] {
        let data = Some(7.into());
        let f = Fixture::start(replies_with(Answer { structured, attributes: answer_attributes(), data }));
        let reply = f.one().await.unwrap();
        let event = reply.event.expect("a reply event");
        assert_eq!((reply.status, event.id(), event.source()), (200, "r-1", "/function"));
        assert_eq!(event.data().unwrap(), "7");
    }
}

#[tokio::test]
async fn an_ordinary_answer_is_kept_for_a_caller_who_waits() {
    let f = Fixture::start(Program::always(Action::text("hello").with_header("x-mine", "yes")));
    let reply = f.one().await.unwrap();
    assert!(reply.event.is_none());
    assert_eq!((reply.status, &reply.body[..]), (200, &b"hello"[..]));
    assert_eq!(reply.headers["x-mine"], "yes");
}

#[tokio::test]
async fn an_answer_over_the_bound_is_delivered_without_its_body_and_a_reply_event_over_it_fails() {
    let large = Action { body: Some(Payload::Bytes(101)), ..Action::default() };
    let f = Fixture::with(Program::always(large.clone()), |config| config.reply_bytes_max = 100);
    let reply = f.one().await.unwrap();
    assert_eq!((reply.status, reply.body.len()), (200, 0));

    let event = large
        .with_header("ce-specversion", "1.0")
        .with_header("ce-id", "1")
        .with_header("ce-source", "/s")
        .with_header("ce-type", "t");
    f.function.set_program(Program::always(event));
    let error = f.one().await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::BadAnswer, true));
    assert!(error.message().contains("100 bytes"), "{error}");
}

#[tokio::test]
async fn an_answer_of_exactly_the_bound_is_kept() {
    let exact = Action { body: Some(Payload::Bytes(100)), ..Action::default() };
    let f = Fixture::with(Program::always(exact), |config| config.reply_bytes_max = 100);
    assert_eq!(f.one().await.unwrap().body.len(), 100);
}

#[tokio::test]
async fn a_malformed_reply_event_fails_the_call_and_is_ignored_where_replies_are() {
    let mut attributes = answer_attributes();
    attributes.remove("type");
    let answer = replies_with(Answer { structured: true, attributes, data: None });
    let f = Fixture::start(answer.clone());
    assert_eq!(f.one().await.unwrap_err().kind(), Kind::BadAnswer);
    let f = Fixture::with(answer, |config| config.replies = Replies::Ignored);
    assert_eq!(f.one().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_failure_tells_at_most_a_kibibyte_of_its_body_on_one_line() {
    let f =
        Fixture::start(Program::always(Action { status: Some(500), ..Action::text("no\r\n\x07workers") }));
    let error = f.one().await.unwrap_err();
    assert_eq!((error.http_status(), error.message()), (Some(500), "no workers"));

    let long = Action { status: Some(500), body: Some(Payload::Bytes(1 << 20)), ..Action::default() };
    f.function.set_program(Program::always(long));
    assert_eq!(f.one().await.unwrap_err().message().len(), 1024);
}

#[tokio::test]
async fn a_failure_keeps_its_connection() {
    let f = Fixture::start(Program::always(Action { status: Some(503), ..Action::text("later") }));
    for _ in 0..3 {
        f.one().await.unwrap_err();
    }
    assert_eq!(f.function.stats().connections, 1);
}

#[tokio::test]
async fn dropping_the_call_closes_its_connection() {
    let f = Fixture::start(Program::always(Action::hold("gate")));
    let call = f.call.clone();
    let running = tokio::spawn(async move { one(&call, &event("1")).await });
    f.function.wait_for(|stats| stats.held == 1).await;
    running.abort();
    f.function.wait_for(|stats| stats.gone == 1).await;
}

#[tokio::test]
async fn any_number_of_events_but_one_is_refused() {
    let f = Fixture::start(Program::default());
    for events in [vec![], vec![event("1"), event("2")]] {
        let error = f.call.call(&events, &cx()).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Invalid, false));
    }
    assert_eq!(f.function.stats().received, 0);
}
