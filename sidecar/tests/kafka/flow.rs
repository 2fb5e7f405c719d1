//! What the function sees of each kind of record, and a hundred thousand of them in order.

use crate::rig::{Rig, binary, events, say, structured};
use outrigger_function::{Function, Program, book::Keep, server::Setup};
use outrigger_testkit::{Outgoing, kafka, kafka::Record};
use std::time::Instant;

/// The attributes and the body that the function saw of the event `id`.
fn seen(rig: &Rig, id: &str) -> (Vec<(String, String)>, Vec<u8>) {
    let found = rig.function.log().into_iter().find(|record| record.id.as_deref() == Some(id));
    let record = found.unwrap_or_else(|| panic!("{id} did not come"));
    let attributes = record.headers.into_iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("ce-").or((name == "content-type").then_some("content-type"))?;
        Some((name.to_owned(), decoded(&value)))
    });
    let mut attributes: Vec<_> = attributes.collect();
    attributes.sort();
    (attributes, record.body.unwrap_or_default().to_vec())
}

/// The text of a header in which bytes are written as `%XY`.
fn decoded(value: &str) -> String {
    let mut parts = value.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).expect("text")
}

fn sorted<const N: usize>(attributes: [(&str, &str); N]) -> Vec<(String, String)> {
    let mut attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    attributes.sort();
    attributes
}

#[tokio::test]
async fn cloudevents_of_both_modes_come_as_they_were_sent() {
    let Some(rig) = Rig::new("cloudevents_of_both_modes_come_as_they_were_sent", 3).await else { return };
    let _process = rig.start().await;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let mut events = events("e", 40, 5);
    for (n, event) in events.iter_mut().enumerate() {
        event.extensions.push(("tenant".to_owned(), format!("ä {n}")));
        if n % 3 == 0 {
            *event = event.clone().with_data("application/octet-stream", every_byte.clone());
        }
    }
    let write = |(n, event): (usize, &Outgoing)| match n % 2 {
        0 => binary(&rig.topic, event),
        _ => structured(&rig.topic, event),
    };
    let records = events.iter().enumerate().map(write).collect();
    rig.produce_as(events, records).await;
    rig.all_is_well(0).await;
    let (attributes, body) = seen(&rig, "e-000003");
    let expected = [
        ("specversion", "1.0"),
        ("id", "e-000003"),
        ("source", "/testkit"),
        ("type", "io.outrigger.test"),
        ("partitionkey", "key-3"),
        ("tenant", "ä 3"),
        ("content-type", "application/octet-stream"),
    ];
    assert_eq!((attributes, body), (sorted(expected), every_byte));
}

#[tokio::test]
async fn in_the_raw_mode_a_function_gets_what_openfaas_connector_would_send() {
    let test = "in_the_raw_mode_a_function_gets_what_openfaas_connector_would_send";
    let Some(rig) = Rig::new(test, 1).await else { return };
    let rig = rig.set("function.mode", "raw");
    let _process = rig.start().await;
    let plain = Record::new(&rig.topic, b"\xffraw".as_slice()).key("k").header("trace", "t-1");
    let event = Outgoing::new("e", None);
    rig.client.produce([plain, binary(&rig.topic, &event).key("key-\u{1}")]).await.unwrap();
    rig.function.wait_for(|stats| stats.ended == 2).await;
    let mut log = rig.function.log();
    log.sort_by_key(|record| record.body_len);
    let headers = |n: usize| {
        let sent = ["x-", "ce-", "content-type"];
        let headers =
            log[n].headers.iter().filter(|(name, _)| sent.iter().any(|start| name.starts_with(start)));
        let mut headers: Vec<_> = headers.cloned().collect();
        headers.sort();
        headers
    };
    let expected = [
        ("content-type", "text/plain"),
        ("x-kafka-key", "k"),
        ("x-kafka-offset", "0"),
        ("x-kafka-partition", "0"),
        ("x-kafka-trace", "t-1"),
        ("x-topic", test),
    ];
    assert_eq!((headers(0), log[0].body.as_deref()), (sorted(expected), Some(&b"\xffraw"[..])));
    let expected = [
        ("content-type", "application/json"),
        ("x-kafka-ce_id", "e"),
        ("x-kafka-ce_source", "/testkit"),
        ("x-kafka-ce_specversion", "1.0"),
        ("x-kafka-ce_type", "io.outrigger.test"),
        ("x-kafka-key", "a2V5LQE="),
        ("x-kafka-key-enc", "b64"),
        ("x-kafka-offset", "1"),
        ("x-kafka-partition", "0"),
        ("x-topic", test),
    ];
    assert_eq!((headers(1), log[1].body.as_deref()), (sorted(expected), Some(&event.data[..])));
}

