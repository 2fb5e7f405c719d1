//! Shared access signatures: a token that opens one place until one time, made of a key that is then never sent. Pure.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt::Write as _;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// As Python's `str(datetime)` writes it, which Azure reads.
const EXPIRY: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]+00:00");

/// The token for `resource`, a URL, until `expires`; `key` is the access key in base64, as Azure shows it.
///
/// # Errors
/// When the key is no base64, or the time cannot be written.
pub fn sign(resource: &str, key: &str, expires: OffsetDateTime) -> Result<String, &'static str> {
    let key = STANDARD.decode(key).map_err(|_| "the key is no base64, as Azure's keys are")?;
    let expires = expires.to_offset(time::UtcOffset::UTC).format(EXPIRY);
    let expires = expires.map_err(|_| "the time of its end cannot be written")?;
    let mut token = String::from("r=");
    quote(resource, &mut token);
    token.push_str("&e=");
    quote(&expires, &mut token);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), token.as_bytes());
    token.push_str("&s=");
    quote(&STANDARD.encode(signature), &mut token);
    Ok(token)
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn quote(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // writing to a string cannot fail
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn it_is_what_microsofts_python_client_makes() {
        // generate_sas of azure-eventgrid 4.22, as it was recorded.
        let resource = "http://127.0.0.1:18080/api/events?apiVersion=2018-01-01";
        let made = sign(resource, "a2V5MTIzNDU2Nzg5MA==", datetime!(2030-01-01 0:00 UTC)).unwrap();
        assert_eq!(
            made,
            "r=http%3A%2F%2F127.0.0.1%3A18080%2Fapi%2Fevents%3FapiVersion%3D2018-01-01\
             &e=2030-01-01%2000%3A00%3A00%2B00%3A00&s=Y%2BOfwindnR0pgIHb%2BKsBjFRcgbhP90zJa6tMBWGIZZc%3D"
        );
    }

    #[test]
    fn a_key_that_is_no_base64_is_refused() {
        assert!(sign("https://a/", "geheim!", datetime!(2030-01-01 0:00 UTC)).is_err());
    }
}
