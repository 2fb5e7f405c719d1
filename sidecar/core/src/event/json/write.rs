//! From events to JSON.

use std::str;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::IgnoredAny;

use super::Event;
use crate::event::{media, value::Kind};

/// Room for the punctuation, `specversion`, the names that the specification defines and some escapes.
const BYTES_AROUND: usize = 192;

pub(super) fn event(event: &Event, out: &mut Vec<u8>) {
    let data = event.data.as_deref().map(|data| Member::of(event, data));
    let data_len = match &data {
        None => 0,
        Some(Member::Json(data)) => data.len(),
        Some(Member::Text(text)) => text.len(),
        Some(Member::Base64(data)) => data.len().div_ceil(3) * 4,
    };
    out.reserve(BYTES_AROUND + event.attributes.heap() + data_len);
    out.extend_from_slice(br#"{"specversion":"1.0""#);
    for attribute in event.attributes.iter() {
        // Names are of a-z and 0-9.
        out.extend_from_slice(b",\"");
        out.extend_from_slice(attribute.name.as_bytes());
        out.extend_from_slice(b"\":");
        match attribute.kind {
            Kind::Boolean | Kind::Integer => out.extend_from_slice(attribute.text.as_bytes()),
            _ => string(attribute.text, out),
        }
    }
    match data {
        None => {}
        Some(Member::Json(data)) => {
            out.extend_from_slice(br#","data":"#);
            out.extend_from_slice(data);
        }
        Some(Member::Text(text)) => {
            out.extend_from_slice(br#","data":"#);
            string(text, out);
        }
        Some(Member::Base64(data)) => {
            out.extend_from_slice(br#","data_base64":""#);
            base64(data, out);
            out.push(b'"');
        }
    }
    out.push(b'}');
}

/// How the payload is written.
enum Member<'a> {
    Json(&'a [u8]),
    Text(&'a str),
    Base64(&'a [u8]),
}

impl<'a> Member<'a> {
    /// The type says what the payload should be, its bytes whether it is.
    fn of(event: &Event, data: &'a [u8]) -> Member<'a> {
        let Some(content_type) = event.datacontenttype() else { return Member::Base64(data) };
        let is_json = media::is_json(content_type);
        if !is_json && !media::is_text(content_type) {
            return Member::Base64(data);
        }
        match str::from_utf8(data) {
            // Validated without a tree, and without recursion.
            Ok(text) if is_json && serde_json::from_str::<IgnoredAny>(text).is_ok() => Member::Json(data),
            Ok(text) if !is_json => Member::Text(text),
            _ => Member::Base64(data),
        }
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    // Neither a string nor a vector can fail; if one did, the member would still be a string.
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"\"\"");
    }
}

fn base64(data: &[u8], out: &mut Vec<u8>) {
    let mut encoded = [0; 4096];
    for chunk in data.chunks(3 * 1024) {
        // Each chunk but the last has whole groups of three bytes, and all fit.
        if let Ok(len) = STANDARD.encode_slice(chunk, &mut encoded) {
            out.extend_from_slice(&encoded[..len]);
        }
    }
}
