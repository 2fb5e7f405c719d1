//! Marks: which target already has which event. Only `dispatch` asks and writes them.

use crate::{BoxFuture, Result};
use std::sync::Arc;

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

/// A store of marks: the journal, or one that replicas share. A ledger that fails is passed over: it may cost
/// a duplicate, never an event.
pub trait Ledger: Send + Sync + 'static {
    /// Whether the mark is there.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn ask<'a>(&'a self, mark: &'a Mark) -> BoxFuture<'a, Result<bool>>;

    /// Writes the mark; it is durable when this returns.
    ///
    /// # Errors
    /// When the store cannot keep it.
    fn mark<'a>(&'a self, mark: &'a Mark) -> BoxFuture<'a, Result<()>>;
}
