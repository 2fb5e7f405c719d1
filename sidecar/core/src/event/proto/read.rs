//! From Protobuf to events.

use std::str;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{
    BATCH_MAX, Event, Invalid, MESSAGE, TYPE_URL, field, time,
    wire::{Fields, Payload},
};
use crate::event::{attrs::Attributes, http::check_version, value::Kind};

/// Room for the attributes of a usual event, so that they are allocated once.
const TEXT_BYTES_USUAL: usize = 256;

#[expect(clippy::type_complexity, reason = "as in the public function")]
pub(super) fn batch(input: &Bytes) -> Result<Vec<Result<Event, (Bytes, Invalid)>>, Invalid> {
    let mut members = Vec::new();
    for found in Fields(input) {
        let (field::EVENTS, payload) = found? else { continue };
        if members.len() == BATCH_MAX {
            return Err(Invalid::says("batch", "has more than 65536 events"));
        }
        let raw = input.slice_ref(bytes("events", payload)?);
        members.push(event(&raw).map_err(|invalid| (raw, invalid)));
    }
    Ok(members)
}

pub(super) fn event(input: &Bytes) -> Result<Event, Invalid> {
    let mut attributes = Attributes::with_capacity(input.len().min(TEXT_BYTES_USUAL));
    let (mut versioned, mut data) = (false, None);
    for found in Fields(input) {
        let (number, payload) = found?;
        match number {
            field::ID => attributes.push("id", Kind::String, text("id", payload)?)?,
            field::SOURCE => attributes.push("source", Kind::UriRef, text("source", payload)?)?,
            field::TYPE => attributes.push("type", Kind::String, text("type", payload)?)?,
            field::SPEC_VERSION => check_version(text("specversion", payload)?, &mut versioned)?,
            field::ATTRIBUTES => attribute(&mut attributes, bytes("attributes", payload)?)?,
            field::BINARY_DATA | field::TEXT_DATA | field::PROTO_DATA if data.is_some() => {
                return Err(twice("data"));
            }
            field::BINARY_DATA => data = Some(Data::Plain(bytes("binary_data", payload)?)),
            field::TEXT_DATA => data = Some(Data::Plain(text("text_data", payload)?.as_bytes())),
            field::PROTO_DATA => data = Some(message(bytes("proto_data", payload)?)?),
            _ => {}
        }
    }
    if !versioned {
        return Err(Invalid::missing("specversion"));
    }
    let data = match data {
        None => None,
        Some(Data::Plain(data)) => Some(input.slice_ref(data)),
        Some(Data::Message { type_url, value }) => {
            typed(&mut attributes, type_url)?;
            Some(input.slice_ref(value))
        }
    };
    Event::from_parts(attributes, data)
}

/// The payload, before it is known which attributes the event has.
#[derive(Clone, Copy)]
enum Data<'a> {
    Plain(&'a [u8]),
    Message { type_url: &'a str, value: &'a [u8] },
}

/// A `google.protobuf.Any`; both of its fields are empty where they are absent.
fn message(any: &[u8]) -> Result<Data<'_>, Invalid> {
    let (mut type_url, mut value) = (None, None);
    for found in Fields(any) {
        match found? {
            (field::TYPE_NAME, payload) => once("type_url", &mut type_url, text("type_url", payload)?)?,
            (field::VALUE, payload) => once("proto_data", &mut value, bytes("proto_data", payload)?)?,
            _ => {}
        }
    }
    Ok(Data::Message { type_url: type_url.unwrap_or_default(), value: value.unwrap_or_default() })
}

/// Says in attributes what the message says beside its bytes.
fn typed(attributes: &mut Attributes, type_url: &str) -> Result<(), Invalid> {
    if attributes.text("datacontenttype").is_none() {
        attributes.set("datacontenttype", Kind::String, MESSAGE)?;
    }
    match attributes.text("dataschema") {
        _ if type_url.is_empty() => Ok(()),
        None => attributes.set("dataschema", Kind::String, type_url),
        Some(schema) if schema == type_url => Ok(()),
        Some(_) => attributes.push(TYPE_URL, Kind::String, type_url),
    }
}

