//! Where events go besides the function: a topic, a queue, another endpoint.

use crate::{BoxFuture, Event, Result, Timeline};

/// A durable home for events that the function answered with, and for those that a route sends on.
pub trait Sink: Send + Sync + 'static {
    /// Writes the event; it is durable there when this returns. A second copy after a crash is allowed.
    ///
    /// Dropping the future leaves it open whether the event was written.
    ///
    /// # Errors
    /// [`Retry::Temporary`](crate::Retry) and `Persistent` ones may pass: the caller keeps the event and pushes
    /// back. A `Permanent` one says that this event will never be taken there.
    fn send<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<()>>;

    /// The same, and tells whoever reads it of the trace in `timeline`, where the place has headers for that.
    ///
    /// # Errors
    /// As [`Sink::send`].
    fn send_within<'a>(&'a self, event: &'a Event, timeline: &'a Timeline) -> BoxFuture<'a, Result<()>> {
        let _ = timeline;
        self.send(event)
    }
}
