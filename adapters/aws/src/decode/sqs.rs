//! Messages of Amazon SQS, as a trigger or a pipe hands them on (`messageId`, `body`) or as its API does (`MessageId`,
//! `Body`).
//!
//! A queue is mostly a place where another service's events wait: a body that is a `CloudEvent`, or an event of
//! EventBridge, S3 or SNS, is that event. Any other is one of type `com.amazonaws.sqs.message`, whose data is the body. A
//! message group, which SQS keeps in order, is the `partitionkey`; the trace of who sent it (`AWSTraceHeader`) is the
//! `traceparent` of the extension for distributed tracing.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use outrigger_core::{
    Event, Invalid, Value,
    event::{json, reference},
};

use super::{
    eventbridge,
    part::{Part, set, since_1970},
    s3,
    sns::{self, content_type, is_event},
};

const EVERY: &str = "every message of SQS";
/// The type of a message that is no other service's event.
const MESSAGE: &str = "com.amazonaws.sqs.message";
/// Stands in the source where no queue is named.
const NOWHERE: &str = "aws:sqs";
const KEY: &str = "partitionkey";
const BEGAN: &str = "traceparent";

/// Reads a message. `queue` is the source where it names none.
///
/// # Errors
/// When something is missing that every message has, an attribute breaks a rule of the specification, or the body is
/// another service's event and is wrong.
pub(super) fn event(part: &Part, queue: Option<&str>) -> Result<Event, Invalid> {
    let body = match either(part, "body", "Body").ok_or_else(|| missing("body"))? {
        Cow::Borrowed(text) => part.bytes().slice_ref(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    };
    let mut event = match inner(&body)? {
        Some(event) => event,
        None => message(part, body, queue)?,
    };
    if let Some(group) = attribute(part, "MessageGroupId")
        && event.get(KEY).is_none()
    {
        event.set(KEY, Value::String(&group))?;
    }
    if let Some(began) = attribute(part, "AWSTraceHeader").as_deref().and_then(traceparent)
        && event.get(BEGAN).is_none()
    {
        event.set(BEGAN, Value::String(&began))?;
    }
    Ok(event)
}

/// X-Ray's header (`Root=1-58406520-a006649127e371903a2de979;Parent=4c721bf33e3caf8f;Sampled=1`) as W3C writes it: its
/// trace id is the root without version and dashes. Nothing where it names no span or is not well formed.
fn traceparent(text: &str) -> Option<String> {
    let get = |wanted: &str| {
        let named = text.split(';').filter_map(|part| part.trim().split_once('='));
        named.into_iter().find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let is_id = |text: &str, digits: usize| {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        is_hex && text.len() == digits && text.bytes().any(|byte| byte != b'0')
    };
    let (seconds, rest) = get("Root")?.strip_prefix("1-")?.split_once('-')?;
    let span = get("Parent")?;
    if !(is_id(seconds, 8) && is_id(rest, 24) && is_id(span, 16)) {
        return None;
    }
    let flags = u8::from(get("Sampled") == Some("1"));
    Some(format!("00-{seconds}{rest}-{span}-{flags:02}"))
}

/// The event of a message whose body is nobody's.
fn message(part: &Part, body: Bytes, queue: Option<&str>) -> Result<Event, Invalid> {
    let id = either(part, "messageId", "MessageId").ok_or_else(|| missing("messageId"))?;
    let arn = part.text(&["eventSourceARN"]);
    let source = arn.as_deref().or(queue).unwrap_or(NOWHERE);
    let event = Event::new(&id, &reference(source), MESSAGE)?;
    let mut event = event.with_data(content_type(&body), body)?;
    let sent = attribute(part, "SentTimestamp").map(|ms| since_1970(&ms, 1000)).transpose()?;
    set(&mut event, "time", sent)?;
    Ok(event)
}

fn missing(name: &str) -> Invalid {
    Invalid::says(name, &format!("is missing; {EVERY} has it"))
}

/// A member by the name that triggers give it, or the one of the API.
fn either<'p>(part: &'p Part, trigger: &str, api: &str) -> Option<Cow<'p, str>> {
    part.text(&[trigger]).or_else(|| part.text(&[api]))
}

fn attribute<'p>(part: &'p Part, name: &str) -> Option<Cow<'p, str>> {
    part.text(&["attributes", name]).or_else(|| part.text(&["Attributes", name]))
}

/// The event that a body is by itself.
fn inner(body: &Bytes) -> Result<Option<Event>, Invalid> {
    if is_event(body) {
        return json::decode(body.clone()).map(Some);
    }
    let Ok(part) = Part::whole(body) else { return Ok(None) };
    if eventbridge::is(&part) && part.has(&["detail"]) {
        return eventbridge::event(&part).map(Some);
    }
    if sns::is(&part) {
        return sns::event(&part, &HeaderMap::new()).map(Some);
    }
    if s3::is_test(&part) {
        return s3::test(&part).map(Some);
    }
    // S3 puts one record into a notification. Of several each would be an event, which one message cannot be.
    let records = part.part(&["Records"]).filter(Part::is_list).map(|list| list.list()).transpose()?;
    match records.as_deref() {
        Some([record]) if record.text(&["eventSource"]).is_some_and(|from| from.ends_with(":s3")) => {
            s3::event(record).map(Some)
        }
        _ => Ok(None),
    }
}
