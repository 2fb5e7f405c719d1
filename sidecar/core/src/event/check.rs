//! The rules for single values: names, strings, timestamps and base64.
//!
//! They stand here by hand because they run for every attribute of every event and allocate nothing.
//! URIs are in `uri`, media types in `media`.

/// Attribute names: lower-case ASCII letters and digits (CloudEvents 1.0.2, "Naming conventions").
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The type String: no U+0000–001F, U+007F–009F and no noncharacters (CloudEvents 1.0.2, "Type system").
///
/// Lone surrogates, which the specification forbids too, cannot occur in a `str`.
pub(super) fn is_string(text: &str) -> bool {
    is_printable(text.as_bytes()) || text.chars().all(is_allowed)
}

/// Printable ASCII and nothing else. It looks at every byte even so: many at once are quicker than the first that
/// is another.
fn is_printable(text: &[u8]) -> bool {
    text.iter().fold(true, |all, b| all & (0x20..0x7f).contains(b))
}

fn is_allowed(c: char) -> bool {
    let code = u32::from(c);
    let noncharacter = (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe;
    !c.is_control() && !noncharacter
}

/// Standard base64 with padding (RFC 4648, section 4).
pub(super) fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

/// A timestamp of RFC 3339 (section 5.6), which its grammar allows to be written with `t` and `z`.
///
/// A leap second (`:60`) is accepted where one can be: in the last minute of a day in UTC (section 5.7).
/// A space instead of the `T` is refused, because the grammar does not have it.
pub(super) fn is_timestamp(text: &str) -> bool {
    timestamp(text.as_bytes()).is_some()
}

fn timestamp(text: &[u8]) -> Option<()> {
    let (&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't'], rest) =
        text.split_first_chunk::<11>()?
    else {
        return None;
    };
    let (&[h1, h2, b':', n1, n2, b':', s1, s2], rest) = rest.split_first_chunk::<8>()? else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    let offset_minutes = offset_minutes(fraction(rest)?)?;
    let utc_minutes = (hour * 60 + minute - offset_minutes).rem_euclid(24 * 60);
    let leap = second == 60 && utc_minutes == 24 * 60 - 1;
    let real =
        (1..=days_of(year, month)?).contains(&day) && hour < 24 && minute < 60 && (second < 60 || leap);
    real.then_some(())
}

/// What follows the fraction of a second, if there is one; it has at least one digit.
fn fraction(text: &[u8]) -> Option<&[u8]> {
    let [b'.', digits @ ..] = text else { return Some(text) };
    let end = digits.iter().position(|b| !b.is_ascii_digit())?;
    (end > 0).then(|| &digits[end..])
}

fn offset_minutes(text: &[u8]) -> Option<i32> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            let ahead = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if sign == b'-' { -ahead } else { ahead })
        }
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<i32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
}

fn days_of(year: i32, month: i32) -> Option<i32> {
    let leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap_year { 29 } else { 28 }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    #[test]
    fn names_are_lower_case_letters_and_digits() {
        for name in ["id", "a", "0", "comexampleextension1"] {
            assert!(is_name(name), "{name:?}");
        }
        for name in ["", "Id", "my.extension", "a-b", "a_b", "é", "a b"] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn strings_have_no_control_characters_and_no_noncharacters() {
        for text in ["", "plain", "Euro € 😀", "\u{a0}", "\u{fdcf}", "\u{fdf0}", "\u{fffd}", "\u{10fffd}"]
        {
            assert!(is_string(text), "{text:?}");
        }
        for text in [
            "\0",
            "a\tb",
            "a\nb",
            "\u{1f}",
            "\u{7f}",
            "\u{80}",
            "\u{9f}",
            "\u{fdd0}",
            "\u{fdef}",
            "\u{fffe}",
            "\u{ffff}",
            "\u{1fffe}",
            "\u{10ffff}",
        ] {
            assert!(!is_string(text), "{text:?}");
        }
    }

    #[test]
    fn base64_has_its_alphabet_and_its_padding() {
        for text in ["", "TWE=", "TQ==", "TWFu", "+/+/"] {
            assert!(is_base64(text), "{text:?}");
        }
        for text in ["TWE", "T===", "====", "TW=E", "T-_=", "TWE =", "é=="] {
            assert!(!is_base64(text), "{text:?}");
        }
    }

    #[test]
    fn timestamps_are_those_of_rfc_3339() {
        for text in [
            "2018-04-05T17:31:00Z",
            "2018-04-05t17:31:00z",
            "2018-04-05T17:31:00.000000000Z",
            "2018-04-05T18:31:00+01:00",
            "2018-04-05T16:31:00-01:00",
            "2018-04-05T16:31:00-00:00",
            "2018-04-05T16:31:00.1+23:59",
            "2024-02-29T00:00:00Z",
            "2000-02-29T00:00:00Z",
            "1990-12-31T23:59:60Z",
            "1990-12-31T15:59:60-08:00",
            "0000-01-01T00:00:00Z",
        ] {
            assert!(is_timestamp(text), "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_timestamp_is_refused() {
        for text in [
            "",
            "lunchtime",
            "2018-04-05",
            "2018-04-05T18:31Z",
            "2018-04-05 18:31:00Z",
            "2018-04-05T18:31:00",
            "2018-04-05T18:31:00X",
            "2018-04-05T18:31:00.Z",
            "2018-04-05T18:31:00.5",
            "2018-04-05T18:31:00+25:00",
            "2018-04-05T18:31:00+00:60",
            "2018-04-05T18:31:00+xx:00",
            "2018-04-05T18:31:00+05",
            "2018-04-05T18:31:00+0500",
            "2018-04-05T18:31:00Z ",
            "2018-13-05T18:31:00Z",
            "2018-00-05T18:31:00Z",
            "2018-04-31T18:31:00Z",
            "2018-04-00T18:31:00Z",
            "2023-02-29T18:31:00Z",
            "1900-02-29T18:31:00Z",
            "2018-04-05T24:00:00Z",
            "2018-04-05T18:60:00Z",
            "2018-04-05T18:31:61Z",
            "2018-04-05T18:31:60Z",
            "1990-12-31T23:59:60-08:00",
            "+2018-04-05T18:31:00Z",
            "２018-04-05T18:31:00Z",
        ] {
            assert!(!is_timestamp(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_that_a_library_writes_is_read(seconds in -62_000_000_000i64..250_000_000_000, nanos in 0..1_000_000_000i64) {
            let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap() + time::Duration::nanoseconds(nanos);
            prop_assert!(is_timestamp(&time.format(&Rfc3339).unwrap()));
        }

        #[test]
        fn a_library_reads_what_passes(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,3})?(Z|[+-][0-2][0-9]:[0-5][0-9])") {
            prop_assert_eq!(is_timestamp(&text), OffsetDateTime::parse(&text, &Rfc3339).is_ok(), "{}", text);
        }
    }
}
