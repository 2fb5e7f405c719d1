//! What can be seen of a journal from outside.

use crate::counters::Counters;
use outrigger_core::{Error, Kind};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It keeps what it is given.
    Sound,
    /// The last commit failed for want of space. It goes on by itself when there is some.
    Full(Error),
    /// What the disk was given to do has no end yet. It goes on by itself once the disk answers.
    Stalled(Error),
    /// It failed for good; the process is to exit.
    Failed(Error),
}

/// Numbers of a journal. Those that only grow start at 0 when it is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events that are not settled, or whose settlement is not on disk.
    pub pending: u64,
    /// Their bytes, as they count for `bytes_max`.
    pub pending_bytes: u64,
    /// Dead letters.
    pub dead: u64,
    /// Their bytes, as they count for `dead_bytes_max`.
    pub dead_bytes: u64,
    /// Marks.
    pub marks: u64,
    /// Kept events.
    pub kept: u64,
    /// Their bytes, as they count for `keep_bytes_max`.
    pub kept_bytes: u64,
    /// Events that were appended.
    pub appended: u64,
    /// Settlements that are on disk.
    pub settled: u64,
    /// Groups that were committed, each with one fsync of the log.
    pub commits: u64,
    /// Time in those commits, from the first statement to the end of the fsync.
    pub commit_time: Duration,
    /// The same of the last one.
    pub commit_time_last: Duration,
    /// Events in the last group that appended some.
    pub group_events_last: u64,
    /// How often the log was copied into the database.
    pub checkpoints: u64,
    /// Dead letters that were discarded for their age, by the rule `dead_age_max`.
    pub discarded: u64,
    /// Marks that were forgotten, by age or number.
    pub forgotten: u64,
    /// Kept events that went: by age, by the bound in bytes, or as the volume was short of space.
    pub expired: u64,
}

/// Where the writer's thread leaves them.
pub(crate) struct Board {
    state: Mutex<State>,
    stalled_after: Duration,
}

struct State {
    health: Health,
    stats: Stats,
    /// When it began what it is at now.
    at_work_since: Option<Instant>,
}

impl Board {
    pub(crate) fn new(counters: &Counters, stalled_after: Duration) -> Self {
        let mut stats = Stats::default();
        stats.count(counters);
        let first = State { health: Health::Sound, stats, at_work_since: None };
        Self { state: Mutex::new(first), stalled_after }
    }

    /// The writer begins something.
    pub(crate) fn works(&self) {
        self.state().at_work_since = Some(Instant::now());
    }

    /// The writer waits for something to do.
    pub(crate) fn rests(&self) {
        self.state().at_work_since = None;
    }

    pub(crate) fn update(&self, counters: &Counters, change: impl FnOnce(&mut Stats)) {
        let stats = &mut self.state().stats;
        stats.count(counters);
        change(stats);
    }

    /// Sets the health and returns what it was. A failure is final.
    pub(crate) fn set(&self, health: Health) -> Health {
        let mut state = self.state();
        if matches!(state.health, Health::Failed(_)) {
            return state.health.clone();
        }
        std::mem::replace(&mut state.health, health)
    }

    pub(crate) fn health(&self) -> Health {
        let health = self.state().health.clone();
        match self.stalled_for().filter(|_| health == Health::Sound) {
            Some(time) => Health::Stalled(stalled(time)),
            None => health,
        }
    }

    /// For how long the disk has not answered, where that is too long.
    pub(crate) fn stalled_for(&self) -> Option<Duration> {
        let at_work = self.state().at_work_since.map(|since| since.elapsed());
        at_work.filter(|time| *time >= self.stalled_after)
    }

    pub(crate) fn failure(&self) -> Option<Error> {
        match &self.state().health {
            Health::Failed(error) => Some(error.clone()),
            Health::Sound | Health::Full(_) | Health::Stalled(_) => None,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.state().stats.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stalled(time: Duration) -> Error {
    let time = time.as_secs();
    Error::new(
        Kind::TimedOut,
        format!("journal: the disk has not answered for {time} s: look after it; what comes waits meanwhile"),
    )
}

impl Stats {
    fn count(&mut self, counters: &Counters) {
        self.pending = counters.pending;
        self.pending_bytes = counters.pending_bytes;
        self.dead = counters.dead;
        self.dead_bytes = counters.dead_bytes;
        self.marks = counters.marks;
        self.kept = counters.kept;
        self.kept_bytes = counters.kept_bytes;
        self.expired = counters.expired;
    }
}
