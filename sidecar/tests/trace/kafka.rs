//! From a topic to the function and to the reply topic.

use crate::{PARENT, SAMPLED, TRACE, common::Site, named, of_event, told, traced};
use outrigger_function::{
    Function, Program,
    program::{Action, Reply},
};
use outrigger_testkit::{
    kafka::{self, Record, Stored},
    otelcol::Collector,
};
use std::time::Duration;

const ORIGIN: &str = "00-11111111111111111111111111111111-2222222222222222-01";

fn record(topic: &str, id: &str) -> Record {
    Record::new(topic, "{}")
        .key("customer-7")
        .header("ce_specversion", "1.0")
        .header("ce_id", id)
        .header("ce_source", "/shop")
        .header("ce_type", "order")
        .header("ce_traceparent", ORIGIN)
        .header("content-type", "application/json")
        .header("traceparent", SAMPLED)
        .header("tracestate", "vendor=1")
        .header("baggage", "tenant=t1,secret=s")
}

async fn replies(client: &kafka::Client, topic: &str, count: usize) -> Vec<Stored> {
    loop {
        let stored = client.read(topic).await.expect("the topic is there");
        if stored.len() >= count {
            return stored;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn from_kafka_to_the_function_and_the_reply_topic_it_is_one_trace() {
    let test = "from_kafka_to_the_function_and_the_reply_topic_it_is_one_trace";
    let Some(broker) = kafka::shared(test).await else { return };
    let Some(collector) = Collector::start(test).await else { return };
    let (topic, answers) = ("trace-orders", "trace-replies");
    let client = broker.client();
    for name in [topic, answers] {
        client.create_topic(name, 1, &[]).await.expect("a new topic");
    }
    let attributes = [("id", "reply-1"), ("source", "/fn"), ("type", "done")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let reply = Reply { attributes, ..Reply::default() };
    let function = Function::start(Program::always(Action { reply: Some(reply), ..Action::default() }));
    let site = Site::of(&function)
        .set("kafka.brokers", &broker.bootstrap())
        .set("ingress.kafka.topics", topic)
        .set("ingress.kafka.group", topic)
        .set("replies.kafka_topic", answers)
        .set("trace.baggage", "[tenant]");
    let site = traced(site, &collector);
    let process = site.start().await;
    client.produce([record(topic, "1")]).await.expect("the broker takes it");
    let spans = collector.until("the spans of 1", |spans| of_event(spans, "1").len() == 6).await;

    // Parentage: the producer's span, ours, and below it each part.
    let of_one = of_event(&spans, "1");
    let whole = named(&of_one, "process trace-orders");
    assert_eq!((&*whole.trace, &*whole.parent, whole.kind), (TRACE, PARENT, 5));
    let origin = ("1".repeat(32), "2".repeat(16));
    assert_eq!(whole.links, [origin], "where the event began is linked");
    assert!(of_one.iter().all(|span| span.trace == TRACE && !span.failed));
    assert!(of_one[1..].iter().all(|span| span.times.0 >= whole.times.0 && span.times.1 <= whole.times.1));
    for (key, value) in [
        ("messaging.system", "kafka"),
        ("messaging.destination.name", topic),
        ("messaging.destination.partition.id", "0"),
        ("messaging.kafka.offset", "0"),
        ("messaging.operation.type", "process"),
        ("cloudevents.event_id", "1"),
        ("cloudevents.event_source", "/shop"),
        ("cloudevents.event_type", "order"),
        ("faas.trigger", "pubsub"),
        ("faas.invoked_name", "function"),
    ] {
        assert_eq!(whole.get(key), value, "{key}");
    }
    let (receive, queue) = (named(&of_one, "receive trace-orders"), named(&of_one, "queue"));
    assert_eq!((receive.kind, queue.kind), (3, 1));
    assert_eq!((queue.get("outrigger.lane"), queue.get("outrigger.wait.reason")), ("customer-7", "nothing"));
    let (attempt, settle) = (named(&of_one, "POST"), named(&of_one, "settle trace-orders"));
    assert_eq!((attempt.kind, attempt.get("http.response.status_code")), (3, "200"));
    assert_eq!(attempt.get("url.full").trim_end_matches('/'), function.url().trim_end_matches('/'));
    assert_eq!(settle.get("outrigger.settlement"), "acknowledged");

    // The function was called within the attempt's span, with the state, the baggage that is allowed, and the event's own
    // attribute as it came.
    let expected = format!("00-{TRACE}-{}-01", attempt.id);
    assert_eq!(told(&function, "1", "traceparent"), Some(expected.clone()));
    assert_eq!(told(&function, "1", "tracestate").as_deref(), Some("vendor=1"));
    assert_eq!(told(&function, "1", "baggage").as_deref(), Some("tenant=t1"));
    assert_eq!(told(&function, "1", "ce-traceparent").as_deref(), Some(ORIGIN));

    // Whoever reads the reply goes on with the span of its writing, and sees where it began.
    let stored = &replies(&client, answers, 1).await[0];
    let sent = named(&of_one, &format!("send {answers}"));
    assert_eq!((sent.kind, sent.get("messaging.system")), (4, "kafka"));
    assert_eq!(stored.header("traceparent"), Some(format!("00-{TRACE}-{}-01", sent.id)));
    assert_eq!(stored.header("ce_traceparent"), Some(expected));

    // What is no event is known by its place, and its failure is kept.
    let odd = Record::new(topic, "{}").header("ce_specversion", "1.0").header("traceparent", SAMPLED);
    client.produce([odd]).await.expect("the broker takes it");
    let place = format!("{topic}/0/1");
    let spans = collector.until("those of no event", |spans| of_event(spans, &place).len() >= 3).await;
    let stray = of_event(&spans, &place);
    assert_eq!((&*stray[0].trace, stray[0].get("error.type")), (TRACE, "malformed"));
    let said = site.verb(&["trace", &place]).await;
    assert!(said.stdout.contains("given up: a dead letter (malformed)"), "{said:?}");
    drop(process);
}
