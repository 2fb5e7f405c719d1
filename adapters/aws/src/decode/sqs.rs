//! Messages of Amazon SQS, as a trigger or a pipe hands them on (`messageId`, `body`) or as its API does (`MessageId`,
//! `Body`).
//!
//! A queue is mostly a place where another service's events wait: a body that is a `CloudEvent`, or an event of
//! EventBridge, S3 or SNS, is that event. Any other is one of type `com.amazonaws.sqs.message`, whose data is the body. A
//! message group, which SQS keeps in order, is the `partitionkey`.

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
    Ok(event)
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
