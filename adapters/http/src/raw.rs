//! The raw mode: the bare payload with the headers of `OpenFaaS`'s connectors, for functions that were written for these.
//!
//! | the event was | body | headers |
//! |---|---|---|
//! | a plain record of Kafka | its value | `X-Topic`, `X-Kafka-Partition`, `X-Kafka-Offset`, `X-Kafka-Key`, and each header of the record as `X-Kafka-<name>` |
//! | a `CloudEvent` from Kafka | its data | the same, each attribute as the header that it has there, `X-Kafka-ce_<name>` |
//! | a message of Pub/Sub | the message's data | `X-PubSub-Msg-ID`, `-Publish-Time`, `-Delivery-Attempt`, `-Ordering-Key`, each attribute of the message as `X-PubSub-Attr-<name>` |
//! | a `CloudEvent` from Pub/Sub, pulled | its data | the same without the time, each attribute as `X-PubSub-Attr-ce-<name>` |
//! | any other | its data | none |
//!
//! `Content-Type` is the data's own, and else the connectors' `text/plain`. A key that is no text has `X-Kafka-Key-Enc: b64`
//! beside its base64. What no header can be (a name with a space, a value with a line break) is left out. Where a record
//! of Kafka came from, only the attempt knows by which it comes from there; a plain record's own attributes say it for ever.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use outrigger_core::{CallCx, Event, Position};
use serde::Deserialize;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
/// The type of the event that a message of Pub/Sub becomes.
const MESSAGE_PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";
/// Headers of records that would stand where a connector says something itself.
const OWN: [&str; 4] = ["partition", "offset", "key", "key-enc"];

pub(crate) fn write(event: &Event, cx: &CallCx, headers: &mut HeaderMap) -> Bytes {
    let content_type = event.datacontenttype().and_then(|text| HeaderValue::from_str(text).ok());
    headers.insert(CONTENT_TYPE, content_type.unwrap_or(TEXT));
    if let Some(topic) = event.text("kafkatopic") {
        plain_record(event, &topic, headers);
    } else if let Position::Offset(place, offset) = &cx.position {
        record(event, cx, place, *offset, headers);
    } else if event.ty() == MESSAGE_PUBLISHED
        && let Some(data) = message(event, cx, headers)
    {
        headers.insert(CONTENT_TYPE, TEXT);
        return data;
    } else if let Position::Text(place) = &cx.position
        && let Some((subscription, id)) = place.rsplit_once('/')
        && subscription.contains("/subscriptions/")
    {
        put(headers, "x-pubsub-msg-id", id.as_bytes());
        put(headers, "x-pubsub-delivery-attempt", cx.attempt.to_string().as_bytes());
        if let Some(key) = event.text("partitionkey") {
            put(headers, "x-pubsub-ordering-key", key.as_bytes());
        }
        attributes(event, "x-pubsub-attr-ce-", headers);
    }
    event.data().cloned().unwrap_or_default()
}

/// All of it stands in the event's attributes.
fn plain_record(event: &Event, topic: &str, headers: &mut HeaderMap) {
    let text = |name| event.text(name);
    put(headers, "x-topic", topic.as_bytes());
    for (name, attribute) in [("x-kafka-partition", "kafkapartition"), ("x-kafka-offset", "kafkaoffset")] {
        if let Some(text) = text(attribute) {
            put(headers, name, text.as_bytes());
        }
    }
    if let Some(key) = text("partitionkey") {
        put(headers, "x-kafka-key", key.as_bytes());
    } else if let Some(base64) = text("kafkakeybase64") {
        encoded_key(&base64, headers);
    }
    let kept: Vec<(String, Kept)> =
        text("kafkaheaders").and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    for (name, value) in kept {
        let value = match value {
            Kept::Null => continue,
            Kept::Text(text) => text.into_bytes(),
            Kept::Bytes { base64 } => STANDARD.decode(base64).unwrap_or_default(),
        };
        put_kafka(headers, &name, &value);
    }
}

/// A header of a record, as the attribute `kafkaheaders` has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Null,
    Text(String),
    Bytes { base64: String },
}

fn record(event: &Event, cx: &CallCx, place: &str, offset: i64, headers: &mut HeaderMap) {
    let (topic, partition) = place.rsplit_once('/').unwrap_or((place, ""));
    put(headers, "x-topic", topic.as_bytes());
    put(headers, "x-kafka-partition", partition.as_bytes());
    put(headers, "x-kafka-offset", offset.to_string().as_bytes());
    if let Some(key) = cx.key.as_ref().map(outrigger_core::Key::own_bytes) {
        match str::from_utf8(key).ok().filter(|text| !text.contains(char::is_control)) {
            Some(text) => put(headers, "x-kafka-key", text.as_bytes()),
            None => encoded_key(&STANDARD.encode(key), headers),
        }
    }
    attributes(event, "x-kafka-ce_", headers);
}

fn encoded_key(base64: &str, headers: &mut HeaderMap) {
    put(headers, "x-kafka-key", base64.as_bytes());
    put(headers, "x-kafka-key-enc", b"b64");
}

/// `MessagePublishedData`; what is not there is empty.
#[derive(Deserialize)]
struct Published<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(default)]
    data: &'a str,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, rename = "messageId")]
    id: String,
    #[serde(default)]
    publish_time: String,
    #[serde(default)]
    ordering_key: String,
}

/// The message within the event, or `None` where the event only says that there is one.
fn message(event: &Event, cx: &CallCx, headers: &mut HeaderMap) -> Option<Bytes> {
    let Published { message } = serde_json::from_slice(event.data()?).ok()?;
    let data = STANDARD.decode(message.data).ok()?;
    put(headers, "x-pubsub-delivery-attempt", cx.attempt.to_string().as_bytes());
    for (name, text) in [
        ("x-pubsub-msg-id", &message.id),
        ("x-pubsub-publish-time", &message.publish_time),
        ("x-pubsub-ordering-key", &message.ordering_key),
    ] {
        if !text.is_empty() {
            put(headers, name, text.as_bytes());
        }
    }
    for (name, value) in &message.attributes {
        put(headers, &["x-pubsub-attr-", name].concat(), value.as_bytes());
    }
    Some(data.into())
}

fn attributes(event: &Event, prefix: &str, headers: &mut HeaderMap) {
    let version = ("specversion", outrigger_core::event::SPECVERSION.into());
    let all = event.attributes().map(|(name, value)| (name, value.text()));
    for (name, text) in std::iter::once(version).chain(all).filter(|(name, _)| *name != "datacontenttype") {
        put(headers, &[prefix, name].concat(), text.as_bytes());
    }
}

fn put_kafka(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    if !OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        put(headers, &["x-kafka-", name].concat(), value);
    }
}

/// Names may repeat in a record, so each is added.
fn put(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests;
