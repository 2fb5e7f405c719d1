//! Calling a target with events.

use crate::{BoxFuture, Event, Key, Position, Reply, Result, TargetId, Timeline};
use std::time::{Duration, Instant};

/// What a call knows besides its events.
#[derive(Debug, Clone)]
pub struct CallCx {
    /// The target.
    pub target: TargetId,
    /// Which attempt this is; 1 is the first.
    pub attempt: u32,
    /// The caller's own deadline, if there is one before the target's timeout.
    pub deadline: Option<Instant>,
    /// For an answer that is passed on as it comes: timeout and deadline end with its head, and from then on, as in
    /// the request's body, only a rest of this length without a byte ends it. `None` for an event, whose answer must
    /// be whole in time.
    pub stream: Option<Duration>,
    /// The event's timeline.
    pub timeline: Timeline,
    /// Where its source has the event, for a target that tells the function; none of a request that is passed on.
    pub position: Position,
    /// The event's ordering key, for the same.
    pub key: Option<Key>,
}

impl CallCx {
    /// The first attempt at a target, of which nothing else is known.
    #[must_use]
    pub fn first(target: TargetId) -> Self {
        Self {
            target,
            attempt: 1,
            deadline: None,
            stream: None,
            timeline: Timeline::off(),
            position: Position::none(),
            key: None,
        }
    }
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
