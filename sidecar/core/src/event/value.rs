//! The values that an attribute may have: the seven types of CloudEvents.

use std::borrow::Cow;

use super::{check, uri};

/// The value of an attribute, as one of the seven types of CloudEvents 1.0 ("Type system").
///
/// JSON keeps the types Boolean and Integer; on every other wire, and for the other types in JSON, a value is
/// its canonical text ([`Value::text`]) and comes back as a String unless the specification defines the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 32 bits with a sign.
    Integer(i32),
    /// Text without control characters and noncharacters.
    String(&'a str),
    /// Bytes, as their standard base64 with padding.
    Binary(&'a str),
    /// A URI with a scheme (RFC 3986).
    Uri(&'a str),
    /// A URI or a relative reference (RFC 3986).
    UriRef(&'a str),
    /// A time (RFC 3339), as its sender wrote it.
    Timestamp(&'a str),
}

impl<'a> Value<'a> {
    /// The canonical text, as it stands in a header before percent-encoding.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match *self {
            Value::Boolean(true) => Cow::Borrowed("true"),
            Value::Boolean(false) => Cow::Borrowed("false"),
            Value::Integer(number) => Cow::Owned(number.to_string()),
            Value::String(text)
            | Value::Binary(text)
            | Value::Uri(text)
            | Value::UriRef(text)
            | Value::Timestamp(text) => Cow::Borrowed(text),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Value::Boolean(_) => Kind::Boolean,
            Value::Integer(_) => Kind::Integer,
            Value::String(_) => Kind::String,
            Value::Binary(_) => Kind::Binary,
            Value::Uri(_) => Kind::Uri,
            Value::UriRef(_) => Kind::UriRef,
            Value::Timestamp(_) => Kind::Timestamp,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::String(text)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Value::Boolean(truth)
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Value::Integer(number)
    }
}

/// The type of a stored value. The numbers stand in stored records: never change one, only add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Boolean = 1,
    Integer = 2,
    String = 3,
    Binary = 4,
    Uri = 5,
    UriRef = 6,
    Timestamp = 7,
}

impl Kind {
    pub(super) fn from_number(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Boolean,
            2 => Kind::Integer,
            3 => Kind::String,
            4 => Kind::Binary,
            5 => Kind::Uri,
            6 => Kind::UriRef,
            7 => Kind::Timestamp,
            _ => return None,
        })
    }

    /// The value that `text`, the canonical text of this type, stands for.
    pub(super) fn value(self, text: &str) -> Value<'_> {
        match self {
            Kind::Boolean => Value::Boolean(text == "true"),
            Kind::Integer => Value::Integer(text.parse().unwrap_or_default()),
            Kind::String => Value::String(text),
            Kind::Binary => Value::Binary(text),
            Kind::Uri => Value::Uri(text),
            Kind::UriRef => Value::UriRef(text),
            Kind::Timestamp => Value::Timestamp(text),
        }
    }

    /// What `text` had to be, when it is not of this type.
    pub(super) fn refusal(self, text: &str) -> Option<&'static str> {
        let (good, expected) = match self {
            Kind::Boolean | Kind::Integer => return (!self.is_readable(text)).then_some(self.expected()),
            Kind::String => (check::is_string(text), "text without control characters and noncharacters"),
            Kind::Binary => (check::is_base64(text), "standard base64 with padding"),
            Kind::Uri => (uri::is_uri(text), "a URI with a scheme (RFC 3986)"),
            Kind::UriRef => (uri::is_uri_reference(text), "a URI or a URI-reference (RFC 3986)"),
            Kind::Timestamp => (check::is_timestamp(text), "an RFC 3339 timestamp with seconds and offset"),
        };
        // The grammars of the others have printable ASCII only.
        if good { None } else { Some(expected) }
    }

    /// Whether `text` can be shown as a value of this type at all: the least that a stored record must keep.
    pub(super) fn is_readable(self, text: &str) -> bool {
        match self {
            Kind::Boolean => text == "true" || text == "false",
            Kind::Integer => text.parse::<i32>().is_ok_and(|n| n.to_string() == text),
            _ => check::is_string(text),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Kind::Boolean => "true or false",
            _ => "a whole number of 32 bits",
        }
    }
}
