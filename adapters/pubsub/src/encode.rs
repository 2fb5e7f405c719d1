//! What is written: a reply, and a dead letter with everything that explains it. Pure.
//!
//! Pub/Sub bounds a message's attributes ([`ATTRIBUTES_MAX`], [`NAME_BYTES_MAX`], [`VALUE_BYTES_MAX`]). An event that
//! does not keep to that in the binary mode is written in the structured one, which has a single attribute.
//!
//! A dead letter's payload is the one that came, byte for byte. What is added begins with `outrigger_`.

use bytes::Bytes;
use outrigger_core::{
    DeadLetter, Event, Key, Malformed,
    event::{Format, pubsub},
};
use std::{borrow::Cow, collections::HashMap};

/// The beginning of the attributes that are added to a dead letter.
pub const PREFIX: &str = "outrigger_";
/// The most attributes of a message.
pub const ATTRIBUTES_MAX: usize = 100;
/// The most bytes of an attribute's name.
pub const NAME_BYTES_MAX: usize = 256;
/// The most bytes of an attribute's value, and of an ordering key.
pub const VALUE_BYTES_MAX: usize = 1024;
/// The most bytes of a message, as Pub/Sub counts them.
pub const MESSAGE_BYTES_MAX: usize = 10_000_000;
/// How many attributes a dead letter may get.
const ADDED_MAX: usize = 10;

/// A message to be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The data.
    pub data: Bytes,
    /// The attributes; names are there once.
    pub attributes: HashMap<String, String>,
    /// The ordering key; empty is none.
    pub ordering_key: String,
}

impl Outgoing {
    /// Its bytes, as Pub/Sub counts them.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.data.len() + attributes + self.ordering_key.len()
    }
}

/// An event in the binary mode, or in the structured one where Pub/Sub would refuse its attributes. Its ordering key is
/// its attribute `partitionkey`, where that can be one.
#[must_use]
pub fn event(event: &Event) -> Outgoing {
    fitting(event, ATTRIBUTES_MAX)
}

/// An event in the structured mode and this format, with the same key.
#[must_use]
pub fn structured(event: &Event, format: Format) -> Outgoing {
    written(event, pubsub::encode_structured(event, format))
}

/// A dead letter as a message: its event or what came instead, and why it was given up.
///
/// The attributes that are added: `outrigger_code` (one of [`Code`](outrigger_core::Code)), `outrigger_reason` (one line
/// for people), `outrigger_status` (the function's last, if it answered), `outrigger_target` (the one that failed it, where
/// there are several), `outrigger_attempts`, `outrigger_source`, `outrigger_position` (where the source has one), `outrigger_first_ms` and `outrigger_last_ms` (Unix milliseconds), and
/// `outrigger_left_out`, the number of headers of another broker that no attribute can hold. The ordering key is that of
/// the event, or else the one that the malformed message came with.
#[must_use]
pub fn dead_letter(letter: &DeadLetter) -> Outgoing {
    let mut left_out = 0;
    let mut message = match &letter.item {
        Ok(given_up) => {
            let mut message = fitting(given_up, ATTRIBUTES_MAX - ADDED_MAX);
            for (name, value) in &letter.origin.headers {
                let taken = pubsub::is_of_event(name) || name.starts_with(PREFIX);
                left_out += usize::from(taken || !add(&mut message, name, value));
            }
            message
        }
        Err(malformed) => as_it_came(malformed, &mut left_out),
    };
    if let Some(key) = letter.key.as_ref().and_then(ordering_key) {
        message.ordering_key = key;
    }
    let mut explain = |name: &str, value: &str| {
        message.attributes.insert([PREFIX, name].concat(), cut(value).to_owned());
    };
    explain("code", letter.reason.code.name());
    explain("reason", &letter.reason.detail);
    if let Some(status) = letter.reason.status {
        explain("status", &status.to_string());
    }
    if let Some(target) = &letter.target {
        explain("target", target);
    }
    explain("attempts", &letter.attempts.to_string());
    explain("source", &letter.origin.source);
    if !letter.origin.position.is_none() {
        explain("position", &letter.origin.position.to_string());
    }
    explain("first_ms", &letter.first_ms.to_string());
    explain("last_ms", &letter.last_ms.to_string());
    if left_out > 0 {
        explain("left_out", &left_out.to_string());
    }
    message
}

/// The event in the binary mode if it has at most so many attributes and each fits.
fn fitting(event: &Event, attributes_max: usize) -> Outgoing {
    let (attributes, data) = pubsub::encode(event);
    let fits = |name: &str, value: &str| name.len() <= NAME_BYTES_MAX && value.len() <= VALUE_BYTES_MAX;
    if attributes.len() <= attributes_max && attributes.iter().all(|(name, value)| fits(name, value)) {
        written(event, (attributes, data))
    } else {
        structured(event, Format::Json)
    }
}

fn written(event: &Event, (attributes, data): (pubsub::Attributes<'_>, Bytes)) -> Outgoing {
    let attributes =
        attributes.into_iter().map(|(name, value)| (name.into_owned(), value.to_owned())).collect();
    let key = event.text("partitionkey").filter(|key| key.len() <= VALUE_BYTES_MAX);
    Outgoing { data, attributes, ordering_key: key.map(Cow::into_owned).unwrap_or_default() }
}

fn as_it_came(malformed: &Malformed, left_out: &mut usize) -> Outgoing {
    let key = malformed.key.as_deref().and_then(text);
    let mut message = Outgoing {
        data: malformed.raw.clone(),
        ordering_key: key.map(str::to_owned).unwrap_or_default(),
        ..Outgoing::default()
    };
    for (name, value) in &malformed.headers {
        let added = str::from_utf8(value).is_ok_and(|value| add(&mut message, name, value));
        *left_out += usize::from(!added);
    }
    message
}

/// Adds an attribute; false where Pub/Sub has no place for it.
pub(crate) fn add(message: &mut Outgoing, name: &str, value: &str) -> bool {
    let fits = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && value.len() <= VALUE_BYTES_MAX
        && !name.starts_with("goog") // Pub/Sub's own
        && message.attributes.len() < ATTRIBUTES_MAX - ADDED_MAX
        && !message.attributes.contains_key(name);
    if fits {
        message.attributes.insert(name.to_owned(), value.to_owned());
    }
    fits
}

/// The key as its source gave it, where it can be an ordering key. No source's name has a NUL, which therefore ends it.
fn ordering_key(key: &Key) -> Option<String> {
    let bytes = key.as_bytes();
    let start = bytes.iter().position(|byte| *byte == 0).map_or(0, |nul| nul + 1);
    text(&bytes[start..]).map(str::to_owned)
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().filter(|text| text.len() <= VALUE_BYTES_MAX)
}

/// As much of a text as an attribute can hold.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_BYTES_MAX)]
}

#[cfg(test)]
mod tests;
