//! Dead letters: events that ended without being delivered, kept with everything that explains them.

mod explained;

pub use explained::{MALFORMED_TYPE, as_event};

use crate::{BoxFuture, Event, Key, Malformed, Origin, Reason, Result};
use std::sync::Arc;

/// One event that was given up, with its original bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The event, or the bytes that were none.
    pub item: Result<Event, Malformed>,
    /// Its ordering key.
    pub key: Option<Key>,
    /// Where it came from.
    pub origin: Origin,
    /// The target that failed it, where there are several; delivered once more, it goes there alone.
    pub target: Option<Arc<str>>,
    /// Why it was given up.
    pub reason: Reason,
    /// How many attempts the function was given.
    pub attempts: u32,
    /// When it was first received here, in Unix milliseconds.
    pub first_ms: u64,
    /// When it was given up, in Unix milliseconds.
    pub last_ms: u64,
}

/// A home for dead letters, on storage that outlives the pod.
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps the letter; it is durable when this returns. A second copy after a crash is allowed.
    ///
    /// Dropping the future leaves it open whether the letter was kept.
    ///
    /// # Errors
    /// `Full` or `Storage`: the caller keeps the event and pushes back; it never drops it.
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>>;
}
