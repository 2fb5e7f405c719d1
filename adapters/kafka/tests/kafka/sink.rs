//! What is written, as another client finds it.

use crate::rig::cluster;
use bytes::Bytes;
use outrigger_core::{
    Code, DeadLetter, DeadLetters, Event, Key, Kind, Malformed, Origin, Position, Reason, Retry, Sink, Value,
};
use outrigger_kafka::{KafkaSink, Mode, SinkConfig, decode::NULLS};
use outrigger_testkit::kafka::{self, Broker};
use std::{sync::Arc, time::Duration};

pub(crate) fn sink_with(
    broker: &Broker,
    topic: &str,
    change: impl FnOnce(&mut SinkConfig),
) -> Arc<KafkaSink> {
    let mut config = SinkConfig::new(cluster(&broker.bootstrap(), &[]), "replies", topic);
    change(&mut config);
    KafkaSink::connect(config).unwrap()
}

pub(crate) fn event(id: &str, data: impl Into<Bytes>) -> Event {
    let mut event = Event::new(id, "/test", "com.example.test").unwrap();
    event.set("partitionkey", Value::String("a key")).unwrap();
    event.set_data(Some(data.into()));
    event
}

fn header(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.as_bytes().to_vec()))
}

#[tokio::test]
async fn an_event_is_written_with_its_key_and_its_bytes() {
    let Some(broker) = kafka::shared("an_event_is_written_with_its_key_and_its_bytes").await else { return };
    let client = broker.client();
    client.create_topic("sink-binary", 1, &[]).await.unwrap();
    let mut sent = event("1", vec![0, 255, 10]);
    sent.set("datacontenttype", Value::String("application/octet-stream")).unwrap();
    sent.set("comexampleextra", Value::String("Grüße")).unwrap();
    let sink = sink_with(broker, "sink-binary", |_| ());
    sink.send(&sent).await.unwrap();

    let found = &client.read("sink-binary").await.unwrap()[0];
    assert_eq!(found.key.as_deref(), Some(&b"a key"[..]));
    assert_eq!(found.value.as_deref(), Some(&[0, 255, 10][..]));
    let mut headers = found.headers.clone();
    headers.sort();
    let mut expected = [
        header("ce_specversion", "1.0"),
        header("ce_id", "1"),
        header("ce_source", "/test"),
        header("ce_type", "com.example.test"),
        header("ce_partitionkey", "a key"),
        header("ce_comexampleextra", "Grüße"),
        header("content-type", "application/octet-stream"),
    ];
    expected.sort();
    assert_eq!(headers, expected);
    assert_eq!(sink.trouble(), None);
    let counts = sink.counts();
    assert_eq!((counts.written, counts.failed, counts.bytes), (1, 0, 0));
}

#[tokio::test]
async fn a_structured_event_is_one_json_with_the_same_key() {
    let Some(broker) = kafka::shared("a_structured_event_is_one_json_with_the_same_key").await else {
        return;
    };
    let client = broker.client();
    client.create_topic("sink-structured", 1, &[]).await.unwrap();
    let sink = sink_with(broker, "sink-structured", |config| config.mode = Mode::Structured);
    sink.send(&event("1", "{\"n\":1}")).await.unwrap();

    let found = &client.read("sink-structured").await.unwrap()[0];
    assert_eq!(found.key_text(), "a key");
    assert!(found.header("content-type").unwrap().starts_with("application/cloudevents+json"));
    assert!(found.text().contains("\"id\":\"1\""), "{}", found.text());
}

fn letter(item: Result<Event, Malformed>, key: Option<&[u8]>) -> DeadLetter {
    DeadLetter {
        item,
        key: key.map(|key| Key::new("kafka/orders", key)),
        origin: Origin {
            source: "kafka".into(),
            position: Position::Offset("orders/3".into(), 17),
            headers: Vec::new(),
        },
        target: None,
        reason: Reason {
            code: Code::Refused,
            status: Some(422),
            detail: "the function refused it".to_owned(),
        },
        attempts: 2,
        first_ms: 1_000,
        last_ms: 2_000,
    }
}

fn reasons() -> Vec<(String, Option<Vec<u8>>)> {
    [
        ("outrigger_code", Code::Refused.name()),
        ("outrigger_reason", "the function refused it"),
        ("outrigger_status", "422"),
        ("outrigger_attempts", "2"),
        ("outrigger_source", "kafka"),
        ("outrigger_position", "orders/3/17"),
        ("outrigger_first_ms", "1000"),
        ("outrigger_last_ms", "2000"),
    ]
    .map(|(name, value)| header(name, value))
    .into()
}

