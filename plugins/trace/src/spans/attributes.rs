//! The attributes of spans.

use super::outward;
use opentelemetry::{KeyValue, StringValue, Value};
use outrigger_core::{
    About, Kind, Position, TargetId,
    event::SPECVERSION,
    timeline::{Answer, Ending, Step, Wait},
};
use std::borrow::Cow;

/// Of a lane's key no more is told.
const LANE_BYTES_MAX: usize = 128;

/// Where an event came from, as its position tells it.
pub(super) struct Destination<'a> {
    /// The topic or subscription, else the source.
    pub(super) name: &'a str,
    /// What it is called that brought it; no broker has one of its own.
    system: &'a str,
    is_broker: bool,
    partition: Option<&'a str>,
    offset: Option<i64>,
    message: Option<&'a str>,
}

pub(super) fn destination(about: &About) -> Destination<'_> {
    let origin = &*about.origin;
    let broker = match origin {
        "kafka" => Some("kafka"),
        "pubsub" | "pubsub_push" => Some("gcp_pubsub"),
        "eventgrid" | "eventgrid_webhook" => Some("eventgrid"),
        _ => None,
    };
    let (system, is_broker) = (broker.unwrap_or(origin), broker.is_some());
    let plain = Destination { name: origin, system, is_broker, partition: None, offset: None, message: None };
    match &about.position {
        Position::Offset(place, offset) => {
            let (topic, partition) = place.rsplit_once('/').unwrap_or((place, ""));
            Destination { name: topic, partition: Some(partition), offset: Some(*offset), ..plain }
        }
        Position::Text(text) => match text.rsplit_once('/') {
            Some((place, message)) => Destination { name: place, message: Some(message), ..plain },
            None => plain,
        },
        _ => plain,
    }
}

pub(super) fn text(key: &'static str, value: &str) -> KeyValue {
    KeyValue::new(key, Value::String(StringValue::from(value.to_owned())))
}

/// Leaves no more of a text than this many characters.
pub(super) fn cut(value: &mut Value, chars_max: usize) {
    if let Value::String(text) = value
        && text.as_str().len() > chars_max
        && let Some((end, _)) = text.as_str().char_indices().nth(chars_max)
    {
        *value = Value::String(text.as_str()[..end].to_owned().into());
    }
}

pub(super) fn of_event(about: &About, place: &Destination<'_>, target: Option<&TargetId>) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(16);
    attributes.extend(messaging("process", place));
    attributes.extend([
        text("cloudevents.event_id", about.id()),
        text("cloudevents.event_source", about.source()),
        text("cloudevents.event_type", about.ty()),
        KeyValue::new("cloudevents.event_spec_version", SPECVERSION),
        text("outrigger.source", &about.origin),
    ]);
    attributes.extend(place.partition.map(|partition| text("messaging.destination.partition.id", partition)));
    attributes.extend(place.offset.map(|offset| KeyValue::new("messaging.kafka.offset", offset)));
    attributes.extend(place.message.map(|id| text("messaging.message.id", id)));
    attributes.extend(target.map(|target| text("faas.invoked_name", &target.0)));
    attributes.push(KeyValue::new("faas.trigger", if place.is_broker { "pubsub" } else { "http" }));
    attributes
}

pub(super) fn receive(about: &About, place: &Destination<'_>) -> Vec<KeyValue> {
    let mut attributes = Vec::from(messaging("receive", place));
    attributes.push(text("outrigger.source", &about.origin));
    attributes
}

/// What is done with a message, and where that is.
fn messaging(operation: &'static str, place: &Destination<'_>) -> [KeyValue; 4] {
    [
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.operation.name", operation),
        text("messaging.destination.name", place.name),
        text("messaging.system", place.system),
    ]
}

/// The lane is its key; an event without one has a lane for itself.
pub(super) fn queue(about: &About, wait: Option<(Wait, u32)>, held_up: bool) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(4);
    if let Some(key) = &about.key {
        let name = key.name();
        let cut = name.floor_char_boundary(LANE_BYTES_MAX.min(name.len()));
        attributes.push(text("outrigger.lane", &name[..cut]));
    }
    let (reason, ahead) = match wait {
        Some((wait, ahead)) => (wait.name(), Some(ahead)),
        None => ("backoff", None),
    };
    attributes.push(KeyValue::new("outrigger.wait.reason", reason));
    attributes.extend(ahead.map(|ahead| KeyValue::new("outrigger.wait.ahead", i64::from(ahead))));
    if held_up {
        attributes.push(KeyValue::new("outrigger.wait.breaker_opened", true));
    }
    attributes
}

