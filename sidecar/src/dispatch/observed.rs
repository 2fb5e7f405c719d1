//! What observers are told of an event's way through a target. Without observers none of it is reached.

use super::{Job, State, Target, now};
use outrigger_core::{
    Delivery, Event, Fate, Malformed, Settlement, Step, Timeline,
    decide::breaker,
    timeline::{Answer, Ending, Wait},
};
use std::time::Instant;

impl Target {
    /// Whether somebody sees finished events.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        !self.observers.is_empty()
    }

    /// Tells the observers of an event that was let in, or of a request.
    pub fn began(&self, mut event: Option<&mut Event>, headers: &[(String, String)], timeline: &Timeline) {
        for observer in &self.observers {
            observer.began(event.as_deref_mut(), headers, timeline);
        }
    }

    /// Tells the observers that an event goes to several targets.
    pub fn branched(&self, timelines: &[Timeline]) {
        for observer in &self.observers {
            observer.branched(timelines);
        }
    }

    /// Lets go of a job that was not settled: its source hands it out again.
    pub(super) fn release(&self, job: Box<Job>) {
        if self.is_observed() {
            self.note_ended((&job.item, &job.timeline), &Settlement::Release { after: None }, now());
        }
        drop(job); // releases
    }

    /// Tells the observers that a request that passed through has ended.
    pub fn answered(&self, timeline: &Timeline) {
        timeline.note(Step::Settled(Ending::Acknowledged), now());
        for observer in &self.observers {
            observer.answered(timeline);
        }
    }

    /// Notes that the event of `delivery` is queued next, and why it cannot run at once.
    pub(super) fn note_queued(&self, state: &mut State, delivery: &Delivery, now: Instant) {
        let ahead = u32::try_from(state.lanes.len()).unwrap_or(u32::MAX);
        let wait = if !state.ready {
            Wait::NotReady
        } else if state.breaker.state(now) == breaker::State::Open {
            Wait::Breaker
        } else if delivery.key.as_ref().is_some_and(|key| state.lanes.is_taken(key)) {
            Wait::Key
        } else if !state.has_place() && !state.starting {
            Wait::Concurrency
        } else if state.lanes.is_ready(now) {
            Wait::Turn
        } else {
            Wait::Nothing
        };
        delivery.timeline.aim(&self.id);
        delivery.timeline.note(Step::Queued { wait, ahead }, now);
    }

    /// Tells the source what became of a job here. The attempt that delivered is not among those that were counted.
    pub(crate) fn became(&self, job: &Job, fate: Fate) {
        let attempts = job.attempts + u32::from(fate == Fate::Delivered);
        job.receipt.became(&self.id.0, fate, attempts);
    }

    /// Tells observers and the source how a job ended, at `at`.
    pub(crate) fn tell(&self, job: Box<Job>, settlement: Settlement, at: Instant) {
        if self.is_observed() {
            self.note_ended((&job.item, &job.timeline), &settlement, at);
        }
        job.receipt.settle(settlement);
    }

    /// Tells the observers how an event ended.
    pub(crate) fn note_ended(
        &self,
        (item, timeline): (&Result<Event, Malformed>, &Timeline),
        settlement: &Settlement,
        at: Instant,
    ) {
        let ending = match settlement {
            Settlement::Ack(_) => Ending::Acknowledged,
            Settlement::Release { .. } => Ending::Released,
            Settlement::Reject(reason) => Ending::Rejected(reason.code),
        };
        timeline.note(Step::Settled(ending), at);
        for observer in &self.observers {
            observer.finished(item.as_ref().ok(), settlement, timeline);
        }
    }
}

impl State {
    /// Notes that the breaker opened while what is attempted next waited.
    pub(super) fn note_held_up(&self, job: &Job, now: Instant) {
        let is_called = job.timeline.is_on() && job.left.is_none();
        if is_called && self.breaker.open_total(now).as_nanos() > u128::from(job.open_before_ns) {
            job.timeline.note(Step::HeldUp, now);
        }
    }
}

/// How an attempt ended, as a timeline keeps it.
pub(crate) fn answer(status: Result<u16, &outrigger_core::Error>) -> Step {
    Step::Answered(match status {
        Ok(status) => Answer { status, failed: None },
        Err(error) => Answer { status: error.http_status().unwrap_or(0), failed: Some(error.kind()) },
    })
}
