//! What is in the broker: topics of events that are written once and read by everybody.

use anyhow::{Context as _, Result};
use outrigger_testkit::kafka::Client;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use std::time::Duration;

use super::Place;

/// The payload of an event.
const BODY_BYTES: usize = 1024;
/// Writing is not measured, and a busy machine takes its time.
const WAIT_MAX: Duration = Duration::from_mins(10);

/// How the events of a topic are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Attributes in headers.
    Binary,
    /// The whole event as JSON.
    Structured,
}

/// A topic of events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) partitions: i32,
    /// Each event has one of so many keys, drawn evenly and alike in every run.
    pub(super) keys: u64,
    pub(super) events: u64,
    pub(super) mode: Mode,
}

/// What most figures read: a million events, twelve partitions.
pub(super) const BINARY: Topic =
    Topic { name: "binary", partitions: 12, keys: 10_000, events: 1_000_000, mode: Mode::Binary };
/// The same as JSON.
pub(super) const STRUCTURED: Topic =
    Topic { name: "structured", events: 500_000, mode: Mode::Structured, ..BINARY };
/// For arms whose every event takes a call.
pub(super) const CALLED: Topic = Topic { name: "called", events: 300_000, ..BINARY };
/// One partition that only keys make parallel.
pub(super) const ONE: Topic = Topic { name: "one", partitions: 1, keys: 1_000, events: 24_000, ..BINARY };
/// Few partitions and keys.
pub(super) const FEW: Topic = Topic { name: "few", partitions: 4, keys: 256, events: 500_000, ..BINARY };
/// Many of both.
pub(super) const MANY: Topic = Topic { name: "many", partitions: 64, keys: 10_000, ..FEW };

impl Topic {
    /// The key of the event with this number, which is its id.
    pub(super) fn key(&self, number: u64) -> u64 {
        drawn(number) % self.keys
    }

    /// Writes the topic, unless it is there.
    pub(super) async fn write(self, place: &Place) -> Result<()> {
        match Client::new(&place.brokers).create_topic(self.name, self.partitions, &[]).await {
            Err(KafkaError::AdminOp(RDKafkaErrorCode::TopicAlreadyExists)) => return Ok(()),
            made => made.with_context(|| format!("the topic {} cannot be made", self.name))?,
        }
        println!("writing {} events to the topic {}", self.events, self.name);
        let brokers = place.brokers.clone();
        tokio::task::spawn_blocking(move || self.produce(&brokers)).await?
    }

    fn produce(self, brokers: &str) -> Result<()> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("linger.ms", "20");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
        let body = body();
        for number in 0..self.events {
            let (value, headers) = self.event(number, &body);
            let key = self.key(number);
            let name = format!("key-{key}");
            let partition = i32::try_from(key % u64::try_from(self.partitions)?)?;
            let mut record =
                BaseRecord::to(self.name).partition(partition).key(&name).payload(&value).headers(headers);
            while let Err((error, back)) = producer.send(record) {
                anyhow::ensure!(
                    error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull),
                    "an event cannot be written: {error}"
                );
                record = back;
                std::thread::yield_now(); // until the queue has room
            }
        }
        Ok(producer.flush(WAIT_MAX)?)
    }

    fn event(&self, number: u64, body: &str) -> (String, OwnedHeaders) {
        if self.mode == Mode::Structured {
            let value = format!(
                r#"{{"specversion":"1.0","id":"{number}","source":"/bench/producers","type":"org.example.bench","time":"2026-01-31T12:00:00Z","datacontenttype":"application/json","data":{body}}}"#
            );
            return (value, headers(&[("content-type", "application/cloudevents+json")]));
        }
        let id = number.to_string();
        let all = [
            ("content-type", "application/json"),
            ("ce_specversion", "1.0"),
            ("ce_id", &id),
            ("ce_source", "/bench/producers"),
            ("ce_type", "org.example.bench"),
            ("ce_time", "2026-01-31T12:00:00Z"),
        ];
        (body.to_owned(), headers(&all))
    }
}

fn headers(all: &[(&str, &str)]) -> OwnedHeaders {
    all.iter().fold(OwnedHeaders::new_with_capacity(all.len()), |headers, &(key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}

/// An order of some items as JSON, filled up to 1 KiB.
fn body() -> String {
    let items: Vec<String> = (0..12)
        .map(|n| format!(r#"{{"sku":"A-{n:04}","quantity":{n},"price":{n}.99,"gift":false}}"#))
        .collect();
    let start = format!(
        r#"{{"order":4711,"customer":{{"id":"c-1","name":"Zoë"}},"items":[{}],"note":""#,
        items.join(",")
    );
    let fill = "x".repeat(BODY_BYTES.saturating_sub(start.len() + 2));
    start + &fill + "\"}"
}

/// The finalizer of splitmix64: numbers in a row become numbers without a pattern.
fn drawn(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
