//! What a commit says: everything below its offset, and what its metadata adds. Written again from the description
//! of the format, so that a mistake in the sidecar's own reader cannot hide one in its writer.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use std::collections::BTreeSet;

/// The records that a commit calls finished.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Everything below.
    pub offset: i64,
    /// Everything below this as well,
    pub until: i64,
    /// but for these.
    pub pending: BTreeSet<i64>,
}

impl Coverage {
    /// The coverage of a commit.
    ///
    /// # Errors
    /// When there is metadata and it does not keep to its format.
    pub fn of(offset: i64, metadata: &str) -> Result<Self, String> {
        let nothing_more = Self { offset, until: offset, pending: BTreeSet::new() };
        if metadata.is_empty() {
            return Ok(nothing_more);
        }
        let wrong = || format!("the metadata {metadata:?} of a commit of {offset} is none");
        let text = metadata.strip_prefix("og1:").ok_or_else(wrong)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| wrong())?;
        let mut bytes = bytes.into_iter();
        let form = bytes.next().ok_or_else(wrong)?;
        let until = offset + number(&mut bytes).ok_or_else(wrong)?;
        let mut pending = BTreeSet::new();
        if form == b'B' {
            for (at, byte) in (0_i64..).zip(bytes) {
                pending.extend((0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| offset + at * 8 + bit));
            }
        } else if form == b'L' {
            let mut next = offset;
            while let Some(skip) = number(&mut bytes) {
                pending.insert(next + skip);
                next += skip + 1;
            }
        } else {
            return Err(wrong());
        }
        Ok(Self { until, pending, ..nothing_more })
    }

    /// Whether the record at `offset` is called finished.
    #[must_use]
    pub fn covers(&self, offset: i64) -> bool {
        offset < self.offset || (offset < self.until && !self.pending.contains(&offset))
    }
}

fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = bytes.next()?;
        value |= i64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        format!("og1:{}", STANDARD_NO_PAD.encode(bytes))
    }

    #[test]
    fn both_forms_say_what_is_finished() {
        let list = Coverage::of(10, &text(&[b'L', 6, 0, 2])).unwrap();
        let bitmap = Coverage::of(10, &text(&[b'B', 6, 0b1001])).unwrap();
        for coverage in [list, bitmap] {
            let covered: Vec<i64> = (9..18).filter(|offset| coverage.covers(*offset)).collect();
            assert_eq!(covered, [9, 11, 12, 14, 15]);
        }
        assert!(Coverage::of(10, "").unwrap().covers(9) && !Coverage::of(10, "").unwrap().covers(10));
        assert!(Coverage::of(10, "something else").is_err());
    }
}
