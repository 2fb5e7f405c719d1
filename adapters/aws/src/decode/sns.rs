//! Messages of Amazon SNS, by the adapter of the CloudEvents project (`adapters/aws-sns.md`).
//!
//! The data is the message with its envelope, as SNS posts it, or as the record of a Lambda trigger has it in `Sns`. The
//! source is the subscription's ARN where it is told (by a header or the record), else the topic's, which is also the
//! extension `awstopicarn`. Where raw delivery is on there is no envelope: the message is the data, and a `CloudEvent` that
//! is one stays as it is.

use bytes::Bytes;
use http::HeaderMap;
use outrigger_core::{
    Event, Invalid, Value,
    event::{json, reference},
};

use super::part::{Part, set, timestamp};

const EVERY: &str = "every message of SNS";
const PREFIX: &str = "com.amazonaws.sns.";
const ID: &str = "x-amz-sns-message-id";
const TYPE: &str = "x-amz-sns-message-type";
const TOPIC: &str = "x-amz-sns-topic-arn";
const SUBSCRIPTION: &str = "x-amz-sns-subscription-arn";
const RAW: &str = "x-amz-sns-rawdelivery";
const NOTIFICATION: &str = "Notification";

/// Whether the document is what SNS posts.
pub(super) fn is(part: &Part) -> bool {
    part.is_object() && ["Type", "MessageId", "TopicArn", "Message"].iter().all(|name| part.has(&[name]))
}

/// Reads what SNS posts, or a record of a trigger.
///
/// # Errors
/// When something is missing that every message has, or an attribute breaks a rule of the specification.
pub(super) fn event(part: &Part, headers: &HeaderMap) -> Result<Event, Invalid> {
    let (message, told) = match part.part(&["Sns"]) {
        Some(message) => (message, part.text(&["EventSubscriptionArn"])),
        None => (part.clone(), header(headers, SUBSCRIPTION).map(Into::into)),
    };
    let ty = message.needed(&["Type"], EVERY)?;
    let topic = message.needed(&["TopicArn"], EVERY)?;
    let id = message.needed(&["MessageId"], EVERY)?;
    // A subscription that is not confirmed has no ARN yet.
    let source = told.filter(|_| ty != "SubscriptionConfirmation").unwrap_or_else(|| topic.clone());
    let mut event = message.event(&id, &source, &[PREFIX, &ty].concat())?;
    let subject = message.text(&["Subject"]).filter(|_| ty == NOTIFICATION);
    set(&mut event, "subject", subject)?;
    set(&mut event, "time", message.text(&["Timestamp"]).map(timestamp))?;
    set(&mut event, "awstopicarn", Some(topic))?;
    Ok(event)
}

/// Whether raw delivery is on, so that the body is the message.
pub(super) fn is_raw(headers: &HeaderMap) -> bool {
    header(headers, RAW) == Some("true")
}

/// Reads a message of raw delivery; SNS sends it as text, whatever it is.
///
/// # Errors
/// When a header is missing, or an attribute breaks a rule of the specification.
pub(super) fn raw(headers: &HeaderMap, body: &Bytes) -> Result<Event, Invalid> {
    if is_event(body) {
        return json::decode(body.clone());
    }
    let needed = |name: &str| {
        header(headers, name)
            .ok_or_else(|| Invalid::says(name, &format!("is missing; {EVERY} by raw delivery has it")))
    };
    let topic = needed(TOPIC)?;
    let source = header(headers, SUBSCRIPTION).unwrap_or(topic);
    let ty = [PREFIX, header(headers, TYPE).unwrap_or(NOTIFICATION)].concat();
    let mut event =
        Event::new(needed(ID)?, &reference(source), &ty)?.with_data(content_type(body), body.clone())?;
    event.set("awstopicarn", Value::String(topic))?;
    Ok(event)
}

/// Whether the bytes are a `CloudEvent` in JSON.
pub(super) fn is_event(body: &[u8]) -> bool {
    let of = |name: &str| json::member(str::from_utf8(body).ok()?, &[name]);
    body.trim_ascii_start().starts_with(b"{")
        && of("specversion") == Some("\"1.0\"")
        && ["id", "source", "type"].iter().all(|name| of(name).is_some_and(|raw| raw.starts_with('"')))
}

/// What a payload is of which nothing is said.
pub(super) fn content_type(body: &[u8]) -> &'static str {
    let is_json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    if is_json { "application/json" } else { "text/plain" }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().filter(|text| !text.is_empty())
}
