//! What a record is: an event as it stands, a plain record that becomes one, or one that could not be read. Pure.
//!
//! No record stops its partition: whatever a producer wrote is an [`Event`] or a [`Malformed`]. A `CloudEvent` stays
//! exactly as it is, without an attribute more; [`Plain`] tells what becomes of other records. The ordering key is
//! the record's key in each case, and an empty one is one too; only null is none.

use bytes::Bytes;
use outrigger_core::{Event, Malformed, event::kafka};

mod headers;
mod plain;

pub use plain::Plain;

/// The last of a malformed record's headers when there are nulls: what was null, by place and separated by commas.
///
/// A [`Malformed`] has empty bytes for what was null. A number is the place of a header, from 0; `value` is the value.
pub const NULLS: &str = "outrigger_nulls";

/// A record, borrowed from the client's memory. Reading it copies the value once.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a, H> {
    /// The topic.
    pub topic: &'a str,
    /// The partition in it.
    pub partition: i32,
    /// The offset in that.
    pub offset: i64,
    /// The time that the producer or the broker gave it, in Unix milliseconds.
    pub timestamp_ms: Option<i64>,
    /// The key; null is `None`.
    pub key: Option<&'a [u8]>,
    /// The value; null is `None`, and a tombstone where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// An iterator of names and values, in their order; names may repeat, and values may be null.
    pub headers: H,
}

/// Reads the event of a record.
///
/// # Errors
/// When the record says that it is a `CloudEvent` and is none, or its topic has characters that no topic has.
pub fn decode<'a, H>(record: &Record<'a, H>, plain: &Plain) -> Result<Event, Malformed>
where
    H: Iterator<Item = (&'a str, Option<&'a [u8]>)> + Clone,
{
    match kafka::read(record.headers.clone(), record.value) {
        Ok(Some(event)) => Ok(event),
        Ok(None) => plain.event(record).map_err(|why| malformed(record, &why)),
        Err(why) => Err(malformed(record, &why)),
    }
}

pub(crate) fn malformed<'a, H>(record: &Record<'a, H>, why: &impl std::fmt::Display) -> Malformed
where
    H: Iterator<Item = (&'a str, Option<&'a [u8]>)> + Clone,
{
    let mut nulls = Vec::new();
    let mut taken = false;
    let mut headers = Vec::new();
    for (place, (name, value)) in record.headers.clone().enumerate() {
        if value.is_none() {
            nulls.push(place.to_string());
        }
        taken |= name == NULLS;
        headers.push((name.to_owned(), Bytes::copy_from_slice(value.unwrap_or_default())));
    }
    if record.value.is_none() {
        nulls.push("value".to_owned());
    }
    // A producer's header of this name must not be read as ours.
    if taken || !nulls.is_empty() {
        headers.push((NULLS.to_owned(), Bytes::from(nulls.join(","))));
    }
    Malformed {
        raw: Bytes::copy_from_slice(record.value.unwrap_or_default()),
        headers,
        key: record.key.map(Bytes::copy_from_slice),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests;
