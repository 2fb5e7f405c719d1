//! URIs and URI-references (RFC 3986), checked and never changed.
//!
//! Only the generic grammar: no scheme's own rules, no normalizing. A URI may end with a fragment.

use std::borrow::Cow;

/// A URI: with a scheme (RFC 3986, section 3).
pub(super) fn is_uri(text: &str) -> bool {
    match split_scheme(text) {
        Some((Some(scheme), rest)) => is_scheme(scheme) && is_rest(rest),
        _ => false,
    }
}

/// A reference that is a fragment alone and not empty, such as `#1.0`.
pub(super) fn is_fragment(text: &str) -> bool {
    text.len() > 1 && text.starts_with('#') && is_any_reference(text)
}

/// The URL of a type of Protobuf (`google.protobuf.Any`) without its scheme, such as `type.googleapis.com/a.B`.
pub(super) fn is_type_url(text: &str) -> bool {
    let host_and_name = |(host, name): (&str, &str)| !host.is_empty() && !name.is_empty();
    text.rsplit_once('/').is_some_and(host_and_name) && !text.starts_with('/') && is_any_reference(text)
}

/// A URI or a relative reference (RFC 3986, section 4.1). The empty reference is one.
pub(super) fn is_uri_reference(text: &str) -> bool {
    // Most are a path from the root and no more.
    let is_path = text.starts_with('/') && !text.starts_with("//") && is_plain_path(text);
    is_path || is_any_reference(text)
}

/// The text as a URI may hold it: a name that others chose may have any character.
///
/// What no URI may have is percent-encoded; a percent sign stays where every one of them begins an encoded byte.
#[must_use]
pub fn reference(text: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=/:@?%".contains(&byte);
    if text.bytes().all(fits) && is_encoded_well(text) {
        return Cow::Borrowed(text);
    }
    let mut reference = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if fits(byte) && byte != b'%' {
            reference.push(char::from(byte));
        } else {
            reference.push('%');
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0').to_ascii_uppercase();
            reference.extend([digit(byte >> 4), digit(byte & 15)]);
        }
    }
    Cow::Owned(reference)
}

/// Whether every `%` begins an encoded byte.
fn is_encoded_well(text: &str) -> bool {
    let is_hex =
        |part: &str| part.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(is_hex)
}

fn is_any_reference(text: &str) -> bool {
    match split_scheme(text) {
        Some((Some(scheme), rest)) => is_scheme(scheme) && is_rest(rest),
        Some((None, rest)) => is_rest(rest),
        None => false,
    }
}

/// A colon before any `/`, `?` or `#` ends a scheme: the first segment of a relative path has none.
fn split_scheme(text: &str) -> Option<(Option<&str>, &str)> {
    match text.find([':', '/', '?', '#']) {
        Some(at) if text.as_bytes()[at] == b':' => Some((Some(text.get(..at)?), text.get(at + 1..)?)),
        _ => Some((None, text)),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn is_rest(rest: &str) -> bool {
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (hierarchy, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = match hierarchy.strip_prefix("//") {
        Some(authority_and_path) => {
            let end = authority_and_path.find('/').unwrap_or(authority_and_path.len());
            let (authority, path) = authority_and_path.split_at(end);
            if !is_authority(authority) {
                return false;
            }
            path
        }
        None => hierarchy,
    };
    is_made_of(path, b"/:@") && is_made_of(query, b"/:@?") && is_made_of(fragment, b"/:@?")
}

fn is_authority(authority: &str) -> bool {
    let (user, host_and_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    let literal = host_and_port.strip_prefix('[').map(|literal| literal.split_once(']'));
    let (host_is_good, port) = match literal {
        Some(Some((address, port))) => (!address.is_empty() && is_made_of(address, b":"), port),
        Some(None) => return false,
        None => {
            let (host, port) = host_and_port.split_at(host_and_port.find(':').unwrap_or(host_and_port.len()));
            (is_made_of(host, b""), port)
        }
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    is_made_of(user, b":") && host_is_good && port_is_good
}

/// Unreserved characters and sub-delims, which may stand in every part.
const ALWAYS: [bool; 256] =
    table(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=", [false; 256]);
/// What may stand in a path, but for percent-encoded octets.
const PATH: [bool; 256] = table(b"/:@", ALWAYS);

const fn table(legal: &[u8], mut table: [bool; 256]) -> [bool; 256] {
    let mut at = 0;
    while at < legal.len() {
        table[legal[at] as usize] = true;
        at += 1;
    }
    table
}

/// Whether all of it may stand in a path as it is.
fn is_plain_path(path: &str) -> bool {
    path.bytes().all(|byte| PATH[usize::from(byte)])
}

/// Whether `part` has only unreserved characters, sub-delims, percent-encoded octets and those of `more`.
fn is_made_of(part: &str, more: &[u8]) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => {
                [bytes.next(), bytes.next()].iter().flatten().filter(|b| b.is_ascii_hexdigit()).count() == 2
            }
            _ => ALWAYS[usize::from(byte)] || more.contains(&byte),
        };
        if !good {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_have_a_scheme() {
        for text in [
            "https://cloudevents.io/dataschema",
            "mailto:cncf-wg-serverless@lists.cncf.io",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "a+b-c.d:",
            "http://user:secret@[2001:db8::1]:8080/a/b;c=d?e=f/?#g/?",
            "file:///etc/hosts",
            "http://example.com:",
            "x:%C3%A9",
        ] {
            assert!(is_uri(text) && is_uri_reference(text), "{text:?}");
        }
    }

    #[test]
    fn references_may_be_relative() {
        for text in [
            "",
            "#fragment",
            "?query",
            "/sensors/tn-1234567/alerts",
            "//authority/path",
            "//pubsub.googleapis.com/projects/p/topics/t",
            "cloudevents/spec/pull/123",
            "1-555-123-4567",
            "./a:b",
            "/subscriptions/",
        ] {
            assert!(is_uri_reference(text), "{text:?}");
            assert!(!is_uri(text), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "a b",
            "/a b",
            "1a:b",
            ":a",
            "/é",
            "/%",
            "/%4",
            "/%4g",
            "/a\\b",
            "/a\"b",
            "/<a>",
            "/{a}",
            "/a|b",
            "/a^b",
            "/a`b",
            "#a#b",
            "/[a]",
            "?[a]",
            "//a:b/c",
            "//[::1",
            "//[]/",
            "//[::1]x/",
            "//a@b@c/",
            "/a\u{0}",
        ] {
            assert!(!is_uri_reference(text), "{text:?}");
        }
    }
}
