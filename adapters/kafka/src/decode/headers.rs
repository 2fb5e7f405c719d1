//! A plain record's headers as one attribute: JSON that passes through any HTTP server.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// How long the text may be once it is a header of HTTP, where a space, a quote and a percent sign take three bytes.
///
/// Servers that allow 8 KiB for all headers together are common; this is half of it.
pub(super) const ENCODED_BYTES_MAX: usize = 4096;

/// Headers as a JSON array of pairs in ASCII, as many as fit.
#[derive(Debug, Default)]
pub(super) struct Kept {
    json: String,
    encoded_bytes: usize,
    left_out: i32,
}

impl Kept {
    /// Adds a header, or counts it when it does not fit. One that is too long does not keep out those after it.
    pub(super) fn push(&mut self, name: &str, value: Option<&[u8]>) {
        // Nothing gets shorter by being written, so what cannot fit need not be tried.
        if self.encoded_bytes + name.len() + value.map_or(0, <[u8]>::len) > ENCODED_BYTES_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let before = self.json.len();
        // Enough for text; the array's end is in it too.
        self.json.reserve(name.len() + value.map_or(4, <[u8]>::len) + 8);
        self.json.push_str(if before == 0 { "[[" } else { ",[" });
        string(name, &mut self.json);
        self.json.push(',');
        match value.map(|bytes| (bytes, str::from_utf8(bytes))) {
            None => self.json.push_str("null"),
            Some((_, Ok(text))) => string(text, &mut self.json),
            Some((bytes, Err(_))) => {
                self.json.push_str("{\"base64\":\"");
                STANDARD.encode_string(bytes, &mut self.json);
                self.json.push_str("\"}");
            }
        }
        self.json.push(']');
        let encoded_bytes = self.encoded_bytes + encoded_bytes(&self.json[before..]);
        // The closing bracket comes last.
        if encoded_bytes < ENCODED_BYTES_MAX {
            self.encoded_bytes = encoded_bytes;
        } else {
            self.json.truncate(before);
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// The array, if any header is in it, and how many are not.
    pub(super) fn finish(mut self) -> (Option<String>, i32) {
        if self.json.is_empty() {
            return (None, self.left_out);
        }
        self.json.push(']');
        (Some(self.json), self.left_out)
    }
}

/// Writes a string of JSON in printable ASCII: an attribute may have no control characters nor noncharacters, and
/// in a header of HTTP an escape is shorter than the percent-encoding of what it stands for.
fn string(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c| !matches!(c, ' '..='~') || c == '"' || c == '\\') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Some(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let digit = |shift: u16| char::from(HEX[usize::from(*unit >> shift & 15)]);
                    out.extend(['\\', 'u', digit(12), digit(8), digit(4), digit(0)]);
                }
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn encoded_bytes(ascii: &str) -> usize {
    ascii.bytes().map(|byte| if matches!(byte, b' ' | b'"' | b'%') { 3 } else { 1 }).sum()
}
