//! Values, how one type becomes another, and where attributes come from.

use std::{borrow::Cow, fmt};

/// A value of CESQL: one of its three primitive types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// True or false.
    Boolean(bool),
    /// A whole number of 32 bits with a sign.
    Integer(i32),
    /// A text. URIs, timestamps and binary values of an event are texts, too.
    String(Cow<'a, str>),
}

/// The name of a primitive type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// [`Value::Boolean`]
    Boolean,
    /// [`Value::Integer`]
    Integer,
    /// [`Value::String`]
    String,
}

/// Where an expression finds the attributes of an event.
///
/// Every attribute is asked for at most once in one evaluation, and only when it is needed.
pub trait Attributes {
    /// The attribute of this name, `specversion` and extensions included, or `None` where the event has it not.
    ///
    /// The name is in lower case, as the names of attributes are. A value of CloudEvents that is no Boolean and no
    /// Integer is its canonical text.
    fn attribute(&self, name: &str) -> Option<Value<'_>>;
}

impl<A: Attributes + ?Sized> Attributes for &A {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        (**self).attribute(name)
    }
}

/// Names and values side by side, such as `[("type", "com.example".into())]`; the first of a name counts.
impl<N: AsRef<str>> Attributes for [(N, Value<'_>)] {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.iter().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value.borrowed())
    }
}

impl<N: AsRef<str>, const LENGTH: usize> Attributes for [(N, Value<'_>); LENGTH] {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.as_slice().attribute(name)
    }
}

impl Value<'_> {
    /// The type that it has.
    #[must_use]
    pub fn type_of(&self) -> Type {
        match self {
            Self::Boolean(_) => Type::Boolean,
            Self::Integer(_) => Type::Integer,
            Self::String(_) => Type::String,
        }
    }

    /// The same value, which owns nothing.
    #[must_use]
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Boolean(truth) => Value::Boolean(*truth),
            Self::Integer(number) => Value::Integer(*number),
            Self::String(text) => Value::String(Cow::Borrowed(text)),
        }
    }

    /// The same value, which borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::Integer(number) => Value::Integer(number),
            Self::String(text) => Value::String(Cow::Owned(text.into_owned())),
        }
    }
}

impl<'a> Value<'a> {
    /// What stands for a value of this type where there is none: `false`, `0` or the empty text.
    pub(crate) fn zero(of: Type) -> Self {
        match of {
            Type::Boolean => Self::Boolean(false),
            Type::Integer => Self::Integer(0),
            Type::String => Self::String(Cow::Borrowed("")),
        }
    }

    /// As a text: always possible.
    pub(crate) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::String(text) => text,
        }
    }

    /// As a number: of 32 bits in base 10 with an optional sign, or `None`.
    pub(crate) fn to_integer(&self) -> Option<i32> {
        match self {
            Self::Boolean(truth) => Some(i32::from(*truth)),
            Self::Integer(number) => Some(*number),
            Self::String(text) => text.parse().ok(),
        }
    }

    /// As a truth: `true` and `false` in any case, any number but 0, or `None`.
    pub(crate) fn to_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            Self::Integer(number) => Some(*number != 0),
            Self::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Self::String(_) => None,
        }
    }
}

impl Type {
    /// With its article, as in "is not an Integer".
    pub(crate) fn phrase(self) -> &'static str {
        match self {
            Self::Boolean => "a Boolean",
            Self::Integer => "an Integer",
            Self::String => "a String",
        }
    }
}

/// As it is written in an expression.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(true) => f.write_str("TRUE"),
            Self::Boolean(false) => f.write_str("FALSE"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::String(text) => crate::print::quoted(f, text),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}
