//! `google.protobuf.Timestamp`: a moment as seconds since 1970 and nanoseconds.

use std::fmt::Write as _;

use ::time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::Invalid;

/// From the year 1 to 9999, as the message's own definition has it.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// More digits of a second are not kept by the message.
const DIGITS_MAX: usize = 9;

/// The moment that `text`, a timestamp of RFC 3339, names; `None` where the message cannot hold it exactly.
pub(super) fn moment(text: &str) -> Option<(i64, u32)> {
    let digits =
        text.find('.').map_or(0, |dot| text[dot + 1..].bytes().take_while(u8::is_ascii_digit).count());
    let leaps = text.as_bytes().get(17..19) == Some(b"60");
    if digits > DIGITS_MAX || leaps {
        return None;
    }
    let upper;
    let text = if text.bytes().any(|b| b.is_ascii_lowercase()) {
        upper = text.to_ascii_uppercase();
        &upper
    } else {
        text
    };
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let seconds = time.unix_timestamp();
    SECONDS.contains(&seconds).then(|| (seconds, time.nanosecond()))
}

/// The moment as text, in UTC.
pub(super) fn text(seconds: i64, nanos: i64) -> Result<String, Invalid> {
    let wrong = || Invalid::says("timestamp", "is no moment between the years 1 and 9999");
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(wrong)?;
    let seconds = Some(seconds).filter(|seconds| SECONDS.contains(seconds)).ok_or_else(wrong)?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| wrong())?.to_offset(UtcOffset::UTC);
    let mut text = String::with_capacity(30);
    let (date, clock) = (time.date(), time.time());
    // A string cannot fail to be written to.
    let _ = write!(
        text,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    if nanos > 0 {
        let _ = write!(text, ".{nanos:09}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push('Z');
    Ok(text)
}
