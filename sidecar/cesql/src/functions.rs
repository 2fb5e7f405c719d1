//! The functions of CESQL (section 3.5): their names, how many arguments they take, and what they do.
//!
//! Characters are Unicode scalar values everywhere.

use std::borrow::Cow;

use crate::value::{Type, Value};

/// The longest text that a function makes, in bytes (1 MiB): what would be longer is an error.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;

/// A function, already told from others of its name by how many arguments it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    Length,
    Concat,
    ConcatWs,
    Lower,
    Upper,
    Trim,
    Left,
    Right,
    SubstringFrom,
    SubstringOf,
    Abs,
    Int,
    Bool,
    String,
}

use Function as F;

/// What is known of a function.
struct Signature {
    name: &'static str,
    function: Function,
    /// The types of its arguments. Of a variadic function the last one is that of all that follow, which may be none.
    takes: &'static [Option<Type>],
    is_variadic: bool,
    gives: Type,
}

/// `None` takes a value as it is: these functions are the casts themselves.
const ANY: Option<Type> = None;
const TEXT: Option<Type> = Some(Type::String);
const NUMBER: Option<Type> = Some(Type::Integer);

const fn fixed(name: &'static str, function: F, takes: &'static [Option<Type>], gives: Type) -> Signature {
    Signature { name, function, takes, is_variadic: false, gives }
}

const fn variadic(name: &'static str, function: F, takes: &'static [Option<Type>], gives: Type) -> Signature {
    Signature { name, function, takes, is_variadic: true, gives }
}

/// In the order of [`Function`].
const SIGNATURES: [Signature; 14] = [
    fixed("LENGTH", F::Length, &[TEXT], Type::Integer),
    variadic("CONCAT", F::Concat, &[TEXT], Type::String),
    variadic("CONCAT_WS", F::ConcatWs, &[TEXT, TEXT], Type::String),
    fixed("LOWER", F::Lower, &[TEXT], Type::String),
    fixed("UPPER", F::Upper, &[TEXT], Type::String),
    fixed("TRIM", F::Trim, &[TEXT], Type::String),
    fixed("LEFT", F::Left, &[TEXT, NUMBER], Type::String),
    fixed("RIGHT", F::Right, &[TEXT, NUMBER], Type::String),
    fixed("SUBSTRING", F::SubstringFrom, &[TEXT, NUMBER], Type::String),
    fixed("SUBSTRING", F::SubstringOf, &[TEXT, NUMBER, NUMBER], Type::String),
    fixed("ABS", F::Abs, &[NUMBER], Type::Integer),
    fixed("INT", F::Int, &[ANY], Type::Integer),
    fixed("BOOL", F::Bool, &[ANY], Type::Boolean),
    fixed("STRING", F::String, &[ANY], Type::String),
];

impl Signature {
    fn takes(&self, count: usize) -> bool {
        if self.is_variadic { count + 1 >= self.takes.len() } else { count == self.takes.len() }
    }

    /// As in `LEFT(String, Integer)`.
    fn shape(&self) -> String {
        let name = |wanted: &Option<Type>| wanted.map_or_else(|| "Any".to_owned(), |ty| format!("{ty:?}"));
        let arguments: Vec<_> = self.takes.iter().map(name).collect();
        let more = if self.is_variadic { ", …" } else { "" };
        format!("{}({}{more})", self.name, arguments.join(", "))
    }
}

impl Function {
    /// The function of this name, in any case, that takes so many arguments; else what would be right, as a phrase.
    pub(crate) fn find(name: &str, count: usize) -> Result<Self, String> {
        let same_name = || SIGNATURES.iter().filter(|signature| signature.name.eq_ignore_ascii_case(name));
        if let Some(signature) = same_name().find(|signature| signature.takes(count)) {
            return Ok(signature.function);
        }
        let shapes: Vec<_> = same_name().map(Signature::shape).collect();
        if !shapes.is_empty() {
            return Err(shapes.join(" or "));
        }
        let mut names: Vec<_> = SIGNATURES.iter().map(|signature| signature.name).collect();
        names.dedup();
        Err(format!("one of the functions {}", names.join(", ")))
    }

    fn signature(self) -> &'static Signature {
        &SIGNATURES[self as usize]
    }

    pub(crate) fn name(self) -> &'static str {
        self.signature().name
    }

    /// The type that the argument at this place is cast to; `None` takes it as it is.
    pub(crate) fn wants(self, place: usize) -> Option<Type> {
        let takes = self.signature().takes;
        takes.get(place).or(takes.last()).copied().flatten()
    }

    pub(crate) fn gives(self) -> Type {
        self.signature().gives
    }

    /// What it gives for these arguments, which are cast already and as many as it takes, and what went wrong, if anything.
    pub(crate) fn call<'a>(self, arguments: Vec<Value<'a>>) -> (Value<'a>, Option<Wrong>) {
        let mut rest = arguments.into_iter();
        let mut next = || rest.next().unwrap_or(Value::Boolean(false));
        let done = |value: Value<'a>| (value, None);
        match self {
            F::Length => done(Value::Integer(length(&next().into_text()))),
            F::Concat => joined("", rest),
            F::ConcatWs => {
                let delimiter = next().into_text();
                joined(&delimiter, rest)
            }
            F::Lower => done(next().into_text().to_lowercase().into()),
            F::Upper => done(next().into_text().to_uppercase().into()),
            F::Trim => done(part(next().into_text(), str::trim)),
            F::Left | F::Right => {
                let (text, count) = (next().into_text(), number(&next()));
                let Ok(count) = usize::try_from(count) else {
                    return (Value::String(text), Some(Wrong::Length(count)));
                };
                done(part(text, |text| if self == F::Left { left(text, count) } else { right(text, count) }))
            }
            F::SubstringFrom => substring(next().into_text(), number(&next()), i32::MAX),
            F::SubstringOf => substring(next().into_text(), number(&next()), number(&next())),
            F::Abs => match number(&next()).checked_abs() {
                Some(absolute) => done(Value::Integer(absolute)),
                None => (Value::Integer(i32::MAX), Some(Wrong::Overflow)),
            },
            F::Int => cast(&next(), Type::Integer, |value| value.to_integer().map(Value::Integer)),
            F::Bool => cast(&next(), Type::Boolean, |value| value.to_boolean().map(Value::Boolean)),
            F::String => done(Value::String(next().into_text())),
        }
    }
}

