//! An event in its lane and in a worker's hands: whatever happens, it is settled once and its lane goes on.

use super::{Errand, State, Target, known::Standing};
use outrigger_core::{
    Code, Delivery, Event, Key, Malformed, Origin, Payload, Reason, Receipt, Reply, Settlement, Timeline,
    decide::{lanes::Ticket, step::carried},
};
use std::time::{Duration, Instant};

/// An event in its lane, with what its attempts have left behind.
pub(crate) struct Job {
    pub(crate) item: Result<Event, Malformed>,
    pub(crate) key: Option<Key>,
    pub(crate) origin: Origin,
    pub(crate) receipt: Receipt,
    pub(crate) timeline: Timeline,
    pub(crate) once: Option<Instant>,
    pub(crate) attempts: u32,
    /// Those of them that are deliveries of which the broker tells no more.
    pub(crate) carried: u32,
    pub(crate) failures: u32,
    /// Other targets get it as well.
    pub(crate) is_shared: bool,
    pub(crate) received_ms: u64,
    pub(crate) admitted: Instant,
    /// How long the breaker had been open in all when it was admitted, in ns: a [`Duration`] is twice as large.
    pub(crate) open_before_ns: u64,
    /// What alone is left to be done; a call, where there is none.
    pub(crate) left: Option<Box<Left>>,
    /// What it is known by, where deduplication is on.
    pub(crate) standing: Option<Box<Standing>>,
}

/// What alone is left to be done.
pub(crate) enum Left {
    /// It is given up, and only its dead letter is still to be written.
    Grave(Reason),
    /// The function has it, and only its reply is still to be kept.
    Reply(Box<Reply>),
}

impl Job {
    /// The event of `delivery`, which is admitted `now`, when the breaker has been open for `open_before` in all.
    pub(super) fn new(delivery: Delivery, now: Instant, open_before: Duration, attempts_max: u32) -> Self {
        let left = delivery.item.as_ref().err().map(|malformed| {
            let detail = malformed.why.clone();
            Box::new(Left::Grave(Reason { code: Code::Malformed, status: None, detail }))
        });
        let is_deliveries = delivery.attempts > 0 && delivery.receipt.counts_deliveries();
        let carried = if is_deliveries { carried(delivery.attempts, attempts_max) } else { 0 };
        Self {
            item: delivery.item,
            key: delivery.key,
            origin: delivery.origin,
            receipt: delivery.receipt,
            timeline: delivery.timeline,
            once: delivery.once,
            attempts: if is_deliveries { carried } else { delivery.attempts },
            carried,
            failures: 0,
            is_shared: false,
            received_ms: delivery.received_ms,
            admitted: now,
            open_before_ns: nanos(open_before),
            left,
            standing: None,
        }
    }
}

/// An event that a worker has taken. Whatever ends the worker, the lane goes on and the receipt is settled.
pub(crate) struct Running<'t> {
    pub(super) target: &'t Target,
    pub(super) ticket: Ticket,
    /// It has the breaker's one probe, and has not yet told how that went.
    pub(crate) probe: bool,
    pub(super) job: Option<Box<Job>>,
    /// What is to be done instead of a call.
    pub(crate) errand: Option<Errand>,
}

impl Running<'_> {
    pub(crate) fn job(&mut self) -> &mut Job {
        self.job.as_mut().expect("the job is there until the attempt ends")
    }

    /// The target has the event: it is up, and a first attempt that served lets another event retry.
    pub(crate) fn note_success(&mut self, state: &mut State, ended: Instant) {
        state.breaker.succeeded(ended);
        self.probe = false;
        if self.job().attempts == 0 {
            state.budget.deposit();
        }
    }

    /// The event is settled so, by its receipt.
    pub(crate) fn finish(mut self, settlement: &Settlement) -> Box<Job> {
        let mut state = self.target.state();
        state.end_in_hand(self.job(), settlement);
        self.finish_in(&mut state)
    }

    /// The same, where the state is in hand.
    pub(crate) fn finish_in(mut self, state: &mut State) -> Box<Job> {
        let job = self.job.take().expect("an attempt ends once");
        self.give_probe_back(state);
        state.lanes.done(self.ticket);
        job
    }

    /// The event is tried again, or buried again, after `wait`.
    pub(crate) fn again(mut self, state: &mut State, at: Instant) {
        let job = self.job.take().expect("an attempt ends once");
        self.give_probe_back(state);
        state.lanes.again(self.ticket, job, at);
        self.target.set_alarm(state, at);
    }

    /// The event holds its key.
    pub(crate) fn park(mut self, state: &mut State) {
        let job = self.job.take().expect("an attempt ends once");
        self.give_probe_back(state);
        state.park_in_hand(&job);
        state.lanes.park(self.ticket, job);
    }

    /// A probe that called nobody, such as a dead letter's last step, says nothing about the function: the next
    /// event takes its place. Kept, it would hold back every call for ever.
    fn give_probe_back(&mut self, state: &mut State) {
        if std::mem::take(&mut self.probe) {
            state.breaker.abandoned();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(mut job) = self.job.take() {
            job.receipt.attempted(job.attempts); // what was cut off by us is no attempt
            let mut state = self.target.state();
            self.give_probe_back(&mut state);
            state.lanes.done(self.ticket);
            state.end_in_hand(&mut job, &Settlement::Release { after: None });
            drop(state);
            self.target.release(job);
        }
    }
}

impl Job {
    /// Why it is given up, where it is.
    pub(crate) fn grave(&self) -> Option<&Reason> {
        match self.left.as_deref() {
            Some(Left::Grave(reason)) => Some(reason),
            _ => None,
        }
    }

    /// The reply that is still to be kept, where there is one.
    pub(crate) fn take_reply(&mut self) -> Option<Box<Reply>> {
        match self.left.take().map(|left| *left) {
            Some(Left::Reply(reply)) => Some(reply),
            other => {
                self.left = other.map(Box::new);
                None
            }
        }
    }

    /// What its payload is known by, where that matters.
    pub(crate) fn payload(&self) -> Option<Payload> {
        self.standing.as_ref().and_then(|standing| standing.payload)
    }

    /// Its trace, for the log; none where traces are off.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.timeline.trace().map(|trace| format!("{:032x}", trace.own.trace))
    }

    pub(crate) fn event_id(&self) -> &str {
        self.item.as_ref().map_or("", Event::id)
    }
}

/// A span in whole ns: 584 years at most.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_its_lane_stays_in_its_class_of_the_allocator() {
        let bytes = size_of::<Job>();
        assert!(bytes <= 384, "{bytes} bytes for each event that waits: the next class is 448");
    }
}
