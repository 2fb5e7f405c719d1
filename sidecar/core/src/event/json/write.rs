//! From events to JSON.

use std::str;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::IgnoredAny;

use super::Event;
use crate::event::{media, value::Kind};

/// About how many bytes the event will take, so that they are allocated once.
pub(super) fn capacity(event: &Event) -> usize {
    const NAMES_AND_PUNCTUATION: usize = 160;
    let data = event.data.as_ref().map_or(0, |data| match member(event, data) {
        Member::Base64 => data.len().div_ceil(3) * 4,
        Member::Json | Member::Text(_) => data.len(),
    });
    event.attributes.heap() + data + NAMES_AND_PUNCTUATION
}

pub(super) fn event(event: &Event, out: &mut Vec<u8>) {
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
    if let Some(data) = &event.data {
        match member(event, data) {
            Member::Json => {
                out.extend_from_slice(br#","data":"#);
                out.extend_from_slice(data);
            }
            Member::Text(text) => {
                out.extend_from_slice(br#","data":"#);
                string(text, out);
            }
            Member::Base64 => {
                out.extend_from_slice(br#","data_base64":""#);
                base64(data, out);
                out.push(b'"');
            }
        }
    }
    out.push(b'}');
}

/// How the payload is written.
enum Member<'a> {
    Json,
    Text(&'a str),
    Base64,
}

/// The type says what the payload should be, its bytes whether it is.
fn member<'a>(event: &Event, data: &'a [u8]) -> Member<'a> {
    let Some(content_type) = event.datacontenttype() else { return Member::Base64 };
    let is_json = media::is_json(content_type);
    if !is_json && !media::is_text(content_type) {
        return Member::Base64;
    }
    match str::from_utf8(data) {
        // Validated without a tree, and without recursion.
        Ok(text) if is_json && serde_json::from_str::<IgnoredAny>(text).is_ok() => Member::Json,
        Ok(text) if !is_json => Member::Text(text),
        _ => Member::Base64,
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
