//! From JSON to events.

use std::{fmt, mem, str};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Deserializer, error::Category, value::RawValue};

use super::{BATCH_MAX, Event, Invalid};
use crate::event::{
    SPECVERSION,
    attrs::{Attributes, Named},
    media,
    value::Kind,
};

/// Room for the attributes of a usual event, so that they are allocated once.
const TEXT_BYTES_USUAL: usize = 256;
const UTF8: &str = "is not UTF-8";

pub(super) fn event(input: &Bytes) -> Result<Event, Invalid> {
    let text = str::from_utf8(input).map_err(|_| Invalid::says("json", UTF8))?;
    let mut draft = Draft::new(text.len().min(TEXT_BYTES_USUAL));
    let mut json = Deserializer::from_str(text);
    match json.deserialize_map(EventVisitor(&mut draft)).and_then(|()| json.end()) {
        Ok(()) => draft.finished(Keep::Slice(input)),
        Err(error) => Err(draft.why.unwrap_or_else(|| not_json(&error, "is not an object"))),
    }
}

/// Reads an event that is a part of a larger document; of what is wrong with it only that it is.
pub(super) fn part<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Event, D::Error> {
    let mut draft = Draft::new(TEXT_BYTES_USUAL);
    json.deserialize_map(EventVisitor(&mut draft))?;
    draft.finished(Keep::Copy).map_err(D::Error::custom)
}

#[expect(clippy::type_complexity, reason = "as in the public function")]
pub(super) fn batch(input: &Bytes) -> Result<Vec<Result<Event, (Bytes, Invalid)>>, Invalid> {
    let text = str::from_utf8(input).map_err(|_| Invalid::says("batch", UTF8))?;
    let mut members: Vec<&RawValue> = Vec::new();
    let mut json = Deserializer::from_str(text);
    match json.deserialize_seq(BatchVisitor(&mut members)).and_then(|()| json.end()) {
        Err(_) if members.len() > BATCH_MAX => Err(Invalid::says("batch", "has more than 65536 events")),
        Err(error) => Err(not_json(&error, "is not an array of events")),
        Ok(()) => Ok(members
            .into_iter()
            .map(|member| {
                let raw = input.slice_ref(member.get().as_bytes());
                event(&raw).map_err(|invalid| (raw, invalid))
            })
            .collect()),
    }
}

/// The parser's message for broken JSON; for good JSON of the wrong shape our own, which shows no input.
fn not_json(error: &serde_json::Error, wrong_shape: &str) -> Invalid {
    match error.classify() {
        Category::Data => Invalid::says("json", wrong_shape),
        _ => Invalid::says("json", &format!("is malformed: {error}")),
    }
}

/// What has been read of an event.
struct Draft<'a> {
    attributes: Attributes,
    versioned: bool,
    data: Option<&'a RawValue>,
    base64: Base64,
    /// What is wrong, said better than the parser can.
    why: Option<Invalid>,
}

impl<'a> Draft<'a> {
    fn new(text_bytes: usize) -> Draft<'a> {
        let attributes = Attributes::with_capacity(text_bytes);
        Draft { attributes, versioned: false, data: None, base64: Base64::default(), why: None }
    }

    fn finished(self, keep: Keep<'_>) -> Result<Event, Invalid> {
        if !self.versioned {
            return Err(Invalid::missing("specversion"));
        }
        let mut attributes = self.attributes;
        let is_json = attributes.text("datacontenttype").map(media::is_json);
        let data = match (self.data, self.base64.bytes) {
            (None, None) => None,
            (None, Some(bytes)) => Some(Bytes::from(bytes)),
            (Some(_), Some(_)) => return Err(Invalid::says("data_base64", "must not be there beside data")),
            (Some(raw), None) if is_json == Some(false) => Some(unescaped(raw, keep)?),
            (Some(raw), None) => Some(keep.bytes(raw.get())),
        };
        if self.data.is_some() && is_json.is_none() {
            attributes.push("datacontenttype", Kind::String, "application/json")?;
        }
        Event::from_parts(attributes, data)
    }

    fn member<'de, M: MapAccess<'de>>(&mut self, name: Member, map: &mut M) -> Result<(), M::Error>
    where
        'de: 'a,
    {
        let Draft { attributes, versioned, data, base64, why } = self;
        let twice = match &name {
            Member::Version => mem::replace(versioned, true),
            Member::Data => data.is_some(),
            Member::Base64 => mem::replace(&mut base64.seen, true),
            Member::Attribute(_) => false, // `begin` has looked
        };
        if twice {
            *why = Some(Invalid::says(name.text(), "is there twice"));
            return Err(M::Error::custom("invalid"));
        }
        match name {
            Member::Version => map.next_value_seed(Scalar { why, read: version })?,
            Member::Data => *data = Some(map.next_value()?),
            Member::Base64 => base64.bytes = map.next_value_seed(Scalar { why, read: bytes })?,
            Member::Attribute(named) => {
                map.next_value_seed(Scalar {
                    why,
                    read: |found: Found<'_>| attribute(attributes, named, found),
                })?;
            }
        }
        Ok(())
    }
}

/// The member `data_base64`, which may be there and be `null`.
#[derive(Default)]
struct Base64 {
    seen: bool,
    bytes: Option<Vec<u8>>,
}

/// How a payload is kept that stands in the input as it is.
#[derive(Clone, Copy)]
enum Keep<'i> {
    /// As a slice of this input.
    Slice(&'i Bytes),
    /// As a copy.
    Copy,
}

