//! Sources that push by HTTP: one request in, events and malformed members out, one answer back.

use crate::{Error, Event, Malformed, Result, Settlement};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};
use std::time::Duration;

/// Reads requests of one kind of sender, and knows the answers that it understands.
pub trait Inbound: Send + Sync + 'static {
    /// What the request holds. Pure: no I/O, no clock.
    ///
    /// # Errors
    /// `Kind::Invalid` when the request as a whole cannot be read; the sender is told and keeps it.
    fn decode(&self, parts: &Parts, body: Bytes) -> Result<Inbox>;

    /// The answer to a request whose outcome is known.
    fn answer(&self, outcome: &Outcome) -> Response<Bytes>;

    /// What this kind of sender does with an event that it is refused for good. By default it is told, and mends it.
    fn refused(&self) -> Refused {
        Refused::Told
    }
}

/// What a sender does with an event that is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is told why, and the event is its own again.
    Told,
    /// It sends the event again and again, so what can never be taken is kept here, as a dead letter.
    Repeats,
    /// It drops the event at once, so besides, nothing that may pass is answered as if it were for good.
    Drops,
}

/// What one request held.
#[derive(Debug)]
pub enum Inbox {
    /// Its events, in order. `batch` says whether the sender sent them as a batch.
    Events {
        /// The members, each an event or what should have been one.
        items: Vec<Result<Event, Malformed>>,
        /// Whether malformed members are ours to keep (a batch) or the sender's to mend (a single event).
        batch: bool,
        /// What the message itself tells of its hop beside the request's headers, such as a `traceparent` that its publisher
        /// set: names and values. A request that brings any tells nothing of it by its own headers.
        hop: Vec<(String, String)>,
    },
    /// No events: a handshake, answered at once.
    Answer(Response<Bytes>),
    /// No events: a handshake, answered at once and then confirmed by a GET of this URL, which was found fit for it.
    Confirm {
        /// The answer.
        answer: Response<Bytes>,
        /// Where it is confirmed.
        url: Uri,
    },
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Every event of it is durable; so are its malformed members, as dead letters.
    Accepted {
        /// How many events were accepted.
        events: usize,
        /// How many members became dead letters.
        dead: usize,
    },
    /// Each member has been through its one attempt (synchronous ingress).
    Settled {
        /// What became of each, in order; a member that was none is acknowledged as a dead letter.
        settlements: Vec<Settlement>,
        /// How many members became dead letters.
        dead: usize,
    },
    /// Nothing of it was accepted, and the sender may try again.
    Unavailable(Error),
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer
}

/// The answer to what was not taken: its status, when to come again where that is known, and why as text.
#[must_use]
pub fn refusal(status: u16, wait: Option<Duration>, why: String) -> Response<Bytes> {
    let mut answer = empty(StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Some(wait) = wait {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    *answer.body_mut() = Bytes::from(why);
    answer
}

/// The answer to what was not taken, for a sender that [drops](Refused::Drops) what is answered as if it were for good: of
/// such statuses only 413 is told, as what is too large will be so the next time; else it is to come again.
#[must_use]
pub fn refusal_to_come_again(error: &Error) -> Response<Bytes> {
    let (status, wait) = match error.told() {
        (400 | 401 | 403 | 404, _) => (503, Some(Duration::from_secs(30))),
        told => told,
    };
    refusal(status, wait, error.message().to_owned())
}
