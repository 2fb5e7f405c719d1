//! The form in which an event is stored: private, versioned, and stable once released.
//!
//! It lives in users' databases, so every version that was ever written stays readable. Version 2, which is written:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the version, 2 |
//! | 1 | flags: bit 0 is set when there is data; the others are 0 |
//! | 1 to 5 | n, how many attributes there are: 3 to 256 |
//! | for each attribute 1, 0 or 1, 1 to 5 | name number (the lower four bits) and type number; length of the name, where it has no number; length of the value |
//! | | for each attribute its name and then its value, in UTF-8, without anything between |
//! | the rest | the data, byte for byte |
//!
//! n and the lengths of values are in seven bits a byte, the lowest first; all but the last have the eighth bit set (LEB128).
//! Version 1 says the same at more length; its numbers are little-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | the version, 1 |
//! | 1 | 1 | flags |
//! | 2 | 2 | n |
//! | 4 | 4 | t, how long all names and values are together |
//! | 8 | 7 × n | for each attribute: name number (1), type number (1), length of the name (1), of the value (4) |
//! | 8 + 7n | t | names and values |
//! | 8 + 7n + t | the rest | the data |
//!
//! Name numbers: 1 `id`, 2 `source`, 3 `type`, 4 `datacontenttype`, 5 `dataschema`, 6 `subject`, 7 `time`; 8 to 13 are the six
//! that a webhook of Event Grid puts on its events (`attrs` lists them). A name with a number has the length 0 and is not
//! written. 0 is every other name, which is; so may be one that had no number yet when it was written. The first three
//! attributes are 1, 2, 3 in this order. `specversion` is not written, being 1.0.
//!
//! Type numbers: 1 Boolean, 2 Integer, 3 String, 4 Binary, 5 URI, 6 URI-reference, 7 Timestamp. Values are
//! canonical texts (`true`, `-5`, base64, …).
//!
//! There is no checksum in it: the storage has one. Reading checks the structure and that every value can be
//! shown, but not the rules for new events: an event that was once accepted stays readable when those change.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    Event, Invalid,
    attrs::{Attributes, COUNT_MAX, REQUIRED},
    value::Kind,
};

const VERSION: u8 = 2;
const HAS_DATA: u8 = 1;
/// The longest head, and the longest entry of its table.
const HEAD_BYTES: usize = 4;
const ENTRY_BYTES: usize = 7;
/// Of version 1.
const HEAD_BYTES_1: usize = 8;

/// Appends the event to `out`.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    let (attributes, data) = (&event.attributes, event.data.as_deref());
    let table = HEAD_BYTES + attributes.count() * ENTRY_BYTES;
    out.reserve(table + attributes.heap() + data.map_or(0, <[u8]>::len));
    out.extend_from_slice(&[VERSION, if data.is_some() { HAS_DATA } else { 0 }]);
    put(attributes.count(), out);
    for attribute in attributes.iter() {
        out.push((attribute.kind as u8) << 4 | attribute.known);
        if attribute.known == 0 {
            out.push(u8::try_from(attribute.name.len()).unwrap_or(u8::MAX)); // the event keeps names within a byte
        }
        put(attribute.text.len(), out);
    }
    for attribute in attributes.iter() {
        if attribute.known == 0 {
            out.extend_from_slice(attribute.name.as_bytes());
        }
        out.extend_from_slice(attribute.text.as_bytes());
    }
    out.extend_from_slice(data.unwrap_or_default());
}

/// A length in seven bits a byte. An event keeps all of them within 32 bits.
fn put(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    out.push(length.to_le_bytes()[0]);
}

/// Reads a stored event. Its data is a copy, so that it holds no more memory than [`Event::size`] says.
///
/// # Errors
/// When the version is unknown or the bytes are no record, whatever they are.
pub fn decode(record: &[u8]) -> Result<Event, Invalid> {
    let read = match record.first() {
        Some(1) => table_1(record),
        Some(&VERSION) => table(record),
        Some(newer) => {
            return Err(Invalid::new(
                "record",
                &format!("version {newer}"),
                "a version that this Outrigger reads (1, 2); run the one that wrote it, or a newer one",
            ));
        }
        None => None,
    };
    read.and_then(Table::event).ok_or_else(damaged)?
}