#[tokio::test]
async fn plain_records_come_as_events_with_their_place_key_headers_and_bytes() {
    let test = "plain_records_come_as_events_with_their_place_key_headers_and_bytes";
    let Some(rig) = Rig::new(test, 1).await else { return };
    let _process = rig.start().await;
    let new = |value: &[u8]| Record::new(&rig.topic, value).timestamp_ms(1_700_000_000_123);
    let records = [
        new(b"{\"a\": 1}").key("k").header("content-type", "application/json").header("trace", "ä"),
        new(b"\xff\x00").key(&b"\xfe"[..]).header("twice", "1").header("twice", "2").null_header("null"),
        new(b"no key"),
        Record::tombstone(&rig.topic, "gone").timestamp_ms(1_700_000_000_123),
        new(b"").key(""),
    ];
    rig.client.produce(records).await.unwrap();
    rig.function.wait_for(|stats| stats.ended == 5).await;
    let source = format!("/kafka/{test}");
    let of = |offset: &str, more: &[(&str, &str)]| {
        let id = format!("{test}/0/{offset}");
        let mut all = sorted([
            ("specversion", "1.0"),
            ("id", &id),
            ("source", &source),
            ("type", "org.apache.kafka.record"),
            ("time", "2023-11-14T22:13:20.123Z"),
            ("kafkatopic", test),
            ("kafkapartition", "0"),
            ("kafkaoffset", offset),
        ]);
        all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all.sort();
        (id, all)
    };
    let expected: [(_, &[u8]); 5] = [
        (
            of(
                "0",
                &[
                    ("partitionkey", "k"),
                    ("content-type", "application/json"),
                    ("kafkaheaders", "[[\"trace\",\"\\u00e4\"]]"),
                ],
            ),
            b"{\"a\": 1}",
        ),
        (
            of(
                "1",
                &[
                    ("kafkakeybase64", "/g=="),
                    ("kafkaheaders", "[[\"twice\",\"1\"],[\"twice\",\"2\"],[\"null\",null]]"),
                ],
            ),
            b"\xff\x00",
        ),
        (of("2", &[]), b"no key"),
        (of("3", &[("partitionkey", "gone"), ("kafkatombstone", "true")]), b""),
        (of("4", &[("kafkakeybase64", "")]), b""),
    ];
    for ((id, attributes), body) in expected {
        assert_eq!(seen(&rig, &id), (attributes, body.to_vec()), "{id}");
    }
    assert_eq!(rig.until_committed().await, [(0, 5)].into());
}

#[tokio::test]
async fn a_hundred_thousand_records_of_a_thousand_keys_come_once_and_in_order() {
    const RECORDS: usize = 100_000;
    let test = "a_hundred_thousand_records_of_a_thousand_keys_come_once_and_in_order";
    let Some(broker) = kafka::shared(test).await else { return };
    // A record of everything would be most of the time that this takes.
    let keep = Keep { quiet: true, ..Keep::default() };
    let function =
        Function::start_with(Setup { keep, program: Program::default(), ..Setup::default() }).unwrap();
    let client = broker.client().set("linger.ms", "20").set("batch.size", "500000");
    client.create_topic(test, 12, &[]).await.unwrap();
    let rig = Rig::with_function(&client, &broker.bootstrap(), test, function).set("log.level", "info");
    let _process = rig.start().await;
    let started = Instant::now();
    rig.produce(events("e", RECORDS, 1000)).await;
    let produced = started.elapsed();
    let stats = loop {
        let before = rig.function.stats().ended;
        let all =
            rig.function.wait_for(|stats| stats.distinct == RECORDS as u64 || stats.ended > before + 20_000);
        let stats = all.await;
        if stats.distinct == RECORDS as u64 {
            break stats;
        }
    };
    let delivered = started.elapsed();
    rig.until_committed().await;
    rig.judge(0);
    assert_eq!(stats.overlaps, 0);
    say(&format!("{RECORDS} records: produced in {produced:?}, delivered after {delivered:?}"));
}
