//! The body of an answer: the function's, which holds its place there until the last byte, or a line of ours.

use crate::{dispatch::Passage, ingress::cloudevents};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use outrigger_core::{Body, Error, Kind};
use outrigger_net::auth::Denial;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// A body, and what it keeps.
#[derive(Default)]
pub struct Answer {
    body: Body,
    passage: Option<Passage>,
}

impl Answer {
    /// The function's body.
    pub(super) fn passing(body: Body, passage: Passage) -> Self {
        let passage = (!body.is_end_stream()).then_some(passage);
        Self { body, passage }
    }

    /// A body that holds its place by itself, where it has one.
    pub(super) fn of(body: Body) -> Self {
        Self { body, passage: None }
    }

    /// A body in memory.
    pub(super) fn whole(body: Full<Bytes>) -> Self {
        Self { body: body.map_err(|never: Infallible| match never {}).boxed_unsync(), passage: None }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        match &mut polled {
            Poll::Ready(None | Some(Err(_))) => self.passage = None,
            Poll::Ready(Some(Ok(frame))) => {
                frame.trailers_mut().into_iter().for_each(super::headers::strip_trailers);
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a request was not passed on, or not answered by the function.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// A name for the metric, of which there are few.
    pub(super) reason: &'static str,
    /// What went wrong, where a turn or the call did.
    pub(super) kind: Kind,
    /// For the log.
    pub(super) detail: String,
    /// For the caller: as little as needed.
    told: &'static str,
    /// What the guard answers a caller who may not enter.
    denial: Option<Box<Denial>>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, reason: &'static str, told: &'static str) -> Self {
        Self { status, reason, kind: Kind::Status, detail: told.to_owned(), told, denial: None }
    }

    pub(super) fn of(error: &Error) -> Self {
        let (status, reason, told) = match error.kind() {
            Kind::TimedOut => (504, "timeout", "the function did not answer in time"),
            Kind::Unreachable => (503, "unavailable", "the function is not available"),
            Kind::Overloaded | Kind::Full => (503, "overloaded", "too many requests at once"),
            Kind::Closed => (503, "closing", "this instance is being stopped"),
            Kind::Status => (408, "slow_upload", "the request did not arrive in time"),
            Kind::Invalid => (400, "broken_upload", "the request broke off"),
            Kind::Interrupted | Kind::BadAnswer | Kind::Storage => {
                (502, "interrupted", "the function gave no valid answer")
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        Self { status, reason, kind: error.kind(), detail: error.to_string(), told, denial: None }
    }

    /// Of a caller who may not enter; the guard has told the operator.
    pub(super) fn denied(denial: Denial) -> Self {
        let (status, reason, detail) = (denial.why.status(), "auth", denial.to_string());
        Self { status, reason, kind: Kind::Status, detail, told: "", denial: Some(Box::new(denial)) }
    }

    pub(super) fn answer(&self) -> Response<Answer> {
        if let Some(denial) = &self.denial {
            return denial.answer().map(|line| Answer::whole(Full::new(line)));
        }
        let mut answer = cloudevents::text(self.status, self.told).map(|body| Answer::whole(Full::new(body)));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }
}
