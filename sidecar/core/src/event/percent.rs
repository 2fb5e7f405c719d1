//! Header values of the HTTP binding: percent-encoding and double quotes (CloudEvents HTTP binding 1.0.2, 3.1.3.2).

use std::borrow::Cow;

/// Appends `text` as a header value: the space, `"`, `%` and all outside U+0021–7E become `%XY` of their UTF-8.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // Without an end in between, so that the compiler looks at sixteen at once. Most texts are plain.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return out.extend_from_slice(text.as_bytes());
    }
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e if byte != b'"' && byte != b'%')
}

/// Reads a header value: a double-quoted beginning is unquoted, then one round of percent-decoding.
///
/// Hexadecimal digits of either case, encoding where none was needed and bytes of plain UTF-8 are accepted.
/// A double quote elsewhere stands for itself: senders before 1.0.2 did not have to encode it.
///
/// # Errors
/// What was expected, when a quote or an escape does not end, an escape has no two hexadecimal digits,
/// or the result is not UTF-8 (overlong forms and surrogates included).
pub(super) fn decode(raw: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    const UTF8: &str = "UTF-8, percent-encoded";
    if raw.first() != Some(&b'"') && !raw.contains(&b'%') {
        return str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| UTF8);
    }
    let unquoted = unquote(raw).ok_or("a double-quoted string that ends")?;
    let decoded = unescape(&unquoted).ok_or("percent-encoded: two hexadecimal digits after each %")?;
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| UTF8)
}

fn unquote(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some((b'"', quoted)) = raw.split_first() else { return Some(Cow::Borrowed(raw)) };
    let mut unquoted = Vec::with_capacity(raw.len());
    let mut bytes = quoted.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => unquoted.push(*bytes.next()?),
            byte => unquoted.push(*byte),
        }
    }
    unquoted.extend_from_slice(bytes.as_slice());
    Some(Cow::Owned(unquoted))
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(if byte == b'%' { hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)? } else { byte });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        encode(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The cases follow the list in the C# SDK's `HttpUtilitiesTest`, and so do the next two tables.
    #[test]
    fn these_values_go_there_and_back() {
        for (text, header) in [
            ("order", "order"),
            ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("two words", "two%20words"),
            ("100%", "100%25"),
            ("12\" vinyl", "12%22%20vinyl"),
            ("Zoë", "Zo%C3%AB"),
            ("first\r\nsecond", "first%0D%0Asecond"),
        ] {
            assert_eq!(encoded(text), header);
            assert_eq!(decode(header.as_bytes()).unwrap(), text);
        }
    }

    #[test]
    fn what_others_write_differently_is_read_too() {
        for (header, text) in [
            ("not needed: %61%62", "not needed: ab"),
            (r#""  in  quotes  "and after"#, "  in  quotes  and after"),
            (r#""a quote\"inside""#, r#"a quote"inside"#),
            (r#""a backslash\\inside""#, r"a backslash\inside"),
            (r"no escape\outside", r"no escape\outside"),
            ("Euro%20%e2%82%aC%20%f0%9F%98%80", "Euro € 😀"),
            (r#""%41 in quotes""#, "A in quotes"),
            ("once%2520only", "once%20only"),
            (r#"{"older":"sender"}"#, r#"{"older":"sender"}"#),
            ("plain € as UTF-8", "plain € as UTF-8"),
            ("", ""),
            (r#""""#, ""),
        ] {
            assert_eq!(decode(header.as_bytes()).unwrap(), text, "{header}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for header in [
            "ends after %",
            "ends after %4",
            "first digit %x1",
            "second digit %1x",
            "second digit %1-",
            "low surrogate %ED%B2%80",
            "high surrogate %ED%A2%80",
            "two surrogates %ED%A2%80%ED%B2%80",
            "overlong space %C0%A0",
            "overlong slash %E0%80%AF",
            "cut short %E2%82",
            "cut short %E2%82%",
            "followed by a letter %E2z",
            "continues nothing %82",
            "two first bytes %E2%E2",
            r#""without an end"#,
            r#""escapes nothing \"#,
        ] {
            assert!(decode(header.as_bytes()).is_err(), "{header}");
        }
        assert!(decode(b"latin-1 \xe9").is_err());
    }

    proptest! {
        #[test]
        fn every_text_goes_there_and_back(text in any::<String>()) {
            let header = encoded(&text);
            prop_assert!(header.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'"'));
            prop_assert_eq!(decode(header.as_bytes()).unwrap(), text);
        }

        #[test]
        fn no_bytes_make_it_panic(raw: Vec<u8>) {
            let _ = decode(&raw);
        }
    }
}
