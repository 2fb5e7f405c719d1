//! What is known of the source from outside: what is in the way, and its numbers.

use crate::locks::Counts;
use serde::Serialize;
use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A wrong secret is refused at once; what is not refused within this time is taken for let in.
const LET_IN_AFTER: Duration = Duration::from_secs(1);

/// The source's numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The topic.
    pub topic: String,
    /// The subscription.
    pub subscription: String,
    /// Events in hand, with those whose outcome is not taken yet.
    pub in_hand: usize,
    /// What was counted so far.
    #[serde(flatten)]
    pub counts: Counts,
    /// Requests that failed.
    pub failed_requests: u64,
    /// Members of answers without a lock token or an event.
    pub unreadable: u64,
    /// What is in the way; `None` while nothing is.
    pub trouble: Option<String>,
}

/// What the source asks the service for: each has its own trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    Receive = 0,
    Tell = 1,
    Renew = 2,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Board {
    troubles: Mutex<[Option<String>; 3]>,
    /// When events were asked for first.
    asked_at: OnceLock<Instant>,
    /// The service has answered since.
    answered: AtomicBool,
    pub(crate) failed_requests: AtomicU64,
    pub(crate) unreadable: AtomicU64,
}

impl Board {
    /// Events are asked for, at `now`.
    pub(crate) fn asking(&self, now: Instant) {
        self.asked_at.get_or_init(|| now);
    }

    /// An errand failed. It is said in the log where it is news.
    pub(crate) fn failed(&self, errand: Errand, source: &str, error: &outrigger_core::Error) {
        self.failed_requests.fetch_add(1, Ordering::Relaxed);
        let line = error.to_string();
        let slot = &mut lock(&self.troubles)[errand as usize];
        if slot.as_ref() != Some(&line) {
            tracing::warn!(source, "{line}");
        }
        *slot = Some(line);
    }

    /// An errand succeeded.
    pub(crate) fn succeeded(&self, errand: Errand, source: &str) {
        if errand == Errand::Receive {
            self.answered.store(true, Ordering::Relaxed);
        }
        if lock(&self.troubles)[errand as usize].take().is_some() {
            tracing::info!(source, "Event Grid answers again");
        }
    }

    /// What is in the way at `now`, in one line, while `in_hand` events are: without any, nothing is to be told or renewed.
    pub(crate) fn trouble(&self, now: Instant, in_hand: usize) -> Option<String> {
        let counting = if in_hand > 0 { 3 } else { 1 };
        let trouble = lock(&self.troubles)[..counting].iter().flatten().next().cloned();
        let asks = self.asked_at.get().is_none_or(|at| now.saturating_duration_since(*at) < LET_IN_AFTER);
        let new = asks && !self.answered.load(Ordering::Relaxed);
        trouble.or_else(|| new.then(|| "eventgrid: asked for the first events".to_owned()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::{Error, Kind};

    #[test]
    fn what_could_not_be_told_is_in_the_way_only_while_something_is_to_be_told() {
        let (board, now) = (Board::default(), Instant::now());
        board.asking(now);
        board.succeeded(Errand::Receive, "eventgrid");
        for errand in [Errand::Tell, Errand::Renew] {
            board.failed(errand, "eventgrid", &Error::new(Kind::Unreachable, "down"));
            assert_eq!((board.trouble(now, 1).as_deref(), board.trouble(now, 0)), (Some("down"), None));
            board.succeeded(errand, "eventgrid");
            assert_eq!(board.trouble(now, 1), None);
        }
        board.failed(Errand::Receive, "eventgrid", &Error::new(Kind::Unreachable, "down"));
        assert_eq!(board.trouble(now, 0).as_deref(), Some("down"));
    }
}