impl Keep<'_> {
    fn bytes(self, text: &str) -> Bytes {
        match self {
            Self::Slice(input) => input.slice_ref(text.as_bytes()),
            Self::Copy => Bytes::copy_from_slice(text.as_bytes()),
        }
    }
}

/// The text of a JSON string: a slice of the input when nothing in it is escaped.
fn unescaped(raw: &RawValue, keep: Keep<'_>) -> Result<Bytes, Invalid> {
    struct Text<'i>(Keep<'i>);
    impl<'de> Visitor<'de> for Text<'_> {
        type Value = Bytes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Bytes, E> {
            Ok(self.0.bytes(text))
        }

        fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
            Ok(Bytes::copy_from_slice(text.as_bytes()))
        }
    }
    Deserializer::from_str(raw.get()).deserialize_str(Text(keep)).map_err(|_| {
        Invalid::says("data", "must be a string of Unicode text, because datacontenttype is not JSON")
    })
}

struct EventVisitor<'d, 'a>(&'d mut Draft<'a>);

impl<'a> Visitor<'a> for EventVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let draft = self.0;
        loop {
            let Draft { attributes, why, .. } = draft;
            let read = |found: Found<'_>| Member::named(attributes, found);
            match map.next_key_seed(Scalar { why, read })? {
                Some(name) => draft.member(name, &mut map)?,
                None => return Ok(()),
            }
        }
    }
}

struct BatchVisitor<'m, 'a>(&'m mut Vec<&'a RawValue>);

impl<'a> Visitor<'a> for BatchVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut members: S) -> Result<(), S::Error> {
        while let Some(member) = members.next_element()? {
            self.0.push(member);
            if self.0.len() > BATCH_MAX {
                return Err(S::Error::custom("too many"));
            }
        }
        Ok(())
    }
}

/// The name of a member. That of an attribute already stands in the event's memory.
#[derive(Clone, Copy)]
enum Member {
    Version,
    Data,
    Base64,
    Attribute(Named),
}

impl Member {
    fn named(attributes: &mut Attributes, name: Found<'_>) -> Result<Member, Invalid> {
        match name {
            Found::Text("specversion") => Ok(Member::Version),
            Found::Text("data") => Ok(Member::Data),
            Found::Text("data_base64") => Ok(Member::Base64),
            Found::Text(name) => attributes.begin(name).map(Member::Attribute),
            _ => Err(Invalid::says("json", "has a member whose name is no string")),
        }
    }

    fn text(&self) -> &'static str {
        match self {
            Member::Version => "specversion",
            Member::Data => "data",
            Member::Base64 => "data_base64",
            Member::Attribute(_) => "attribute",
        }
    }
}

fn version(found: Found<'_>) -> Result<(), Invalid> {
    match found {
        Found::Text(SPECVERSION) => Ok(()),
        Found::Text(other) => Err(Invalid::new("specversion", other, SPECVERSION)),
        Found::Null => Err(Invalid::missing("specversion")),
        _ => Err(Invalid::says("specversion", "is not the string 1.0")),
    }
}

/// The bytes of `data_base64`; `null` is no data.
fn bytes(found: Found<'_>) -> Result<Option<Vec<u8>>, Invalid> {
    match found {
        Found::Null => Ok(None),
        Found::Text(text) => STANDARD
            .decode(text)
            .map(Some)
            .map_err(|error| Invalid::says("data_base64", &format!("is not standard base64: {error}"))),
        _ => Err(Invalid::says("data_base64", "is not a string")),
    }
}

fn attribute(attributes: &mut Attributes, named: Named, found: Found<'_>) -> Result<(), Invalid> {
    match found {
        Found::Null => {
            attributes.skip(named);
            Ok(())
        }
        Found::Text(text) => attributes.end(named, Kind::String, text),
        Found::Boolean(truth) => attributes.end(named, Kind::Boolean, if truth { "true" } else { "false" }),
        Found::Integer(number) => attributes.end(named, Kind::Integer, &number.to_string()),
        Found::Other(what) => {
            let name = attributes.begun(named);
            Err(Invalid::new(name, what, "a string, a boolean or a whole number of 32 bits"))
        }
    }
}

/// A member's name or value; of what is never legal only what to call it.
#[derive(Clone, Copy)]
enum Found<'t> {
    Null,
    Boolean(bool),
    Integer(i64),
    Text(&'t str),
    Other(&'static str),
}

/// Hands what is found to `read` without copying it, and keeps in `why` what `read` has against it.
struct Scalar<'w, F> {
    why: &'w mut Option<Invalid>,
    read: F,
}

impl<F> Scalar<'_, F> {
    fn read<T, E: Error>(self, found: Found<'_>) -> Result<T, E>
    where
        F: FnOnce(Found<'_>) -> Result<T, Invalid>,
    {
        (self.read)(found).map_err(|invalid| {
            *self.why = Some(invalid);
            E::custom("invalid")
        })
    }
}

impl<'de, T, F: FnOnce(Found<'_>) -> Result<T, Invalid>> DeserializeSeed<'de> for Scalar<'_, F> {
    type Value = T;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<T, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, T, F: FnOnce(Found<'_>) -> Result<T, Invalid>> Visitor<'de> for Scalar<'_, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        self.read(Found::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<T, E> {
        self.read(Found::Boolean(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.read(Found::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.read(i64::try_from(number).map_or(Found::Other("a larger number"), Found::Integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        self.read(Found::Other("a number that is no integer"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.read(Found::Text(text))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, _: S) -> Result<T, S::Error> {
        self.read(Found::Other("an array"))
    }

    fn visit_map<M: MapAccess<'de>>(self, _: M) -> Result<T, M::Error> {
        self.read(Found::Other("an object"))
    }
}
