//! Deduplication: what is known of an event at its lane's head, before it takes a permit.
//!
//! Of the events of one name in hand, one goes first; the others wait beside the lanes and end as it did
//! ([`outrigger_core::decide::hand`]). The first one is looked up in the ledger: at once where that knows from memory,
//! else by a worker that asks. Breaker, rate and budget see only what is new.

use super::{Running, State, Target, job::Job, lock, now};
use crate::telemetry::Ended;
use outrigger_core::{
    Code, Delivery, Fate, Known, Ledger, Mark, OnAnother, Payload, Reason, Settlement, Step,
    decide::{
        hand::{Place, Turn},
        lanes::Ticket,
    },
};
use std::{sync::Arc, time::Instant};

/// What comes of marks that cannot be asked for.
pub(crate) const MARKS_UNASKED: &str = "marks cannot be asked: the event goes on, perhaps again";
/// What comes of one that is not there.
pub(crate) const MARK_UNWRITTEN: &str =
    "a mark was not written: a redelivery of its event will not be noticed";

/// What an event is known by, and how far that was looked into.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) mark: Arc<Mark>,
    pub(crate) payload: Option<Payload>,
    /// Among those of its name, until it is settled or goes its own way.
    place: Option<Place>,
    leads: bool,
    /// Nobody has it: it may be called with.
    is_new: bool,
}

/// What is to be done with an event instead of a call.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Ask the ledger.
    Ask,
    /// Settle it as the one of its name was.
    Over(Settlement),
    /// See what is done with another payload.
    Another,
}

impl Errand {
    fn of(known: Known) -> Option<Self> {
        match known {
            Known::New => None,
            Known::Same => Some(Self::Over(Settlement::Ack(None))),
            Known::Another => Some(Self::Another),
        }
    }
}

impl State {
    /// Lets the job be in hand from here on.
    pub(super) fn take_in_hand(&mut self, job: &mut Job) {
        if let Some(standing) = &mut job.standing {
            standing.place = Some(self.hand.enter(&standing.mark));
        }
    }

    /// What is at a lane's head and needs no call, or is to be asked for first. What follows another is set aside.
    pub(super) fn take_known(
        &mut self,
        ledger: &dyn Ledger,
        now: Instant,
    ) -> Option<(Ticket, Box<Job>, Errand)> {
        while let Some((ticket, mut job)) =
            self.lanes.next_if(now, |job| job.standing.as_ref().is_some_and(|standing| !standing.is_new))
        {
            let waits = job.once.is_some();
            let Some((place, standing)) = job.standing.as_mut().and_then(|it| Some((it.place?, it))) else {
                self.lanes.back(ticket, job); // never: what is open has its place
                return None;
            };
            let errand = match self.hand.come(place, standing.payload, waits) {
                // Which of the two is to be dropped is known once the first is delivered.
                Turn::AnotherLeads if ledger.on_another() != OnAnother::Drop => Some(Errand::Another),
                Turn::Follow | Turn::AnotherLeads => {
                    self.hand.follow(place, (ticket, job));
                    continue;
                }
                Turn::Alone => {
                    standing.place = None;
                    let known = ledger.glance(&standing.mark, standing.payload);
                    known.map_or(Some(Errand::Ask), Errand::of)
                }
                Turn::Over(settlement) => Some(Errand::Over(settlement)),
                Turn::Another => Some(Errand::Another),
                Turn::Lead => {
                    standing.leads = true;
                    let known = ledger.glance(&standing.mark, standing.payload);
                    known.map_or(Some(Errand::Ask), Errand::of)
                }
            };
            if let Some(errand) = errand {
                return Some((ticket, job, errand));
            }
            standing.is_new = true;
            self.lanes.back(ticket, job);
        }
        None
    }

    /// The job is settled so, or given back: what followed it comes to its lane's head again.
    pub(super) fn end_in_hand(&mut self, job: &mut Job, settlement: &Settlement) {
        let Some((place, leads)) = job.standing.as_mut().and_then(|it| Some((it.place.take()?, it.leads)))
        else {
            return;
        };
        if !leads {
            return self.hand.leave(place);
        }
        // That one caller's time was too short says nothing to the others.
        let given_back = Settlement::Release { after: None };
        let is_of_caller = matches!(settlement, Settlement::Reject(Reason { code: Code::TimedOut, .. }));
        let settlement = if is_of_caller { &given_back } else { settlement };
        let is_had = job.grave().is_none() && matches!(settlement, Settlement::Ack(_));
        let followers = self.hand.end(place, settlement, is_had);
        self.bring_back(followers);
    }

    /// The job is parked, for nobody knows how long: what follows it goes its own way.
    pub(super) fn park_in_hand(&mut self, job: &Job) {
        if let Some(place) = job.standing.as_ref().filter(|it| it.leads).and_then(|it| it.place) {
            let followers = self.hand.step_aside(place);
            self.bring_back(followers);
        }
    }

