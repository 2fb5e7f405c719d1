//! The JSON event format (CloudEvents JSON Event Format 1.0.2): one event, and batches.
//!
//! Reading borrows: attributes go straight into the event's memory, and a JSON payload stays the slice of the
//! input that it is. It is scanned once, without recursion and without building a tree, however deep it nests.
//! Numbers, white space and the order of members inside the payload are therefore kept as they came.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use super::{Event, Invalid};

mod pick;
mod read;
mod write;

pub use pick::{member, text};

/// The `Content-Type` of one event in JSON.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The `Content-Type` of a batch in JSON.
pub const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+json";
/// How many events one batch may have; it bounds what a body of a few bytes per member can make us allocate.
pub const BATCH_MAX: usize = 65_536;

/// Reads one event.
///
/// `data` without a `datacontenttype` gets the `application/json` that it implies. A JSON payload shares the
/// memory of `input`.
///
/// # Errors
/// When the input is not a JSON object in UTF-8, a member is there twice, an attribute breaks a rule or is an
/// object, an array or a number that is no 32-bit integer, or `data` and `data_base64` are both there.
#[expect(clippy::needless_pass_by_value, reason = "the event keeps the input, so the caller hands it over")]
pub fn decode(input: Bytes) -> Result<Event, Invalid> {
    read::event(&input)
}

/// An event that is a part of a larger JSON document, read in one pass with it by `serde_json`. Its data is a copy, so that
/// it does not keep the document in memory.
///
/// One that is wrong fails the document, and the error does not say well why: [`decode`] does.
#[derive(Debug, Clone, PartialEq)]
pub struct Part(pub Event);

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        read::part(json).map(Part)
    }
}

/// Reads a batch, each member for itself: a bad one comes back as its bytes and what is wrong with it.
///
/// Members share the memory of `input`, which lives as long as the last of them.
///
/// # Errors
/// When the whole is not a JSON array in UTF-8 or has more than [`BATCH_MAX`] members.
#[expect(clippy::type_complexity, reason = "a list of results, of which the bad ones keep their bytes")]
#[expect(clippy::needless_pass_by_value, reason = "the event keeps the input, so the caller hands it over")]
pub fn decode_batch(input: Bytes) -> Result<Vec<Result<Event, (Bytes, Invalid)>>, Invalid> {
    read::batch(&input)
}

/// Writes one event.
///
/// A payload that is JSON by its type and its bytes becomes `data` as it is (white space around it included,
/// which a reader does not count to the value); text in UTF-8 by its type and its bytes becomes a string; all
/// else, a payload without a type included, becomes `data_base64`.
#[must_use]
pub fn encode(event: &Event) -> Bytes {
    let mut out = Vec::new();
    write::event(event, &mut out);
    Bytes::from(out)
}

/// Writes a batch; without events it is `[]`.
#[must_use]
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Bytes {
    let mut out = vec![b'['];
    for event in events {
        if out.len() > 1 {
            out.push(b',');
        }
        write::event(event, &mut out);
    }
    out.push(b']');
    Bytes::from(out)
}

#[cfg(test)]
mod tests;
