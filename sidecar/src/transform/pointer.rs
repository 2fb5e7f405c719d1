//! JSON Pointer (RFC 6901) into data that is JSON: one scalar, without reading the rest into memory.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The longest pointer, in bytes, and the most steps in it; each step is a frame on the stack.
pub const BYTES_MAX: usize = 1024;
/// See [`BYTES_MAX`].
pub const STEPS_MAX: usize = 64;

/// A pointer, parsed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

/// What may stand at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar<'d> {
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as it is written.
    Number(&'d str),
    /// A text.
    Text(Cow<'d, str>),
}

impl Pointer {
    /// Reads a pointer such as `/customer/id`; the empty one is the whole document.
    ///
    /// `None` when it does not begin with `/`, has a `~` that is neither `~0` nor `~1`, or is longer than [`BYTES_MAX`] or
    /// [`STEPS_MAX`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let unescaped = |step: &str| {
            let wrong = step.split('~').skip(1).any(|after| !after.starts_with(['0', '1']));
            (!wrong).then(|| step.replace("~1", "/").replace("~0", "~"))
        };
        let steps: Vec<String> = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescaped).collect::<Option<_>>()?,
            None if text.is_empty() => Vec::new(),
            None => return None,
        };
        let fits = text.len() <= BYTES_MAX && steps.len() <= STEPS_MAX;
        fits.then(|| Self { text: text.to_owned(), steps })
    }

    /// The scalar at its place in `data`. Of a member that is there twice the last counts.
    ///
    /// # Errors
    /// One line: there is no data, it is no JSON, nothing stands there, or what does is `null`, an object or an array.
    pub fn find<'d>(&self, data: Option<&'d [u8]>) -> Result<Scalar<'d>, String> {
        let data = data.ok_or_else(|| format!("the event has no data for {self}"))?;
        let mut json = serde_json::Deserializer::from_slice(data);
        let found = Walk(&self.steps).deserialize(&mut json).and_then(|found| json.end().map(|()| found));
        let raw = match found {
            Ok(Some(raw)) => raw.get(),
            Ok(None) => return Err(format!("nothing stands at {self} in the data")),
            Err(error) => return Err(format!("the data is no JSON, where {self} is looked for: {error}")),
        };
        let wrong = |what| {
            Err(format!(
                "{what} stands at {self} in the data, where a text, a number, true or false is needed"
            ))
        };
        match raw.as_bytes() {
            b"true" => Ok(Scalar::Boolean(true)),
            b"false" => Ok(Scalar::Boolean(false)),
            b"null" => wrong("null"),
            [b'{', ..] => wrong("an object"),
            [b'[', ..] => wrong("an array"),
            [b'"', ..] => serde_json::from_str::<Text<'d>>(raw)
                .map(|text| Scalar::Text(text.0))
                .map_err(|error| format!("what stands at {self} is no text of Unicode: {error}")),
            _ => Ok(Scalar::Number(raw)),
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// A text that is borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'d>(#[serde(borrow)] Cow<'d, str>);

/// The way that is left; what lies beside it is passed over.
struct Walk<'p>(&'p [String]);

impl<'d> DeserializeSeed<'d> for Walk<'_> {
    type Value = Option<&'d RawValue>;

    fn deserialize<D: Deserializer<'d>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return <&RawValue as serde::Deserialize>::deserialize(json).map(Some);
        }
        json.deserialize_any(self)
    }
}

impl<'d> Visitor<'d> for Walk<'_> {
    type Value = Option<&'d RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'d>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (step, rest) = self.0.split_first().ok_or_else(|| M::Error::custom("no step"))?;
        let mut found = None;
        while let Some(name) = map.next_key::<Text<'d>>()? {
            if name.0 == step.as_str() {
                found = map.next_value_seed(Walk(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'d>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let (step, rest) = self.0.split_first().ok_or_else(|| S::Error::custom("no step"))?;
        // Digits without a zero before them, as the RFC has it.
        let place = step.parse::<usize>().ok().filter(|place| place.to_string() == *step);
        let (mut at, mut found) = (0, None);
        loop {
            if Some(at) == place {
                match seq.next_element_seed(Walk(rest))? {
                    Some(one) => found = one,
                    None => return Ok(None),
                }
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}