/// What a function cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A value, as it is written, cannot become one of this type.
    Cast(String, Type),
    /// The result is no number of 32 bits.
    Overflow,
    /// A length below zero.
    Length(i32),
    /// A position beyond a text of so many characters.
    Position(i32, usize),
    /// The result is longer than [`TEXT_BYTES_MAX`].
    TooLong,
}

fn number(value: &Value<'_>) -> i32 {
    value.to_integer().unwrap_or_default()
}

fn length(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

fn cast<'a>(
    value: &Value<'_>,
    to: Type,
    how: fn(&Value<'_>) -> Option<Value<'a>>,
) -> (Value<'a>, Option<Wrong>) {
    match how(value) {
        Some(value) => (value, None),
        None => (Value::zero(to), Some(Wrong::Cast(value.to_string(), to))),
    }
}

fn joined<'a>(delimiter: &str, texts: impl Iterator<Item = Value<'a>>) -> (Value<'a>, Option<Wrong>) {
    let mut whole = String::new();
    for (index, text) in texts.enumerate() {
        let text = text.into_text();
        if whole.len() + delimiter.len() + text.len() > TEXT_BYTES_MAX {
            return (Value::zero(Type::String), Some(Wrong::TooLong));
        }
        if index > 0 {
            whole.push_str(delimiter);
        }
        whole.push_str(&text);
    }
    (whole.into(), None)
}

/// A part of a text; copies only what was made by a function.
fn part(text: Cow<'_, str>, which: impl Fn(&str) -> &str) -> Value<'_> {
    Value::String(match text {
        Cow::Borrowed(text) => Cow::Borrowed(which(text)),
        Cow::Owned(text) => Cow::Owned(which(&text).to_owned()),
    })
}

/// The first `count` characters.
fn left(text: &str, count: usize) -> &str {
    let end = text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// The last `count` characters.
fn right(text: &str, count: usize) -> &str {
    let skipped = text.chars().count().saturating_sub(count);
    let start = text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at);
    &text[start..]
}

/// At most `length` characters from `position` on; the first is 1, the last -1, and at 0 there is nothing.
fn substring(text: Cow<'_, str>, position: i32, length: i32) -> (Value<'_>, Option<Wrong>) {
    let nothing = Value::zero(Type::String);
    let characters = text.chars().count();
    let distance = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    let Ok(length) = usize::try_from(length) else { return (nothing, Some(Wrong::Length(length))) };
    if distance > characters {
        return (nothing, Some(Wrong::Position(position, characters)));
    }
    match position {
        0 => (nothing, None),
        1.. => (part(text, |text| left(right(text, characters + 1 - distance), length)), None),
        _ => (part(text, |text| left(right(text, distance), length)), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signatures_are_in_the_order_of_the_functions() {
        for (place, signature) in SIGNATURES.iter().enumerate() {
            assert_eq!(signature.function as usize, place, "{}", signature.name);
        }
    }

    #[test]
    fn what_is_called_wrongly_is_told_with_what_would_be_right() {
        assert_eq!(Function::find("left", 2), Ok(F::Left));
        assert_eq!(Function::find("Left", 1).unwrap_err(), "LEFT(String, Integer)");
        assert_eq!(
            Function::find("SUBSTRING", 4).unwrap_err(),
            "SUBSTRING(String, Integer) or SUBSTRING(String, Integer, Integer)"
        );
        assert_eq!(Function::find("CONCAT_WS", 0).unwrap_err(), "CONCAT_WS(String, String, …)");
        assert!(Function::find("NOW", 0).unwrap_err().starts_with("one of the functions LENGTH, CONCAT,"));
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(length("€😀"), 2);
        assert_eq!((left("€😀ß", 2), right("€😀ß", 2)), ("€😀", "😀ß"));
        assert_eq!(substring("€😀ß".into(), 2, 1), ("😀".into(), None));
        assert_eq!(substring("€😀ß".into(), -3, 2), ("€😀".into(), None));
    }

    #[test]
    fn a_length_below_zero_is_an_error() {
        assert_eq!(substring("abc".into(), 1, -1), ("".into(), Some(Wrong::Length(-1))));
        assert_eq!(substring("abc".into(), i32::MIN, 1), ("".into(), Some(Wrong::Position(i32::MIN, 3))));
    }

    #[test]
    fn a_text_does_not_grow_without_bound() {
        let large = "x".repeat(TEXT_BYTES_MAX / 2 + 1);
        let twice = vec![Value::from(large.as_str()), Value::from(large.as_str())];
        assert_eq!(F::Concat.call(twice), ("".into(), Some(Wrong::TooLong)));
    }
}
