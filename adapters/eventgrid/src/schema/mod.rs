//! The `EventGrid` schema, and the `CloudEvent` that each of its events is, by Azure's own mapping. Pure.
//!
//! `topic` is the source, `eventType` the type, `eventTime` the time; `id`, `subject` and `data` stay what they are. The
//! version of the data becomes `#V` in `dataschema`, as Azure writes it in its own `CloudEvents`; the version of the
//! envelope is dropped. Data is JSON and keeps its bytes.

use std::borrow::Cow;

use bytes::Bytes;
use outrigger_core::{Event, Invalid, Value, event::reference};
use serde::{Deserialize, Deserializer};
use serde_json::{error::Category, value::RawValue};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    topic: Option<Text<'a>>,
    #[serde(borrow)]
    subject: Option<Text<'a>>,
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
    #[serde(borrow)]
    event_time: Option<Text<'a>>,
    #[serde(borrow)]
    data_version: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

/// Within an option, only a type of its own is borrowed.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What is set besides what every event has: subject, time, version and the data's type, of usual lengths.
const FURTHER_BYTES: usize = 128;

/// Reads one event, whose data shares the memory of `raw`.
///
/// What is empty and optional is left out; a character that no URI may hold is percent-encoded in `source` and
/// `dataschema`, since a name of Azure may have it. What the schema does not know is not looked at.
///
/// # Errors
/// When it is no JSON object, a member is there twice or of another type, or `id`, `topic` or `eventType` is missing.
pub fn decode<'a>(raw: &'a Bytes) -> Result<Event, Invalid> {
    // Looked at once whether it is UTF-8: the parser would look at each part of it.
    let text = str::from_utf8(raw).map_err(|_| Invalid::says("event", "is not UTF-8"))?;
    let member: Member<'a> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let given = |text: Option<Text<'a>>| text.map(|Text(text)| text).filter(|text| !text.is_empty());
    let needed = |name: &str, text: Option<Text<'a>>| {
        given(text)
            .ok_or_else(|| Invalid::says(name, "is missing; every event of the EventGrid schema has it"))
    };
    let (id, topic) = (needed("id", member.id)?, needed("topic", member.topic)?);
    let mut event = Event::new(&id, &reference(&topic), &needed("eventType", member.event_type)?)?;
    event.reserve(FURTHER_BYTES);
    let version = given(member.data_version).map(|version| Cow::Owned(format!("#{}", reference(&version))));
    let further =
        [("subject", given(member.subject)), ("time", given(member.event_time)), ("dataschema", version)];
    for (name, text) in further {
        if let Some(text) = text {
            event.set(name, Value::String(&text))?;
        }
    }
    match member.data {
        Some(data) => event.with_data("application/json", raw.slice_ref(data.get().as_bytes())),
        None => Ok(event),
    }
}

/// Without the parser's own words, which repeat what it found.
fn unreadable(error: &serde_json::Error) -> Invalid {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        Category::Data => "a member is there twice, or is of another type",
        _ => "it is no JSON",
    };
    Invalid::says("event", &format!("is none of the EventGrid schema: {what} (line {line}, column {column})"))
}

/// A member that is there, also where it is `null`.
fn present<'de, D: Deserializer<'de>>(json: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(json).map(Some)
}

#[cfg(test)]
mod tests;