    fn bring_back(&mut self, followers: Vec<(Ticket, Box<Job>)>) {
        for (ticket, follower) in followers.into_iter().rev() {
            self.lanes.back(ticket, follower);
        }
    }
}

impl Target {
    /// By what the delivery is known, where deduplication is on. It reads the whole payload, so it is for outside the
    /// lock. What is delivered once more on purpose is not looked up.
    pub(super) fn standing(&self, delivery: &Delivery) -> Option<Box<Standing>> {
        let ledger = self.ledger.as_ref()?;
        let event = delivery.item.as_ref().ok().filter(|_| !delivery.receipt.is_replay())?;
        let (mark, payload) = (Arc::new(self.mark(&delivery.origin, event)), ledger.payload(event));
        Some(Box::new(Standing { mark, payload, place: None, leads: false, is_new: false }))
    }

    /// Does what is to be done instead of a call; what turns out to be new is next in its lane.
    pub(crate) async fn run_errand(&self, mut running: Running<'_>, errand: Errand) {
        let errand = match errand {
            Errand::Ask => Errand::of(self.ask(running.job()).await),
            other => Some(other),
        };
        match errand {
            None => running.go_on(),
            Some(Errand::Over(Settlement::Ack(reply))) => {
                self.metrics.ended(Ended::Duplicate);
                running.job().timeline.note(Step::Duplicate, now());
                self.acknowledge(running, reply, Fate::Duplicate);
            }
            Some(Errand::Over(Settlement::Reject(reason))) => self.reject(running, reason),
            Some(Errand::Over(Settlement::Release { .. })) => drop(running), // never: that ends nobody
            Some(Errand::Another | Errand::Ask) => self.another(running).await,
        }
    }

    /// Marks fail open: `what` is one of [`MARKS_UNASKED`] and [`MARK_UNWRITTEN`], and says what comes of it.
    pub(crate) fn complain_of_marks(&self, error: &outrigger_core::Error, what: &'static str) {
        if let Some(left_out) = lock(&self.marks_fail).allow(now()) {
            tracing::warn!(%error, left_out, "{what}");
        }
    }

    async fn ask(&self, job: &Job) -> Known {
        let (Some(ledger), Some(standing)) = (&self.ledger, &job.standing) else { return Known::New };
        ledger.ask(&standing.mark, standing.payload).await.unwrap_or_else(|error| {
            self.complain_of_marks(&error, MARKS_UNASKED);
            Known::New
        })
    }

    /// An event of its name had another payload: what becomes of it is the user's choice, and told.
    async fn another(&self, mut running: Running<'_>) {
        let policy = self.on_another();
        let job = running.job();
        self.flag(policy, job.item.as_ref().map_or("", |event| event.source()), job.event_id());
        match policy {
            OnAnother::Deliver => running.go_on(),
            OnAnother::Drop => {
                job.timeline.note(Step::Dropped(Code::Conflict), now());
                self.acknowledge(running, None, Fate::Discarded);
            }
            OnAnother::Bury if job.once.is_some() => self.reject(running, conflict()),
            OnAnother::Bury => {
                if let Some(standing) = &mut job.standing {
                    standing.is_new = true; // its dead letter may have to wait
                }
                self.bury(running, conflict()).await;
            }
        }
    }

    pub(super) fn on_another(&self) -> OnAnother {
        self.ledger.as_ref().map_or(OnAnother::Deliver, |ledger| ledger.on_another())
    }

    pub(super) fn flag(&self, policy: OnAnother, source: &str, id: &str) {
        self.metrics.conflicting(policy);
        if let Some(left_out) = lock(&self.conflicts).allow(now()) {
            let name = "an event has the source and id of another one, and another type or data";
            let then = match policy {
                OnAnother::Deliver => "deliver",
                OnAnother::Bury => "reject",
                OnAnother::Drop => "drop",
            };
            tracing::warn!(source, id, then, left_out, target = %self.id, "{name}");
        }
    }
}

/// Why it becomes a dead letter.
pub(super) fn conflict() -> Reason {
    let detail =
        "an event of this source and id, with another type or data, was there before (cache.dedup.conflict)";
    Reason { code: Code::Conflict, status: None, detail: detail.to_owned() }
}

impl Running<'_> {
    /// Nobody has the event: it is next in its lane. One that does not lead goes its own way from here on.
    fn go_on(mut self) {
        let mut job = self.job.take().expect("an attempt ends once");
        let mut state = self.target.state();
        if let Some(standing) = &mut job.standing {
            standing.is_new = true;
            if let (false, Some(place)) = (standing.leads, standing.place) {
                standing.place = None;
                state.hand.leave(place);
            }
        }
        state.lanes.back(self.ticket, job);
    }
}
