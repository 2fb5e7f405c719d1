//! An event as pointers see it, and the text that is the key of what they find. Pure.
//!
//! Numbers are their own text, not what a machine's number makes of it: two that differ in the last digit of many are two.

use outrigger_core::Event;
use serde_json::{Value, value::RawValue};
use std::{collections::BTreeMap, fmt::Write as _};

/// The most tags of one result.
const TAGS_MAX: usize = 32;
/// How deep a part of data may be that is a key.
const DEPTH_MAX: usize = 64;

/// An event as pointers see it. Of its data only what they lead through is read.
pub(super) struct Seen<'e> {
    event: &'e Event,
}

/// What a pointer finds.
enum Found<'e> {
    /// A part of data.
    Part(&'e RawValue),
    /// An attribute.
    Attribute(String),
}

impl<'e> Seen<'e> {
    pub(super) fn of(event: &'e Event) -> Self {
        Self { event }
    }

    /// What the pointer finds: an attribute as text, or a part of data that is JSON.
    fn find(&self, pointer: &str) -> Option<Found<'e>> {
        if let Some(rest) = pointer.strip_prefix("/data")
            && (rest.is_empty() || rest.starts_with('/'))
        {
            let data: &RawValue = serde_json::from_slice(self.event.data()?).ok()?;
            return rest.split('/').skip(1).try_fold(data, step).map(Found::Part);
        }
        let name = pointer.strip_prefix('/')?;
        self.event.text(name).map(|text| Found::Attribute(text.into_owned()))
    }

    /// `None` where a pointer finds nothing, or what is too deep.
    pub(super) fn key(&self, target: &str, pointers: &[String]) -> Option<String> {
        let mut key = String::from("[");
        for (at, text) in [self.event.source(), self.event.ty(), target].into_iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(key, "{comma}{}", Value::from(text)); // writing to a string cannot fail
        }
        for pointer in pointers {
            key.push(',');
            match self.find(pointer)? {
                Found::Part(part) => write(part, &mut key, DEPTH_MAX)?,
                Found::Attribute(text) => {
                    let _ = write!(key, "{}", Value::from(text));
                }
            }
        }
        key.push(']');
        Some(key)
    }

    pub(super) fn tags(&self, pointers: &[String]) -> Vec<String> {
        let mut tags = Vec::new();
        for found in pointers.iter().filter_map(|pointer| self.find(pointer)) {
            match found {
                Found::Attribute(text) => tags.push(text),
                Found::Part(part) => match serde_json::from_str::<Vec<&RawValue>>(part.get()) {
                    Ok(members) => tags.extend(members.into_iter().filter_map(tag)),
                    Err(_) => tags.extend(tag(part)),
                },
            }
        }
        tags.truncate(TAGS_MAX);
        tags
    }
}

/// One step of a pointer (RFC 6901); of members of one name the last counts.
fn step<'e>(whole: &'e RawValue, step: &str) -> Option<&'e RawValue> {
    let name = step.replace("~1", "/").replace("~0", "~");
    match whole.get().as_bytes().first()? {
        b'{' => members(whole)?.remove(&name),
        b'[' => {
            let is_index = name == "0" || (!name.starts_with(['0', '+']) && !name.is_empty());
            let at: usize = name.parse().ok().filter(|_| is_index)?;
            serde_json::from_str::<Vec<&RawValue>>(whole.get()).ok()?.into_iter().nth(at)
        }
        _ => None,
    }
}

fn members(whole: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(whole.get()).ok()
}

fn tag(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.get().to_owned()),
    }
}

/// As JSON without blanks and with the members of objects in the order of their names: equal values are equal texts. `None`
/// where it is deeper than that.
fn write(value: &RawValue, out: &mut String, depth: usize) -> Option<()> {
    let text = value.get();
    let depth = depth.checked_sub(1)?;
    match text.as_bytes().first()? {
        b'{' => {
            out.push('{');
            for (at, (name, value)) in members(value)?.into_iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let _ = write!(out, "{comma}{}:", Value::String(name));
                write(value, out, depth)?;
            }
            out.push('}');
        }
        b'[' => {
            out.push('[');
            for (at, value) in serde_json::from_str::<Vec<&RawValue>>(text).ok()?.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(value, out, depth)?;
            }
            out.push(']');
        }
        b'"' => {
            let _ = write!(out, "{}", serde_json::from_str::<Value>(text).ok()?);
        }
        _ => out.push_str(text),
    }
    Some(())
}

