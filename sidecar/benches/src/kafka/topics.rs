//! A broker of our own, and topics that are filled once for all rounds.

use anyhow::{Context as _, Result};
use outrigger_testkit::kafka::{self, Broker};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use std::time::Duration;

/// The bytes of an event's data.
const DATA_BYTES: usize = 1_024;

/// How records carry their events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Binary,
    Structured,
}

/// The broker, or `None` where Kafka is not there, which is said.
pub(super) async fn broker() -> Option<Broker> {
    kafka::broker("the figures of Kafka").await
}

/// A topic of `records` events with `keys` keys, evenly over the partitions.
pub(super) async fn fill(
    broker: &Broker,
    topic: &str,
    (partitions, records, keys): (i32, u64, u64),
    form: Form,
) -> Result<()> {
    broker.client().create_topic(topic, partitions, &[]).await?;
    let (bootstrap, topic) = (broker.bootstrap(), topic.to_owned());
    tokio::task::spawn_blocking(move || produce(&bootstrap, &topic, (partitions, records, keys), form))
        .await?
}

fn produce(
    bootstrap: &str,
    topic: &str,
    (partitions, records, keys): (i32, u64, u64),
    form: Form,
) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("linger.ms", "20").set("batch.size", "524288");
    let producer: BaseProducer = config.create()?;
    let data = format!("{{\"x\":\"{}\"}}", "x".repeat(DATA_BYTES - 8));
    for number in 0..records {
        let key = format!("key-{}", number % keys);
        let partition = i32::try_from(number % keys % u64::try_from(partitions)?)?;
        let (headers, value) = written(number, &data, form);
        let mut record =
            BaseRecord::to(topic).key(&key).payload(&value).headers(headers).partition(partition);
        while let Err((failed, back)) = producer.send(record) {
            anyhow::ensure!(
                matches!(failed, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)),
                "a topic cannot be filled: {failed}"
            );
            record = back;
            producer.poll(Duration::from_millis(20));
        }
    }
    producer.flush(Duration::from_mins(1)).context("a topic cannot be filled")
}

fn written(number: u64, data: &str, form: Form) -> (OwnedHeaders, String) {
    let id = number.to_string();
    match form {
        Form::Binary => {
            let pairs = [
                ("ce_specversion", "1.0"),
                ("ce_id", &id),
                ("ce_source", "/bench"),
                ("ce_type", "bench.event"),
                ("ce_time", "2026-01-31T12:00:00Z"),
                ("content-type", "application/json"),
            ];
            let headers =
                pairs.into_iter().fold(OwnedHeaders::new_with_capacity(6), |headers, (key, value)| {
                    headers.insert(Header { key, value: Some(value) })
                });
            (headers, data.to_owned())
        }
        Form::Structured => {
            let value = format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/bench\",\"type\":\"bench.event\",\
                 \"time\":\"2026-01-31T12:00:00Z\",\"datacontenttype\":\"application/json\",\"data\":{data}}}"
            );
            let header = Header { key: "content-type", value: Some("application/cloudevents+json") };
            (OwnedHeaders::new_with_capacity(1).insert(header), value)
        }
    }
}
