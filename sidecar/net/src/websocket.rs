//! The opening handshake of a WebSocket over HTTP/1.1 (RFC 6455, section 4), as one makes it who passes a WebSocket on
//! that came over HTTP/2, where there is none (RFC 8441, section 5).

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderValue;

/// What every server mixes into the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A new `Sec-WebSocket-Key`: sixteen random bytes. `None` where the system has no randomness.
#[must_use]
pub fn key() -> Option<HeaderValue> {
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).ok()?;
    HeaderValue::try_from(BASE64.encode(nonce)).ok()
}

/// Whether `Sec-WebSocket-Accept` is the answer to this key: somebody who does not speak WebSocket cannot give it.
#[must_use]
pub fn accepts(key: &HeaderValue, accept: Option<&HeaderValue>) -> bool {
    let mut mixed = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    mixed.update(key.as_bytes());
    mixed.update(GUID);
    accept.is_some_and(|accept| accept.as_bytes() == BASE64.encode(mixed.finish()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_that_of_the_specification() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let accept = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(accepts(&key, Some(&accept)));
        assert!(!accepts(&key, Some(&key)) && !accepts(&key, None));
    }

    #[test]
    fn keys_are_sixteen_bytes_and_differ() {
        let keys = [key().unwrap(), key().unwrap()];
        assert_ne!(keys[0], keys[1]);
        assert_eq!(BASE64.decode(keys[0].as_bytes()).unwrap().len(), 16);
    }
}
