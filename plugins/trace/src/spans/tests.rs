use super::*;
use crate::config::{Outward, Whereto};
use opentelemetry::{InstrumentationScope, Value};
use outrigger_core::{
    Code, Delivery, Event, Key, Kind, Origin, Position, Receipt, TargetId,
    timeline::{Carry, Leg},
};
use std::sync::Arc;

struct Silent;

impl Carry for Silent {
    fn carry(&self, _: &Trace, _: Leg, _: &mut dyn FnMut(&'static str, &str)) {}
}

fn traced(timeline: Timeline) -> Timeline {
    timeline.set_trace(Trace {
        own: Place { trace: 7, span: 8, sampled: false },
        parent: Some(9),
        parent_is_remote: true,
        links: vec![Place { trace: 3, span: 4, sampled: true }],
        state: Some("a=b".into()),
        baggage: None,
        carrier: Arc::new(Silent),
    });
    timeline
}

fn event(now: Instant) -> Timeline {
    let place = Position::Offset("orders/3".into(), 42);
    let delivery = Delivery {
        item: Ok(Event::new("1", "/s", "t").unwrap()),
        key: Some(Key::new("kafka/orders", b"customer-7")),
        origin: Origin { source: "kafka".into(), position: place, headers: Vec::new() },
        received_ms: 0,
        attempts: 0,
        once: None,
        timeline: Timeline::off(),
        receipt: Receipt::batch(1).0.remove(0),
    };
    let timeline = traced(Timeline::start(now, About::event(&delivery)));
    timeline.aim(&TargetId("function".into()));
    timeline
}

fn spans(timeline: &Timeline) -> Vec<SpanData> {
    spans_within(timeline, 1_024)
}

fn spans_within(timeline: &Timeline, chars_max: usize) -> Vec<SpanData> {
    drawn(timeline, chars_max, &Outward::default())
}

fn drawn(timeline: &Timeline, chars_max: usize, outward: &Outward) -> Vec<SpanData> {
    let mut spans = Vec::new();
    let drawing = Drawing::new(InstrumentationScope::builder("outrigger").build(), chars_max, outward);
    add(timeline, Anchor(Instant::now(), SystemTime::now()), &drawing, &mut spans);
    spans
}

fn get<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
}

fn says(span: &SpanData, key: &str) -> String {
    get(span, key).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn an_event_that_is_retried_and_given_up_has_a_span_for_each_part() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let timeline = event(start);
    let failed = Answer { status: 503, failed: Some(Kind::Status) };
    for (step, ms) in [
        (Step::Queued { wait: Wait::Key, ahead: 4 }, 1),
        (Step::HeldUp, 5),
        (Step::Attempted(1), 5),
        (Step::Answered(failed), 8),
        (Step::BackedOff, 8),
        (Step::Attempted(2), 20),
        (Step::Answered(failed), 30),
        (Step::Buried(Code::Exhausted), 31),
        (Step::Settled(Ending::Acknowledged), 32),
    ] {
        timeline.note(step, at(ms));
    }
    let spans = spans(&timeline);
    let took = |span: &SpanData| span.end_time.duration_since(span.start_time).unwrap().as_millis();
    let told: Vec<_> = spans.iter().map(|span| (&*span.name, took(span))).collect();
    assert_eq!(
        told,
        [
            ("process orders", 32),
            ("receive orders", 1),
            ("queue", 4),
            ("POST", 3),
            ("queue", 12),
            ("POST", 10),
            ("settle orders", 2)
        ]
    );
    let whole = &spans[0];
    assert_eq!(whole.parent_span_id, SpanId::from_bytes(9_u64.to_be_bytes()));
    assert!(whole.parent_span_is_remote && whole.span_context.is_sampled() && whole.links.len() == 1);
    assert_eq!(whole.span_context.trace_state().header(), "a=b");
    assert_eq!(whole.status, Status::error("exhausted"));
    let own = whole.span_context.span_id();
    assert!(spans[1..].iter().all(|span| span.parent_span_id == own && !span.parent_span_is_remote));
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| span.span_context.span_id()).collect();
    assert_eq!(ids.len(), spans.len());
    for (key, value) in [
        ("messaging.system", "kafka"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "3"),
        ("messaging.kafka.offset", "42"),
        ("cloudevents.event_id", "1"),
        ("faas.invoked_name", "function"),
    ] {
        assert_eq!(says(whole, key), value, "{key}");
    }
    assert_eq!(says(&spans[2], "outrigger.lane"), "customer-7");
    assert_eq!(says(&spans[2], "outrigger.wait.reason"), "key");
    assert_eq!(says(&spans[2], "outrigger.wait.ahead"), "4");
    assert_eq!(says(&spans[2], "outrigger.wait.breaker_opened"), "true");
    assert_eq!(says(&spans[4], "outrigger.wait.reason"), "backoff");
    assert_eq!(says(&spans[3], "http.response.status_code"), "503");
    assert_eq!(says(&spans[3], "error.type"), "503");
    assert_eq!(get(&spans[3], "http.request.resend_count"), None);
    assert_eq!(says(&spans[5], "http.request.resend_count"), "1");
    assert_eq!(says(&spans[6], "outrigger.dead_letter"), "exhausted");
}

