//! A sink as a target: what it has is delivered.

use outrigger_core::{BoxFuture, Call, CallCx, Error, Event, Kind, Reply, Result, Retry, Sink};
use std::sync::Arc;

/// Writes events to a sink.
pub struct Outlet(pub Arc<dyn Sink>);

impl Call for Outlet {
    /// Writes the events. What the sink will never take is the event's own fault; anything else is the sink's, so it counts
    /// as no attempt: an outage makes no dead letters.
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            for event in events {
                self.0.send_within(event, &cx.timeline).await.map_err(|error| outage(&error))?;
            }
            Ok(events.iter().map(|_| Reply { status: 204, ..Reply::default() }).collect())
        })
    }
}

/// What keeps a sink from taking an event, as an error of a call.
pub(crate) fn outage(error: &Error) -> Error {
    match error.retry() {
        Retry::Permanent => Error::new(Kind::Invalid, error.message()),
        Retry::Temporary | Retry::Persistent => Error::new(Kind::Unreachable, error.message()),
    }
}
