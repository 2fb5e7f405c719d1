//! CloudEvents over HTTP, as any SDK sends them: binary, structured and batched.
//!
//! After the HTTP protocol binding 1.0.2. The codecs are the core's; here it is decided which one reads a request
//! and what its sender is told.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE, request::Parts};
use outrigger_core::{
    Code, Error, Event, Inbound, Inbox, Invalid, Malformed, Outcome, Reason, Reply, Result, Settlement,
    event::http::{self as binary, Mode},
    inbound::{self, empty},
};
use serde_json::json;

/// Error bodies stay below this: longer ones have brought down dispatchers of other projects (facts of Knative).
const ERROR_BYTES_MAX: usize = 768;

/// Reads CloudEvents in the three modes.
#[derive(Debug, Clone, Copy)]
pub struct CloudEvents {
    /// The most members of a batch.
    pub batch_events_max: usize,
}

impl Inbound for CloudEvents {
    fn decode(&self, parts: &Parts, body: Bytes) -> Result<Inbox> {
        let mode = binary::mode(&parts.headers).map_err(|invalid| unreadable(&invalid))?;
        let one = |event: Result<Event, Invalid>| {
            let event = event.map_err(|invalid| unreadable(&invalid))?;
            Ok(Inbox::Events { items: vec![Ok(event)], batch: false, hop: Vec::new() })
        };
        match mode {
            Mode::Binary => one(binary::decode(&parts.headers, body)),
            Mode::Structured(format) => one(format.decode(body)),
            Mode::Batch(format) => {
                let members = format.decode_batch(body).map_err(|invalid| unreadable(&invalid))?;
                if members.len() > self.batch_events_max {
                    let most = self.batch_events_max;
                    let detail =
                        format!("the batch has {} events and at most {most} are taken", members.len());
                    return Err(Error::status(413, None, detail));
                }
                let malformed = |(raw, why): (Bytes, Invalid)| Malformed {
                    raw: Bytes::copy_from_slice(&raw),
                    headers: kept_headers(&parts.headers),
                    key: None,
                    why: why.to_string(),
                };
                let items = members.into_iter().map(|member| member.map(own).map_err(malformed)).collect();
                Ok(Inbox::Events { items, batch: true, hop: Vec::new() })
            }
        }
    }

    fn answer(&self, outcome: &Outcome) -> Response<Bytes> {
        match outcome {
            Outcome::Accepted { dead: 0, .. } => empty(StatusCode::ACCEPTED),
            Outcome::Accepted { events, dead } => {
                json_body(StatusCode::ACCEPTED, &json!({"accepted": events, "dead_lettered": dead}))
            }
            Outcome::Settled { settlements, dead } => match settlements.as_slice() {
                [Settlement::Ack(reply)] => delivered(reply.as_deref()),
                [Settlement::Reject(reason)] => refused(reason),
                [Settlement::Release { after }] => {
                    let wait = after.map_or(1, |after| after.as_secs().max(1));
                    failure(&Error::status(
                        503,
                        Some(std::time::Duration::from_secs(wait)),
                        "no room; try again",
                    ))
                }
                several => settled_batch(several, *dead),
            },
            Outcome::Unavailable(error) => failure(error),
        }
    }
}

/// The answer to something that was not accepted: its status, why, and when to come again.
#[must_use]
pub fn failure(error: &Error) -> Response<Bytes> {
    let (status, wait) = error.told();
    inbound::refusal(status, wait, line(error.message()))
}

/// An answer of one line.
#[must_use]
pub fn text(status: StatusCode, line: &str) -> Response<Bytes> {
    inbound::refusal(status.as_u16(), None, self::line(line))
}

/// Cut where it is too long, with its end.
fn line(text: &str) -> String {
    let mut end = text.len().min(ERROR_BYTES_MAX - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}\n", &text[..end])
}

/// A member whose payload does not keep the whole batch in memory until its last member is done.
fn own(mut event: Event) -> Event {
    event.own_data();
    event
}

fn unreadable(invalid: &Invalid) -> Error {
    Error::status(if invalid.unsupported() { 415 } else { 400 }, None, invalid.to_string())
}

/// The headers that explain an event: its content type and its attributes, never credentials.
fn kept_headers(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    let explains = |name: &str| name == "content-type" || name.starts_with("ce-");
    let kept = headers.iter().filter(|(name, _)| explains(name.as_str()));
    kept.map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))).collect()
}

fn delivered(reply: Option<&Reply>) -> Response<Bytes> {
    let Some(reply) = reply else { return empty(StatusCode::OK) };
    let mut answer = Response::new(reply.body.clone());
    *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    if let Some(event) = &reply.event {
        *answer.body_mut() = binary::encode(event, answer.headers_mut());
    } else if let Some(content_type) = reply.headers.get(CONTENT_TYPE) {
        answer.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    answer
}

fn refused(reason: &Reason) -> Response<Bytes> {
    let status = reason.status.unwrap_or(match reason.code {
        Code::Conflict => 409,
        Code::Rule => 422,
        Code::Unavailable | Code::ReplyRefused => 503,
        Code::TimedOut => 504,
        _ => 502,
    });
    let wait = (status == 503).then_some(std::time::Duration::from_secs(1));
    failure(&Error::status(status, wait, reason.to_string()))
}

/// A batch is a failure as soon as one member failed: its sender may send it again whole, and the members that
/// the function already has are then duplicates. The answer says which.
fn settled_batch(settlements: &[Settlement], dead: usize) -> Response<Bytes> {
    let failed = settlements.iter().enumerate().filter_map(|(index, settlement)| match settlement {
        Settlement::Ack(_) => None,
        Settlement::Reject(reason) => Some(json!({"index": index, "reason": reason.to_string()})),
        Settlement::Release { .. } => Some(json!({"index": index, "reason": "no room; try again"})),
    });
    let failed: Vec<_> = failed.collect();
    let status = if failed.is_empty() { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    let delivered = settlements.len() - failed.len() - dead;
    json_body(status, &json!({"delivered": delivered, "dead_lettered": dead, "failed": failed}))
}

fn json_body(status: StatusCode, value: &serde_json::Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(value.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
