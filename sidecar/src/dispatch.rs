//! A target at work: its lanes, its limits, and the workers that take events from them.
//!
//! Every decision is one of [`outrigger_core::decide`]; this file only holds their state under one lock, brings
//! the time and the dice. Workers (`worker.rs`) take events, make one attempt each and have the outcome settled
//! (`settle.rs`); a timer starts one again when something may run.

mod hunger;
mod job;
mod known;
mod observed;
mod outlet;
mod parking;
mod parts;
mod passage;
mod spill;
mod worker;

pub(crate) use job::{Job, Left, Running};
pub(crate) use known::{Errand, MARK_UNWRITTEN, MARKS_UNASKED};
pub(crate) use observed::answer;
pub use outlet::Outlet;
#[cfg(feature = "journal")]
pub(crate) use outlet::outage;
pub use parts::{OnPoison, Parts, Settings};
pub use passage::{Passage, Patience};
pub use spill::{Copy, Overflow, Spill};

use crate::{
    complaint::Complaint,
    telemetry::{Ended, Tally},
};
use fastrand::Rng;
use outrigger_core::{
    Call, Code, DeadLetters, Delivery, Event, Ledger, Observe, Reason, Settlement, Sink, TargetId,
    decide::{
        breaker::{self, Breaker},
        budget::Budget,
        hand::Hand,
        lanes::{Lanes, Ticket},
        rate::Rate,
    },
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::{sync::Notify, task::JoinSet};

/// One target: the function, another one, or a sink.
pub struct Target {
    pub(crate) id: TargetId,
    pub(crate) call: Arc<dyn Call>,
    pub(crate) dead: Arc<dyn DeadLetters>,
    pub(crate) replies: Option<Arc<dyn Sink>>,
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    pub(crate) shares: Option<Arc<dyn Ledger>>,
    pub(crate) is_one_of_several: bool,
    pub(crate) observers: Vec<Arc<dyn Observe>>,
    pub(crate) metrics: Tally,
    state: Mutex<State>,
    workers: Mutex<JoinSet<()>>,
    alarm_moved: Notify,
    idle: Notify,
    ebb: Notify,
    hunger: Notify,
    /// That replies, and that dead letters cannot be written.
    replies_fail: Mutex<Complaint>,
    dead_fail: Mutex<Complaint>,
    /// That marks cannot be asked for or written.
    marks_fail: Mutex<Complaint>,
    /// That events of one name differ.
    conflicts: Mutex<Complaint>,
}

/// What one lock holds.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or not by itself, and none rules another out"
)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) lanes: Lanes<Box<Job>>,
    /// Those that are looked up before they are called with; the ones that follow another are not in their lanes.
    hand: Hand<(Ticket, Box<Job>)>,
    pub(crate) breaker: Breaker,
    pub(crate) budget: Budget,
    pub(crate) rng: Rng,
    rate: Option<Rate>,
    running: usize,
    passages: passage::Passages,
    /// A worker was started that has not looked yet: it finds what came meanwhile, and starts the next.
    starting: bool,
    ready: bool,
    stopped: bool,
    alarm: Option<Instant>,
    /// Somebody is told once no more events than these wait.
    ebb_at: Option<usize>,
    /// A source was told that enough is ready, and is to be told when that is over.
    sated: bool,
}

impl State {
    /// Calls that the function has, workers that look for one included.
    fn busy(&self) -> usize {
        self.running + self.passages.active
    }

    fn has_place(&self) -> bool {
        self.busy() < self.settings.concurrency
    }
}

impl Target {
    /// A target that waits for [`Target::set_ready`] before its first call.
    #[must_use]
    pub fn new(id: TargetId, settings: Settings, parts: Parts) -> Arc<Self> {
        let (ratio, per_second, burst) = settings.retry_budget;
        let state = State {
            lanes: Lanes::default(),
            hand: Hand::default(),
            breaker: Breaker::new(settings.breaker),
            budget: Budget::new(ratio, per_second, burst),
            rng: parts.rng,
            rate: settings.per_second.map(Rate::new),
            settings,
            running: 0,
            passages: passage::Passages::default(),
            starting: false,
            ready: false,
            stopped: false,
            alarm: None,
            ebb_at: None,
            sated: false,
        };
        let metrics = Tally::new(parts.metrics, &id, parts.is_one_of_several);
        Arc::new(Self {
            id,
            call: parts.call,
            dead: parts.dead,
            replies: parts.replies,
            ledger: parts.ledger,
            shares: parts.shares,
            is_one_of_several: parts.is_one_of_several,
            observers: parts.observers,
            metrics,
            state: Mutex::new(state),
            workers: Mutex::new(JoinSet::new()),
            alarm_moved: Notify::new(),
            idle: Notify::new(),
            ebb: Notify::new(),
            hunger: Notify::new(),
            replies_fail: Mutex::default(),
            dead_fail: Mutex::default(),
            marks_fail: Mutex::default(),
            conflicts: Mutex::default(),
        })
    }

