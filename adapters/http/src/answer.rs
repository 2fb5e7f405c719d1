//! An answer's body on its way. Read to its end, its connection goes back to the pool; otherwise, or after an
//! error, the connection is closed.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use outrigger_core::{Body, Error, Kind, Result};
use tokio::time::{Instant, timeout_at};

use crate::{
    alarm::Alarm,
    client::broken,
    pool::Pool,
    upload::{Gate, Progress},
};

/// How long a connection is waited for whose request is still being written when its answer has ended.
const LAST_BYTES_MAX: Duration = Duration::from_secs(5);

/// When an answer that does not end is given up.
pub(crate) enum End {
    /// At this time.
    At(Instant),
    /// When so long no byte came, nor moved the other way. `last` is when one came, since it has to be waited.
    Rest { rest: Duration, progress: Option<Arc<Progress>>, last: Option<Instant> },
}

impl End {
    fn at(&mut self) -> Instant {
        match self {
            End::At(at) => *at,
            End::Rest { rest, progress, last } => {
                let last = *last.get_or_insert_with(Instant::now);
                progress.as_ref().map_or(last, |progress| progress.last().max(last)) + *rest
            }
        }
    }

    /// A byte came: the wait begins anew, with the next look at [`End::at`].
    fn moved(&mut self) {
        if let End::Rest { last, .. } = self {
            *last = None;
        }
    }
}

/// What an answer's body must know to give its connection back.
pub(crate) struct Lent {
    pub(crate) pool: Arc<Pool>,
    /// The request is on the wire, so the connection is free with the answer's end.
    pub(crate) at_once: bool,
    /// Closed with the answer's end where the function has not asked for the body.
    pub(crate) gate: Option<Gate>,
    pub(crate) end: End,
    /// Asked only once the body makes us wait, which a small answer seldom does.
    pub(crate) alarm: Alarm,
}

impl Lent {
    /// The answer that came over `sender`'s connection; `None` where many share it.
    pub(crate) fn answer(
        self,
        answer: Response<Incoming>,
        sender: Option<SendRequest<Body>>,
    ) -> Response<Body> {
        let (parts, incoming) = answer.into_parts();
        // What is spoken after an upgrade is not HTTP, so the connection is nobody else's any more.
        let sender = sender.filter(|_| parts.status != StatusCode::SWITCHING_PROTOCOLS);
        let mut answer = Answer { incoming, sender, lent: self };
        let body = if answer.incoming.is_end_stream() {
            answer.give_back();
            Body::default()
        } else {
            answer.boxed_unsync()
        };
        Response::from_parts(parts, body)
    }
}

struct Answer {
    incoming: Incoming,
    sender: Option<SendRequest<Body>>,
    lent: Lent,
}

impl Answer {
    fn give_back(&mut self) {
        let Some(mut sender) = self.sender.take() else { return };
        if self.lent.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
            return; // the function did not want the body, and it is not going to be sent
        }
        let alarm = std::mem::take(&mut self.lent.alarm);
        if self.lent.at_once {
            self.lent.pool.put(sender, alarm);
            return;
        }
        let pool = Arc::clone(&self.lent.pool);
        tokio::spawn(async move {
            if let Ok(Ok(())) = timeout_at(Instant::now() + LAST_BYTES_MAX, sender.ready()).await {
                pool.put(sender, alarm);
            }
        });
    }

    /// Ends the body with an error, and its connection with it.
    fn fail(&mut self, kind: Kind, what: String) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.sender = None;
        Poll::Ready(Some(Err(Error::new(kind, what))))
    }

    /// Whether the time is up.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let end = self.lent.end.at();
            ready!(self.lent.alarm.poll_at(end, cx));
            if self.lent.end.at() <= end {
                return Poll::Ready(()); // else bytes have moved since
            }
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if self.incoming.is_end_stream() {
                    self.give_back();
                } else {
                    self.lent.end.moved();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.fail(Kind::Interrupted, format!("the answer was cut off: {}", broken(&error)))
            }
            Poll::Pending => {
                if self.poll_end(cx).is_pending() {
                    return Poll::Pending;
                }
                self.lent.pool.clear();
                self.fail(Kind::TimedOut, "the answer began and did not end in time".to_owned())
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
