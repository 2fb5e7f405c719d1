//! What a push subscription sends by HTTP: one message a request, wrapped in JSON or as it is with its metadata as headers.
//!
//! Pub/Sub takes 200 to 204 for an acknowledgement and sends everything else again, for as long as the message is kept. So
//! what can never be an event is kept as a dead letter and acknowledged, and nothing else is before it is safe.

mod unwrapped;
mod wrapped;

use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use outrigger_core::{
    Error, Event, Inbound, Inbox, Malformed, Outcome, Refused, Result, Settlement, inbound,
};
use std::{sync::Arc, time::Duration};

use crate::decode::{self, Message, Place};

/// A path that a push subscription sends to.
#[derive(Debug, Clone)]
pub struct Push {
    /// The subscription's topic, as `projects/P/topics/T`: what is pushed does not name it.
    pub topic: Arc<str>,
    /// The attributes of a message that tell of its hop, such as `traceparent`: kept beside its event.
    pub hop: &'static [&'static str],
}

impl Inbound for Push {
    /// # Errors
    /// Status 400 when it is nothing that Pub/Sub pushes. It goes on being the sender's: a subscription that is set up
    /// otherwise than expected here must not empty its topic into the dead letters.
    fn decode(&self, parts: &Parts, body: Bytes) -> Result<Inbox> {
        let message = if unwrapped::is(&parts.headers) {
            unwrapped::message(&parts.headers, body)
        } else {
            wrapped::message(&body)
        };
        let (message, subscription) = message.map_err(|why| Error::status(400, None, why))?;
        let place = Place { subscription, topic: Some(self.topic.to_string()) };
        let hop = decode::kept(&message, self.hop);
        Ok(Inbox::Events { items: vec![event(&message, &place)], batch: false, hop })
    }

    fn answer(&self, outcome: &Outcome) -> Response<Bytes> {
        match outcome {
            Outcome::Accepted { .. } => inbound::empty(StatusCode::NO_CONTENT),
            Outcome::Settled { settlements, .. } => {
                let is_done = |settlement: &Settlement| matches!(settlement, Settlement::Ack(_));
                if settlements.iter().all(is_done) {
                    return inbound::empty(StatusCode::NO_CONTENT);
                }
                let wait = Some(Duration::from_secs(1));
                refusal(&Error::status(503, wait, "the function does not have it yet; send it again"))
            }
            Outcome::Unavailable(error) => refusal(error),
        }
    }

    fn refused(&self) -> Refused {
        Refused::Repeats
    }
}

/// The event that the message would be if it were pulled. A journal knows an event's key only by its attributes, so the
/// ordering key must be one of them.
fn event(message: &Message, place: &Place) -> Result<Event, Malformed> {
    let event = decode::decode(message, place)?;
    if !message.ordering_key.is_empty() && event.get(decode::KEY).is_none() {
        let why = "the ordering key holds control characters, so that it can be no attribute; the order would be lost";
        return Err(decode::malformed(message, &why));
    }
    Ok(event)
}

fn refusal(error: &Error) -> Response<Bytes> {
    let (status, wait) = error.told();
    inbound::refusal(status, wait, error.message().to_owned())
}

#[cfg(test)]
mod tests;
