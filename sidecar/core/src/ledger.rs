//! Marks: which target already has which event. Only `dispatch` asks and writes them.

use crate::{BoxFuture, Event, Result};
use std::{sync::Arc, time::Duration};

/// Names one event at one target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Who received it: the configured name of the source.
    pub receiver: Arc<str>,
    /// The target.
    pub target: Arc<str>,
    /// The event's `source`.
    pub source: String,
    /// The event's `id`.
    pub id: String,
}

/// What tells one payload from another: 128 bits of a hash over an event's type and data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Payload(pub u128);

/// What a ledger knows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is to be delivered.
    New,
    /// The target has it.
    Same,
    /// The target has an event of its name, with another payload.
    Another,
}

/// What becomes of an event whose name another one had, with another payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAnother {
    /// It is delivered.
    Deliver,
    /// It becomes a dead letter; a caller who waits is refused.
    Bury,
    /// It is settled without a call.
    Drop,
}

/// A mark as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number: the later, the higher.
    pub n: u64,
    /// What it names.
    pub mark: Mark,
    /// What the event's payload was, if that was kept.
    pub payload: Option<Payload>,
    /// How long ago it was written.
    pub age: Duration,
}

/// A store of marks: the journal, or one that replicas share. A ledger that fails is passed over: it may cost
/// a duplicate, never an event.
pub trait Ledger: Send + Sync + 'static {
    /// What is known of the mark, where `payload` is that of the event at hand. Without one, or without one in the store,
    /// the two count as the same.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn ask<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<Known>>;

    /// Writes the mark; it is durable when this returns, where the store is.
    ///
    /// # Errors
    /// When the store cannot keep it.
    fn mark<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<()>>;

    /// The same as [`Ledger::ask`] from memory alone, at once; `None` where it has to be asked.
    fn glance(&self, mark: &Mark, payload: Option<Payload>) -> Option<Known> {
        let _ = (mark, payload);
        None
    }

    /// What the event's payload is to be known again by; none where it does not matter.
    fn payload(&self, event: &Event) -> Option<Payload> {
        let _ = event;
        None
    }

    /// What becomes of an event of a known name with another payload.
    fn on_another(&self) -> OnAnother {
        OnAnother::Deliver
    }

    /// The marks before the one of that number, or the last ones, the newest first: a page of them, empty at the end. A
    /// store that cannot be read through has none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn before(&self, n: Option<u64>) -> BoxFuture<'_, Result<Vec<Kept>>> {
        let _ = n;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
