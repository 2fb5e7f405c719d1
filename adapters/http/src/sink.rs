//! Where replies and dead letters go by POST: as [`Sink`] and as [`DeadLetters`], each event for itself.

use std::sync::{Mutex, PoisonError};

use outrigger_core::{
    BoxFuture, Call, CallCx, DeadLetter, DeadLetters, Error, Event, Kind, Result, Retry, Sink, TargetId,
    Timeline,
    dead::as_event,
    decide::verdict::{Verdict, verdict},
};

use crate::call::FunctionCall;

/// A place that takes events by POST.
pub struct HttpSink {
    name: &'static str,
    call: FunctionCall,
    cx: CallCx,
    trouble: Mutex<Option<String>>,
}

impl HttpSink {
    /// What `call` leads to, under the name that readiness shows.
    #[must_use]
    pub fn new(name: &'static str, call: FunctionCall) -> Self {
        let cx = CallCx::first(TargetId(name.into()));
        Self { name, call, cx, trouble: Mutex::default() }
    }

    /// Its name in readiness, such as `replies`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// Why the last event could not be written, unless that was its own fault.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn post(&self, event: &Event, timeline: Timeline) -> Result<()> {
        let cx = CallCx { timeline, ..self.cx.clone() };
        let sent = self.call.call(std::slice::from_ref(event), &cx).await;
        let sent = sent.map(drop).map_err(|error| self.judged(error));
        let trouble = sent.as_ref().err().filter(|error| error.retry() != Retry::Permanent);
        let trouble = trouble.map(ToString::to_string);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        sent
    }

    /// What is refused for good is the event's own fault; whatever else is wrong may pass.
    fn judged(&self, error: Error) -> Error {
        match error.http_status() {
            Some(status) if verdict(Some(status)) == Verdict::Refused => {
                let message = format!("{} were refused with {status}: {}", self.name, error.message());
                Error::new(Kind::Invalid, message)
            }
            _ => error,
        }
    }
}

impl Sink for HttpSink {
    /// Sends the event; a 2xx says that it is kept.
    ///
    /// # Errors
    /// `Invalid` where it is refused for good (a status that is never tried again, such as 400 or 415), with what the
    /// other side says; those of the exchange otherwise, and 429 and 503 with their `Retry-After`.
    fn send<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.post(event, Timeline::off()))
    }

    fn send_within<'a>(&'a self, event: &'a Event, timeline: &'a Timeline) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.post(event, timeline.clone()))
    }
}

impl DeadLetters for HttpSink {
    /// Sends the letter as an event with what explains it; see [`as_event`].
    ///
    /// # Errors
    /// As [`Sink::send`].
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let event = as_event(letter).map_err(|invalid| {
                Error::new(Kind::Invalid, format!("a dead letter cannot be written as an event: {invalid}"))
            })?;
            self.post(&event, Timeline::off()).await
        })
    }
}
