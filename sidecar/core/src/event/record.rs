//! The form in which an event is stored: private, versioned, and stable once released.
//!
//! It lives in users' databases, so every version that was ever written stays readable. Numbers are
//! little-endian. Version 1:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | the version, 1 |
//! | 1 | 1 | flags: bit 0 is set when there is data; the others are 0 |
//! | 2 | 2 | n, how many attributes there are: 3 to 256 |
//! | 4 | 4 | t, how long all names and values are together |
//! | 8 | 7 × n | for each attribute: name number (1), type number (1), length of the name (1), of the value (4) |
//! | 8 + 7n | t | for each attribute its name and then its value, in UTF-8, without anything between |
//! | 8 + 7n + t | the rest | the data, byte for byte |
//!
//! Name numbers: 1 `id`, 2 `source`, 3 `type`, 4 `datacontenttype`, 5 `dataschema`, 6 `subject`, 7 `time`; a
//! name with a number has the length 0 and is not written. 0 is every other name, which is. The first three
//! attributes are 1, 2, 3 in this order. `specversion` is not written, being 1.0.
//!
//! Type numbers: 1 Boolean, 2 Integer, 3 String, 4 Binary, 5 URI, 6 URI-reference, 7 Timestamp. Values are
//! canonical texts (`true`, `-5`, base64, …).
//!
//! There is no checksum in it: the storage has one. Reading checks the structure and that every value can be
//! shown, but not the rules for new events: an event that was once accepted stays readable when those change.

use bytes::Bytes;

use super::{
    Event, Invalid,
    attrs::{Attributes, COUNT_MAX, REQUIRED},
    value::Kind,
};

const VERSION: u8 = 1;
const HAS_DATA: u8 = 1;
const HEAD_BYTES: usize = 8;
const ENTRY_BYTES: usize = 7;

/// Appends the event to `out`.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    let data = event.data.as_deref();
    let (mut count, mut text_len) = (0u16, 0u32);
    let table = out.len() + HEAD_BYTES;
    out.reserve(
        HEAD_BYTES
            + event.attributes.count() * ENTRY_BYTES
            + event.attributes.heap()
            + data.map_or(0, <[u8]>::len),
    );
    out.extend([VERSION, if data.is_some() { HAS_DATA } else { 0 }, 0, 0, 0, 0, 0, 0]);
    for attribute in event.attributes.iter() {
        let name = if attribute.known == 0 { attribute.name } else { "" };
        // The event keeps names within a byte and all its text within 32 bits.
        let name_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let value_len = u32::try_from(attribute.text.len()).unwrap_or(u32::MAX);
        out.extend([attribute.known, attribute.kind as u8, name_len]);
        out.extend(value_len.to_le_bytes());
        count += 1;
        text_len += u32::from(name_len) + value_len;
    }
    out[table - HEAD_BYTES + 2..][..2].copy_from_slice(&count.to_le_bytes());
    out[table - HEAD_BYTES + 4..][..4].copy_from_slice(&text_len.to_le_bytes());
    for attribute in event.attributes.iter() {
        if attribute.known == 0 {
            out.extend_from_slice(attribute.name.as_bytes());
        }
        out.extend_from_slice(attribute.text.as_bytes());
    }
    out.extend_from_slice(data.unwrap_or_default());
}

/// Reads a stored event. Its data is a copy, so that it holds no more memory than [`Event::size`] says.
///
/// # Errors
/// When the version is unknown or the bytes are no record, whatever they are.
pub fn decode(record: &[u8]) -> Result<Event, Invalid> {
    match record.first() {
        Some(&VERSION) => decode_version_1(record).ok_or_else(damaged)?,
        Some(newer) => Err(Invalid::new(
            "record",
            &format!("version {newer}"),
            "a version that this Outrigger reads (1); run the one that wrote it, or a newer one",
        )),
        None => Err(damaged()),
    }
}

/// `None` when the lengths in it are wrong.
fn decode_version_1(record: &[u8]) -> Option<Result<Event, Invalid>> {
    let (head, rest) = record.split_first_chunk::<HEAD_BYTES>()?;
    let &[_, flags, c1, c2, t1, t2, t3, t4] = head;
    let count = usize::from(u16::from_le_bytes([c1, c2]));
    let text_len = u32::from_le_bytes([t1, t2, t3, t4]) as usize;
    if flags & !HAS_DATA != 0 || !(REQUIRED..=COUNT_MAX).contains(&count) {
        return None;
    }
    let (table, rest) = rest.split_at_checked(count * ENTRY_BYTES)?;
    let (text, data) = rest.split_at_checked(text_len)?;
    let mut text = str::from_utf8(text).ok()?;
    let mut attributes = Attributes::with_capacity(text_len);
    let (entries, _) = table.as_chunks::<ENTRY_BYTES>();
    for &[known, kind, name_len, v1, v2, v3, v4] in entries {
        let (name, after_name) = text.split_at_checked(usize::from(name_len))?;
        let value_len = u32::from_le_bytes([v1, v2, v3, v4]) as usize;
        let (value, after_value) = after_name.split_at_checked(value_len)?;
        if let Err(invalid) = attributes.restore(known, name, Kind::from_number(kind)?, value) {
            return Some(Err(invalid));
        }
        text = after_value;
    }
    let has_data = flags & HAS_DATA != 0;
    if !text.is_empty() || !(has_data || data.is_empty()) {
        return None;
    }
    Some(Event::from_parts(attributes, has_data.then(|| Bytes::copy_from_slice(data))))
}

fn damaged() -> Invalid {
    Invalid::says("record", "is damaged: its bytes are no stored event")
}

#[cfg(test)]
mod tests;
