//! The spans of a timeline, by the conventions of OpenTelemetry for messaging, functions, HTTP and `CloudEvents`. Pure.
//!
//! Of an event: `process` (all of it) with `receive`, `queue` before each attempt, each attempt (`POST`, `send` to a
//! topic, or `recall` where a kept result answers), `send` for a reply, and `settle` below it. Of a request that passes through: a server's span and a client's below it.

mod attributes;
mod outward;

pub use outward::Drawing;

use opentelemetry::{
    KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};
use outrigger_core::{
    About, Timeline,
    timeline::{Answer, Ending, Leg, Place, Step, Subject, Trace, Wait},
};
use std::{
    borrow::Cow,
    time::{Duration, Instant, SystemTime},
};

/// The wall clock at an instant: what timelines count from.
#[derive(Debug, Clone, Copy)]
pub struct Anchor(pub Instant, pub SystemTime);

impl Anchor {
    fn of(self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.0) {
            Some(later) => self.1 + later,
            None => self.1.checked_sub(self.0.duration_since(at)).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// Adds the spans of a timeline that has ended; none of one that is in no trace.
pub fn add(timeline: &Timeline, anchor: Anchor, drawing: &Drawing, spans: &mut Vec<SpanData>) {
    let parts = (timeline.about(), timeline.trace(), timeline.began());
    let (Some(about), Some(trace), Some(began)) = parts else { return };
    let began = anchor.of(began);
    let steps = timeline.with_steps(<[_]>::to_vec);
    let at = |ns: u64| began + Duration::from_nanos(ns);
    let mut making = Making { about, trace, timeline, drawing, began, spans };
    let ended = steps.last().map_or(began, |(_, ns)| at(*ns));
    match about.subject {
        Subject::Event => making.event(&steps, ended),
        Subject::Request | Subject::Renewal => making.request(&steps, ended),
    }
}

struct Making<'a> {
    about: &'a About,
    trace: &'a Trace,
    timeline: &'a Timeline,
    drawing: &'a Drawing,
    began: SystemTime,
    spans: &'a mut Vec<SpanData>,
}

/// A span in the making.
struct Drawn {
    leg: Leg,
    name: Cow<'static, str>,
    kind: SpanKind,
    from: SystemTime,
    to: SystemTime,
    attributes: Vec<KeyValue>,
    error: Option<Cow<'static, str>>,
}

impl Making<'_> {
    fn at(&self, ns: u64) -> SystemTime {
        self.began + Duration::from_nanos(ns)
    }

    fn event(&mut self, steps: &[(Step, u64)], ended: SystemTime) {
        let place = attributes::destination(self.about);
        let received = SystemTime::UNIX_EPOCH + Duration::from_millis(self.about.received_ms);
        // A journal or a broker's client may have had it long before; its clock may differ from ours.
        let received = if self.about.received_ms > 0 { received.min(self.began) } else { self.began };
        let error = steps.iter().rev().find_map(|(step, _)| fatal(*step));
        self.whole(
            attributes::of_event(self.about, &place, self.timeline.target()),
            (received, ended),
            error,
            &place,
        );
        let mut walk = Walk {
            waits_from: self.began,
            wait: None,
            held_up: false,
            tries: 0,
            attempt: 0,
            replies: 0,
            recalled: false,
            is_cut: false,
            last: self.began,
        };
        for (step, ns) in steps {
            let now = self.at(*ns);
            if let Step::Settled(ending) = step {
                let attributes = attributes::settle(steps, *ending, &place);
                let span = (walk.waits_from, now);
                self.draw(
                    Leg::Settle,
                    named("settle", &place),
                    SpanKind::Client,
                    span,
                    attributes,
                    fatal(*step),
                );
            }
            self.step(&mut walk, *step, now, (received, &place));
        }
    }

