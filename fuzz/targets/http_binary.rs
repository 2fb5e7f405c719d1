//! A message in HTTP's binary mode: headers a line each, an empty line, the body.
//!
//! Whatever is read must be written and read again as the same event.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use outrigger_core::event::{Invalid, http as binding};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (headers, body) = message(data);
    let _ = binding::mode(&headers).inspect_err(said_well);
    let Ok(event) = binding::decode(&headers, body).inspect_err(said_well) else { return };
    let mut written = HeaderMap::new();
    let body = binding::encode(&event, &mut written);
    let again = binding::decode(&written, body).expect("what was written can be read");
    assert_eq!(event, again);
});

fn message(data: &[u8]) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    let mut rest = data;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, Bytes::copy_from_slice(rest))
}

/// An error is one line of bounded length, whatever the input was.
fn said_well(error: &Invalid) {
    let text = error.to_string();
    assert!(text.chars().count() <= 300 && !text.contains('\n'), "{text:?}");
}
