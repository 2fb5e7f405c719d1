//! A turn at the function, and what is asked of it within. As an [`Exchange`] it is what plugins stand before that may answer
//! without one.

use super::{
    answer::Answer,
    headers::{self, X_FORWARDED_PROTO},
    tuning::Tuning,
};
use crate::{
    dispatch::{Passage, Target, answer, now},
    settle::unix_ms,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use outrigger_core::{
    About, Body, BoxFuture, CallCx, Error, Exchange, Kind, Plugin, Result, Step, Timeline,
    event::hop,
    timeline::{self, Subject},
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
    /// What the plugins put before them, the first one outermost; `None` where none puts anything there.
    pub(super) fn behind(&self, plugins: &[Arc<dyn Plugin>]) -> Option<Arc<dyn Exchange>> {
        let mut front: Option<Arc<dyn Exchange>> = None;
        for plugin in plugins.iter().rev() {
            let inner = front.clone().unwrap_or_else(|| Arc::new(self.clone()));
            front = plugin.around_passage(inner).or(front);
        }
        front
    }

    /// What is said about a request that came at `started`, with its timeline where somebody wants one.
    pub(super) fn cx<B>(&self, request: &Request<B>, started: Instant) -> CallCx {
        let is_observed = self.target.is_observed();
        CallCx {
            deadline: Some(started + self.tuning.upload_timeout.get()),
            stream: Some(self.tuning.rest_max.get()),
            timeline: if is_observed {
                self.begin(request, started, About::request)
            } else {
                Timeline::off()
            },
            ..CallCx::first(self.target.id.clone())
        }
    }

    /// Sees a request to its end.
    pub(super) fn watch<'t>(&'t self, timeline: &'t Timeline) -> Watched<'t> {
        Watched { target: &self.target, timeline, is_open: timeline.is_on() }
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
        let sending = self.exchange.send(told(request(), &cx.timeline), cx);
        let outcome = sending.await;
        let ended = now();
        let status = || outcome.as_ref().map(|answer| answer.status().as_u16());
        cx.timeline.note(answered(status()), ended);
        passage.answered(status(), ended);
        outcome.map(|answer| (answer, passage))
    }

    /// Begins the timeline of a request of somebody, or of one of our own, which is no part of what its cause is a part of.
    fn begin<B>(
        &self,
        request: &Request<B>,
        started: Instant,
        about: fn(&Arc<str>, [&str; 3], u64) -> About,
    ) -> Timeline {
        let mut hop = crate::registry::hop_of(self.hop, request.headers());
        let told = [request.method().as_str(), request.uri().path(), scheme(request.headers())];
        let about = about(&super::NAME.into(), told, unix_ms());
        if about.subject == Subject::Renewal {
            hop.push((hop::BATCH.to_owned(), "1".to_owned()));
        }
        let timeline = Timeline::start(started, about);
        timeline.aim(&self.target.id);
        self.target.began(None, &hop, &timeline);
        timeline
    }
}

/// The scheme that the client used, as the function is told it; nothing where it is not.
fn scheme(headers: &HeaderMap) -> &'static str {
    match headers.get(X_FORWARDED_PROTO).map(HeaderValue::as_bytes) {
        Some(b"http") => "http",
        Some(b"https") => "https",
        _ => "",
    }
}

/// The request as the function gets it, told where in a trace it is. What the client said of traces was for us.
fn told(mut request: Request<Body>, timeline: &Timeline) -> Request<Body> {
    if !timeline.is_on() {
        return request;
    }
    timeline.note(Step::Attempted(1), now());
    let headers = request.headers_mut();
    let foreign: Vec<_> = headers.keys().filter(|name| timeline.owns(name.as_str())).cloned().collect();
    for name in foreign {
        headers.remove(name);
    }
    timeline.carry(&mut |name, value| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    });
    request
}

/// What the function answered, or why it did not.
fn answered(status: Result<u16, &Error>) -> Step {
    match status {
        Ok(status @ 500..) => Step::Answered(timeline::Answer { status, failed: Some(Kind::Status) }),
        status => answer(status),
    }
}

/// A request whose end observers are told, also where its client goes away.
pub(super) struct Watched<'t> {
    target: &'t Target,
    timeline: &'t Timeline,
    is_open: bool,
}

impl Watched<'_> {
    /// It is answered so. What was answered without the function is nobody's to see.
    pub(super) fn end(&mut self, status: u16) {
        let asked = |(step, _): &(Step, u64)| matches!(step, Step::Attempted(_));
        if self.timeline.with_steps(|steps| steps.iter().any(asked)) {
            self.over(answered(Ok(status)));
        }
        self.is_open = false;
    }

    /// It is answered so by us, for this reason.
    pub(super) fn refused(&mut self, status: u16, kind: Kind) {
        self.over(Step::Answered(timeline::Answer { status, failed: (status >= 500).then_some(kind) }));
    }

    fn over(&mut self, step: Step) {
        if std::mem::take(&mut self.is_open) {
            self.timeline.note(step, now());
            self.target.answered(self.timeline);
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.over(answered(Err(&Error::new(Kind::Interrupted, "the client went away"))));
        }
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
            let started = now();
            // Where somebody looks on, what is in no timeline is a request of our own.
            let is_own = !cx.timeline.is_on() && self.target.is_observed();
            let own = is_own.then(|| self.begin(&request, started, About::renewal));
            let cx = CallCx { timeline: own.clone().unwrap_or_else(|| cx.timeline.clone()), ..cx.clone() };
            let mut watched = own.as_ref().map(|timeline| self.watch(timeline));
            let taken = self.take(|| request, &cx, started).await;
            if let Some(watched) = &mut watched {
                watched.over(answered(taken.as_ref().map(|(answer, _)| answer.status().as_u16())));
            }
            let (mut answer, passage) = taken?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                let what = "the function switched to a protocol that nobody asked for";
                return Err(Error::new(Kind::BadAnswer, what));
            }
            settle(&mut answer);
            Ok(answer.map(|body| Answer::passing(body, passage).boxed_unsync()))
        })
    }
}