/// A key as somebody writes it, in the one way in which it is kept. `None` where it is no JSON.
pub(super) fn canonical(key: &str) -> Option<String> {
    let mut out = String::with_capacity(key.len());
    write(serde_json::from_str(key).ok()?, &mut out, DEPTH_MAX + 1)?;
    Some(out)
}

/// The beginning of a key without the blanks between its parts.
pub(super) fn dense(prefix: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let stays = |letter: &char| {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        quoted || !letter.is_ascii_whitespace()
    };
    prefix.chars().filter(stays).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(data: &str, pointer: &str) -> Option<String> {
        let event = Event::new("1", "/s", "t").unwrap();
        let event = event.with_data("application/json", data.to_owned().into()).unwrap();
        Seen::of(&event).key("f", &[pointer.to_owned()])
    }

    #[test]
    fn numbers_that_differ_in_any_digit_are_different() {
        for (one, other) in [
            ("123456789012345678901", "123456789012345678902"),
            ("18446744073709551616", "18446744073709551617"),
            ("0.1", "0.10000000000000000001"),
            ("9007199254740993.0", "9007199254740992.0"),
            ("1", "\"1\""),
            ("1e400", "1e401"),
        ] {
            let of = |number| key(&format!("{{\"q\": [{{\"a\": {number}}}]}}"), "/data/q").unwrap();
            assert_ne!(of(one), of(other));
        }
    }

    #[test]
    fn equal_values_are_equal_texts_however_they_are_written() {
        let one = key(r#"{"q": {"b": [1, "\u0061"], "a/~": null}}"#, "/data/q").unwrap();
        assert_eq!(one, r#"["/s","t","f",{"a/~":null,"b":[1,"a"]}]"#);
        assert_eq!(key(r#"{ "q" : {"a\/~":null,"b":[ 1,"a" ]} }"#, "/data/q").unwrap(), one);
        assert_eq!(key(r#"{"q": 1, "q": 2}"#, "/data/q").unwrap(), r#"["/s","t","f",2]"#);
    }

    #[test]
    fn a_pointer_leads_where_it_says() {
        let data = r#"{"a": [10, {"/": 11, "~": 12}], "": 13}"#;
        for (pointer, found) in [
            ("/data/a/0", "10"),
            ("/data/a/1/~1", "11"),
            ("/data/a/1/~0", "12"),
            ("/data/", "13"),
            ("/id", "\"1\""),
        ] {
            assert_eq!(key(data, pointer).unwrap(), format!(r#"["/s","t","f",{found}]"#), "{pointer}");
        }
        for nowhere in
            ["/data/a/2", "/data/a/00", "/data/a/+0", "/data/a/-", "/data/b", "/data/a/0/0", "/none"]
        {
            assert!(key(data, nowhere).is_none(), "{nowhere}");
        }
    }

    #[test]
    fn what_is_too_deep_or_no_json_has_no_key() {
        let deep = |levels| format!("{{\"q\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(key(&deep(DEPTH_MAX), "/data/q").is_some());
        for none in [deep(DEPTH_MAX + 1), deep(100_000), "{\"q\": 1".to_owned(), "{\"q\": 01}".to_owned()] {
            assert!(key(&none, "/data/q").is_none());
        }
    }

    #[test]
    fn a_beginning_may_have_blanks_between_its_parts_but_not_within() {
        assert_eq!(dense(r#" ["/s", "t \" x" , 1"#), r#"["/s","t \" x",1"#);
        assert_eq!(canonical(r#"[ "a b", {"y": 1, "x": 2.0} ]"#).unwrap(), r#"["a b",{"x":2.0,"y":1}]"#);
        assert!(canonical("/a").is_none());
    }
}
