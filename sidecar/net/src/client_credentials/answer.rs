//! What a token endpoint answers (RFC 6749, sections 5.1 and 5.2), and what clouds make of it. Pure.

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// The life of a token whose answer names none (section 5.1 leaves it open).
pub(super) const LIFE_DEFAULT: Duration = Duration::from_mins(5);
/// The shortest and the longest life that is believed: a token of no life at all must not be fetched without end.
pub(super) const LIFE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(365 * 24));
/// The most characters of an endpoint's own words that are repeated.
const WORDS_MAX: usize = 300;

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    /// In Unix seconds: what Azure's endpoints for managed identities say, some of them only this.
    #[serde(default, deserialize_with = "seconds")]
    expires_on: Option<u64>,
}

/// A number, also one that is written as text, as Azure's endpoints do.
fn seconds<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written<'a> {
        Number(u64),
        Text(&'a str),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Written::deserialize(value)? {
        Written::Number(number) => Some(number),
        Written::Text(text) => text.parse().ok(),
        Written::Other(_) => None,
    })
}

/// The token of a success, and how long it lives.
///
/// # Errors
/// Why it is none, in one line.
pub(super) fn token(body: &Bytes, now_s: u64) -> Result<(String, Duration), String> {
    let Answer { access_token, token_type, expires_in, expires_on } = serde_json::from_slice(body)
        .map_err(|_| "the answer is no token (RFC 6749, section 5.1)".to_owned())?;
    if access_token.is_empty() || !access_token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the answer's access_token is empty or holds what no token may".to_owned());
    }
    if let Some(other) = token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(format!("the answer's token_type is {:?}, not Bearer", words(&other)));
    }
    let life = expires_in.or_else(|| expires_on.map(|at| at.saturating_sub(now_s)));
    Ok((access_token, life.map_or(LIFE_DEFAULT, Duration::from_secs).clamp(LIFE.0, LIFE.1)))
}

/// The endpoint's own words (section 5.2), which hold no secret.
pub(super) fn refusal(status: StatusCode, body: &Bytes) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    if status.is_redirection() {
        return format!("it answers {status}, which is not followed; name the place itself");
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error, error_description }) => {
            let detail = error_description.map(|text| format!(": {text}")).unwrap_or_default();
            format!("it refuses with {status}: {}", words(&format!("{error}{detail}")))
        }
        Err(_) => format!("it answers {status}"),
    }
}

/// Words of somebody else in a line of ours.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(answer: &'static str) -> Result<u64, String> {
        token(&Bytes::from_static(answer.as_bytes()), 1_000).map(|(_, life)| life.as_secs())
    }

    #[test]
    fn what_an_endpoint_says_is_repeated_in_one_line_of_a_bound() {
        let body =
            format!(r#"{{"error":"invalid_client","error_description":"a\nb{}"}}"#, "x".repeat(10_000));
        let told = refusal(StatusCode::UNAUTHORIZED, &Bytes::from(body));
        assert!(told.contains("invalid_client: abxx") && !told.contains('\n'), "{told}");
        assert!(told.len() < WORDS_MAX + 100, "{}", told.len());
    }

    #[test]
    fn a_life_is_read_as_a_number_as_a_text_or_from_its_end() {
        for (answer, expected) in [
            (r#"{"access_token":"t","expires_in":100}"#, 100),
            (r#"{"access_token":"t","expires_in":"3599","expires_on":"9","token_type":"Bearer"}"#, 3599),
            (r#"{"access_token":"t","expires_on":"1600"}"#, 600),
            (r#"{"access_token":"t","expires_on":1600,"resource":"https://eventgrid.azure.net"}"#, 600),
            (r#"{"access_token":"t","expires_on":"5/1/2026 00:00:00 +00:00"}"#, 300),
            (r#"{"access_token":"t","expires_in":null}"#, 300),
            (r#"{"access_token":"t","expires_on":1}"#, 1),
        ] {
            assert_eq!(life(answer), Ok(expected), "{answer}");
        }
        assert!(life(r#"{"access_token":""}"#).is_err());
        assert!(life(r#"{"access_token":"t","token_type":"mac"}"#).is_err());
        assert!(life("{}").is_err());
    }
}
