//! A turn at the function, and what is asked of it within. As an [`Exchange`] it is what plugins stand before that may answer
//! without one.

use super::{answer::Answer, headers, tuning::Tuning};
use crate::dispatch::{Passage, Target, now};
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use outrigger_core::{Body, BoxFuture, CallCx, Error, Exchange, Kind, Plugin, Position, Result, Timeline};
use std::{sync::Arc, time::Instant};

/// The turns of requests that pass through.
#[derive(Clone)]
pub(super) struct Turns {
    pub(super) target: Arc<Target>,
    pub(super) exchange: Arc<dyn Exchange>,
    pub(super) tuning: Arc<Tuning>,
}

impl Turns {
    /// What the plugins put before them, the last one outermost; `None` where none puts anything there.
    pub(super) fn behind(&self, plugins: &[Arc<dyn Plugin>]) -> Option<Arc<dyn Exchange>> {
        let mut front: Option<Arc<dyn Exchange>> = None;
        for plugin in plugins {
            let inner = front.clone().unwrap_or_else(|| Arc::new(self.clone()));
            front = plugin.around_passage(inner).or(front);
        }
        front
    }

    /// What is said about a request that came at `started`.
    pub(super) fn cx(&self, started: Instant) -> CallCx {
        CallCx {
            target: self.target.id.clone(),
            attempt: 1,
            deadline: Some(started + self.tuning.upload_timeout.get()),
            stream: Some(self.tuning.rest_max.get()),
            timeline: Timeline::off(),
            position: Position::none(),
            key: None,
        }
    }

    /// Waits for a turn since `started`, and asks the function. The place is held with what is given back beside the answer.
    ///
    /// # Errors
    /// As [`Target::enter`] and [`Exchange::send`].
    pub(super) async fn take(
        &self,
        request: impl FnOnce() -> Request<Body>,
        cx: &CallCx,
        started: Instant,
    ) -> Result<(Response<Body>, Passage)> {
        let mut passage = self.target.enter(&self.tuning.patience(), started).await?;
        let sending = self.exchange.send(request(), cx);
        let outcome = sending.await;
        passage.answered(outcome.as_ref().map(|answer| answer.status().as_u16()), now());
        outcome.map(|answer| (answer, passage))
    }
}

/// Makes an answer of the function the client's: without what belongs to the connection between us and the function.
pub(super) fn settle<B>(answer: &mut Response<B>) {
    *answer.version_mut() = Version::HTTP_11;
    headers::settle_length(answer.status(), answer.headers_mut());
    headers::strip(answer.headers_mut());
}

impl Exchange for Turns {
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        Box::pin(async move {
            let (mut answer, passage) = self.take(|| request, cx, now()).await?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                let what = "the function switched to a protocol that nobody asked for";
                return Err(Error::new(Kind::BadAnswer, what));
            }
            settle(&mut answer);
            Ok(answer.map(|body| Answer::passing(body, passage).boxed_unsync()))
        })
    }
}
