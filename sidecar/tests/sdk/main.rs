//! The CloudEvents SDKs of other languages, from their registries: what they send arrives equal, and what is sent is read
//! equal by them; over HTTP and Kafka, in each mode that they have, with awkward values.
//!
//! | module | what stands there |
//! |---|---|
//! | `cases` | the events, and what equal means |
//! | `judge` | the programs (`conformance/sdk`) that use the SDKs |
//! | `defects` | what an SDK is known to do wrong: each must still be seen, and nothing else may be |
//!
//! A test says that it was skipped where a language, or Kafka, is absent.

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod defects;
mod judge;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use cases::Case;
use common::{Site, headers};
use judge::{GO, JAVA, Judge, Language, NODE, PYTHON};
use outrigger_function::{Function, Program, Record};
use outrigger_testkit::kafka;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What was found, cell by cell: the way, the mode and the case; and what is wrong, if anything is.
type Found = Vec<(&'static str, &'static str, &'static str, Result<(), String>)>;

/// Outrigger's event as the function got it in the binary mode.
fn got(record: &Record) -> (BTreeMap<String, String>, Vec<u8>) {
    let attribute = |(name, value): &(String, String)| {
        if name == "content-type" {
            return Some(("datacontenttype".to_owned(), value.clone()));
        }
        Some((name.strip_prefix("ce-")?.to_owned(), percent_decoded(value)))
    };
    let attributes = record.headers.iter().filter_map(attribute).collect();
    (attributes, record.body.clone().unwrap_or_default().to_vec())
}

fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let code =
            after.get(..2).and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        let code = code.filter(|_| first == b'%');
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap()
}

/// Judges what the function got of a case.
fn arrived(case: &Case, mode: &str, log: &[Record]) -> Result<(), String> {
    let id = case.id(mode);
    let Some(record) = log.iter().find(|record| record.id.as_deref() == Some(&id)) else {
        return Err("it never came".to_owned());
    };
    let (attributes, data) = got(record);
    case.difference(mode, &attributes, Some(&data))
}

/// Judges what an SDK says that it has read.
fn understood(case: &Case, mode: &str, read: Result<Vec<Value>, String>) -> Result<(), String> {
    let events = read?;
    let [event] = events.as_slice() else { return Err(format!("{} events", events.len())) };
    let attributes: BTreeMap<String, String> =
        serde_json::from_value(event["attributes"].clone()).expect("texts by name");
    let data = event["data_base64"].as_str().map(|text| BASE64_STANDARD.decode(text).expect("base64"));
    case.difference(mode, &attributes, data.as_deref())
}

async fn over_http(language: Language) {
    let Some(mut judge) = Judge::of(language, "http") else { return };
    let mut found = Found::new();
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("ingress.http.sync", "true");
    let _process = site.start().await;
    for mode in language.sends {
        for case in cases::all() {
            let asked =
                json!({"Do": "send", "To": site.url(), "Mode": mode, "Events": [case.described(mode)]});
            let sent = judge.ask(&asked);
            found.push(("to us", mode, case.name, sent.and_then(|_| arrived(&case, mode, &function.log()))));
        }
    }
    for mode in language.knows {
        let function = Function::start(Program::default());
        let site = Site::of(&function).set("ingress.http.sync", "true").set("function.mode", mode);
        let _process = site.start().await;
        for case in cases::all() {
            function.clear();
            let kind = headers([("content-type", "application/cloudevents+json")]);
            let answer = site.producer().post(kind, case.json(mode)).await.unwrap();
            assert_eq!(answer.status(), 200, "{}: {:?}", case.name, answer.body());
            let record = function.log().pop().expect("the request");
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
                .collect();
            let body = record.body.clone().unwrap_or_default();
            let read = judge.read("read-http", &headers, None, Some(&body));
            found.push(("from us", mode, case.name, understood(&case, mode, read)));
        }
    }
    defects::judge(language, "http", found);
}

