//! A turn at the function, and what is asked of it within. As an [`Exchange`] it is what plugins stand before that may answer
//! without one.

use super::{answer::Answer, headers, tuning::Tuning};
use crate::{
    dispatch::{Passage, Target, answer, now},
    settle::unix_ms,
};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use outrigger_core::{
    About, Body, BoxFuture, CallCx, Error, Exchange, Kind, Plugin, Position, Result, Step, Timeline,
};
use std::{sync::Arc, time::Instant};

/// The turns of requests that pass through.
#[derive(Clone)]
pub(super) struct Turns {
    pub(super) target: Arc<Target>,
    pub(super) exchange: Arc<dyn Exchange>,
    pub(super) tuning: Arc<Tuning>,
    /// The headers of a trace that a request may bring.
    pub(super) hop: &'static [&'static str],
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
        cx: &mut CallCx,
        started: Instant,
    ) -> Result<(Response<Body>, Passage)> {
        let mut passage = self.target.enter(&self.tuning.patience(), started).await?;
        let request = self.observed(request(), cx, started);
        let sending = self.exchange.send(request, cx);
        let outcome = sending.await;
        let ended = now();
        let status = || outcome.as_ref().map(|answer| answer.status().as_u16());
        if cx.timeline.is_on() {
            cx.timeline.note(answer(status()), ended);
            self.target.answered(&cx.timeline);
        }
        passage.answered(status(), ended);
        outcome.map(|answer| (answer, passage))
    }

    /// With its timeline, where somebody wants one.
    fn observed(&self, mut request: Request<Body>, cx: &mut CallCx, started: Instant) -> Request<Body> {
        if self.target.is_observed() {
            cx.timeline = self.begin(&mut request, started);
        }
        request
    }

    /// Begins the timeline of a request that has its turn, and tells the function where in a trace it is.
    fn begin(&self, request: &mut Request<Body>, started: Instant) -> Timeline {
        let headers = request.headers_mut();
        let hop = crate::registry::hop_of(self.hop, headers);
        let about =
            About::request(&super::NAME.into(), request.method().as_str(), request.uri().path(), unix_ms());
        let timeline = Timeline::start(started, about);
        timeline.aim(&self.target.id);
        self.target.began(None, &hop, &timeline);
        timeline.note(Step::Attempted(1), now());
        timeline.carry(&mut |name, value| {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers_mut().insert(HeaderName::from_static(name), value);
            }
        });
        timeline
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
            let mut cx = cx.clone();
            let (mut answer, passage) = self.take(|| request, &mut cx, now()).await?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                let what = "the function switched to a protocol that nobody asked for";
                return Err(Error::new(Kind::BadAnswer, what));
            }
            settle(&mut answer);
            Ok(answer.map(|body| Answer::passing(body, passage).boxed_unsync()))
        })
    }
}
