//! One range of bytes (RFC 9110, section 14): of a whole answer that is kept, a part is served. Pure.

use bytes::Bytes;

/// The one range that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// From a byte on, to another and with it, or to the end.
    From(u64, Option<u64>),
    /// So many of the last.
    Last(u64),
}

impl Range {
    /// Reads a `Range` of one range of bytes; several, and other units, are left to the function.
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        let (unit, range) = std::str::from_utf8(header).ok()?.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        let number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        match (first, last) {
            ("", last) => Some(Self::Last(number(last)?)),
            (first, "") => Some(Self::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// That part of `whole`, and its `Content-Range`; the error is that of a range beyond the end.
    pub(super) fn of(self, whole: &Bytes) -> Result<(Bytes, String), String> {
        let length = whole.len() as u64;
        let (first, last) = match self {
            Self::From(first, last) => (first, last.unwrap_or(u64::MAX).min(length.saturating_sub(1))),
            Self::Last(count) => (length - count.min(length), length.saturating_sub(1)),
        };
        let within = |at: u64| usize::try_from(at).ok().filter(|&at| at < whole.len());
        match (within(first), within(last)) {
            (Some(from), Some(to)) => Ok((whole.slice(from..=to), format!("bytes {first}-{last}/{length}"))),
            _ => Err(format!("bytes */{length}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_cut_as_it_is_asked_for() {
        let whole = Bytes::from_static(b"0123456789");
        for (asked, part, told) in [
            ("bytes=0-1", "01", "bytes 0-1/10"),
            ("bytes=7-", "789", "bytes 7-9/10"),
            ("bytes=8-100", "89", "bytes 8-9/10"),
            ("Bytes=-3", "789", "bytes 7-9/10"),
            ("bytes=-30", "0123456789", "bytes 0-9/10"),
        ] {
            let (body, range) = Range::read(asked.as_bytes()).unwrap().of(&whole).unwrap();
            assert_eq!((&body[..], range.as_str()), (part.as_bytes(), told), "{asked}");
        }
    }

    #[test]
    fn a_part_beyond_the_end_is_none() {
        let whole = Bytes::from_static(b"0123456789");
        for asked in ["bytes=10-", "bytes=-0"] {
            assert_eq!(
                Range::read(asked.as_bytes()).unwrap().of(&whole).unwrap_err(),
                "bytes */10",
                "{asked}"
            );
        }
        assert_eq!(Range::Last(1).of(&Bytes::new()).unwrap_err(), "bytes */0");
    }

    #[test]
    fn what_is_not_one_range_of_bytes_is_left_to_the_function() {
        for odd in ["bytes=0-1,3-4", "bytes=5-2", "lines=1-2", "bytes=a-", "bytes=-", "bytes", "bytes=+1-2"] {
            assert_eq!(Range::read(odd.as_bytes()), None, "{odd}");
        }
    }
}
