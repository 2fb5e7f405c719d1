//! How often one event of 1 KB allocates while it is decoded: at most six times by Kafka's binary mode and Pub/Sub, and no
//! more in JSON. The time that it takes is a figure of `make bench`; this does not depend on the machine.

#![cfg(all(feature = "kafka", feature = "pubsub", feature = "eventgrid"))]

use bytes::Bytes;
use outrigger_core::event::json;
use outrigger_kafka::decode::{self as kafka, Plain, Record};
use outrigger_pubsub::decode::{self as pubsub, Message, Place};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MOST: usize = 6;
const HEADERS: [(&str, &str); 6] = [
    ("ce_specversion", "1.0"),
    ("ce_id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ("ce_source", "/shops/17/orders"),
    ("ce_type", "com.example.shop.order.placed"),
    ("ce_time", "2026-01-31T12:00:00Z"),
    ("content-type", "application/json"),
];

/// Allocations and growths of one call.
fn allocations<T>(decode: impl Fn() -> T) -> usize {
    drop(decode()); // what is made once is no part of it
    let region = Region::new(ALLOCATOR);
    let event = decode();
    let change = region.change();
    drop(event);
    change.allocations + change.reallocations
}

/// One test, so that no other allocates meanwhile.
#[test]
fn an_event_is_decoded_with_few_allocations() {
    let data = Bytes::from(format!(r#"{{"text":"{}"}}"#, "x".repeat(1000)));
    let plain = Plain::default();
    let record = Record {
        topic: "orders",
        partition: 3,
        offset: 42,
        timestamp_ms: Some(1_769_860_800_000),
        key: Some(&b"customer-7"[..]),
        value: Some(&data),
        headers: HEADERS.iter().map(|(name, value)| (*name, Some(value.as_bytes()))),
    };
    let of_kafka = allocations(|| kafka::decode(&record, &plain).unwrap());

    let attributes = HEADERS.iter().map(|(name, value)| (name.replace("ce_", "ce-"), (*value).to_owned()));
    let message = Message {
        data: data.clone(),
        attributes: attributes.collect(),
        id: "7".to_owned(),
        ..Message::default()
    };
    let place = Place { subscription: "projects/p/subscriptions/s".to_owned(), topic: None };
    let of_pubsub = allocations(|| pubsub::decode(&message, &place).unwrap());

    let text = std::str::from_utf8(&data).unwrap();
    let structured = Bytes::from(format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-31T12:00:00Z","data":{text}}}"#
    ));
    let of_json = allocations(|| json::decode(structured.clone()).unwrap());
    let own = Bytes::from(format!(
        r#"{{"id":"1","topic":"/t","subject":"s","eventType":"e","eventTime":"2026-01-31T12:00:00Z","dataVersion":"1","data":{text}}}"#
    ));
    let of_eventgrid = allocations(|| outrigger_eventgrid::schema::decode(&own).unwrap());
    let counts = [("kafka", of_kafka), ("pubsub", of_pubsub), ("json", of_json), ("eventgrid", of_eventgrid)];
    for (what, count) in counts {
        assert!(count > 0 && count <= MOST, "{what}: {counts:?}");
    }
}
