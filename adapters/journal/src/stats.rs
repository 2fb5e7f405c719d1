//! What can be seen of a journal from outside.

use crate::counters::Counters;
use outrigger_core::Error;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It keeps what it is given.
    Sound,
    /// The last commit failed for want of space. It goes on by itself when there is some.
    Full(Error),
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
pub(crate) struct Board(Mutex<State>);

struct State {
    health: Health,
    stats: Stats,
}

impl Board {
    pub(crate) fn new(counters: &Counters) -> Self {
        let mut stats = Stats::default();
        stats.count(counters);
        Self(Mutex::new(State { health: Health::Sound, stats }))
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
        self.state().health.clone()
    }

    pub(crate) fn failure(&self) -> Option<Error> {
        match &self.state().health {
            Health::Failed(error) => Some(error.clone()),
            Health::Sound | Health::Full(_) => None,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.state().stats.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
