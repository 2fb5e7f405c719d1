//! Calling a target with events.

use crate::{BoxFuture, Event, Reply, Result, TargetId, Timeline};
use std::time::Instant;

/// What a call knows besides its events.
#[derive(Debug, Clone)]
pub struct CallCx {
    /// The target.
    pub target: TargetId,
    /// Which attempt this is; 1 is the first.
    pub attempt: u32,
    /// The caller's own deadline, if there is one before the target's timeout.
    pub deadline: Option<Instant>,
    /// The event's timeline.
    pub timeline: Timeline,
}

/// Encode, exchange, decode: one attempt, no retry.
pub trait Call: Send + Sync + 'static {
    /// Calls the target with `events`: one, but for batch mode. One reply per event.
    ///
    /// Dropping the future abandons the attempt; the function may have seen the events all the same.
    ///
    /// # Errors
    /// See [`crate::Error::sent`]: whether it counts as an attempt.
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>>;
}
