//! The encoding of Protobuf (its "Encoding" guide): tags, variable-length numbers and lengths; no schema.

use super::Invalid;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payload<'a> {
    /// A number of at most 64 bits.
    Number(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
    /// A number of fixed size, which no field here has.
    Fixed,
}

/// The fields of a message, in the order in which they stand. After an error there are no more.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Payload<'a>), Invalid>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| Invalid::says("protobuf", "is malformed: its bytes are no message")))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Payload<'a>)> {
        let tag = u32::try_from(self.number()?).ok()?;
        let payload = match tag & 7 {
            0 => Payload::Number(self.number()?),
            1 => self.taken(8).map(|_| Payload::Fixed)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Payload::Bytes(self.taken(length)?)
            }
            5 => self.taken(4).map(|_| Payload::Fixed)?,
            _ => return None, // groups are older than this format, and nothing else exists
        };
        let number = tag >> 3;
        (number > 0).then_some((number, payload))
    }

    /// The next number of at most ten bytes; what does not fit 64 bits is none.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            if place == 9 && *byte > 1 {
                return None;
            }
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn taken(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Appends a field that holds a number.
pub(super) fn put_number(field: u32, value: u64, out: &mut Vec<u8>) {
    put_varint(u64::from(field << 3), out);
    put_varint(value, out);
}

/// Appends a field that holds bytes.
pub(super) fn put_bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    put_head(field, value.len(), out);
    out.extend_from_slice(value);
}

/// Appends what stands before `length` bytes of a field.
pub(super) fn put_head(field: u32, length: usize, out: &mut Vec<u8>) {
    put_varint(u64::from(field << 3 | 2), out);
    put_varint(length as u64, out);
}

/// How many bytes a field of `length` bytes takes, its head included. Every field here has a number below 16.
pub(super) fn bytes_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// How many bytes a number takes.
pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
