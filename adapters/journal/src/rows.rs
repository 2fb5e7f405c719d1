//! Rows as bytes: their checksums, and the small codec for what is not worth a column.
//!
//! SQLite has no checksum on its pages, so each row carries one over its own key and all its columns. A row
//! that was changed on disk is found when it is read; see [`damaged`].

use crate::failure::Failure;
use bytes::Bytes;
use outrigger_core::{Error, Key, Kind, Malformed, Origin, Position};

/// The checksum of a row. Every field goes in with its length, so that no two rows are the same bytes.
#[derive(Clone)]
pub(crate) struct RowSum(crc32fast::Hasher);

impl RowSum {
    pub(crate) fn new(key: u64) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&key.to_le_bytes());
        Self(hasher)
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let mut sum = self.number(bytes.len() as u64);
        sum.0.update(bytes);
        sum
    }

    pub(crate) fn optional(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self.number(u64::MAX),
        }
    }

    pub(crate) fn finish(self) -> u32 {
        self.0.finalize()
    }
}

/// The checksum of a queued event.
pub(crate) fn queue_sum(seq: u64, accepted_ms: u64, key: Option<&[u8]>, event: &[u8]) -> u32 {
    RowSum::new(seq).number(accepted_ms).optional(key).bytes(event).finish()
}

/// The error of a row that is not what was written.
pub(crate) fn damaged(table: &str, key: u64, what: &str) -> Failure {
    let message = format!(
        "the journal is damaged: row {key} of `{table}` {what}; stop, keep a copy of the files, and restore them \
         from a backup or move them away"
    );
    Failure::Damaged(Error::new(Kind::Storage, message))
}

/// The stored key as a [`Key`].
pub(crate) fn key(bytes: &[u8]) -> Key {
    let split = bytes.iter().position(|b| *b == 0).unwrap_or(0);
    let source = String::from_utf8_lossy(&bytes[..split]);
    Key::new(&source, bytes.get(split + 1..).unwrap_or_default())
}

pub(crate) fn encode_origin(origin: &Origin) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, origin.source.as_bytes());
    put(&mut out, origin.position.to_string().as_bytes());
    for (name, value) in &origin.headers {
        put(&mut out, name.as_bytes());
        put(&mut out, value.as_bytes());
    }
    out
}

pub(crate) fn decode_origin(bytes: &[u8]) -> Option<Origin> {
    let mut rest = bytes;
    let source = take_text(&mut rest)?.into();
    let position = take_text(&mut rest)?;
    let mut headers = Vec::new();
    while !rest.is_empty() {
        headers.push((take_text(&mut rest)?, take_text(&mut rest)?));
    }
    Some(Origin { source, position: Position::Text(position), headers })
}

pub(crate) fn encode_malformed(malformed: &Malformed) -> Vec<u8> {
    let mut out = Vec::with_capacity(malformed.size() + 64);
    put(&mut out, &malformed.raw);
    put(&mut out, malformed.why.as_bytes());
    out.push(u8::from(malformed.key.is_some()));
    put(&mut out, malformed.key.as_deref().unwrap_or_default());
    for (name, value) in &malformed.headers {
        put(&mut out, name.as_bytes());
        put(&mut out, value);
    }
    out
}

pub(crate) fn decode_malformed(bytes: &[u8]) -> Option<Malformed> {
    let mut rest = bytes;
    let raw = Bytes::copy_from_slice(take(&mut rest)?);
    let why = take_text(&mut rest)?;
    let (has_key, mut rest) = rest.split_first()?;
    let key = Bytes::copy_from_slice(take(&mut rest)?);
    let mut headers = Vec::new();
    while !rest.is_empty() {
        headers.push((take_text(&mut rest)?, Bytes::copy_from_slice(take(&mut rest)?)));
    }
    Some(Malformed { raw, headers, key: (*has_key == 1).then_some(key), why })
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX); // SQLite itself ends at 2 GiB a row
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&bytes[..len as usize]);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let (bytes, tail) = tail.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = tail;
    Some(bytes)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(take(rest)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stored_key_is_the_same_key() {
        let original = Key::new("http", b"a\0b");
        assert_eq!(key(original.as_bytes()), original);
    }

    #[test]
    fn every_column_and_the_sequence_are_summed() {
        let sum = queue_sum(1, 2, Some(b"k"), b"event");
        for other in [
            queue_sum(2, 2, Some(b"k"), b"event"),
            queue_sum(1, 3, Some(b"k"), b"event"),
            queue_sum(1, 2, None, b"event"),
            queue_sum(1, 2, Some(b"ke"), b"vent"),
            queue_sum(1, 2, Some(b"k"), b"events"),
        ] {
            assert_ne!(sum, other);
        }
    }

    fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        proptest::collection::vec((".{0,8}", proptest::collection::vec(any::<u8>(), 0..8)), 0..4)
    }

    proptest! {
        #[test]
        fn a_malformed_event_is_read_as_it_was_written(raw: Vec<u8>, key: Option<Vec<u8>>, why: String, headers in headers()) {
            let headers = headers.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
            let malformed = Malformed { raw: raw.into(), headers, key: key.map(Bytes::from), why };
            prop_assert_eq!(decode_malformed(&encode_malformed(&malformed)), Some(malformed));
        }

        #[test]
        fn an_origin_is_read_as_it_was_written(source: String, position: String, name: String, value: String) {
            let origin = Origin { source: source.into(), position: Position::Text(position), headers: vec![(name, value)] };
            prop_assert_eq!(decode_origin(&encode_origin(&origin)), Some(origin));
        }

        #[test]
        fn bytes_of_any_kind_do_not_panic(bytes: Vec<u8>) {
            let _ = (decode_origin(&bytes), decode_malformed(&bytes), key(&bytes));
        }
    }
}
