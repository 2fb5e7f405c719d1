//! Requests that are passed through to the function beside its events: the same readiness, breaker, rate and number
//! of calls at once hold for both, and neither keeps the other out.
//!
//! A place that an event leaves goes to a request that waits, and one that a request leaves to an event.

use super::{State, Target, lock, now};
use outrigger_core::{
    Error, Kind, Result, Retry,
    decide::{
        breaker::{self, Permission},
        verdict::{Verdict, is_down},
    },
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How long a request waits at most, and how many may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the function to be ready, and for a free place.
    pub wait: Duration,
    /// Requests that wait at once.
    pub waiting_max: usize,
}

/// The places that requests have or wait for; part of the target's state.
#[derive(Default)]
pub(super) struct Passages {
    pub(super) active: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

impl Passages {
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// One of the function's calls at once. Its drop gives it to whoever waits.
struct Place(Option<Arc<Target>>);

/// A request's right to call the function, until it is dropped: with the last byte of the answer.
pub struct Passage {
    place: Place,
    /// It is the breaker's one probe, and has not yet told how that went.
    probe: bool,
}

impl Target {
    /// Waits until the function may be called by a request that came at `now`, within `patience`.
    ///
    /// # Errors
    /// `Overloaded` when too many wait or no place came in time, `Unreachable` when the function is down or not
    /// ready, `Closed` when it is too late. Nothing was sent.
    ///
    /// # Cancellation
    /// Dropping the future gives the turn to the next.
    pub async fn enter(self: &Arc<Self>, patience: &Patience, now: Instant) -> Result<Passage> {
        match self.look(patience, now)? {
            Turn::Now(passage) => Ok(passage),
            // Boxed, as few wait: what is polled for every request stays small.
            Turn::Place(turn) => Box::pin(self.wait_for_place(turn, patience, now)).await,
            Turn::Rate(passage, due) => Box::pin(self.wait_for_rate(passage, due, now + patience.wait)).await,
        }
    }

    /// One look under one lock, which is all that a request needs while nothing is in its way.
    fn look(self: &Arc<Self>, patience: &Patience, now: Instant) -> Result<Turn> {
        let mut state = self.state();
        if state.stopped {
            return Err(Error::new(Kind::Closed, "it is being stopped"));
        }
        if state.ready && !state.passages.is_waited_for() && state.has_place() {
            state.passages.active += 1;
            let permit = state.permit(now);
            drop(state); // a place that is not used asks for the lock
            let mut passage = Passage { place: Place(Some(self.clone())), probe: false };
            return match permit {
                Permit::Call { probe } => {
                    passage.probe = probe;
                    Ok(Turn::Now(passage))
                }
                Permit::Due(due) => Ok(Turn::Rate(passage, due)),
                Permit::Down => Err(self.down()),
            };
        }
        if state.breaker.state(now) == breaker::State::Open {
            drop(state);
            return Err(self.down()); // whoever waited would only hear it later
        }
        let waiting = &mut state.passages.waiting;
        if waiting.len() >= patience.waiting_max {
            waiting.retain(|turn| !turn.is_closed());
        }
        if waiting.len() >= patience.waiting_max {
            let detail = format!("{} requests wait for the function already", waiting.len());
            return Err(Error::new(Kind::Overloaded, detail));
        }
        let (turn, later) = oneshot::channel();
        waiting.push_back(turn);
        Ok(Turn::Place(later))
    }

    async fn wait_for_place(
        self: &Arc<Self>,
        turn: oneshot::Receiver<Place>,
        patience: &Patience,
        came: Instant,
    ) -> Result<Passage> {
        let until = came + patience.wait;
        let place = tokio::time::timeout_at(until.into(), turn).await;
        let place = place.ok().and_then(std::result::Result::ok).ok_or_else(|| self.too_late(patience))?;
        let passage = Passage { place, probe: false };
        self.wait_for_rate(passage, now(), until).await
    }

    async fn wait_for_rate(
        self: &Arc<Self>,
        mut passage: Passage,
        mut due: Instant,
        until: Instant,
    ) -> Result<Passage> {
        loop {
            if due > until {
                return Err(Error::new(Kind::Overloaded, "function.rate allows no further call in time"));
            }
            tokio::time::sleep_until(due.into()).await;
            let permit = self.state().permit(now());
            match permit {
                Permit::Call { probe } => {
                    passage.probe = probe;
                    return Ok(passage);
                }
                Permit::Due(later) => due = later,
                Permit::Down => return Err(self.down()),
            }
        }
    }

    /// Gives free places to the requests that wait, the first first.
    pub(super) fn hand_over(self: &Arc<Self>, state: &mut State) {
        while state.passages.is_waited_for() && state.ready && !state.stopped && state.has_place() {
            let Some(turn) = state.passages.waiting.pop_front() else { return };
            if turn.is_closed() {
                continue; // it has lost its patience
            }
            state.passages.active += 1;
            if let Err(mut place) = turn.send(Place(Some(self.clone()))) {
                place.0 = None; // it went at this moment; its drop must not ask for the lock that we hold
                state.passages.active -= 1;
            }
        }
    }

    fn too_late(&self, patience: &Patience) -> Error {
        let (ready, wait) = (self.state().ready, patience.wait);
        if ready {
            Error::new(Kind::Overloaded, format!("no place among function.concurrency calls within {wait:?}"))
        } else {
            Error::new(Kind::Unreachable, format!("the function was not ready within {wait:?}"))
        }
    }

    fn down(&self) -> Error {
        Error::new(Kind::Unreachable, self.unavailable().detail)
    }
}

enum Turn {
    Now(Passage),
    Place(oneshot::Receiver<Place>),
    Rate(Passage, Instant),
}

/// What breaker and rate say to whoever has a place.
enum Permit {
    Call { probe: bool },
    Due(Instant),
    Down,
}

impl State {
    fn permit(&mut self, now: Instant) -> Permit {
        let probe = match self.breaker.ask(now) {
            Permission::Call => false,
            Permission::Probe => true,
            Permission::Until(_) | Permission::ProbeIsOut => return Permit::Down,
        };
        match self.rate.as_mut().map(|rate| rate.take(now)) {
            Some(Err(due)) => {
                if probe {
                    self.breaker.abandoned();
                }
                Permit::Due(due)
            }
            Some(Ok(())) | None => Permit::Call { probe },
        }
    }
}

impl Passage {
    /// Tells the breaker of the function's answer at `now`, or why there is none.
    pub fn answered(&mut self, outcome: std::result::Result<u16, &Error>, now: Instant) {
        let Some(target) = &self.place.0 else { return };
        let probe = std::mem::take(&mut self.probe);
        let mut state = target.state();
        let down = match outcome {
            Ok(status) => {
                is_down(Some(status)) && state.settings.statuses.verdict(Some(status)) != Verdict::Delivered
            }
            Err(error) => error.retry() != Retry::Permanent && is_down(error.http_status()),
        };
        if down {
            state.breaker.failed(now, probe);
        } else if outcome.is_ok() {
            state.breaker.succeeded(now);
        } else if probe {
            state.breaker.abandoned(); // the client's own fault says nothing about the function
        }
    }

    fn abandon(&mut self) {
        if let (true, Some(target)) = (std::mem::take(&mut self.probe), &self.place.0) {
            target.state().breaker.abandoned();
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(target) = self.0.take() else { return };
        let mut state = lock(&target.state);
        state.passages.active -= 1;
        if !state.lanes.is_at_rest() && state.lanes.is_ready(now()) {
            target.start_worker(&mut state);
        }
        target.hand_over(&mut state);
    }
}