    /// Puts the delivery into its lane. A caller who waits is refused at once while the breaker is open.
    pub fn push(self: &Arc<Self>, delivery: Delivery) {
        self.put(delivery, |_| {});
    }

    /// The same of a delivery that other targets get as well: asked and marked in the ledger, so that it is not sent here
    /// again for their sake.
    pub fn push_shared(self: &Arc<Self>, delivery: Delivery) {
        self.put(delivery, |job| job.is_shared = true);
    }

    /// Tells [`Target::ebbed`] whenever an event is taken and no more than `at` are left in the lanes.
    fn tell_of_ebb(&self, at: usize) {
        self.state().ebb_at = Some(at);
    }

    /// Waits for that. Cancel safe; what was told while nobody waited is told at once.
    async fn ebbed(&self) {
        self.ebb.notified().await;
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &TargetId {
        &self.id
    }

    fn put(self: &Arc<Self>, delivery: Delivery, made: impl FnOnce(&mut Job)) {
        // Where somebody looks on, its timeline has just begun.
        let (now, standing) = (delivery.timeline.began().unwrap_or_else(now), self.standing(&delivery));
        let mut state = self.state();
        if delivery.once.is_some() && state.breaker.state(now) == breaker::State::Open {
            drop(state);
            return self.refuse(delivery, self.unavailable());
        }
        self.queue(&mut state, delivery, now, |job| {
            job.standing = standing;
            made(job);
        });
    }

    /// Tells the caller who waits, without an attempt.
    fn refuse(&self, delivery: Delivery, reason: Reason) {
        let settlement = Settlement::Reject(reason);
        if self.is_observed() {
            self.note_ended((&delivery.item, &delivery.timeline), &settlement, now());
        }
        delivery.receipt.settle(settlement);
    }

    /// Gives the delivery up without an attempt: it becomes a dead letter in its lane's turn. A caller who waits is told.
    pub fn give_up_untried(self: &Arc<Self>, delivery: Delivery, reason: Reason) {
        if delivery.once.is_some() {
            self.metrics.ended(Ended::Rejected);
            return self.refuse(delivery, reason);
        }
        tracing::warn!(id = delivery.item.as_ref().map_or("", Event::id), %reason, "the event becomes a dead letter");
        self.queue(&mut self.state(), delivery, now(), |job| job.left = Some(Box::new(Left::Grave(reason))));
    }

    fn queue(
        self: &Arc<Self>,
        state: &mut State,
        delivery: Delivery,
        now: Instant,
        made: impl FnOnce(&mut Job),
    ) {
        if delivery.timeline.is_on() {
            self.note_queued(state, &delivery, now);
        }
        let open_before = state.breaker.open_total(now);
        let key = delivery.key.clone();
        let mut job = Box::new(Job::new(delivery, now, open_before, state.settings.policy.attempts_max));
        made(&mut job);
        state.take_in_hand(&mut job);
        state.lanes.push(key, job);
        self.start_worker(state);
    }

    /// Says whether the function can take calls.
    pub fn set_ready(self: &Arc<Self>, ready: bool) {
        let mut state = self.state();
        state.ready = ready;
        self.hand_over(&mut state);
        self.start_worker(&mut state);
    }

    /// Treats it by other settings from here on, all at once: what is under way ends by them, what waits already
    /// waits as long as it was told.
    pub fn treat(self: &Arc<Self>, settings: Settings) {
        let mut state = self.state();
        let (ratio, per_second, burst) = settings.retry_budget;
        state.breaker.set(settings.breaker);
        state.budget.set(ratio, per_second, burst);
        match (&mut state.rate, settings.per_second) {
            (Some(rate), Some(per_second)) => rate.set(per_second),
            (rate, per_second) => *rate = per_second.map(Rate::new),
        }
        state.settings = settings;
        self.hand_over(&mut state);
        self.start_worker(&mut state);
    }

    /// Starts workers when what waits is due. Runs until dropped.
    pub async fn keep_time(self: Arc<Self>) {
        loop {
            let moved = self.alarm_moved.notified();
            let alarm = self.state().alarm;
            match alarm {
                None => moved.await,
                Some(at) => tokio::select! {
                    biased; // no dice that nobody handed in
                    () = moved => {}
                    () = tokio::time::sleep_until(at.into()) => {
                        let mut state = self.state();
                        state.alarm = None;
                        self.start_worker(&mut state);
                    }
                },
            }
        }
    }

    /// Lets the lanes finish until `deadline`, then takes no more and releases what is left: without an attempt
    /// counted, as it was not the function that ended it. Gives back how many were released.
    pub async fn drain(&self, deadline: Instant) -> usize {
        let settled = async {
            loop {
                let idle = self.idle.notified();
                tokio::pin!(idle);
                idle.as_mut().enable();
                if self.is_idle() {
                    return;
                }
                idle.await;
            }
        };
        let _ = tokio::time::timeout_at(deadline.into(), settled).await;
        let (left, running) = {
            let mut state = self.state();
            state.stopped = true;
            let mut left = state.lanes.clear();
            left.extend(state.hand.clear().into_iter().map(|(_, job)| job));
            (left, state.running)
        };
        let mut workers = std::mem::take(&mut *lock(&self.workers));
        workers.shutdown().await; // dropping an attempt releases its event
        let count = left.len() + running;
        for job in left {
            self.release(job);
        }
        count
    }

    /// Releases what waits in the lanes although nobody wants it any more: its source lost it to another.
    pub fn sweep(self: &Arc<Self>) {
        let mut state = self.state();
        let mut gone = state.lanes.evict(|job| !job.receipt.wanted());
        for job in &mut gone {
            state.end_in_hand(job, &Settlement::Release { after: None });
        }
        self.start_worker(&mut state);
        drop(state);
        for job in gone {
            self.release(job); // outside the lock
        }
    }

    /// The numbers that admin shows.
    #[must_use]
    pub fn status(&self) -> Status {
        let (now, state) = (now(), self.state());
        Status {
            queued: state.lanes.len() + state.hand.following(),
            running: state.busy(),
            parked: state.lanes.parked_len(),
            breaker: state.breaker.state(now),
            ready: state.ready,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Says that a reply could not be written, unless it was just said.
    pub(crate) fn complain_of_reply(&self, error: &outrigger_core::Error) {
        if let Some(left_out) = lock(&self.replies_fail).allow(now()) {
            tracing::error!(%error, left_out, "a reply could not be written; its event is kept and waits");
        }
    }

    /// Says that a dead letter could not be written, unless it was just said.
    pub(crate) fn complain_of_dead_letter(&self, error: &outrigger_core::Error) {
        if let Some(left_out) = lock(&self.dead_fail).allow(now()) {
            tracing::error!(%error, left_out, "a dead letter could not be written; its event is kept and waits");
        }
    }

    pub(crate) fn unavailable(&self) -> Reason {
        let detail = format!("{} is down; its breaker is open", self.id);
        Reason { code: Code::Unavailable, status: None, detail }
    }

    /// Rings no later than `at`.
    pub(crate) fn set_alarm(&self, state: &mut State, at: Instant) {
        if state.alarm.is_none_or(|alarm| at < alarm) {
            state.alarm = Some(at);
            self.alarm_moved.notify_one();
        }
    }

    fn is_idle(&self) -> bool {
        let state = self.state();
        state.running == 0 && state.lanes.is_at_rest()
    }
}

/// A target's numbers; see [`Target::status`].
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// Events in lanes that do not run.
    pub queued: usize,
    /// Workers, and requests that are passed through.
    pub running: usize,
    /// Keys that are held by a poisoned event.
    pub parked: usize,
    /// The breaker.
    pub breaker: breaker::State,
    /// Whether the function can take calls.
    pub ready: bool,
}

/// Tokio's clock as the core's: the same one under paused time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
