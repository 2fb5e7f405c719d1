//! Where outcomes arrive and wait to be told, and what is known of the source from outside.

use crate::decode::Fate;
use crate::locks::{Batch, Counts, Locks, Outcome, Rules, Verb};
use outrigger_core::{Settlement, Settler};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::Notify;

/// What is in hand. The token of a receipt is the event's number there.
#[derive(Debug)]
pub(crate) struct Desk {
    locks: Mutex<Locks>,
    /// There is something to tell, or to tell sooner.
    pub(crate) bell: Notify,
    /// An event is done with.
    freed: Notify,
}

impl Desk {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { locks: Mutex::new(Locks::new(rules)), bell: Notify::new(), freed: Notify::new() }
    }

    pub(crate) fn take(&self, token: Arc<str>, deliveries: u32, now: Instant) -> u64 {
        self.locks().take(token, deliveries, now)
    }

    pub(crate) fn len(&self) -> usize {
        self.locks().len()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.locks().counts
    }

    /// Waits until fewer than `events_max` are in hand. Cancel safe.
    pub(crate) async fn room(&self, events_max: usize) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable(); // before looking, so that one that ends in between is not missed
            if self.len() < events_max {
                return;
            }
            freed.await;
        }
    }

    /// The next outcomes to tell, or when to look for them again; `Err(None)` while nothing waits.
    pub(crate) fn batch(&self, closing: bool) -> Result<(Verb, Batch), Option<Instant>> {
        let mut locks = self.locks();
        locks.batch(now(), closing).ok_or_else(|| locks.batch_due(closing))
    }

    pub(crate) fn told(&self, verb: Verb, batch: Batch, fates: Vec<Fate>, again_at: Instant) {
        self.locks().told(verb, batch, fates, again_at);
        self.freed.notify_waiters();
    }

    pub(crate) fn put_back(&self, verb: Verb, batch: Batch, again_at: Instant) {
        self.locks().put_back(verb, batch, again_at);
    }

    /// The locks that are to be renewed now.
    pub(crate) fn renewals(&self) -> Batch {
        self.locks().renewals(now())
    }

    pub(crate) fn renewed(&self, batch: Batch, fates: Vec<Fate>, asked: Instant) {
        self.locks().renewed(batch, fates, asked);
        self.freed.notify_waiters();
    }

    /// Gives up what has ended. True when there is something in the lanes that is not wanted any more.
    pub(crate) fn look(&self) -> bool {
        let changed = self.locks().look(now());
        if changed {
            self.freed.notify_waiters();
        }
        changed
    }

    fn decide(&self, token: u64, outcome: Outcome) {
        if self.locks().decide(token, outcome, now()) {
            self.bell.notify_one();
        }
    }

    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settler for Desk {
    /// `Reject` is said where the caller has kept a dead letter, or trusts the subscription to: Event Grid dead-letters
    /// what is rejected, or drops it where no place for that is configured.
    fn settle(&self, token: u64, settlement: Settlement) {
        self.decide(
            token,
            match settlement {
                Settlement::Ack(_) => Outcome::Done,
                Settlement::Release { after } => Outcome::Again(after),
                Settlement::Reject(_) => Outcome::Rejected,
            },
        );
    }

    /// An event whose lock is gone, or that is to go back, is not begun with.
    fn wanted(&self, token: u64) -> bool {
        self.locks().is_wanted(token)
    }

    fn counts_deliveries(&self) -> bool {
        true
    }
}

/// Tokio's clock as the core's: the same one under paused time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