/// One attribute as the table has it: the numbers of its name and type, and the lengths of both texts.
type Row = (u8, u8, usize, usize);

/// What stands before the texts, and what follows.
struct Table<'r> {
    flags: u8,
    rows: SmallVec<[Row; 16]>,
    rest: &'r [u8],
}

/// `None` when the bytes are none.
fn table(record: &[u8]) -> Option<Table<'_>> {
    let (&[_, flags], mut rest) = record.split_first_chunk::<2>()?;
    let count = take(&mut rest)?;
    let mut rows = SmallVec::new();
    for _ in 0..Some(count).filter(|count| *count <= COUNT_MAX)? {
        let (numbers, after) = rest.split_first()?;
        rest = after;
        let (kind, known) = (numbers >> 4, numbers & 15);
        let mut name_len = 0;
        if known == 0 {
            let (length, after) = rest.split_first()?;
            (name_len, rest) = (usize::from(*length), after);
        }
        rows.push((known, kind, name_len, take(&mut rest)?));
    }
    Some(Table { flags, rows, rest })
}

/// The next length; none is longer than 32 bits.
fn take(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0_u64;
    for place in 0..5 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return u32::try_from(length).ok().map(|length| length as usize);
        }
    }
    None
}

/// The same of version 1.
fn table_1(record: &[u8]) -> Option<Table<'_>> {
    let (head, rest) = record.split_first_chunk::<HEAD_BYTES_1>()?;
    let &[_, flags, c1, c2, t1, t2, t3, t4] = head;
    let count = usize::from(u16::from_le_bytes([c1, c2]));
    let (table, rest) = rest.split_at_checked(count * ENTRY_BYTES)?;
    let (entries, _) = table.as_chunks::<ENTRY_BYTES>();
    let row = |&[known, kind, name_len, v1, v2, v3, v4]: &[u8; ENTRY_BYTES]| {
        (known, kind, usize::from(name_len), u32::from_le_bytes([v1, v2, v3, v4]) as usize)
    };
    let rows: SmallVec<[Row; 16]> = entries.iter().map(row).collect();
    let texts: usize = rows.iter().map(|(_, _, name_len, value_len)| name_len + value_len).sum();
    (texts == u32::from_le_bytes([t1, t2, t3, t4]) as usize).then_some(Table { flags, rows, rest })
}

impl Table<'_> {
    /// `None` when the lengths in it are wrong.
    fn event(self) -> Option<Result<Event, Invalid>> {
        let Self { flags, rows, rest } = self;
        if flags & !HAS_DATA != 0 || !(REQUIRED..=COUNT_MAX).contains(&rows.len()) {
            return None;
        }
        let texts: usize = rows.iter().map(|(_, _, name_len, value_len)| name_len + value_len).sum();
        let (text, data) = rest.split_at_checked(texts)?;
        let mut text = str::from_utf8(text).ok()?;
        let mut attributes = Attributes::with_capacity(texts);
        for (known, kind, name_len, value_len) in rows {
            let (name, after_name) = text.split_at_checked(name_len)?;
            let (value, after_value) = after_name.split_at_checked(value_len)?;
            if let Err(invalid) = attributes.restore(known, name, Kind::from_number(kind)?, value) {
                return Some(Err(invalid));
            }
            text = after_value;
        }
        let has_data = flags & HAS_DATA != 0;
        if !has_data && !data.is_empty() {
            return None;
        }
        Some(Event::from_parts(attributes, has_data.then(|| Bytes::copy_from_slice(data))))
    }
}

fn damaged() -> Invalid {
    Invalid::says("record", "is damaged: its bytes are no stored event")
}

#[cfg(test)]
mod tests;