/// `to` is what is told of the target's place.
pub(super) fn attempt(
    to: &[KeyValue],
    target: Option<&TargetId>,
    attempt: u32,
    answer: Answer,
) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(to.len() + 4);
    attributes.extend_from_slice(to);
    attributes.extend(target.map(|target| text("faas.invoked_name", &target.0)));
    attributes.extend(status(answer));
    if attempt > 1 {
        attributes.push(KeyValue::new("http.request.resend_count", i64::from(attempt - 1)));
    }
    attributes
}

/// Of a try that a kept result answers: nothing goes out.
pub(super) fn recall(target: Option<&TargetId>) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new("outrigger.cache.hit", true)];
    attributes.extend(target.map(|target| text("faas.invoked_name", &target.0)));
    attributes
}

pub(super) fn settle(steps: &[(Step, u64)], ending: Ending, place: &Destination<'_>) -> Vec<KeyValue> {
    let settlement = match ending {
        Ending::Acknowledged => "acknowledged",
        Ending::Released => "released",
        Ending::Rejected(_) => "rejected",
    };
    let mut attributes = Vec::from(messaging("settle", place));
    attributes.push(KeyValue::new("outrigger.settlement", settlement));
    let how = steps.iter().rev().find_map(|(step, _)| match step {
        Step::Buried(code) => Some(KeyValue::new("outrigger.dead_letter", code.name())),
        Step::Duplicate => Some(KeyValue::new("outrigger.duplicate", true)),
        Step::Dropped(code) => Some(KeyValue::new("outrigger.dropped", code.name())),
        Step::Routed(0) => Some(KeyValue::new("outrigger.discarded", true)),
        Step::Spilled => Some(KeyValue::new("outrigger.overflow", true)),
        _ => None,
    });
    attributes.extend(how);
    attributes
}

/// A method as the conventions have it: a client may invent others, of any length.
pub(super) fn method(name: &str) -> &str {
    const KNOWN: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    if KNOWN.contains(&name) { name } else { "_OTHER" }
}

pub(super) fn of_request(about: &About, answer: Option<Answer>) -> Vec<KeyValue> {
    let mut attributes = asked(about);
    attributes.extend([text("url.path", about.source()), KeyValue::new("faas.trigger", "http")]);
    attributes.extend(Some(about.ty()).filter(|ty| !ty.is_empty()).map(|scheme| text("url.scheme", scheme)));
    attributes.extend(answer.and_then(status));
    attributes
}

pub(super) fn of_renewal(about: &About) -> Vec<KeyValue> {
    vec![text("url.path", about.source()), KeyValue::new("outrigger.cache.renewal", true)]
}

/// `to` is what is told of the function's place; the path is the request's own.
pub(super) fn passed_on(about: &About, to: &[KeyValue], answer: Answer) -> Vec<KeyValue> {
    let mut attributes = asked(about);
    attributes.extend(outward::of_path(to, about.source()));
    attributes.extend(status(answer));
    attributes
}

/// The method, also as it was where it is none that the conventions know.
fn asked(about: &About) -> Vec<KeyValue> {
    let method = method(about.id());
    let mut attributes = vec![text("http.request.method", method)];
    if method != about.id() {
        attributes.push(text("http.request.method_original", about.id()));
    }
    attributes
}

fn status(answer: Answer) -> Option<KeyValue> {
    (answer.status > 0).then(|| KeyValue::new("http.response.status_code", i64::from(answer.status)))
}

/// The status where there is one, as the conventions want it, else what broke.
pub(super) fn error_type(kind: Kind, status: u16) -> Cow<'static, str> {
    if status > 0 {
        return status.to_string().into();
    }
    Cow::Borrowed(match kind {
        Kind::Unreachable => "unreachable",
        Kind::Interrupted => "interrupted",
        Kind::TimedOut => "timeout",
        Kind::Status => "status",
        Kind::BadAnswer => "bad_answer",
        Kind::Overloaded => "overloaded",
        Kind::Full => "full",
        Kind::Storage => "storage",
        Kind::Closed => "closed",
        Kind::Invalid => "invalid",
    })
}