/// An entry of the map of attributes.
fn attribute(attributes: &mut Attributes, entry: &[u8]) -> Result<(), Invalid> {
    let (mut name, mut value) = (None, None);
    for found in Fields(entry) {
        match found? {
            (field::KEY, payload) => once("attributes", &mut name, text("attributes", payload)?)?,
            (field::VALUE, payload) => once("attributes", &mut value, bytes("attributes", payload)?)?,
            _ => {}
        }
    }
    let name = name.unwrap_or_default();
    if matches!(name, "id" | "source" | "type" | "specversion") {
        return Err(Invalid::says(name, "stands among the attributes, but has a field of its own"));
    }
    let mut found = None;
    for one in Fields(value.unwrap_or_default()) {
        let (kind, payload) = one?;
        if (field::BOOLEAN..=field::TIMESTAMP).contains(&kind) {
            once(name, &mut found, (kind, payload))?;
        }
    }
    let named = attributes.begin(name)?;
    let Some((kind, payload)) = found else {
        attributes.skip(named); // a value of no kind is what JSON calls null
        return Ok(());
    };
    match (kind, payload) {
        (field::BOOLEAN, Payload::Number(truth)) => {
            attributes.end(named, Kind::Boolean, if truth == 0 { "false" } else { "true" })
        }
        (field::INTEGER, Payload::Number(number)) => {
            // A negative one is written in 64 bits.
            attributes.end(named, Kind::Integer, &number.cast_signed().to_string())
        }
        (field::STRING, _) => attributes.end(named, Kind::String, text(name, payload)?),
        (field::BYTES, _) => attributes.end(named, Kind::Binary, &STANDARD.encode(bytes(name, payload)?)),
        (field::URI, _) => attributes.end(named, uri(name, Kind::Uri), text(name, payload)?),
        (field::URI_REF, _) => attributes.end(named, uri(name, Kind::UriRef), text(name, payload)?),
        (field::TIMESTAMP, _) => {
            attributes.end(named, Kind::Timestamp, &timestamp(name, bytes(name, payload)?)?)
        }
        _ => Err(wrong(name)),
    }
}

/// Which of both kinds of URI an attribute is, the specification says where it defines it.
fn uri(name: &str, kind: Kind) -> Kind {
    if name == "dataschema" { Kind::Uri } else { kind }
}

fn timestamp(name: &str, message: &[u8]) -> Result<String, Invalid> {
    let (mut seconds, mut nanos) = (None, None);
    for found in Fields(message) {
        match found? {
            (field::SECONDS, Payload::Number(number)) => once(name, &mut seconds, number)?,
            (field::NANOS, Payload::Number(number)) => once(name, &mut nanos, number)?,
            (field::SECONDS | field::NANOS, _) => return Err(wrong(name)),
            _ => {}
        }
    }
    let [seconds, nanos] = [seconds, nanos].map(|number| number.unwrap_or(0).cast_signed());
    time::text(seconds, nanos)
}

fn once<T>(at: &str, place: &mut Option<T>, found: T) -> Result<(), Invalid> {
    if place.replace(found).is_some() { Err(twice(at)) } else { Ok(()) }
}

fn bytes<'a>(at: &str, payload: Payload<'a>) -> Result<&'a [u8], Invalid> {
    if let Payload::Bytes(bytes) = payload { Ok(bytes) } else { Err(wrong(at)) }
}

fn text<'a>(at: &str, payload: Payload<'a>) -> Result<&'a str, Invalid> {
    str::from_utf8(bytes(at, payload)?).map_err(|_| Invalid::says(at, "is not UTF-8"))
}

fn wrong(at: &str) -> Invalid {
    Invalid::says(at, "is not of the type that cloudevents.proto gives it")
}

fn twice(at: &str) -> Invalid {
    Invalid::says(at, "is there twice")
}
