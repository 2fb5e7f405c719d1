//! Webhooks of GitHub, by the adapter of the CloudEvents project.
//!
//! The id is that of the delivery, the type `com.github.<event>` with what happened after it; source, subject and time are
//! those of `table`. The data is the body, byte for byte. GitHub signs it: the path's secret is that of the webhook.
//! It never sends a delivery again by itself, so what is refused is told, and its page of recent deliveries shows it.

mod table;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, request::Parts};
use outrigger_core::{
    Error, Event, Inbound, Inbox, Invalid, Outcome, Result, Value,
    event::{json, reference},
};
use std::borrow::Cow;
use table::{Row, SOURCES, Tail};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::cloudevents;

const EVENT: &str = "x-github-event";
const DELIVERY: &str = "x-github-delivery";
const PREFIX: &str = "com.github.";
/// The source of what concerns no place within it.
const GITHUB: &str = "github.com";

/// Reads webhooks of GitHub.
#[derive(Debug, Clone, Copy)]
pub struct GitHub {
    /// Answers as the path of `CloudEvents` does.
    pub answers: cloudevents::CloudEvents,
}

impl Inbound for GitHub {
    /// # Errors
    /// Status 400 when it is no webhook of GitHub in JSON.
    fn decode(&self, parts: &Parts, body: Bytes) -> Result<Inbox> {
        let event = decode(&parts.headers, body);
        let event = event.map_err(|invalid| Error::status(400, None, invalid.to_string()))?;
        Ok(Inbox::Events { items: vec![Ok(event)], batch: false, hop: Vec::new() })
    }

    fn answer(&self, outcome: &Outcome) -> Response<Bytes> {
        match outcome {
            // A reply of the function is nothing for GitHub.
            Outcome::Settled { settlements, .. }
                if settlements.iter().all(|it| matches!(it, outrigger_core::Settlement::Ack(_))) =>
            {
                outrigger_core::inbound::empty(StatusCode::NO_CONTENT)
            }
            outcome => self.answers.answer(outcome),
        }
    }
}

/// The event of a webhook.
///
/// # Errors
/// When a header is missing, the body is no JSON object, or an attribute breaks a rule of the specification.
pub fn decode(headers: &HeaderMap, body: Bytes) -> Result<Event, Invalid> {
    let needed = |name: &str| {
        let text = headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
        text.ok_or_else(|| Invalid::says(name, "is missing; every webhook of GitHub has it"))
    };
    let (id, name) = (needed(DELIVERY)?, needed(EVENT)?);
    if headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|ty| ty.as_bytes().starts_with(b"application/x-www-form"))
    {
        return Err(Invalid::says(
            "content-type",
            "is a form; choose application/json in the webhook's settings",
        ));
    }
    let hook = Hook::read(&body)?;
    let row = table::of(name);
    let mut event = Event::new(id, &reference(&hook.source(row)), &hook.ty(name, row))?;
    if let Some(subject) = hook.text(row.subject) {
        event.set("subject", Value::String(&subject))?;
    }
    if let Some(time) = hook.time(name, row)? {
        event.set("time", Value::String(&time))?;
    }
    event.with_data("application/json", body)
}

/// The body.
struct Hook<'b>(&'b str);

impl<'b> Hook<'b> {
    fn read(body: &'b Bytes) -> Result<Self, Invalid> {
        let text = str::from_utf8(body).map_err(|_| Invalid::says("json", "is not UTF-8"))?;
        let good = serde_json::from_str::<serde::de::IgnoredAny>(text);
        good.map_err(|error| Invalid::says("json", &format!("is malformed: {error}")))?;
        let is_object = text.trim_start().starts_with('{');
        if is_object { Ok(Self(text)) } else { Err(Invalid::says("json", "is not an object")) }
    }

