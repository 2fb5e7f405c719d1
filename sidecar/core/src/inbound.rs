//! Sources that push by HTTP: one request in, events and malformed members out, one answer back.

use crate::{Event, Malformed, Result, Settlement};
use bytes::Bytes;
use http::{Response, request::Parts};

/// Reads requests of one kind of sender, and knows the answers that it understands.
pub trait Inbound: Send + Sync + 'static {
    /// What the request holds. Pure: no I/O, no clock.
    ///
    /// # Errors
    /// `Kind::Invalid` when the request as a whole cannot be read; the sender is told and keeps it.
    fn decode(&self, parts: &Parts, body: Bytes) -> Result<Inbox>;

    /// The answer to a request whose outcome is known.
    fn answer(&self, outcome: &Outcome) -> Response<Bytes>;
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
    },
    /// No events: a handshake, answered at once.
    Answer(Response<Bytes>),
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
    Unavailable(crate::Error),
}
