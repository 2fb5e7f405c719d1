//! What Event Grid refuses, in one line each: what happened, and what to do about it. Pure.

use outrigger_core::{Error, Kind};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

/// The most characters of the service's own words that are repeated.
const WORDS_MAX: usize = 300;
/// From here on a clock is named as a cause: tokens and signatures have leeways of a few minutes.
const CLOCK_OFF: Duration = Duration::from_mins(2);

/// An answer that is no success.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: &'a [u8],
    /// The service's clock at that time, where it told.
    pub(crate) date: Option<SystemTime>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// In words, such as `topic orders, subscription billing`.
    pub(crate) what: &'a str,
    /// The role that it needs.
    pub(crate) role: &'a str,
    /// The section of the configuration that says who we are.
    pub(crate) section: &'a str,
}

/// The refusal as an error. Wrong secrets, missing rights and missing places may be mended outside, so that they are
/// tried again; `now` is our clock.
pub(crate) fn error(refusal: &Refusal<'_>, asked: &Asked<'_>, now: SystemTime) -> Error {
    let Asked { what, role, section } = asked;
    let said = words(refusal.body);
    let line = |why: String| format!("eventgrid: {what}: {why} ({}{said})", refusal.status);
    match refusal.status {
        401 => {
            let clock = clock(refusal.date, now);
            let why = format!(
                "who we say we are is refused; check the key, signature or entra of {section}{clock}; it is tried again"
            );
            Error::new(Kind::Storage, line(why))
        }
        403 => {
            let clock = clock(refusal.date, now);
            let why = format!("it is forbidden; grant the role {role}{clock}; it is tried again");
            Error::new(Kind::Storage, line(why))
        }
        404 => Error::new(
            Kind::Storage,
            line("it is not there; create it, or mend its name; it is tried again".to_owned()),
        ),
        408 | 429 | 500..=599 => Error::status(
            refusal.status,
            refusal.retry_after,
            format!("eventgrid: {what}: the service cannot take it now{said}; it is tried again"),
        ),
        300..=399 => Error::new(
            Kind::Storage,
            line(format!("a redirect, which is not followed; name the place itself in {section}")),
        ),
        _ => Error::new(Kind::Invalid, line("the request is refused".to_owned())),
    }
}

/// That our clock is off, where it is.
fn clock(date: Option<SystemTime>, now: SystemTime) -> String {
    let off =
        |span: Duration, word| format!("; this machine's clock is {} s {word} the service's", span.as_secs());
    match date.map(|date| now.duration_since(date)) {
        Some(Ok(ahead)) if ahead > CLOCK_OFF => off(ahead, "ahead of"),
        Some(Err(behind)) if behind.duration() > CLOCK_OFF => off(behind.duration(), "behind"),
        _ => String::new(),
    }
}

/// The service's own words: its code and its message.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Said,
    }
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(Body { error: Said { code, message } }) = serde_json::from_slice(body) else {
        return String::new();
    };
    let text = format!("{code}: {message}");
    let text: String = text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    format!(", {}", text.trim_matches([':', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::Retry;

    const ASKED: Asked<'_> =
        Asked { what: "topic t, subscription s", role: "EventGrid Data Receiver", section: "eventgrid" };

    fn told(status: u16, body: &str, clock_ahead_s: i64) -> Error {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let off = Duration::from_secs(clock_ahead_s.unsigned_abs());
        let date = Some(if clock_ahead_s < 0 { now + off } else { now - off });
        let retry_after = Some(Duration::from_secs(7));
        error(&Refusal { status, retry_after, body: body.as_bytes(), date }, &ASKED, now)
    }

    #[test]
    fn what_may_be_mended_outside_is_tried_again_and_what_was_asked_wrongly_is_not() {
        for (status, expected) in [
            (400, Retry::Permanent),
            (401, Retry::Persistent),
            (403, Retry::Persistent),
            (404, Retry::Persistent),
            (408, Retry::Temporary),
            (413, Retry::Permanent),
            (429, Retry::Temporary),
            (302, Retry::Persistent),
            (500, Retry::Temporary),
            (503, Retry::Temporary),
        ] {
            assert_eq!(told(status, "", 0).retry(), expected, "{status}");
        }
        assert_eq!(told(429, "", 0).retry_after(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_line_says_what_where_and_what_to_do_in_the_services_words() {
        let body = r#"{"error":{"code":"Unauthorized","message":"bad\n key"}}"#;
        let line = told(401, body, 0).to_string();
        assert_eq!(
            line,
            "eventgrid: topic t, subscription s: who we say we are is refused; check the key, signature or entra of \
             eventgrid; it is tried again (401, Unauthorized: bad key)"
        );
        assert!(told(403, "", 0).to_string().contains("grant the role EventGrid Data Receiver"));
        assert!(told(404, "<html>", 0).to_string().ends_with("mend its name; it is tried again (404)"));
    }

    #[test]
    fn a_clock_that_is_off_is_named_where_it_may_be_the_cause() {
        assert!(told(401, "", 400).to_string().contains("clock is 400 s ahead of the service's"));
        assert!(told(403, "", -400).to_string().contains("clock is 400 s behind the service's"));
        assert!(!told(401, "", 60).to_string().contains("clock is"));
        assert!(!told(404, "", 400).to_string().contains("clock is"));
    }
}
