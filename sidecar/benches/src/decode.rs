//! What it costs to make an event of what came: one of 1 KB, in each form that brokers and HTTP bring.
//!
//! How often each allocates does not depend on the machine, so a test holds that (`sidecar/tests/allocations.rs`).

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use outrigger_core::event::json;
use outrigger_eventgrid::schema;
use outrigger_kafka::decode::{self as kafka, Plain, Record};
use outrigger_pubsub::decode::{self as pubsub, Message, Place};
use std::{hint::black_box, time::Instant};

use crate::{
    Bench,
    report::{Bound, Figure, Report},
};

pub(crate) const NAME: &str = "decode";
const KAFKA: &str = "decode, Kafka binary";
const PUBSUB: &str = "decode, Pub/Sub";
const EVENTGRID: &str = "decode, Event Grid";
const STRUCTURED: &str = "decode, structured JSON";
const SDK: &str = "decode, structured JSON against cloudevents-sdk";
const BINARY_LIMIT_US: f64 = 0.8;
const JSON_LIMIT_US: f64 = 2.0;
const SDK_LEAST: f64 = 5.0;
/// Some tenths of a second each.
const TIMES: u32 = 200_000;
const SLICES: u32 = 20;

/// All forms in turn.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let forms = Forms::new()?;
    let mut all: [Vec<f64>; 5] = Default::default();
    for _ in 0..bench.rounds {
        all[0].push(us_each(TIMES, || forms.kafka())?);
        all[1].push(us_each(TIMES, || forms.pubsub())?);
        all[2].push(us_each(TIMES, || forms.eventgrid())?);
        all[3].push(us_each(TIMES, || forms.structured())?);
        all[4].push(us_each(TIMES / 10, || forms.sdk())?);
    }
    let [kafka, pubsub, eventgrid, structured, sdk] = all;
    for (name, ours, limit) in [
        (KAFKA, kafka, BINARY_LIMIT_US),
        (PUBSUB, pubsub, BINARY_LIMIT_US),
        (EVENTGRID, eventgrid, JSON_LIMIT_US),
        (STRUCTURED, structured.clone(), JSON_LIMIT_US),
    ] {
        let baseline = vec![limit; ours.len()];
        report.figure(Figure {
            name,
            unit: "us (baseline: the limit)",
            ours,
            baseline,
            bound: Bound::AtMost(1.0),
        });
    }
    let rate = |us: Vec<f64>| us.into_iter().map(|us| 1e6 / us).collect();
    let (ours, baseline) = (rate(structured), rate(sdk));
    report.figure(Figure { name: SDK, unit: "events/s", ours, baseline, bound: Bound::AtLeast(SDK_LEAST) });
    Ok(())
}

/// One event of 1 KB as each form has it.
struct Forms {
    headers: Vec<(&'static str, &'static str)>,
    data: Bytes,
    plain: Plain,
    message: Message,
    place: Place,
    eventgrid: Bytes,
    structured: Bytes,
}

impl Forms {
    fn new() -> Result<Self> {
        let data = data();
        let headers = vec![
            ("ce_specversion", "1.0"),
            ("ce_id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
            ("ce_source", "/shops/17/orders"),
            ("ce_type", "com.example.shop.order.placed"),
            ("ce_time", "2026-01-31T12:00:00Z"),
            ("content-type", "application/json"),
        ];
        let attributes =
            headers.iter().map(|(name, value)| (name.replace("ce_", "ce-"), (*value).to_owned()));
        let message = Message {
            data: data.clone(),
            attributes: attributes.collect(),
            id: "7".to_owned(),
            ..Message::default()
        };
        let place = Place { subscription: "projects/p/subscriptions/s".to_owned(), topic: None };
        let text = std::str::from_utf8(&data)?;
        let eventgrid = format!(
            r#"{{"id":"0f8fad5b-d9cb-469f-a165-70867728950e","topic":"/shops/17/orders","subject":"customer-7","eventType":"com.example.shop.order.placed","eventTime":"2026-01-31T12:00:00Z","dataVersion":"1","metadataVersion":"1","data":{text}}}"#
        );
        let structured = format!(
            r#"{{"specversion":"1.0","id":"0f8fad5b-d9cb-469f-a165-70867728950e","source":"/shops/17/orders","type":"com.example.shop.order.placed","subject":"customer-7","time":"2026-01-31T12:00:00Z","datacontenttype":"application/json","data":{text}}}"#
        );
        let plain = Plain::default();
        Ok(Self {
            headers,
            data,
            plain,
            message,
            place,
            eventgrid: eventgrid.into(),
            structured: structured.into(),
        })
    }

    fn kafka(&self) -> Result<()> {
        let headers = self.headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
        let record = Record {
            topic: "orders",
            partition: 3,
            offset: 42,
            timestamp_ms: Some(1_769_860_800_000),
            key: Some(b"customer-7"),
            value: Some(&self.data),
            headers,
        };
        let event =
            kafka::decode(black_box(&record), &self.plain).map_err(|malformed| anyhow!(malformed.why))?;
        black_box(event);
        Ok(())
    }

    fn pubsub(&self) -> Result<()> {
        let event = pubsub::decode(black_box(&self.message), &self.place);
        black_box(event.map_err(|malformed| anyhow!(malformed.why))?);
        Ok(())
    }

    fn eventgrid(&self) -> Result<()> {
        black_box(schema::decode(black_box(&self.eventgrid))?);
        Ok(())
    }

    fn structured(&self) -> Result<()> {
        black_box(json::decode(black_box(self.structured.clone()))?);
        Ok(())
    }

    fn sdk(&self) -> Result<()> {
        let event: cloudevents::Event = serde_json::from_slice(black_box(&self.structured))?;
        black_box(event);
        Ok(())
    }
}

/// An order of 1 KB.
fn data() -> Bytes {
    let mut json = String::from(r#"{"order":"4711","customer":{"id":7,"name":"Ada"},"lines":["#);
    while json.len() < 980 {
        json.push_str(r#"{"sku":"A-1001","count":2,"price":19.99},"#);
    }
    json.pop();
    json.push_str("]}");
    json.into()
}

/// Microseconds for one of `times`: the least of some slices, as whatever else the machine does only adds.
fn us_each(times: u32, decode: impl Fn() -> Result<()>) -> Result<f64> {
    decode().context("the event cannot be decoded")?;
    let each = times / SLICES;
    let mut least = f64::INFINITY;
    for _ in 0..SLICES {
        let started = Instant::now();
        for _ in 0..each {
            decode()?;
        }
        least = least.min(started.elapsed().as_secs_f64() * 1e6 / f64::from(each));
    }
    Ok(least)
}