async fn over_kafka(language: Language) {
    let test = format!("sdk-{}", language.name);
    let Some(broker) = kafka::shared(&test).await else { return };
    let Some(mut judge) = Judge::of(language, "kafka") else { return };
    let client = broker.client();
    let topic = format!("from-{test}");
    client.create_topic(&topic, 1, &[]).await.unwrap();
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("kafka.brokers", &broker.bootstrap());
    let site = site.set("ingress.kafka.topics", &topic).set("ingress.kafka.group", &topic);
    let _process = site.set("ingress.kafka.start", "earliest").start().await;
    let (mut found, mut produced) = (Found::new(), Vec::new());
    for mode in language.knows {
        for case in cases::all() {
            match judge.ask(&json!({"Do": "record", "Mode": mode, "Event": case.described(mode)})) {
                Ok(record) => {
                    client.produce([as_record(&topic, &record)]).await.unwrap();
                    produced.push((*mode, case));
                }
                Err(error) => found.push(("to us", mode, case.name, Err(error))),
            }
        }
    }
    let all = produced.len() as u64;
    function.wait_for(|stats| stats.ended == all).await;
    for (mode, case) in &produced {
        found.push(("to us", mode, case.name, arrived(case, mode, &function.log())));
    }
    for mode in language.knows {
        found.extend(written_records(language, &mut judge, broker, mode).await);
    }
    defects::judge(language, "kafka", found);
}

fn as_record(topic: &str, record: &Value) -> kafka::Record {
    let bytes = |value: &Value| value.as_str().map(|text| BASE64_STANDARD.decode(text).expect("base64"));
    let mut made = kafka::Record { topic: topic.to_owned(), ..kafka::Record::default() };
    (made.key, made.value) = (bytes(&record["key"]), bytes(&record["value"]));
    for header in record["headers"].as_array().expect("headers") {
        made.headers.push((header[0].as_str().expect("a name").to_owned(), bytes(&header[1])));
    }
    made
}

/// What `outrigger send` writes into a topic, read by the SDK.
async fn written_records(
    language: Language,
    judge: &mut Judge,
    broker: &kafka::Broker,
    mode: &'static str,
) -> Found {
    let client = broker.client();
    let topic = format!("to-sdk-{}-{mode}", language.name);
    client.create_topic(&topic, 1, &[]).await.unwrap();
    let site = Site::at("http://127.0.0.1:1/").set("kafka.brokers", &broker.bootstrap());
    let _ = site.launch(); // writes the configuration
    let lines: String = cases::all().iter().map(|case| case.json(mode) + "\n").collect();
    std::fs::write(site.path("events.jsonl"), lines).unwrap();
    let said = site
        .verb(&[
            "send",
            "--kafka",
            &topic,
            "--mode",
            mode,
            "--config",
            "outrigger.yaml",
            "--input",
            "lines",
            "events.jsonl",
        ])
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let stored = client.read(&topic).await.unwrap();
    assert_eq!(stored.len(), cases::all().len());
    let judged = cases::all().into_iter().zip(stored).map(|(case, stored)| {
        let headers: Vec<_> = stored
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()))
            .collect();
        let read = judge.read("read-record", &headers, stored.key.as_deref(), stored.value.as_deref());
        ("from us", mode, case.name, understood(&case, mode, read))
    });
    judged.collect()
}

#[tokio::test]
async fn the_sdk_for_go_over_http() {
    over_http(GO).await;
}

#[tokio::test]
async fn the_sdk_for_java_over_http() {
    over_http(JAVA).await;
}

#[tokio::test]
async fn the_sdk_for_python_over_http() {
    over_http(PYTHON).await;
}

#[tokio::test]
async fn the_sdk_for_javascript_over_http() {
    over_http(NODE).await;
}

#[tokio::test]
async fn the_sdk_for_go_over_kafka() {
    over_kafka(GO).await;
}

#[tokio::test]
async fn the_sdk_for_java_over_kafka() {
    over_kafka(JAVA).await;
}

#[tokio::test]
async fn the_sdk_for_python_over_kafka() {
    over_kafka(PYTHON).await;
}

#[tokio::test]
async fn the_sdk_for_javascript_over_kafka() {
    over_kafka(NODE).await;
}
