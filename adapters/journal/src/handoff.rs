//! The short way from the writer to the source: events that were just committed, without reading them again.
//!
//! Bounded: what does not fit stays on disk only, and the source is `behind` until it has read up to the end.

use crate::config::Config;
use outrigger_core::{Event, Key};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};

/// Released events that wait for their time; more than these, and the source takes in nothing new.
pub(crate) const RELEASED_MAX: usize = 4_096;

/// One event of the queue on its way to the source.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) seq: u64,
    pub(crate) event: Event,
    pub(crate) key: Option<Key>,
    /// The one target that it is for.
    pub(crate) target: Option<Arc<str>>,
    /// What it is a copy of that is brought once more on purpose.
    pub(crate) replay_of: Option<Box<str>>,
    pub(crate) attempts: u32,
    /// When it was accepted, in Unix milliseconds.
    pub(crate) accepted_ms: u64,
    /// What it counts for in the queue's bound.
    pub(crate) bytes: u64,
}

/// What the source does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Read these again: they were released, and their time has come.
    Again(Vec<u64>),
    /// Push these.
    Rows(Vec<Handed>),
    /// Read from disk what comes after the last one.
    Read,
    /// Nothing yet; look again at that time, or when told.
    Wait(Option<Instant>),
}

pub(crate) struct Handoff {
    state: Mutex<State>,
    pub(crate) changed: Notify,
    events_max: usize,
    bytes_max: u64,
}

#[derive(Default)]
struct State {
    rows: Vec<Handed>,
    /// Of `rows`, and of those that the source has taken and may still hold while the window is full.
    bytes: u64,
    taken_bytes: u64,
    behind: bool,
    released: BTreeMap<u64, Option<Instant>>,
}

impl Handoff {
    /// Behind at first: what is on disk from before comes first.
    pub(crate) fn new(config: &Config) -> Self {
        let state = State { behind: true, ..State::default() };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            events_max: config.hand_events_max,
            bytes_max: config.hand_bytes_max as u64,
        }
    }

    /// Hands over what was just committed, in order; what does not fit is left on disk.
    pub(crate) fn committed(&self, rows: impl Iterator<Item = Handed>) {
        let mut state = self.state();
        for row in rows {
            let fits = state.rows.len() < self.events_max && state.bytes + row.bytes <= self.bytes_max;
            if state.behind || !fits {
                state.behind = true;
                break;
            }
            state.bytes += row.bytes;
            state.rows.push(row);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Something is on disk that was not handed over.
    pub(crate) fn fall_behind(&self) {
        self.state().behind = true;
        self.changed.notify_one();
    }

    /// The source has read to the end. Only for the writer's thread, before it commits anything else.
    pub(crate) fn caught_up(&self) {
        self.state().behind = false;
    }

    /// The event `seq` shall come again, not before `due`.
    pub(crate) fn release(&self, seq: u64, due: Option<Instant>) {
        self.state().released.insert(seq, due);
        self.changed.notify_one();
    }

    /// What to do next, now that all of the last time is pushed. Released events go first, being the oldest.
    pub(crate) fn next(&self, now: Instant, events_max: usize) -> Next {
        let mut state = self.state();
        state.bytes -= mem::take(&mut state.taken_bytes);
        let is_due = |due: &Option<Instant>| due.is_none_or(|due| due <= now);
        let released = state.released.iter();
        let again: Vec<u64> =
            released.filter(|(_, due)| is_due(due)).map(|(seq, _)| *seq).take(events_max).collect();
        if !again.is_empty() {
            for seq in &again {
                state.released.remove(seq);
            }
            return Next::Again(again);
        }
        let wait = Next::Wait(state.released.values().copied().min().flatten());
        if state.released.len() >= RELEASED_MAX {
            return wait;
        }
        if !state.rows.is_empty() {
            state.taken_bytes = state.bytes;
            return Next::Rows(mem::take(&mut state.rows));
        }
        if state.behind { Next::Read } else { wait }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn handoff(events_max: usize) -> Handoff {
        let handoff = Handoff::new(&Config { hand_events_max: events_max, ..Config::new("j") });
        handoff.caught_up();
        handoff
    }

    fn rows(seqs: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = Handed> {
        let event = Event::new("1", "/s", "t").unwrap();
        seqs.map(move |seq| Handed {
            seq,
            event: event.clone(),
            key: None,
            target: None,
            replay_of: None,
            attempts: 0,
            accepted_ms: 0,
            bytes: 100,
        })
    }

    fn seqs(next: Next) -> Vec<u64> {
        match next {
            Next::Rows(rows) => rows.iter().map(|row| row.seq).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_does_not_fit_is_left_on_disk_until_the_source_has_caught_up() {
        let (handoff, now) = (handoff(3), Instant::now());
        handoff.committed(rows(1..=2));
        handoff.committed(rows(3..=5));
        handoff.committed(rows(6..=6));
        assert_eq!(seqs(handoff.next(now, 9)), [1, 2, 3]);
        assert!(matches!(handoff.next(now, 9), Next::Read));
        handoff.caught_up();
        assert!(matches!(handoff.next(now, 9), Next::Wait(None)));
        handoff.committed(rows(7..=7));
        assert_eq!(seqs(handoff.next(now, 9)), [7]);
    }

    #[test]
    fn rows_that_the_source_still_holds_count_for_the_bound_in_bytes() {
        let config = Config { hand_bytes_max: 500, ..Config::new("j") };
        let (handoff, now) = (Handoff::new(&config), Instant::now());
        handoff.caught_up();
        handoff.committed(rows(1..=3));
        assert_eq!(seqs(handoff.next(now, 9)), [1, 2, 3]);
        handoff.committed(rows(4..=6));
        assert_eq!(seqs(handoff.next(now, 9)), [4, 5]);
        assert!(matches!(handoff.next(now, 9), Next::Read), "the third did not fit beside the first three");
    }

    #[test]
    fn a_released_event_comes_when_it_is_due_and_before_newer_ones() {
        let (handoff, now) = (handoff(3), Instant::now());
        let due = now + Duration::from_secs(5);
        handoff.release(4, Some(due));
        handoff.committed(rows(9..=9));
        assert_eq!(seqs(handoff.next(now, 9)), [9]);
        assert!(matches!(handoff.next(now, 9), Next::Wait(Some(at)) if at == due));
        handoff.release(2, None);
        handoff.committed(rows(10..=10));
        assert!(matches!(handoff.next(due, 9), Next::Again(seqs) if seqs == [2, 4]));
        assert_eq!(seqs(handoff.next(due, 9)), [10]);
    }

    #[test]
    fn a_crowd_of_released_events_holds_back_what_is_new() {
        let (handoff, now) = (handoff(3), Instant::now());
        let due = now + Duration::from_secs(5);
        for seq in 0..RELEASED_MAX as u64 {
            handoff.release(seq, Some(due));
        }
        handoff.committed(rows(5_000..=5_000));
        assert!(matches!(handoff.next(now, 9), Next::Wait(Some(_))));
        assert!(matches!(handoff.next(due, 9), Next::Again(seqs) if seqs.len() == 9));
    }
}
