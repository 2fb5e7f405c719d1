//! The Protobuf event format (CloudEvents Protobuf Event Format 1.0.2): one event, and batches.
//!
//! The message is read where it lies: attributes go straight into the event's memory and a payload stays the slice of the
//! input that it is. Nothing recurses and no list is built of what the input merely claims, so that neither deep nesting nor
//! many empty fields cost more than their bytes. Fields that are not known are passed over.
//!
//! What the format says otherwise than the others:
//! - A timestamp is a moment: a time is written in UTC, with as many digits as it needs, and comes back so. One that such a
//!   timestamp cannot hold (a leap second, more than nine digits) is written as the text that it is.
//! - Data has a kind. Bytes and text are taken as they are. Of a message (`proto_data`) the data is its bytes, `dataschema`
//!   its type URL unless the event has another one, which then leaves the type URL to the attribute [`TYPE_URL`]; without a
//!   `datacontenttype` it gets the [`MESSAGE`] that it implies.
//! - A field or attribute that is there twice is refused, as in every other format, where Protobuf takes the last.

use bytes::Bytes;

use super::{Event, Invalid, json::BATCH_MAX};

mod read;
mod time;
mod wire;
mod write;

/// The `Content-Type` of one event in Protobuf.
pub const CONTENT_TYPE: &str = "application/cloudevents+protobuf";
/// The `Content-Type` of a batch in Protobuf.
pub const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+protobuf";
/// The media type of data that is itself a message of Protobuf.
pub const MESSAGE: &str = "application/protobuf";
/// The attribute that keeps a message's type URL where `dataschema` says another thing.
pub const TYPE_URL: &str = "typeurl";

/// The numbers of the fields (`cloudevents.proto`).
mod field {
    pub(super) const ID: u32 = 1;
    pub(super) const SOURCE: u32 = 2;
    pub(super) const SPEC_VERSION: u32 = 3;
    pub(super) const TYPE: u32 = 4;
    pub(super) const ATTRIBUTES: u32 = 5;
    pub(super) const BINARY_DATA: u32 = 6;
    pub(super) const TEXT_DATA: u32 = 7;
    pub(super) const PROTO_DATA: u32 = 8;
    /// Of an entry of a map.
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    /// Of an attribute's value.
    pub(super) const BOOLEAN: u32 = 1;
    pub(super) const INTEGER: u32 = 2;
    pub(super) const STRING: u32 = 3;
    pub(super) const BYTES: u32 = 4;
    pub(super) const URI: u32 = 5;
    pub(super) const URI_REF: u32 = 6;
    pub(super) const TIMESTAMP: u32 = 7;
    /// Of a timestamp.
    pub(super) const SECONDS: u32 = 1;
    pub(super) const NANOS: u32 = 2;
    /// Of `google.protobuf.Any`; its value has the number of a map's.
    pub(super) const TYPE_NAME: u32 = 1;
    /// Of a batch.
    pub(super) const EVENTS: u32 = 1;
}

/// Reads one event. Its data shares the memory of `input`.
///
/// # Errors
/// When the input is no such message, a field or an attribute is there twice, or an attribute breaks a rule.
#[expect(clippy::needless_pass_by_value, reason = "the event keeps the input, so the caller hands it over")]
pub fn decode(input: Bytes) -> Result<Event, Invalid> {
    read::event(&input)
}

/// Reads a batch, each member for itself: a bad one comes back as its bytes and what is wrong with it.
///
/// Members share the memory of `input`, which lives as long as the last of them.
///
/// # Errors
/// When the whole is no such message or has more than [`BATCH_MAX`] members.
#[expect(clippy::type_complexity, reason = "a list of results, of which the bad ones keep their bytes")]
#[expect(clippy::needless_pass_by_value, reason = "the event keeps the input, so the caller hands it over")]
pub fn decode_batch(input: Bytes) -> Result<Vec<Result<Event, (Bytes, Invalid)>>, Invalid> {
    read::batch(&input)
}

/// Writes one event.
///
/// Data of the type [`MESSAGE`] whose type is known, by `dataschema` or [`TYPE_URL`], becomes a message of that type; all
/// else becomes bytes.
#[must_use]
pub fn encode(event: &Event) -> Bytes {
    let mut out = Vec::new();
    write::event(event, &mut out);
    Bytes::from(out)
}

/// Writes a batch; without events it is empty.
#[must_use]
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Bytes {
    let mut out = Vec::new();
    for event in events {
        write::member(event, &mut out);
    }
    Bytes::from(out)
}

#[cfg(test)]
mod tests;
