//! Why an event was refused, told to whoever sent it.
//!
//! The text goes into answers, logs and dead letters, so it is one line, short, and shows little of the input.

use std::{borrow::Cow, fmt};

/// How many characters of an attribute's name are shown.
const NAME_CHARS_MAX: usize = 24;
/// How many characters of a value are shown; with the name at most 64 characters of the input.
const FOUND_CHARS_MAX: usize = 40;
const EXPECTED_CHARS_MAX: usize = 180;

/// What is wrong with an event, where, and what was expected there.
///
/// `Display` is one line of at most 300 characters, of which at most 64 come from the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    at: Box<str>,
    found: Option<Box<str>>,
    expected: Box<str>,
    unsupported: bool,
}

impl Invalid {
    /// `found` stands at `at` (an attribute's name, or a part such as `data`) and is not `expected`.
    #[must_use]
    pub fn new(at: &str, found: &str, expected: &str) -> Invalid {
        Invalid {
            at: clipped(at, NAME_CHARS_MAX),
            found: Some(clipped(found, FOUND_CHARS_MAX)),
            expected: clipped(expected, EXPECTED_CHARS_MAX),
            unsupported: false,
        }
    }

    /// Something is wrong at `at` as a whole; `problem` continues the sentence, such as `is missing`.
    #[must_use]
    pub fn says(at: &str, problem: &str) -> Invalid {
        Invalid {
            at: clipped(at, NAME_CHARS_MAX),
            found: None,
            expected: clipped(problem, EXPECTED_CHARS_MAX),
            unsupported: false,
        }
    }

    pub(crate) fn missing(attribute: &str) -> Invalid {
        Invalid::says(attribute, "is missing; every event has it, and it is not empty")
    }

    pub(crate) fn unsupported_format(content_type: &str) -> Invalid {
        let expected = "a format that is read here: application/cloudevents+json or \
                        application/cloudevents-batch+json in UTF-8, or +protobuf";
        Invalid { unsupported: true, ..Invalid::new("content-type", content_type, expected) }
    }

    /// Where: an attribute's name, `data`, `content-type`, `json`, `protobuf`, `batch`, `record`.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Whether the event may be good but its format is not spoken here (HTTP: 415 instead of 400).
    #[must_use]
    pub fn unsupported(&self) -> bool {
        self.unsupported
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{}: \"{found}\" is not {}", self.at, self.expected),
            None => write!(f, "{}: {}", self.at, self.expected),
        }
    }
}

impl std::error::Error for Invalid {}

/// `text` with control characters escaped, cut to `chars_max` characters, an ellipsis included.
fn clipped(text: &str, chars_max: usize) -> Box<str> {
    let plain = |c: char| !c.is_control() && c != '"';
    if text.len() <= chars_max && text.chars().all(plain) {
        return text.into();
    }
    let mut clip = String::with_capacity(chars_max);
    let mut room = chars_max;
    for c in text.chars() {
        let shown: Cow<'_, str> =
            if plain(c) { Cow::from(c.to_string()) } else { Cow::from(c.escape_default().to_string()) };
        let width = shown.chars().count();
        if width + 1 > room {
            clip.push('…');
            break;
        }
        clip.push_str(&shown);
        room -= width;
    }
    clip.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_says_where_what_and_what_instead() {
        let invalid = Invalid::new("time", "lunchtime", "an RFC 3339 timestamp");
        assert_eq!(invalid.to_string(), r#"time: "lunchtime" is not an RFC 3339 timestamp"#);
        assert_eq!(Invalid::says("id", "is missing").to_string(), "id: is missing");
    }

    #[test]
    fn however_long_the_input_the_line_stays_short_and_shows_little() {
        for c in ['x', '\u{1}', '\u{10ffff}', '"', '€'] {
            let long: String = std::iter::repeat_n(c, 10_000).collect();
            let line = Invalid::new(&long, &long, &long).to_string();
            assert!(line.chars().count() <= 300, "{line}");
            assert!(!line.contains(char::is_control), "{line}");
            let short = Invalid::new(&long, &long, "good").to_string();
            assert!(short.matches(c).count() <= 64 + 2, "{short}");
        }
    }
}
