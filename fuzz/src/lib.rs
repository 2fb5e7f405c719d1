//! What several fuzz targets share: how bytes become an HTTP message, and what an error must look like.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use outrigger_core::event::Invalid;

/// A header a line, an empty line, the body. Lines that are no header are left out.
#[must_use]
pub fn message(data: &[u8]) -> (HeaderMap, Bytes) {
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
///
/// # Panics
/// When it is not.
pub fn said_well(error: &Invalid) {
    let text = error.to_string();
    assert!(text.chars().count() <= 300 && !text.contains('\n'), "{text:?}");
}
