//! What an event subscription sends by HTTP: events in both schemas, one or many, and the messages by which Azure asks
//! and tells about the subscription itself.
//!
//! Event Grid drops an event that is answered 400, 401, 403, 404 or 413, so those are never answered to what may pass, and
//! what can never be an event is kept as a dead letter. Success is 200 to 204, of a batch all or nothing.

mod read;
mod validation;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE, request::Parts};
use outrigger_core::{
    Error, Inbound, Inbox, Kind, Outcome, Refused, Result, Settlement,
    inbound::{self, empty},
};
use read::Read;
use std::time::Duration;

/// A path that event subscriptions send to.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The most events in one batch; Event Grid sends at most 5,000.
    pub batch_events_max: usize,
    /// How a subscription in the `EventGrid` schema is confirmed.
    pub validation: Validation,
}

/// How a subscription is confirmed. One in the `CloudEvents` schema asks by OPTIONS instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validation {
    /// By its code in the answer.
    Answer,
    /// By a GET of its URL after the answer, which must be of one of these hosts or below.
    Follow(Vec<String>),
    /// Not at all.
    Refuse,
}

impl Inbound for Webhook {
    fn decode(&self, parts: &Parts, body: Bytes) -> Result<Inbox> {
        match read::request(&parts.headers, &body, self.batch_events_max)? {
            Read::Events(items) => Ok(Inbox::Events { items, batch: true, hop: Vec::new() }),
            Read::Validation { code, url } => self.confirm(code, url.as_deref()),
            Read::Deletion(subscription) => {
                tracing::info!(subscription, "an event subscription was deleted; it sends no more");
                Ok(Inbox::Answer(empty(StatusCode::OK)))
            }
        }
    }

    fn answer(&self, outcome: &Outcome) -> Response<Bytes> {
        match outcome {
            Outcome::Accepted { dead: 0, .. } => empty(StatusCode::OK),
            Outcome::Accepted { events, dead } => {
                json(&serde_json::json!({"accepted": events, "dead_lettered": dead}))
            }
            Outcome::Settled { settlements, .. } => {
                let is_done = |settlement: &Settlement| matches!(settlement, Settlement::Ack(_));
                if settlements.iter().all(is_done) {
                    return empty(StatusCode::OK);
                }
                let wait = settlements.iter().filter_map(|settlement| match settlement {
                    Settlement::Release { after } => *after,
                    Settlement::Ack(_) | Settlement::Reject(_) => None,
                });
                let wait = wait.max().unwrap_or(Duration::from_secs(1));
                inbound::refusal_to_come_again(&Error::status(
                    503,
                    Some(wait),
                    "not every event of it is done; send it again",
                ))
            }
            Outcome::Unavailable(error) => inbound::refusal_to_come_again(error),
        }
    }

    fn refused(&self) -> Refused {
        Refused::Drops
    }
}

impl Webhook {
    fn confirm(&self, code: Option<String>, url: Option<&str>) -> Result<Inbox> {
        let missing = |what: &str| Error::new(Kind::Invalid, format!("the validation event has no {what}"));
        match &self.validation {
            Validation::Answer => {
                let code = code.ok_or_else(|| missing("validationCode"))?;
                tracing::info!("an event subscription is confirmed");
                Ok(Inbox::Answer(json(&serde_json::json!({"validationResponse": code}))))
            }
            Validation::Follow(hosts) => {
                match validation::fit(url.ok_or_else(|| missing("validationUrl"))?, hosts) {
                    Ok(url) => Ok(Inbox::Confirm { answer: empty(StatusCode::OK), url }),
                    Err(why) => {
                        tracing::warn!(
                            why,
                            "an event subscription is not confirmed: its validationUrl is not followed"
                        );
                        Ok(Inbox::Answer(empty(StatusCode::OK)))
                    }
                }
            }
            Validation::Refuse => {
                tracing::warn!(
                    "an event subscription is not confirmed: ingress.eventgrid_webhook.validation is refuse"
                );
                Ok(Inbox::Answer(empty(StatusCode::FORBIDDEN)))
            }
        }
    }
}

fn json(value: &serde_json::Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(value.to_string()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests;