    /// The text at this path, unless it is empty.
    fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        let path: Vec<_> = path.split('.').collect();
        json::text(json::member(self.0, &path)?).filter(|text| !text.is_empty())
    }

    fn source(&self, row: &Row) -> String {
        let nearest = || SOURCES.iter().find_map(|path| self.text(path));
        let place = if row.source.is_empty() { None } else { self.text(row.source).or_else(nearest) };
        let place = place.unwrap_or(Cow::Borrowed(GITHUB)).into_owned();
        match row.event {
            "commit_comment" => match self.text("comment.commit_id") {
                Some(commit) => format!("{place}/{commit}"),
                None => place,
            },
            // Who buys is no place: their name goes.
            "marketplace_purchase" => {
                place.rsplit_once('/').map_or(place.clone(), |(users, _)| users.to_owned())
            }
            _ => place,
        }
    }

    fn ty(&self, name: &str, row: &Row) -> String {
        let mut ty = [PREFIX, name].concat();
        if let Tail::Of(paths) = row.tail {
            for what in paths.iter().filter_map(|path| self.text(path)) {
                ty.push('.');
                ty.push_str(&what);
            }
        }
        ty
    }

    fn time(&self, name: &str, row: &Row) -> Result<Option<String>, Invalid> {
        let found = match (name, self.text("action").as_deref()) {
            ("release", Some("created")) => self.text("release.created_at"),
            ("release", Some("published" | "released" | "prereleased")) => self.text("release.published_at"),
            _ => row.time.iter().find_map(|path| self.text(path)),
        };
        let Some(found) = found else { return Ok(None) };
        if !found.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Some(found.into_owned()));
        }
        let wrong = || Invalid::new("time", &found, "a number of seconds since 1970, before the year 10000");
        let at = found.parse().ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        at.and_then(|at| at.format(&Rfc3339).ok()).map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn webhook(event: &str, body: &str) -> Result<Event, Invalid> {
        let mut headers = HeaderMap::new();
        headers.insert(EVENT, HeaderValue::from_str(event).unwrap());
        headers.insert(DELIVERY, HeaderValue::from_static("72d3162e-cc78-11e3-81ab-4c9367dc0958"));
        decode(&headers, Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn a_webhook_is_an_event_with_its_bytes() {
        let body = r#"{ "action": "opened", "issue": {"number": 7, "updated_at": "2019-05-15T15:20:33Z", "url": "no"},
                        "repository": {"url": "https://api.github.com/repos/o/r"} }"#;
        let event = webhook("issues", body).unwrap();
        assert_eq!(event.ty(), "com.github.issues.opened");
        assert_eq!(event.source(), "https://api.github.com/repos/o/r");
        assert_eq!((event.subject(), event.time()), (Some("7"), Some("2019-05-15T15:20:33Z")));
        assert_eq!(event.data().unwrap(), body.as_bytes());
    }

    #[test]
    fn an_event_that_nobody_knows_yet_has_a_type_of_its_own() {
        let event =
            webhook("copilot_seat", r#"{"action":"taken","organization":{"url":"https://o"}}"#).unwrap();
        assert_eq!((event.ty(), event.source()), ("com.github.copilot_seat.taken", "https://o"));
        assert_eq!(webhook("ping", "{}").unwrap().source(), "github.com");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (event, body, why) in [
            ("push", "[]", "json: is not an object"),
            ("push", "{", "json: is malformed"),
            ("create", r#"{"ref":"a\u0000b"}"#, "subject: \"a"),
            ("star", r#"{"starred_at":"2019-06-30T23:59:61Z"}"#, "time: \"2019-06-30T23:59:61Z\" is not"),
            ("star", r#"{"starred_at":999999999999999}"#, "time: \"999999999999999\" is not"),
        ] {
            let told = webhook(event, body).unwrap_err().to_string();
            assert!(told.starts_with(why), "{told}");
        }
        let told = decode(&HeaderMap::new(), Bytes::from_static(b"{}")).unwrap_err().to_string();
        assert_eq!(told, "x-github-delivery: is missing; every webhook of GitHub has it");
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
        let event = webhook("push", &format!(r#"{{"x":{deep},"ref":"refs/heads/main"}}"#)).unwrap();
        assert_eq!(event.subject(), Some("refs/heads/main"));
    }

    proptest! {
        #[test]
        fn nothing_panics(event in "[a-z_]{1,12}", body: String, text: String) {
            let _ = webhook(&event, &body);
            let json = serde_json::json!({"action": text, "ref": text, "repository": {"url": text}, "starred_at": text});
            let _ = webhook("star", &json.to_string());
            let _ = webhook("create", &json.to_string());
        }
    }
}
