//! What is written: a dead letter with everything that explains it, and a reply. Pure.
//!
//! A dead letter's payload is the one that came, byte for byte, and so are the headers of what could not be read. What
//! is added begins with `outrigger_` and comes last, so that reading the last header of a name finds it even where
//! a dead letter became one again.

use std::borrow::Cow;

use bytes::Bytes;
use outrigger_core::{
    DeadLetter, Event, Key, Malformed,
    event::{Format, kafka},
};

use crate::decode::NULLS;

/// The beginning of the headers that are added to a dead letter.
pub const PREFIX: &str = "outrigger_";

/// A header's name and its value, which may be null.
pub type Header<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

/// A record to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The key; `None` is null.
    pub key: Option<Cow<'a, [u8]>>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
    /// Names and values in their order; `None` is null.
    pub headers: Vec<Header<'a>>,
}

/// A dead letter as a record: its event in the binary mode or what came instead, and why it was given up.
///
/// The headers that are added: `outrigger_code` (one of [`Code`](outrigger_core::Code)), `outrigger_reason` (one line
/// for people), `outrigger_status` (the function's last, if it answered), `outrigger_attempts`, `outrigger_source`,
/// `outrigger_position` (where the source has one), `outrigger_first_ms` and `outrigger_last_ms` (Unix milliseconds).
/// The key is the ordering key, or else the one that the malformed record came with.
#[must_use]
pub fn dead_letter(letter: &DeadLetter) -> Outgoing<'_> {
    let mut record = match &letter.item {
        Ok(given_up) => {
            let mut record = event(given_up, None);
            let hop = letter.origin.headers.iter().filter(|(name, _)| !is_of_event(name));
            record.headers.extend(hop.map(|(name, value)| header(name, value)));
            record
        }
        Err(malformed) => as_it_came(malformed),
    };
    if let Some(key) = &letter.key {
        record.key = Some(Cow::Borrowed(without_source(key)));
    }
    let mut add = |name: &'static str, value: Cow<'_, str>| {
        let value = Cow::Owned(value.into_owned().into_bytes());
        record.headers.push((Cow::Borrowed(name), Some(value)));
    };
    add("outrigger_code", letter.reason.code.name().into());
    add("outrigger_reason", letter.reason.detail.as_str().into());
    if let Some(status) = letter.reason.status {
        add("outrigger_status", status.to_string().into());
    }
    add("outrigger_attempts", letter.attempts.to_string().into());
    add("outrigger_source", (&*letter.origin.source).into());
    if !letter.origin.position.is_none() {
        add("outrigger_position", letter.origin.position.to_string().into());
    }
    add("outrigger_first_ms", letter.first_ms.to_string().into());
    add("outrigger_last_ms", letter.last_ms.to_string().into());
    record
}

/// An event in the binary mode. Its key is its attribute `partitionkey`, or else `fallback`.
#[must_use]
pub fn event<'a>(event: &'a Event, fallback: Option<&'a [u8]>) -> Outgoing<'a> {
    let (headers, value) = kafka::encode(event);
    written(event, headers, value, fallback)
}

/// An event in the structured mode and this format, with the same key.
#[must_use]
pub fn structured<'a>(event: &'a Event, format: Format, fallback: Option<&'a [u8]>) -> Outgoing<'a> {
    let (headers, value) = kafka::encode_structured(event, format);
    written(event, headers, Some(value), fallback)
}

fn written<'a>(
    event: &'a Event,
    headers: kafka::Headers<'a>,
    value: Option<Bytes>,
    fallback: Option<&'a [u8]>,
) -> Outgoing<'a> {
    let headers = headers.into_iter().map(|(name, value)| (name, Some(Cow::Borrowed(value.as_bytes()))));
    let key = match event.text("partitionkey") {
        Some(Cow::Borrowed(text)) => Some(Cow::Borrowed(text.as_bytes())),
        Some(Cow::Owned(text)) => Some(Cow::Owned(text.into_bytes())),
        None => fallback.map(Cow::Borrowed),
    };
    Outgoing { key, value, headers: headers.collect() }
}

/// What could not be read, with its nulls again where they were.
fn as_it_came(malformed: &Malformed) -> Outgoing<'_> {
    let (headers, nulls) = match malformed.headers.split_last() {
        Some(((name, nulls), headers)) if name == NULLS => {
            (headers, str::from_utf8(nulls).unwrap_or_default())
        }
        _ => (&malformed.headers[..], ""),
    };
    let mut record = Outgoing {
        key: malformed.key.as_deref().map(Cow::Borrowed),
        value: Some(malformed.raw.clone()),
        headers: headers.iter().map(|(name, value)| header(name, value)).collect(),
    };
    for null in nulls.split(',') {
        if null == "value" {
            record.value = None;
        } else if let Some((_, value)) =
            null.parse().ok().and_then(|place: usize| record.headers.get_mut(place))
        {
            *value = None;
        }
    }
    record
}

fn header<'a>(name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Header<'a> {
    (Cow::Borrowed(name), Some(Cow::Borrowed(value.as_ref())))
}

/// Whether a header of this name would change the event or be taken for one that is added.
fn is_of_event(name: &str) -> bool {
    name.starts_with("ce_") || name.starts_with(PREFIX) || name.eq_ignore_ascii_case("content-type")
}

/// The key as its source gave it. No source's name has a NUL, which therefore ends it.
fn without_source(key: &Key) -> &[u8] {
    let bytes = key.as_bytes();
    let start = bytes.iter().position(|byte| *byte == 0).map_or(0, |nul| nul + 1);
    &bytes[start..]
}

#[cfg(test)]
mod tests;
