//! How an event is called, read from the headers of a binary event or the JSON of a structured one.
//!
//! This reads names only and judges nothing: what it cannot read is absent. It is written apart from any
//! `CloudEvents` codec on purpose.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// How a request carried its event, by its content type (`CloudEvents` HTTP binding 1.0.2, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// No `ce-id` header and no `CloudEvents` content type: not an event.
    #[default]
    None,
    /// Attributes in `ce-` headers.
    Binary,
    /// Attributes and data in one JSON object.
    Structured,
    /// A JSON array of events.
    Batch,
}

/// The names of one event, as far as they could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Name {
    /// The attribute `id`.
    #[serde(default)]
    pub id: Option<String>,
    /// The attribute `source`.
    #[serde(default)]
    pub source: Option<String>,
    /// The attribute `type`.
    #[serde(default, rename = "type")]
    pub ty: Option<String>,
    /// The attribute `partitionkey`.
    #[serde(default, rename = "partitionkey")]
    pub key: Option<String>,
}

/// What one request carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// How it is carried.
    pub mode: Mode,
    /// The event, or the first one of a batch.
    pub name: Name,
    /// The ids of a batch, in order; empty otherwise.
    pub batch: Vec<String>,
}

/// Reads what `headers` and `body` carry.
#[must_use]
pub fn of(headers: &HeaderMap, body: &[u8]) -> Identity {
    match mode(headers) {
        Mode::None => Identity::default(),
        Mode::Binary => Identity { mode: Mode::Binary, name: from_headers(headers), batch: Vec::new() },
        Mode::Structured => {
            let name = serde_json::from_slice(body).unwrap_or_default();
            Identity { mode: Mode::Structured, name, batch: Vec::new() }
        }
        Mode::Batch => {
            let names: Vec<Name> = serde_json::from_slice(body).unwrap_or_default();
            let batch = names.iter().map(|name| name.id.clone().unwrap_or_default()).collect();
            let name = names.into_iter().next().unwrap_or_default();
            Identity { mode: Mode::Batch, name, batch }
        }
    }
}

fn mode(headers: &HeaderMap) -> Mode {
    let content_type = headers.get("content-type").map_or(&[][..], |value| value.as_bytes());
    if starts_with(content_type, b"application/cloudevents-batch") {
        Mode::Batch
    } else if starts_with(content_type, b"application/cloudevents") {
        Mode::Structured
    } else if headers.contains_key("ce-id") {
        Mode::Binary
    } else {
        Mode::None
    }
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn from_headers(headers: &HeaderMap) -> Name {
    let text = |name| headers.get(name).map(|value| percent_decoded(value.as_bytes()));
    Name { id: text("ce-id"), source: text("ce-source"), ty: text("ce-type"), key: text("ce-partitionkey") }
}

/// One round of percent-decoding; what is no `%XY` stays as it stands.
fn percent_decoded(value: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        let byte = if first == b'%' { after.get(..2).and_then(hex) } else { None };
        decoded.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_binary_event_is_named_by_its_headers() {
        let headers = headers(&[("ce-id", "a%20%E2%82%AC%zz"), ("ce-partitionkey", "k"), ("ce-type", "t")]);
        let identity = of(&headers, b"");
        assert_eq!(identity.mode, Mode::Binary);
        assert_eq!(identity.name.id.as_deref(), Some("a €%zz"));
        assert_eq!(identity.name.key.as_deref(), Some("k"));
        assert_eq!(identity.name.source, None);
    }

    #[test]
    fn a_structured_event_is_named_by_its_json_whatever_else_it_holds() {
        let headers = headers(&[("content-type", "Application/CloudEvents+JSON; charset=utf-8")]);
        let identity = of(&headers, br#"{"id":"1","type":"t","partitionkey":"k","data":{"id":2}}"#);
        assert_eq!(identity.mode, Mode::Structured);
        assert_eq!(identity.name.id.as_deref(), Some("1"));
        assert_eq!(identity.name.key.as_deref(), Some("k"));
    }

    #[test]
    fn a_batch_lists_its_ids_in_order() {
        let headers = headers(&[("content-type", "application/cloudevents-batch+json")]);
        let identity = of(&headers, br#"[{"id":"1"},{"type":"t"},{"id":"3"}]"#);
        assert_eq!(identity.mode, Mode::Batch);
        assert_eq!(identity.batch, ["1", "", "3"]);
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        assert_eq!(of(&HeaderMap::new(), b"{}").mode, Mode::None);
        let headers = headers(&[("content-type", "application/cloudevents+json")]);
        assert_eq!(of(&headers, b"{\"id\":7}").name, Name::default());
        assert_eq!(of(&headers, b"not json").name, Name::default());
    }
}