#[tokio::test]
async fn a_malformed_record_is_kept_as_it_came_with_the_reason_after_it() {
    let Some(broker) = kafka::shared("a_malformed_record_is_kept_as_it_came_with_the_reason_after_it").await
    else {
        return;
    };
    let client = broker.client();
    client.create_topic("sink-dead", 1, &[]).await.unwrap();
    let sink = sink_with(broker, "sink-dead", |_| ());
    let came = |raw: &'static [u8], nulls: &'static str| Malformed {
        raw: Bytes::from_static(raw),
        headers: [("twice", &b"1"[..]), ("null", b""), ("twice", &[0xff, 0]), (NULLS, nulls.as_bytes())]
            .map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)))
            .into(),
        key: Some(Bytes::from_static(&[0, 1, 0xfe])),
        why: "no event".to_owned(),
    };
    sink.put(&letter(Err(came(b"{", "1")), None)).await.unwrap();
    sink.put(&letter(Err(came(b"", "1,value")), Some(&[0, 1, 0xfe]))).await.unwrap();

    let found = client.read("sink-dead").await.unwrap();
    let mut headers =
        vec![header("twice", "1"), ("null".to_owned(), None), ("twice".to_owned(), Some(vec![0xff, 0]))];
    headers.extend(reasons());
    for (record, value) in found.iter().zip([Some(&b"{"[..]), None]) {
        assert_eq!(record.key.as_deref(), Some(&[0, 1, 0xfe][..]));
        assert_eq!(record.value.as_deref(), value);
        assert_eq!(record.headers, headers);
    }
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn every_compression_brings_the_same_bytes() {
    let Some(broker) = kafka::shared("every_compression_brings_the_same_bytes").await else { return };
    let client = broker.client();
    client.create_topic("sink-compressed", 1, &[]).await.unwrap();
    let data = "it compresses well ".repeat(2_000);
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let sink = sink_with(broker, "sink-compressed", |config| config.compression = compression);
        sink.send(&event(compression, data.clone())).await.unwrap();
    }
    let found = client.read("sink-compressed").await.unwrap();
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|record| record.text() == data));
}

#[tokio::test]
async fn a_topic_that_is_missing_is_told_and_once_made_takes_the_next_write() {
    let Some(broker) =
        kafka::shared("a_topic_that_is_missing_is_told_and_once_made_takes_the_next_write").await
    else {
        return;
    };
    let client = broker.client();
    let sink = sink_with(broker, "sink-later", |_| ());
    let error = sink.send(&event("1", "1")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Storage, Retry::Persistent), "{error}");
    assert!(error.message().contains("create it") && error.message().contains("sink-later"), "{error}");
    assert_eq!(sink.trouble().as_deref(), Some(error.message()));

    client.create_topic("sink-later", 1, &[]).await.unwrap();
    sink.send(&event("2", "2")).await.unwrap();
    assert_eq!(sink.trouble(), None);

    // And the same when somebody makes it anew.
    client.delete_topic("sink-later").await.unwrap();
    let _ = sink.send(&event("3", "3")).await; // whether it still got there is open
    client.create_topic("sink-later", 2, &[]).await.unwrap();
    sink.send(&event("4", "4")).await.unwrap();
}

#[tokio::test]
async fn only_a_record_that_is_itself_too_large_is_refused_for_good() {
    let Some(broker) = kafka::shared("only_a_record_that_is_itself_too_large_is_refused_for_good").await
    else {
        return;
    };
    let client = broker.client();
    client.create_topic("sink-small", 1, &[("max.message.bytes", "10000")]).await.unwrap();
    let sink = sink_with(broker, "sink-small", |config| config.compression = "none");
    let error = sink.send(&event("1", vec![b'x'; 20_000])).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Invalid, Retry::Permanent), "{error}");
    assert!(error.message().contains("max.message.bytes") && error.message().contains("20"), "{error}");
    assert_eq!(sink.trouble(), None, "the sink is well");

    // Forty at once are one batch that the broker refuses; none of them is too large.
    let events: Vec<_> = (0..40).map(|n| event(&n.to_string(), vec![b'x'; 4_000])).collect();
    let written = futures_util::future::join_all(events.iter().map(|event| sink.send(event))).await;
    for result in written {
        result.unwrap();
    }
    let mut ids: Vec<_> = client
        .read("sink-small")
        .await
        .unwrap()
        .iter()
        .map(|record| record.header("ce_id").unwrap())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}

#[tokio::test]
async fn a_record_larger_than_the_buffer_is_written_alone() {
    let Some(broker) = kafka::shared("a_record_larger_than_the_buffer_is_written_alone").await else {
        return;
    };
    let client = broker.client();
    client.create_topic("sink-large", 1, &[]).await.unwrap();
    let sink = sink_with(broker, "sink-large", |config| {
        config.buffer_bytes_max = 4_096;
        config.timeout = Duration::from_secs(10);
    });
    let events: Vec<_> = (0..4).map(|n| event(&n.to_string(), vec![b'x'; 100_000])).collect();
    for written in futures_util::future::join_all(events.iter().map(|event| sink.send(event))).await {
        written.unwrap();
    }
    assert_eq!(client.read("sink-large").await.unwrap().len(), 4);
    assert_eq!(sink.counts().waited, 3);
}
