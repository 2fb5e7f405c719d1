//! Media types: the grammar of `datacontenttype` and what it says about the payload.
//!
//! Types, subtypes and parameter names are compared without regard to case (RFC 2046; RFC 9110, section 8.3.1).

/// `type/subtype` and no more, as most are.
pub(super) fn is_plain(text: &str) -> bool {
    let end_of = |text: &[u8]| text.iter().position(|b| !TOKEN[usize::from(*b)]).unwrap_or(text.len());
    let slash = end_of(text.as_bytes());
    let subtype = text.as_bytes()[slash..].strip_prefix(b"/").unwrap_or_default();
    slash > 0 && !subtype.is_empty() && end_of(subtype) == subtype.len()
}

/// `type/subtype` with parameters. An empty parameter (`text/plain;`) is legal (RFC 9110, section 5.6.6).
pub(super) fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = split(text);
    essence.split_once('/').is_some_and(|(ty, subtype)| is_token(ty) && is_token(subtype))
        && each_parameter(parameters, |_, _| ())
}

/// `*/json` and `*/*+json`: in a structured event the payload is a JSON value (CloudEvents JSON format, 3.1).
pub(super) fn is_json(text: &str) -> bool {
    split(text).0.split_once('/').is_some_and(|(_, subtype)| {
        subtype.eq_ignore_ascii_case("json") || ends_with_ignoring_case(subtype, "+json")
    })
}

/// Types whose payload is text in UTF-8: `text/*`, XML, or whatever names UTF-8 as its charset.
///
/// The caller still has to look whether the payload is valid UTF-8.
pub(super) fn is_text(text: &str) -> bool {
    match is_utf8(text) {
        Some(utf8) => utf8,
        None => split(text).0.split_once('/').is_some_and(|(ty, subtype)| {
            ty.eq_ignore_ascii_case("text")
                || subtype.eq_ignore_ascii_case("xml")
                || ends_with_ignoring_case(subtype, "+xml")
        }),
    }
}

/// Whether the parameter `charset` names UTF-8 (or ASCII, a part of it); `None` without one.
pub(super) fn is_utf8(text: &str) -> Option<bool> {
    let mut utf8 = None;
    each_parameter(split(text).1, |name, value| {
        if name.eq_ignore_ascii_case("charset") {
            let charset = value.trim_matches('"');
            utf8 = Some(["utf-8", "utf8", "us-ascii"].iter().any(|c| charset.eq_ignore_ascii_case(c)));
        }
    });
    utf8
}

/// Type and subtype without the parameters, and the parameters from their first semicolon on.
pub(super) fn split(text: &str) -> (&str, &str) {
    let (essence, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
    (essence.trim_matches(OWS), parameters)
}

const OWS: [char; 2] = [' ', '\t'];

/// Calls `see` with each parameter, a quoted value with its quotes. False when the text is malformed.
fn each_parameter<'a>(mut text: &'a str, mut see: impl FnMut(&'a str, &'a str)) -> bool {
    while !text.is_empty() {
        let Some(rest) = text.trim_start_matches(OWS).strip_prefix(';') else { return false };
        text = rest.trim_start_matches(OWS);
        if text.is_empty() || text.starts_with(';') {
            continue;
        }
        let Some((name, rest)) = text.split_once('=') else { return false };
        let end = if rest.starts_with('"') {
            quoted_end(rest)
        } else {
            Some(rest.find([';', ' ', '\t']).unwrap_or(rest.len()))
        };
        let Some((value, rest)) = end.map(|end| rest.split_at(end)) else { return false };
        if !is_token(name) || !(value.starts_with('"') || is_token(value)) {
            return false;
        }
        see(name, value);
        text = rest.trim_start_matches(OWS);
    }
    true
}

/// Where the quoted string that `text` starts with ends; only printable ASCII may stand in it.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if !(0x20..0x7f).contains(&byte) => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| TOKEN[usize::from(b)])
}

/// What a token is made of (RFC 9110, section 5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < table.len() {
        let byte = at.to_le_bytes()[0];
        table[at] = byte.is_ascii_alphanumeric();
        at += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

fn ends_with_ignoring_case(text: &str, end: &str) -> bool {
    text.len() >= end.len() && text.as_bytes()[text.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_two_tokens_and_parameters() {
        for text in [
            "text/plain",
            "application/vnd.api+json",
            "TEXT/XML; charset=UTF-8",
            "text/plain;charset=utf-8 ; format=flowed",
            r#"multipart/mixed; boundary="a \"b; c""#,
            "text/plain;",
            "text/plain ; ;",
            "*/*",
        ] {
            assert!(is_media_type(text), "{text:?}");
        }
        for text in [
            "",
            "xyz",
            "text/",
            "/plain",
            "text/pl ain",
            "text/plain/x",
            "text/plain, text/html",
            "text/plain; charset",
            "text/plain; charset=",
            "text/plain; =utf-8",
            "text/plain; a=b c=d",
            r#"text/plain; a="b"#,
            r#"text/plain; a="b"c"#,
            "text/é",
            "text/plain; a=\"é\"",
        ] {
            assert!(!is_media_type(text), "{text:?}");
        }
    }

    #[test]
    fn json_is_known_by_its_subtype_or_suffix() {
        for text in
            ["application/json", "text/JSON", "application/cloudevents+Json; charset=utf-8", "a/b+json"]
        {
            assert!(is_json(text), "{text:?}");
        }
        for text in [
            "application/jsonl",
            "application/json-seq",
            "json",
            "text/plain; a=b+json",
            "a/xjson",
            "a/é+jso",
        ] {
            assert!(!is_json(text), "{text:?}");
        }
    }

    #[test]
    fn text_is_what_is_text_in_utf_8() {
        for text in [
            "text/plain",
            "Text/csv; header=present",
            "application/xml",
            "image/svg+XML",
            "application/x-www-form-urlencoded; charset=\"UTF-8\"",
            "text/plain; charset=us-ascii",
        ] {
            assert!(is_text(text), "{text:?}");
        }
        for text in
            ["application/octet-stream", "image/png", "text/plain; charset=iso-8859-1", "application/text"]
        {
            assert!(!is_text(text), "{text:?}");
        }
    }
}
