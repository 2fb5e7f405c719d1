//! Partitions change hands: one change after the other, each to its end.
//!
//! Giving up: nothing new begins, what runs may finish within a bound, the last commit, and only then is the
//! broker told. A partition that was *lost* is fenced at once and nothing of it is committed. Taking: where it
//! begins is asked first, so that "latest" is one place, and what was finished beyond the commit is known.

use crate::{
    client::{Client, Start, TopicPartition},
    partition::{Assigned, Phase},
    source::Reader,
};
use outrigger_core::{BoxFuture, Result};
use std::time::Duration;
use tokio::time::Instant;

/// How long a failed question for the starts waits before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A change that waits.
pub(crate) enum Turn {
    Take(Vec<TopicPartition>),
    GiveUp(Vec<TopicPartition>),
}

/// The change that is made now.
pub(crate) enum Step {
    Idle,
    /// What runs of these may finish until then.
    Leaving {
        partitions: Vec<TopicPartition>,
        until: Instant,
    },
    /// Their last commit is on its way.
    LastCommit {
        partitions: Vec<TopicPartition>,
    },
    /// Where these begin was asked.
    Starting {
        partitions: Vec<TopicPartition>,
        starts: BoxFuture<'static, Result<Vec<Start>>>,
    },
    /// Where these begin is asked again then.
    AskAgain {
        partitions: Vec<TopicPartition>,
        at: Instant,
    },
}

impl<C: Client> Reader<C> {
    /// Goes on with the change that is made, and begins the next.
    pub(crate) fn turn(&mut self) {
        loop {
            match &self.step {
                Step::Idle => match self.turns.pop_front() {
                    None => return,
                    Some(Turn::Take(partitions)) => self.ask(partitions),
                    Some(Turn::GiveUp(partitions)) => self.begin_to_leave(partitions),
                },
                Step::Leaving { until, .. } => {
                    let lost = self.client.lost();
                    let late = Instant::now() >= *until;
                    if !(lost || late || self.is_at_rest()) || self.committing.is_some() {
                        return;
                    }
                    self.last_commit(lost);
                }
                Step::LastCommit { .. } => {
                    if self.committing.is_some() {
                        return;
                    }
                    self.gone();
                }
                Step::Starting { .. } => return,
                Step::AskAgain { at, .. } => {
                    if Instant::now() < *at {
                        return;
                    }
                    if let Step::AskAgain { partitions, .. } = std::mem::replace(&mut self.step, Step::Idle) {
                        self.ask(partitions);
                    }
                }
            }
        }
    }

    fn ask(&mut self, partitions: Vec<TopicPartition>) {
        self.board.rebalanced();
        let starts = self.client.starts(partitions.clone());
        self.step = Step::Starting { partitions, starts };
    }

    /// The answer to where partitions begin.
    pub(crate) fn started(&mut self, starts: Result<Vec<Start>>) {
        let Step::Starting { partitions, .. } = std::mem::replace(&mut self.step, Step::Idle) else { return };
        let assigned = starts.and_then(|starts| {
            for start in &starts {
                self.begin(start);
            }
            self.client.assign(&starts)
        });
        if let Err(error) = assigned {
            for at in &partitions {
                self.desk.remove(at);
            }
            tracing::warn!(source = %self.config.name, %error, "partitions cannot begin yet");
            self.board.trouble(Some(error.to_string()));
            self.step = Step::AskAgain { partitions, at: Instant::now() + ASK_AGAIN };
            return;
        }
        if !partitions.is_empty() {
            self.board.trouble(None);
        }
        tracing::info!(source = %self.config.name, partitions = %names(&partitions), "partitions are ours");
        self.watch.alive_at = Instant::now();
        // The client may have forgotten a pause with the change, and it keeps that of an assignment that has ended:
        // a partition that comes back would never be fetched from again.
        self.tell_pauses(|_| true);
    }

    fn begin(&mut self, start: &Start) {
        if start.missing > 0 {
            tracing::error!(
                partition = %start.at, records = start.missing,
                "records after the last commit are gone from the broker (retention); reading goes on after them"
            );
            self.board.missing(start.missing);
        }
        let (bytes_max, fenced) = (self.config.metadata_bytes_max, self.board.fenced.clone());
        self.desk.add(start, Assigned::new(start, bytes_max, fenced, self.bell.clone()));
    }

    fn begin_to_leave(&mut self, partitions: Vec<TopicPartition>) {
        self.board.rebalanced();
        tracing::info!(source = %self.config.name, partitions = %names(&partitions), "partitions are given up");
        let phase = if self.client.lost() { Phase::Gone } else { Phase::Leaving };
        for at in &partitions {
            if let Some(slot) = self.desk.slot(at) {
                slot.assigned.set_phase(phase);
            }
            self.desk.forget_waiting(at);
        }
        self.intake.sweep();
        self.repause();
        let until = Instant::now() + self.config.revoke_timeout;
        self.step = Step::Leaving { partitions, until };
    }

    /// Whether nothing of what is given up runs any more.
    fn is_at_rest(&self) -> bool {
        let Step::Leaving { partitions, .. } = &self.step else { return true };
        self.intake.sweep(); // what failed meanwhile and would wait for its next try
        partitions.iter().filter_map(|at| self.desk.slot(at)).all(|slot| slot.assigned.look().open == 0)
    }

    fn last_commit(&mut self, lost: bool) {
        let Step::Leaving { partitions, .. } = std::mem::replace(&mut self.step, Step::Idle) else { return };
        let slots = partitions.iter().filter_map(|at| self.desk.slot(at));
        let assigned: Vec<_> = slots.map(|slot| slot.assigned.clone()).collect();
        let left: usize = assigned.iter().map(|assigned| assigned.look().open).sum();
        if lost {
            for assigned in &assigned {
                assigned.set_phase(Phase::Gone);
            }
        } else {
            self.begin_commit(assigned);
        }
        if left > 0 {
            tracing::warn!(
                left,
                lost,
                "records still ran when their partitions were given up: they are repeated"
            );
        }
        self.step = Step::LastCommit { partitions };
    }

    fn gone(&mut self) {
        let Step::LastCommit { partitions } = std::mem::replace(&mut self.step, Step::Idle) else { return };
        for at in &partitions {
            self.desk.remove(at);
        }
        if let Err(error) = self.client.unassign(&partitions) {
            tracing::warn!(source = %self.config.name, %error, "partitions could not be given up");
        }
        if self.desk.held.is_empty() {
            self.held_since = None;
            self.window_paused = false;
        }
        self.repause();
        self.commit(); // of the others, whose turn may have come while the last commit was on its way
    }
}

fn names(partitions: &[TopicPartition]) -> String {
    const SHOWN: usize = 8;
    let text = partitions.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match partitions.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
