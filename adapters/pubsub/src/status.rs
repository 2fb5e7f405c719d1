//! The numbers of the source, and what is in its way.

use serde::Serialize;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Everything about the source at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Each subscription.
    pub subscriptions: Vec<SubscriptionStatus>,
    /// Messages in hand: their leases are kept.
    pub in_hand: usize,
    /// Their bytes.
    pub in_hand_bytes: usize,
    /// Those of them that wait for the window.
    pub waiting: usize,
    /// Whether nothing more is read until some of them are settled.
    pub is_full: bool,
    /// Ordering keys of which something is in hand or went back of late.
    pub keys: usize,
    /// Messages that came.
    pub received: u64,
    /// Those of them that Pub/Sub had delivered before; it tells where the subscription has a dead-letter policy.
    pub redelivered: u64,
    /// Acknowledgements that were sent, or confirmed where delivery is exactly once.
    pub acks: u64,
    /// Acknowledgements that an exactly-once subscription did not confirm: each is a duplicate to come.
    pub ack_failures: u64,
    /// Messages that were given back.
    pub nacks: u64,
    /// Those of them that were given back only because an earlier one of their key was.
    pub tails: u64,
    /// Those of them that were in hand longer than `lease_max`.
    pub expired: u64,
    /// Streams that were opened.
    pub streams: u64,
}

/// One subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SubscriptionStatus {
    /// Its whole name.
    pub name: String,
    /// What is in the way of its messages, in one line.
    pub trouble: Option<String>,
    /// Whether it was heard of: a message, or an answer to a question.
    pub is_known: bool,
    /// Whether delivery is exactly once, as it says of itself where that may be asked.
    pub is_exactly_once: Option<bool>,
    /// Whether it keeps the order of keys.
    pub is_ordered: Option<bool>,
    /// After how many deliveries Pub/Sub itself dead-letters; none where it has no such policy.
    pub delivery_attempts_max: Option<i32>,
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) received: AtomicU64,
    pub(crate) redelivered: AtomicU64,
    pub(crate) acks: AtomicU64,
    pub(crate) ack_failures: AtomicU64,
    pub(crate) nacks: AtomicU64,
    pub(crate) tails: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) streams: AtomicU64,
}

impl Counts {
    pub(crate) fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Writes them into `status`.
    pub(crate) fn show(&self, status: &mut Status) {
        status.received = self.received.load(Relaxed);
        status.redelivered = self.redelivered.load(Relaxed);
        status.acks = self.acks.load(Relaxed);
        status.ack_failures = self.ack_failures.load(Relaxed);
        status.nacks = self.nacks.load(Relaxed);
        status.tails = self.tails.load(Relaxed);
        status.expired = self.expired.load(Relaxed);
        status.streams = self.streams.load(Relaxed);
    }
}

/// What is known of each subscription.
#[derive(Debug)]
pub(crate) struct Board(Mutex<Vec<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Its `trouble` is the first of the two below.
    status: SubscriptionStatus,
    /// Why its stream was refused.
    refused: Option<String>,
    /// Why it cannot be asked after.
    unreachable: Option<String>,
}

impl Known {
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        let now = self.refused.as_ref().or(self.unreachable.as_ref()).cloned();
        let before = std::mem::replace(&mut self.status.trouble, now);
        let name = &self.status.name;
        match (&before, &self.status.trouble) {
            (_, Some(why)) if before.as_ref() != Some(why) => {
                tracing::warn!(subscription = name, "{why}; it is tried again");
            }
            (Some(_), None) => tracing::info!(subscription = name, "nothing is in the way any more"),
            _ => {}
        }
    }
}

impl Board {
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Self {
        let known = |name| Known {
            status: SubscriptionStatus { name, ..SubscriptionStatus::default() },
            ..Known::default()
        };
        Self(Mutex::new(names.map(known).collect()))
    }

    pub(crate) fn all(&self) -> Vec<SubscriptionStatus> {
        lock(&self.0).iter().map(|known| known.status.clone()).collect()
    }

    /// Its stream was refused.
    pub(crate) fn refused(&self, at: usize, why: String) {
        lock(&self.0)[at].change(|known| known.refused = Some(why));
    }

    /// It cannot be asked after.
    pub(crate) fn unreachable(&self, at: usize, why: String) {
        lock(&self.0)[at].change(|known| known.unreachable = Some(why));
    }

    /// It can be asked after. Whether it could not before.
    pub(crate) fn reached(&self, at: usize) -> bool {
        let mut all = lock(&self.0);
        let was_unreachable = all[at].unreachable.is_some();
        all[at].status.is_known = true;
        all[at].change(|known| known.unreachable = None);
        was_unreachable
    }

    /// Its stream is open and was not refused.
    pub(crate) fn open(&self, at: usize) {
        lock(&self.0)[at].change(|known| known.refused = None);
    }

    /// A message came by a stream.
    pub(crate) fn well(&self, at: usize) {
        let mut all = lock(&self.0);
        all[at].status.is_known = true;
        all[at].change(|known| {
            known.refused = None;
            known.unreachable = None;
        });
    }

    pub(crate) fn is_refused(&self, at: usize) -> bool {
        lock(&self.0)[at].refused.is_some()
    }

    pub(crate) fn is_known(&self, at: usize) -> bool {
        lock(&self.0)[at].status.is_known
    }

    /// It has told of itself.
    pub(crate) fn tell(&self, at: usize, change: impl FnOnce(&mut SubscriptionStatus)) {
        change(&mut lock(&self.0)[at].status);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
