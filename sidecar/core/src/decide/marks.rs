//! The finished records beyond a committed offset, as the text of the commit's metadata.
//!
//! The text is `og1:` and, in base64, one of two forms, whichever is shorter: a list of the distances between
//! the records that are *not* finished, or a bitmap of them. Everything else below `until` is finished, or never
//! was there. A broker takes 4,096 bytes by default (`offset.metadata.max.bytes`).

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};

const PREFIX: &str = "og1:";
const LIST: u8 = b'L';
const BITMAP: u8 = b'B';
/// The form's letter and the longest distance from the committed offset to `until`.
const HEAD_BYTES: usize = 1 + VARINT_BYTES_MAX;
const VARINT_BYTES_MAX: usize = 9;

/// Which offsets a commit says to be finished.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    from: i64,
    until: i64,
    /// In ascending order, within `from..until`.
    pending: Vec<i64>,
}

impl Marks {
    /// Whether the record at `offset` is finished.
    #[must_use]
    pub fn contains(&self, offset: i64) -> bool {
        (self.from..self.until).contains(&offset) && self.pending.binary_search(&offset).is_err()
    }

    /// No offset from here on is finished.
    #[must_use]
    pub fn until(&self) -> i64 {
        self.until
    }

    /// The offsets from `offset` on that are not finished, below [`Marks::until`].
    pub fn pending_from(&self, offset: i64) -> impl Iterator<Item = i64> {
        let start = self.pending.partition_point(|pending| *pending < offset);
        self.pending[start..].iter().copied()
    }
}

/// The bytes that are left for a form's body in a metadata of `bytes_max`.
#[must_use]
pub fn capacity(bytes_max: usize) -> usize {
    (bytes_max.saturating_sub(PREFIX.len()) * 3 / 4).saturating_sub(HEAD_BYTES)
}

/// The bytes of one entry of the list, `distance` behind the one before it.
#[must_use]
pub fn list_bytes(distance: i64) -> usize {
    varint_bytes(distance.saturating_sub(1))
}

/// The bytes of a bitmap over `span` offsets.
#[must_use]
pub fn bitmap_bytes(span: i64) -> usize {
    usize::try_from(span).unwrap_or(0).div_ceil(8)
}

/// The metadata of a commit of `from` where everything below `until` is finished but `pending`, which ascends.
///
/// Where that is longer than `bytes_max`, it covers only as much as fits: the rest is repeated after a restart.
#[must_use]
pub fn encode(from: i64, until: i64, pending: impl Iterator<Item = i64>, bytes_max: usize) -> String {
    if until <= from {
        return String::new();
    }
    let room = capacity(bytes_max);
    let pending: Vec<i64> = pending.collect();
    let (list, list_until) = as_list(from, until, &pending, room);
    let (bitmap, bitmap_until) = as_bitmap(from, until, &pending, room);
    let list_wins = (list_until, bitmap.len()) >= (bitmap_until, list.len());
    let (form, body, until) =
        if list_wins { (LIST, list, list_until) } else { (BITMAP, bitmap, bitmap_until) };
    if until <= from {
        return String::new();
    }
    let mut bytes = vec![form];
    put_varint(&mut bytes, until - from);
    bytes.extend_from_slice(&body);
    let mut text = String::from(PREFIX);
    BASE64.encode_string(bytes, &mut text);
    // A bound of a few bytes need not hold even the head of a form.
    if text.len() > bytes_max { String::new() } else { text }
}

/// Reads what [`encode`] wrote; `None` for any other text.
#[must_use]
pub fn decode(from: i64, metadata: &str) -> Option<Marks> {
    let bytes = BASE64.decode(metadata.strip_prefix(PREFIX)?).ok()?;
    let (form, mut body) = bytes.split_first()?;
    let until = from.checked_add(take_varint(&mut body)?)?;
    let mut pending = Vec::new();
    match *form {
        LIST => {
            let mut last = from - 1;
            while !body.is_empty() {
                last = last.checked_add(take_varint(&mut body)?)?.checked_add(1)?;
                pending.push(last);
            }
        }
        BITMAP => {
            for (at, byte) in body.iter().enumerate() {
                let first = from.checked_add(i64::try_from(at).ok()?.checked_mul(8)?)?;
                pending.extend((0..8).filter(|bit| byte & (1 << bit) != 0).map(|bit| first + bit));
            }
        }
        _ => return None,
    }
    let within = pending.last().is_none_or(|last| *last < until);
    within.then_some(Marks { from, until, pending })
}

/// The list, and how far it reaches.
fn as_list(from: i64, until: i64, pending: &[i64], room: usize) -> (Vec<u8>, i64) {
    let (mut bytes, mut last) = (Vec::new(), from - 1);
    for offset in pending {
        if bytes.len() + list_bytes(offset - last) > room {
            return (bytes, *offset);
        }
        put_varint(&mut bytes, offset - last - 1);
        last = *offset;
    }
    (bytes, until)
}

/// The bitmap, and how far it reaches.
fn as_bitmap(from: i64, until: i64, pending: &[i64], room: usize) -> (Vec<u8>, i64) {
    let reach = from.saturating_add(i64::try_from(room.saturating_mul(8)).unwrap_or(i64::MAX));
    let until = until.min(reach);
    // Trailing zeros need not be written: what is not pending below `until` is finished.
    let mut bytes = Vec::new();
    for offset in pending.iter().take_while(|offset| **offset < until) {
        let bit = usize::try_from(offset - from).unwrap_or(0);
        bytes.resize(bit / 8 + 1, 0);
        bytes[bit / 8] |= 1 << (bit % 8);
    }
    (bytes, until)
}

fn varint_bytes(value: i64) -> usize {
    let bits = 64 - value.max(0).unsigned_abs().leading_zeros() as usize;
    bits.max(1).div_ceil(7)
}

fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut value = value.max(0).unsigned_abs();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return i64::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
#[path = "marks_tests.rs"]
mod tests;
