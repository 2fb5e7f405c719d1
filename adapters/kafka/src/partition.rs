//! One assignment of a partition: what is in hand, and whether its outcome still counts.
//!
//! An assignment is an object of its own. When the partition is lost it is fenced, and a late completion that
//! still holds it settles nothing, even when the same partition has been assigned to us again since.

use crate::client::{Start, TopicPartition};
use outrigger_core::decide::watermark::{Commit, Fetched, Watermark};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tokio::{sync::Notify, time::Instant};

/// How far an assignment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Ours.
    Live,
    /// To be given up: what runs may finish, nothing else begins.
    Leaving,
    /// No longer ours: nothing counts.
    Gone,
}

/// One assignment of a partition.
pub(crate) struct Assigned {
    /// Which partition.
    pub(crate) at: TopicPartition,
    /// The same for people: `topic/partition`.
    pub(crate) name: Arc<str>,
    state: Mutex<State>,
    /// Outcomes that came after it was lost, over all assignments.
    pub(crate) fenced: Arc<AtomicU64>,
    /// Rings when something is released, or the last record in hand is settled while it is given up.
    pub(crate) bell: Arc<Notify>,
}

struct State {
    mark: Watermark,
    phase: Phase,
    /// Since when something is settled that no broker has taken a commit of.
    due_since: Option<Instant>,
    /// A record waits for room: the bell rings when no more than so many are in hand.
    ring_at: Option<usize>,
}

/// What becomes of a record that was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is handed on; its offset settles it.
    On,
    /// It is finished, in hand, or no longer ours.
    Pass,
    /// There is no room: it must wait, and its partition with it.
    Full,
}

/// What there is to know of an assignment at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) next: i64,
    pub(crate) position: i64,
    pub(crate) open: usize,
    pub(crate) dirty: bool,
    pub(crate) due_since: Option<Instant>,
    pub(crate) oldest_ms: Option<i64>,
    pub(crate) rewind: Option<i64>,
}

impl Assigned {
    pub(crate) fn new(
        start: &Start,
        bytes_max: usize,
        fenced: Arc<AtomicU64>,
        bell: Arc<Notify>,
    ) -> Arc<Self> {
        let mut mark = Watermark::resume(start.offset - start.missing, &start.metadata, bytes_max);
        mark.skip_to(start.offset); // what was finished beyond is finished, whatever retention took before it
        if start.fresh {
            mark.commit_again(); // so that "latest" is the same place after a crash
        }
        let state = Mutex::new(State { mark, phase: Phase::Live, due_since: None, ring_at: None });
        Arc::new(Self { at: start.at.clone(), name: start.at.to_string().into(), state, fenced, bell })
    }

    /// A record was fetched: is it to be handed on, beside at most `open_max` others?
    pub(crate) fn take(&self, offset: i64, stamp_ms: i64, open_max: usize) -> Taken {
        let mut state = self.state();
        if state.phase != Phase::Live {
            return Taken::Pass; // its next owner reads it
        }
        let ahead = offset >= state.mark.position();
        if ahead && (state.mark.open() >= open_max || !state.mark.fits(offset)) {
            // Not at once when there is room: each pause costs a fetch.
            state.ring_at = Some(open_max.min(state.mark.open()) / 4 * 3);
            return Taken::Full;
        }
        match state.mark.fetched(offset, stamp_ms) {
            Fetched::Take => Taken::On,
            Fetched::Skip => Taken::Pass,
        }
    }

    pub(crate) fn settled(&self, offset: i64) {
        let mut state = self.state();
        if state.phase == Phase::Gone {
            drop(state);
            self.fenced.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if state.mark.settle(offset) && state.due_since.is_none() {
            state.due_since = Some(Instant::now());
        }
        self.ring(&mut state);
    }

    pub(crate) fn released(&self, offset: i64) {
        let mut state = self.state();
        if state.phase != Phase::Gone {
            state.mark.release(offset);
            self.ring(&mut state);
            if state.phase == Phase::Live {
                self.bell.notify_one(); // it must be fetched again
            }
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state().phase == Phase::Live
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.state().phase = phase;
    }

    /// What to commit, if anything; nothing of an assignment that is gone.
    pub(crate) fn commit(&self) -> Option<Commit> {
        let mut state = self.state();
        if state.phase == Phase::Gone { None } else { state.mark.commit() }
    }

    /// The broker took the commit.
    pub(crate) fn committed(&self) {
        let mut state = self.state();
        state.due_since = state.mark.is_dirty().then(Instant::now);
    }

    /// The commit did not reach the broker.
    pub(crate) fn commit_again(&self) {
        self.state().mark.commit_again();
    }

    pub(crate) fn skip_to(&self, offset: i64) {
        self.state().mark.skip_to(offset);
    }

    pub(crate) fn look(&self) -> Look {
        let state = self.state();
        Look {
            next: state.mark.next(),
            position: state.mark.position(),
            open: state.mark.open(),
            dirty: state.mark.is_dirty() && state.phase != Phase::Gone,
            due_since: state.due_since,
            oldest_ms: state.mark.oldest_ms(),
            rewind: state.mark.rewind(),
        }
    }

    fn ring(&self, state: &mut State) {
        let open = state.mark.open();
        let has_room = state.ring_at.is_some_and(|at| open <= at);
        if has_room || (state.phase == Phase::Leaving && open == 0) {
            state.ring_at = None;
            self.bell.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
