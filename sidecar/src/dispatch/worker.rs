//! The workers of a target: each takes an event, makes one attempt, and takes the next; it ends when nothing may run.

use super::{Errand, Running, State, Target, job::Job, lock, now};
use outrigger_core::Ledger;
use outrigger_core::decide::{breaker::Permission, lanes::Ticket};
use std::{
    sync::{Arc, MutexGuard},
    thread,
    time::Instant,
};

/// What a look at the state gives a worker.
enum Take {
    Run { ticket: Ticket, job: Box<Job>, probe: bool, errand: Option<Errand> },
    Until(Instant),
    Nothing,
}

impl State {
    fn take(&mut self, now: Instant, ledger: Option<&dyn Ledger>) -> Take {
        if self.stopped || !self.ready || self.busy() > self.settings.concurrency {
            return Take::Nothing;
        }
        if let Some((ticket, job, errand)) = ledger.and_then(|ledger| self.take_known(ledger, now)) {
            return Take::Run { ticket, job, probe: false, errand: Some(errand) };
        }
        if !self.lanes.is_ready(now) {
            return self.lanes.wake_at().map_or(Take::Nothing, Take::Until);
        }
        let probe = match self.breaker.ask(now) {
            Permission::Call => false,
            Permission::Probe => true,
            Permission::Until(at) => return Take::Until(at),
            Permission::ProbeIsOut => return Take::Nothing,
        };
        if let Some(Err(due)) = self.rate.as_mut().map(|rate| rate.take(now)) {
            if probe {
                self.breaker.abandoned();
            }
            return Take::Until(due);
        }
        let (ticket, job) = self.lanes.next(now).expect("a lane is ready");
        Take::Run { ticket, job, probe, errand: None }
    }
}

impl Target {
    /// Starts a worker where one may run and none is on its way.
    pub(super) fn start_worker(self: &Arc<Self>, state: &mut State) {
        if state.starting || !state.has_place() || !state.ready || state.stopped {
            return;
        }
        state.starting = true;
        state.running += 1;
        let mut workers = lock(&self.workers);
        while workers.try_join_next().is_some() {} // a worker that panicked has released its event
        workers.spawn(self.clone().work());
    }

    async fn work(self: Arc<Self>) {
        self.state().starting = false;
        let mut leaving = Leaving(Some(&self));
        let (mut time, mut first) = (now(), true);
        while let Some(running) = self.take(time, std::mem::take(&mut first)) {
            time = self.attempt(running, time).await;
        }
        leaving.0 = None; // with the last look, it was counted out
    }

    /// What the worker does next. `None` counts it out under the same lock: whoever brings work after this look
    /// then finds its place free, and starts another. Unless it is its `first`, it leaves to a request that waits.
    fn take(self: &Arc<Self>, now: Instant, first: bool) -> Option<Running<'_>> {
        let mut state = self.state();
        let yields = !first && state.passages.is_waited_for();
        match if yields { Take::Nothing } else { state.take(now, self.ledger.as_deref()) } {
            Take::Run { ticket, job, probe, errand } => {
                if state.lanes.is_ready(now) {
                    self.start_worker(&mut state);
                }
                if state.ebb_at.is_some_and(|at| state.lanes.len() <= at) {
                    self.ebb.notify_one();
                }
                self.tell_of_hunger(&mut state);
                if errand.is_none() {
                    state.note_held_up(&job, now);
                }
                return Some(Running { target: self, ticket, probe, job: Some(job), errand });
            }
            Take::Until(at) => self.set_alarm(&mut state, at),
            Take::Nothing => {}
        }
        self.leave(state);
        if yields {
            self.start_worker(&mut self.state()); // whoever waited may have gone
        }
        None
    }

    fn leave(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.running -= 1;
        self.hand_over(&mut state);
        drop(state);
        self.idle.notify_waiters();
    }
}

/// A worker that ends by panic or abort is no longer running either; after a panic another takes its place.
struct Leaving<'a>(Option<&'a Arc<Target>>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let Some(target) = self.0 else { return };
        target.leave(target.state());
        if thread::panicking() {
            target.start_worker(&mut target.state());
        }
    }
}
