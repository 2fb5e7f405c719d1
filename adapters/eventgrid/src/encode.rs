//! What is written: events in either schema, and dead letters with everything that explains them. Pure.

use bytes::{BufMut as _, Bytes, BytesMut};
use outrigger_core::{DeadLetter, Error, Event, Kind, Result, event::json};
use serde::Serialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// CloudEvents in JSON.
    CloudEvents,
    /// The Event Grid schema, which custom topics may have.
    EventGrid,
}

pub use outrigger_core::dead::MALFORMED_TYPE;

impl Schema {
    /// The type of a body with a batch.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::CloudEvents => "application/cloudevents-batch+json; charset=utf-8",
            Self::EventGrid => "application/json; charset=utf-8",
        }
    }
}

/// One member of a batch. `now` is the time of an event that has none, where the schema needs one.
///
/// # Errors
/// `Invalid` where the schema has no place for the data.
pub fn member(event: &Event, schema: Schema, now: OffsetDateTime) -> Result<Bytes> {
    match schema {
        Schema::CloudEvents => Ok(json::encode(event)),
        Schema::EventGrid => event_grid(event, now),
    }
}

/// A batch of members.
#[must_use]
pub fn batch<'m>(members: impl IntoIterator<Item = &'m Bytes>) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(b'[');
    for member in members {
        if out.len() > 1 {
            out.put_u8(b',');
        }
        out.extend_from_slice(member);
    }
    out.put_u8(b']');
    out.freeze()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    id: &'a str,
    subject: &'a str,
    event_type: &'a str,
    event_time: &'a str,
    data_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

/// The mapping of [`crate::schema::decode`] backwards. The topic is Azure's to write, and there is no place for extension
/// attributes; the source stands in for a subject that is missing.
fn event_grid(event: &Event, now: OffsetDateTime) -> Result<Bytes> {
    let no_place = |what: &str| {
        let id = event.id();
        Error::new(
            Kind::Invalid,
            format!(
                "eventgrid: event {id}: {what}; the Event Grid schema has no place for it, cloudevents has"
            ),
        )
    };
    let written;
    let event_time = if let Some(time) = event.time() {
        time
    } else {
        written = now.format(&Rfc3339).map_err(|_| no_place("the time cannot be written"))?;
        &written
    };
    let not_text = || no_place("its data is neither JSON nor text");
    let member = Member {
        id: event.id(),
        subject: event.subject().unwrap_or_else(|| event.source()),
        event_type: event.ty(),
        event_time,
        data_version: event.dataschema().map_or("", |schema| schema.strip_prefix('#').unwrap_or(schema)),
        data: event.data().map(|bytes| data(event, bytes).ok_or_else(not_text)).transpose()?,
    };
    let out = serde_json::to_vec(&member).map_err(|error| no_place(&error.to_string()))?;
    Ok(out.into())
}

/// `None` for data that the schema cannot hold.
fn data<'a>(event: &Event, bytes: &'a Bytes) -> Option<Data<'a>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let essence = event.datacontenttype().map(|ty| ty.split(';').next().unwrap_or_default().trim());
    let json = || serde_json::from_str::<&RawValue>(text).ok().map(Data::Json);
    match essence.map(str::to_ascii_lowercase) {
        None => json(),
        Some(ty) if ty.ends_with("/json") || ty.ends_with("+json") => json(),
        Some(ty) => (ty.starts_with("text/") || ty.ends_with("xml")).then_some(Data::Text(text)),
    }
}

/// A dead letter as an event: the one that was given up, or one of type [`MALFORMED_TYPE`] whose data is what came
/// instead, byte for byte.
///
/// What is added: `outriggercode` (one of [`Code`](outrigger_core::Code)), `outriggerreason` (one line for people),
/// `outriggerstatus` (the function's last, if it answered), `outriggertarget` (the one that failed it, where there are
/// several), `outriggerattempts`, `outriggersource`, `outriggerposition`
/// (where the source has one), `outriggerfirstms` and `outriggerlastms` (Unix milliseconds).
///
/// # Errors
/// `Invalid` where the event has no room for more attributes.
pub fn dead_letter(letter: &DeadLetter) -> Result<Event> {
    outrigger_core::dead::as_event(letter).map_err(|invalid| {
        Error::new(
            Kind::Invalid,
            format!("eventgrid: a dead letter cannot be written as an event: {invalid}"),
        )
    })
}

#[cfg(test)]
mod tests;