    /// The span of what ends with a step.
    fn step(
        &mut self,
        walk: &mut Walk,
        step: Step,
        now: SystemTime,
        (received, place): (SystemTime, &attributes::Destination<'_>),
    ) {
        match step {
            Step::Queued { wait, ahead } => {
                let attributes = attributes::receive(self.about, place);
                self.draw(
                    Leg::Receive,
                    named("receive", place),
                    SpanKind::Client,
                    (received, now),
                    attributes,
                    None,
                );
                (walk.waits_from, walk.wait) = (now, Some((wait, ahead)));
            }
            Step::HeldUp => walk.held_up = true,
            // The try is one span, which began when it did.
            Step::Recalled => {
                walk.recalled = true;
                return;
            }
            Step::Omitted(attempts) => (walk.tries, walk.is_cut) = (walk.tries + attempts, true),
            Step::OmittedReplies(replies) => walk.replies += replies,
            Step::Replying => walk.replies += 1,
            Step::Attempted(attempt) => {
                (walk.tries, walk.attempt) = (walk.tries + 1, attempt);
                if std::mem::take(&mut walk.is_cut) {
                    walk.waits_from = walk.last; // whatever it waited for is not there any more
                }
                self.queue(walk, walk.tries, now);
            }
            // What ends without a try has waited all the same.
            Step::Duplicate | Step::Dropped(_) | Step::Spilled if walk.wait.is_some() => {
                self.queue(walk, walk.tries + 1, now);
                walk.waits_from = now;
            }
            Step::Answered(_) if walk.is_cut => walk.waits_from = now,
            Step::Answered(answer) => {
                let span = (walk.last, now);
                if std::mem::take(&mut walk.recalled) {
                    let attributes = attributes::recall(self.timeline.target());
                    self.draw(
                        Leg::Attempt(walk.tries),
                        "recall".into(),
                        SpanKind::Internal,
                        span,
                        attributes,
                        None,
                    );
                } else {
                    self.attempt((walk.tries, walk.attempt), answer, span);
                }
                walk.waits_from = now;
            }
            Step::Replied(kept) => {
                let error = (!kept).then_some(Cow::Borrowed("reply"));
                let to = &self.drawing.replies;
                let (leg, attributes) = (Leg::Reply(walk.replies), to.attributes.clone());
                self.draw(leg, to.name.clone(), to.kind.clone(), (walk.last, now), attributes, error);
                walk.waits_from = now;
            }
            _ => {}
        }
        walk.last = now;
    }

    fn queue(&mut self, walk: &mut Walk, number: u32, now: SystemTime) {
        let attributes = attributes::queue(self.about, walk.wait.take(), std::mem::take(&mut walk.held_up));
        let span = (walk.waits_from, now);
        self.draw(Leg::Queue(number), "queue".into(), SpanKind::Internal, span, attributes, None);
    }

    fn attempt(&mut self, (tries, attempt): (u32, u32), answer: Answer, span: (SystemTime, SystemTime)) {
        let target = self.timeline.target();
        let to = self.drawing.towards(target);
        let attributes = attributes::attempt(&to.attributes, target, attempt, answer);
        let error = answer.failed.map(|kind| attributes::error_type(kind, answer.status));
        self.draw(Leg::Attempt(tries), to.name.clone(), to.kind.clone(), span, attributes, error);
    }

    /// A request that passed through: its own span, and the call of the function where it got so far.
    fn request(&mut self, steps: &[(Step, u64)], ended: SystemTime) {
        let answers =
            |(step, _): &(Step, u64)| if let Step::Answered(answer) = step { Some(*answer) } else { None };
        let answer = steps.iter().rev().find_map(answers);
        // Where nobody was asked, why not says more than the status.
        let is_asked = steps.iter().any(|(step, _)| matches!(step, Step::Attempted(_)));
        let error_type =
            |it: Answer, kind| attributes::error_type(kind, if is_asked { it.status } else { 0 });
        let error = answer.and_then(|it| it.failed.map(|kind| error_type(it, kind)));
        let span = (self.began, ended);
        if self.about.subject == Subject::Renewal {
            let attributes = attributes::of_renewal(self.about);
            self.draw(Leg::Whole, "renew".into(), SpanKind::Internal, span, attributes, error);
        } else {
            let attributes = attributes::of_request(self.about, answer);
            self.draw(Leg::Whole, self.method(), SpanKind::Server, span, attributes, error);
        }
        let mut from = None;
        for (step, ns) in steps {
            match (step, from) {
                (Step::Attempted(_), _) => from = Some(self.at(*ns)),
                // The first is the function's, the last the client's.
                (Step::Answered(answer), Some(begun)) => {
                    self.asked(*answer, (begun, self.at(*ns)));
                    from = None;
                }
                _ => {}
            }
        }
    }

    /// The span of a request as the function got it.
    fn asked(&mut self, answer: Answer, span: (SystemTime, SystemTime)) {
        let to = self.drawing.towards(self.timeline.target());
        let attributes = attributes::passed_on(self.about, &to.attributes, answer);
        let failed = answer.failed.map(|kind| attributes::error_type(kind, answer.status));
        // What is the client's fault is none of the server's, but it failed for whoever asked.
        let error = failed.or_else(|| (answer.status >= 400).then(|| answer.status.to_string().into()));
        self.draw(Leg::Attempt(1), self.method(), SpanKind::Client, span, attributes, error);
    }

    fn method(&self) -> Cow<'static, str> {
        match attributes::method(self.about.id()) {
            "_OTHER" => "HTTP".into(),
            method => Cow::Owned(method.to_owned()),
        }
    }