#[test]
fn the_span_of_an_attempt_is_the_one_that_the_function_was_told() {
    let timeline = event(Instant::now());
    // A refused connection is no attempt, so the number comes again, and the span must not.
    for _ in 0..2 {
        timeline.note(Step::Attempted(1), Instant::now());
        timeline.note(Step::Answered(Answer { status: 0, failed: Some(Kind::Unreachable) }), Instant::now());
    }
    let trace = timeline.trace().unwrap();
    let attempts: Vec<_> = spans(&timeline).into_iter().filter(|span| span.name == "POST").collect();
    let expected = [1, 2].map(|tries| SpanId::from_bytes(trace.span(Leg::Attempt(tries)).to_be_bytes()));
    assert_eq!(attempts.iter().map(|span| span.span_context.span_id()).collect::<Vec<_>>(), expected);
    assert_eq!(says(&attempts[0], "error.type"), "unreachable");
}

#[test]
fn a_try_that_a_kept_result_answers_is_no_request() {
    let began = Instant::now();
    let timeline = event(began);
    let later = |ms| began + Duration::from_millis(ms);
    timeline.note(Step::Attempted(1), later(1));
    timeline.note(Step::Recalled, later(2));
    timeline.note(Step::Answered(Answer { status: 200, failed: None }), later(3));
    let spans = spans(&timeline);
    assert!(spans.iter().all(|span| span.name != "POST"));
    let recall = spans.iter().find(|span| span.name == "recall").unwrap();
    assert_eq!((&recall.span_kind, &*says(recall, "outrigger.cache.hit")), (&SpanKind::Internal, "true"));
    assert_eq!(recall.end_time.duration_since(recall.start_time).unwrap(), Duration::from_millis(2));
}

#[test]
fn a_reply_has_the_span_that_its_reader_is_told() {
    let timeline = event(Instant::now());
    timeline.note(Step::Attempted(1), Instant::now());
    timeline.note(Step::Answered(Answer { status: 200, failed: None }), Instant::now());
    timeline.note(Step::Replying, Instant::now());
    timeline.note(Step::Replied(true), Instant::now());
    let reply = spans(&timeline).into_iter().find(|span| span.name == "send replies").unwrap();
    let expected = timeline.trace().unwrap().span(Leg::Reply(1));
    assert_eq!(reply.span_context.span_id(), SpanId::from_bytes(expected.to_be_bytes()));
    assert_eq!(reply.span_kind, SpanKind::Producer);
}

