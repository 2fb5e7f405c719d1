//! Single members out of a document that is not read whole: no tree, no recursion, nothing allocated but escaped text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize as _, Deserializer as _,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};

/// The member at the end of `path`, each a name within the object before, as it stands in `json`. `None` where there is
/// none, or `null`.
///
/// What follows the member is not looked at, and of several with one name the first counts.
#[must_use]
pub fn member<'j>(json: &'j str, path: &[&str]) -> Option<&'j str> {
    path.iter().try_fold(json, |json, name| within(json, name))
}

fn within<'j>(json: &'j str, name: &str) -> Option<&'j str> {
    let mut found = None;
    // It ends in an error wherever it stops early; what was found is good all the same.
    let _ = Deserializer::from_str(json).deserialize_map(Members { name, found: &mut found });
    found.map(RawValue::get).filter(|raw| *raw != "null")
}

/// What a member says as text: a string without its quotes, a number or a boolean as it is written. `None` for others.
#[must_use]
pub fn text(raw: &str) -> Option<Cow<'_, str>> {
    match raw.trim_ascii_start().as_bytes().first()? {
        b'"' => Some(Text::deserialize(&mut Deserializer::from_str(raw)).ok()?.0),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw.trim_ascii())),
    }
}

/// Only a type of its own is borrowed where nothing is escaped.
#[derive(serde::Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

struct Members<'n, 'f, 'j> {
    name: &'n str,
    found: &'f mut Option<&'j RawValue>,
}

impl<'j> Visitor<'j> for Members<'_, '_, 'j> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'j>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(is_it) = map.next_key_seed(Is(self.name))? {
            if is_it {
                *self.found = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Whether a key is this one.
struct Is<'n>(&'n str);

impl<'j> DeserializeSeed<'j> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'j>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOCUMENT: &str =
        r#" {"a": {"b\u0063": [1, {"x": 2}], "n": null, "a": "t\"" }, "a": 2, "f": 1.50, "yes": true} "#;

    #[test]
    fn a_member_is_found_by_its_path_as_it_stands() {
        for (path, found) in [
            (&["a", "bc"][..], Some(r#"[1, {"x": 2}]"#)),
            (&["a", "a"], Some(r#""t\"""#)),
            (&["a", "n"], None),
            (&["a", "missing"], None),
            (&["f", "a"], None),
            (&["f"], Some("1.50")),
        ] {
            assert_eq!(member(DOCUMENT, path), found, "{path:?}");
        }
    }

    #[test]
    fn scalars_are_text_and_others_are_none() {
        let told = |path: &[&str]| member(DOCUMENT, path).and_then(text);
        assert_eq!(told(&["a", "a"]).as_deref(), Some("t\""));
        assert_eq!(told(&["f"]).as_deref(), Some("1.50"));
        assert_eq!(told(&["yes"]).as_deref(), Some("true"));
        assert_eq!((told(&["a"]), text(""), text("[1]"), text("\"a")), (None, None, None, None));
        assert!(matches!(text(r#""plain""#), Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn a_megabyte_of_nesting_is_passed_over() {
        let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
        let json = format!(r#"{{"deep":{deep},"id":"1"}}"#);
        assert_eq!(member(&json, &["id"]), Some(r#""1""#));
        assert_eq!(member(&json, &["deep"]).map(str::len), Some(deep.len()));
    }

    proptest! {
        #[test]
        fn whatever_the_text_nothing_panics(json: String, names: Vec<String>) {
            let path: Vec<_> = names.iter().map(String::as_str).collect();
            if let Some(found) = member(&json, &path) {
                prop_assert!(json.contains(found));
                let _ = text(found);
            }
        }
    }
}
