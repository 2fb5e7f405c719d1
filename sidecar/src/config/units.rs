//! Numbers as people write them in a configuration: durations (`250ms`, `30s`, `5m`, `1h`), sizes (`64KiB`,
//! `10MB`) and rates (`100/s`).
//!
//! A bare number is refused, because half of the readers take it for seconds and half for milliseconds.
//! Pure; bounds are checked by the caller, who knows them.

use std::time::Duration;

/// What a duration looks like, for messages.
pub const A_DURATION: &str = "a duration with a unit, such as 250ms, 30s, 5m or 1h";
/// What a size looks like, for messages.
pub const A_SIZE: &str = "a size with a unit, such as 512B, 64KiB, 10MB or 1GiB";
/// What a rate looks like, for messages.
pub const A_RATE: &str = "a rate such as 100/s, 600/m or 36000/h";

const DURATION_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads a duration; `None` when it is no whole number with a unit, or does not fit 64 bits of milliseconds.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    scaled(text, DURATION_UNITS).map(Duration::from_millis)
}

/// Reads a size in bytes; `None` when it is no whole number with a unit, or does not fit 64 bits.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    scaled(text, SIZE_UNITS)
}

/// Reads a rate, per second; `None` when it is no positive number with `/s`, `/m` or `/h`.
#[must_use]
pub fn rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    // `f64::from_str` also reads "inf", "nan" and "1e9", which nobody means here.
    let plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let per_second = plain.then(|| number.parse::<f64>().ok()).flatten()? / seconds;
    (per_second.is_finite() && per_second > 0.0).then_some(per_second)
}

/// Writes a duration as it would be written in a configuration, by the largest unit that divides it.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    written(milliseconds, DURATION_UNITS.iter().rev())
}

/// Writes a size as it would be written in a configuration, by the largest binary unit that divides it.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    let binary = SIZE_UNITS.iter().rev().filter(|(unit, _)| unit.len() != 2);
    if bytes == 0 { "0B".to_owned() } else { written(bytes, binary) }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(known, _)| *known == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn written<'a>(number: u64, units: impl Iterator<Item = &'a (&'a str, u64)>) -> String {
    for (unit, factor) in units {
        if number.is_multiple_of(*factor) {
            return format!("{}{unit}", number / factor);
        }
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_unit_of_time_is_read() {
        let read = ["250ms", "30s", "5m", "1h", "0s"].map(|text| duration(text).unwrap().as_millis());
        assert_eq!(read, [250, 30_000, 300_000, 3_600_000, 0]);
    }

    #[test]
    fn every_unit_of_size_is_read() {
        let read = ["1B", "1KB", "1MB", "1GB", "1KiB", "1MiB", "1GiB"].map(|text| size(text).unwrap());
        assert_eq!(read, [1, 1_000, 1_000_000, 1_000_000_000, 1_024, 1_048_576, 1_073_741_824]);
    }

    #[test]
    fn a_rate_is_per_second() {
        let read = ["100/s", "0.5/s", "600/m", "7200/h"].map(rate);
        assert_eq!(read, [Some(100.0), Some(0.5), Some(10.0), Some(2.0)]);
    }

    #[test]
    fn what_has_no_unit_or_does_not_fit_is_refused() {
        for text in
            ["", "30", "s", "-1s", "1.5s", " 1s", "1 s", "99999999999999999999h", "18446744073709551615h"]
        {
            assert_eq!(duration(text), None, "{text:?}");
        }
        for text in ["", "64", "64K", "64kib", "-1B", "1.5MiB", "18446744073709551615GiB"] {
            assert_eq!(size(text), None, "{text:?}");
        }
        for text in ["", "100", "/s", "0/s", "-1/s", "inf/s", "nan/s", "1e3/s", "1.2.3/s", "1/day"] {
            assert_eq!(rate(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in 0..u64::MAX / 2) {
            let time = Duration::from_millis(number);
            prop_assert_eq!(duration(&duration_text(time)), Some(time));
            prop_assert_eq!(size(&size_text(number)), Some(number));
        }
    }
}