    fn whole(
        &mut self,
        attributes: Vec<KeyValue>,
        span: (SystemTime, SystemTime),
        error: Option<Cow<'static, str>>,
        place: &attributes::Destination<'_>,
    ) {
        self.draw(Leg::Whole, named("process", place), SpanKind::Consumer, span, attributes, error);
    }

    fn draw(
        &mut self,
        leg: Leg,
        name: Cow<'static, str>,
        kind: SpanKind,
        (from, to): (SystemTime, SystemTime),
        attributes: Vec<KeyValue>,
        error: Option<Cow<'static, str>>,
    ) {
        self.push(Drawn { leg, name, kind, from, to, attributes, error });
    }

    fn push(&mut self, mut drawn: Drawn) {
        let trace = self.trace;
        let is_whole = drawn.leg == Leg::Whole;
        let parent = if is_whole { trace.parent.unwrap_or(0) } else { trace.own.span };
        let state = trace.state.as_deref().filter(|_| is_whole).and_then(|state| state.parse().ok());
        let own = Place { span: trace.span(drawn.leg), ..trace.own };
        if let Some(error) = &drawn.error {
            drawn.attributes.push(KeyValue::new("error.type", error.clone()));
        }
        for attribute in &mut drawn.attributes {
            attributes::cut(&mut attribute.value, self.drawing.chars_max);
        }
        let mut links = SpanLinks::default();
        if is_whole {
            links.links.extend(trace.links.iter().map(|link| Link::new(linked(*link), Vec::new(), 0)));
        }
        self.spans.push(SpanData {
            span_context: context(own, false, state.unwrap_or_default()),
            parent_span_id: SpanId::from_bytes(parent.to_be_bytes()),
            parent_span_is_remote: is_whole && trace.parent_is_remote,
            span_kind: drawn.kind,
            name: drawn.name,
            start_time: drawn.from,
            end_time: drawn.to.max(drawn.from),
            attributes: drawn.attributes,
            dropped_attributes_count: 0,
            events: opentelemetry_sdk::trace::SpanEvents::default(),
            links,
            status: drawn.error.map_or(Status::Unset, described),
            instrumentation_scope: self.drawing.scope.clone(),
        });
    }
}

/// Where a walk along the steps is.
struct Walk {
    waits_from: SystemTime,
    wait: Option<(Wait, u32)>,
    held_up: bool,
    /// Tries so far, and the number of the last one among those that count.
    tries: u32,
    attempt: u32,
    /// Replies that were begun so far.
    replies: u32,
    /// Whether a kept result answers this try.
    recalled: bool,
    /// Steps are missing before the next try.
    is_cut: bool,
    last: SystemTime,
}

/// What makes all of it a failure.
fn fatal(step: Step) -> Option<Cow<'static, str>> {
    match step {
        Step::Buried(code) | Step::Settled(Ending::Rejected(code)) => Some(code.name().into()),
        _ => None,
    }
}

/// A kept span is a sampled one, whatever was decided when it began.
fn context(place: Place, remote: bool, state: TraceState) -> SpanContext {
    let (trace, span) =
        (TraceId::from_bytes(place.trace.to_be_bytes()), SpanId::from_bytes(place.span.to_be_bytes()));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, remote, state)
}

/// Somebody else's span, of which only they know whether it is kept.
fn linked(place: Place) -> SpanContext {
    let flags = if place.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (place.trace.to_be_bytes(), place.span.to_be_bytes());
    SpanContext::new(TraceId::from_bytes(trace), SpanId::from_bytes(span), flags, true, TraceState::default())
}

/// What a status says already needs no description.
fn described(error: Cow<'static, str>) -> Status {
    let is_status = error.bytes().all(|byte| byte.is_ascii_digit());
    Status::error(if is_status { Cow::Borrowed("") } else { error })
}

fn named(operation: &'static str, place: &attributes::Destination<'_>) -> Cow<'static, str> {
    Cow::Owned([operation, " ", place.name].concat())
}

#[cfg(test)]
mod tests;
