//! What an answer is: a reply event, a plain body, or a failure. Pure but for the clock behind a date.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{DATE, LOCATION, RETRY_AFTER},
};
use outrigger_core::{Error, Event, Invalid, Kind, Reply, Result, decide::verdict::may_reply, event};

/// How much of a redirect's target is told.
const PLACE_BYTES_MAX: usize = 256;

/// Whether the headers of an answer claim that its body is an event.
///
/// Anything else is an ordinary function's answer and no failure, unlike in Knative Eventing, whose
/// triggers fail an event over it; whoever answers such a trigger has to strip it.
pub(crate) fn claims_event(status: u16, headers: &HeaderMap) -> bool {
    let structured = || !matches!(event::http::mode(headers), Ok(event::http::Mode::Binary));
    may_reply(status) && (headers.contains_key("ce-specversion") || structured())
}

/// The reply of a whole 2xx.
///
/// # Errors
/// [`Kind::BadAnswer`] when it claims to be an event and is none, or a batch: dropping it would lose an
/// event that the function meant to send.
pub(crate) fn reply(status: u16, headers: HeaderMap, body: Bytes) -> Result<Reply> {
    if !claims_event(status, &headers) {
        return Ok(Reply { status, event: None, headers, body });
    }
    match read_event(&headers, body) {
        Ok(event) => Ok(Reply { status, event: Some(event), headers, body: Bytes::new() }),
        Err(why) => Err(bad_reply(status, &why)),
    }
}

fn read_event(headers: &HeaderMap, body: Bytes) -> Result<Event, String> {
    let said = |invalid: Invalid| invalid.to_string();
    match event::http::mode(headers).map_err(said)? {
        event::http::Mode::Binary => event::http::decode(headers, body).map_err(said),
        event::http::Mode::Structured(format) => format.decode(body).map_err(said),
        event::http::Mode::Batch(_) => Err("a batch, where one event is expected".to_owned()),
    }
}

/// The failure of a 2xx whose reply cannot be used.
pub(crate) fn bad_reply(status: u16, why: &str) -> Error {
    Error::new(Kind::BadAnswer, format!("status {status}, but its reply event cannot be used: {why}"))
}

/// How long the function asks us to wait (RFC 9110, section 10.2.3): seconds, or a date.
///
/// A date counts from the answer's own `Date` where it has one, so that neither clock needs to be right.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // Digits that do not fit are a very long wait, which the lane caps like any other.
        return Some(Duration::from_secs(value.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    let date = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let until = httpdate::parse_http_date(value).ok()?;
    let from = headers.get(DATE).and_then(date).unwrap_or(now);
    Some(until.duration_since(from).unwrap_or_default())
}

/// The start of a failure's body as one line for people: control characters and line ends become spaces.
pub(crate) fn detail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// What is told of a redirect: where it leads, without a query, which may hold a secret.
pub(crate) fn redirect(headers: &HeaderMap) -> String {
    let place = headers.get(LOCATION).map_or(&b"nowhere"[..], HeaderValue::as_bytes);
    let end = place.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(place.len());
    let place = detail(&place[..end.min(PLACE_BYTES_MAX)]);
    format!("redirects are not followed; this one leads to {place}; if that is right, set function.url to it")
}

#[cfg(test)]
mod tests;