#[test]
fn attempts_and_replies_name_where_they_went() {
    let timeline = event(Instant::now());
    for step in [
        Step::Attempted(1),
        Step::Answered(Answer { status: 200, failed: None }),
        Step::Replying,
        Step::Replied(true),
    ] {
        timeline.note(step, Instant::now());
    }
    let topic = Whereto::Topic { system: Some("kafka"), name: "answers".to_owned() };
    let to = |target: Whereto, replies: Whereto| {
        let outward = Outward { targets: vec![("function".into(), target)], replies: Some(replies) };
        let spans = drawn(&timeline, 1_024, &outward);
        (spans[2].clone(), spans[3].clone())
    };
    let url = || Whereto::Url("http://127.0.0.1:8080/in".parse().unwrap());
    let (attempt, reply) = to(url(), topic.clone());
    assert_eq!((&*attempt.name, attempt.span_kind.clone()), ("POST", SpanKind::Client));
    assert_eq!(says(&attempt, "url.full"), "http://127.0.0.1:8080/in");
    assert_eq!(says(&attempt, "http.response.status_code"), "200");
    assert_eq!((&*reply.name, &*says(&reply, "messaging.system")), ("send answers", "kafka"));
    let (attempt, reply) = to(topic, url());
    assert_eq!((&*attempt.name, attempt.span_kind.clone()), ("send answers", SpanKind::Producer));
    assert_eq!(says(&attempt, "messaging.destination.name"), "answers");
    assert_eq!(get(&attempt, "http.request.method"), None);
    assert_eq!((&*reply.name, &*says(&reply, "server.address")), ("send replies", "127.0.0.1"));
}

#[test]
fn a_request_that_passes_through_is_a_servers_span_and_a_clients_below_it() {
    let timeline =
        traced(Timeline::start(Instant::now(), About::request(&"proxy".into(), ["GET", "/a", "http"], 1)));
    timeline.note(Step::Attempted(1), Instant::now());
    timeline.note(Step::Answered(Answer { status: 404, failed: None }), Instant::now());
    timeline.note(Step::Settled(Ending::Acknowledged), Instant::now());
    timeline.aim(&TargetId("function".into()));
    let function = Whereto::Url("http://127.0.0.1:8080/in".parse().unwrap());
    let outward = Outward { targets: vec![("function".into(), function)], replies: None };
    let spans = drawn(&timeline, 1_024, &outward);
    let told: Vec<_> = spans.iter().map(|span| (&*span.name, span.span_kind.clone())).collect();
    assert_eq!(told, [("GET", SpanKind::Server), ("GET", SpanKind::Client)]);
    assert_eq!([says(&spans[0], "url.path"), says(&spans[0], "url.scheme")], ["/a", "http"]);
    assert_eq!(says(&spans[0], "http.response.status_code"), "404");
    let told = ["url.full", "server.address", "server.port"].map(|name| says(&spans[1], name));
    assert_eq!(told, ["http://127.0.0.1:8080/a", "127.0.0.1", "8080"]);
    assert_eq!((&spans[0].status, &spans[1].status), (&Status::Unset, &Status::error("")), "of whom it is");
    assert_eq!(spans[1].parent_span_id, spans[0].span_context.span_id());
}

#[test]
fn what_is_in_no_trace_has_no_spans() {
    let timeline = Timeline::start(Instant::now(), About::request(&"proxy".into(), ["GET", "/a", "http"], 1));
    assert!(spans(&timeline).is_empty() && spans(&Timeline::off()).is_empty());
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let about = About::request(&"proxy".into(), ["GET", &"ä".repeat(2_000), "http"], 1);
    let timeline = traced(Timeline::start(Instant::now(), about));
    assert_eq!(says(&spans(&timeline)[0], "url.path"), "ä".repeat(1_024));
    assert_eq!(says(&spans_within(&timeline, usize::MAX)[0], "url.path"), "ä".repeat(2_000));
    assert_eq!(says(&spans_within(&timeline, 2)[0], "http.request.method"), "GE");
}
