//! What the writer is asked to do, and what one round of it is.

use crate::{
    failure::Failure,
    kept::{self, Ended},
    letters::Row,
    store::{Entry, Store},
};
use outrigger_core::{Error, Mark, Result};
use tokio::sync::oneshot;

/// What any group may grow the tables by: inner pages, attempts, counters.
const GROWTH_BYTES: u64 = 64 << 10;
/// What a kept event takes beyond its row in the queue, mostly.
const KEPT_BYTES: u64 = 512;

/// The other end of a caller who waits. One who no longer does is no error.
pub(crate) type Answer<T> = oneshot::Sender<Result<T>>;

/// Something to be written with the next group.
pub(crate) enum Write {
    /// Events and letters, all of them or none.
    Append(Vec<Entry>, Vec<Row>, Answer<Vec<u64>>),
    Put(Box<Row>, Answer<()>),
    Mark(Mark, Answer<()>),
    /// What a target keeps.
    Keep(Box<kept::Row>, Answer<()>),
}

/// Something to be done alone. It answers by itself, and returns only what concerns the writer.
pub(crate) type Job = Box<dyn FnOnce(&mut Store) -> Result<(), Failure> + Send>;

/// What the writer does in one round.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) jobs: Vec<Job>,
    pub(crate) writes: Vec<Write>,
    /// Sequences with their bytes.
    pub(crate) settled: Vec<(u64, u64)>,
    /// Those of them that are to be kept.
    pub(crate) ended: Vec<Ended>,
    /// Sequences with their attempts.
    pub(crate) attempts: Vec<(u64, u32)>,
    /// Numbers of copies that overflowed and are settled.
    pub(crate) overflow_settled: Vec<u64>,
    pub(crate) flushes: Vec<Answer<()>>,
    /// No more will come.
    pub(crate) closed: bool,
}

impl Work {
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.flushes.is_empty() && !self.writes_something()
    }

    /// Whether there is something to write.
    pub(crate) fn writes_something(&self) -> bool {
        !self.writes.is_empty()
            || !self.settled.is_empty()
            || !self.attempts.is_empty()
            || !self.overflow_settled.is_empty()
    }

    /// What the tables may grow by.
    pub(crate) fn growth(&self) -> u64 {
        let ended = self.ended.iter().map(|ended| grown(ended.bytes + KEPT_BYTES));
        GROWTH_BYTES + self.writes.iter().map(Write::growth).sum::<u64>() + ended.sum::<u64>()
    }

    /// Tells everyone who waits that it failed.
    pub(crate) fn refuse(self, error: &Error) {
        for write in self.writes {
            write.refuse(error);
        }
        for flush in self.flushes {
            let _ = flush.send(Err(error.clone()));
        }
    }
}

/// What a row of so many bytes takes, rather too much: a large one leaves a part of its last page unused.
fn grown(bytes: u64) -> u64 {
    bytes + if bytes > 1_024 { 8_192 } else { bytes / 2 }
}

impl Write {
    /// Events and bytes, for the bounds.
    pub(crate) fn size(&self) -> (usize, usize) {
        let letter = |row: &Row| row.body.len() + size_of::<Row>();
        match self {
            Self::Append(entries, letters, _) => {
                let events = entries.iter().map(|entry| entry.event.size() + size_of::<Entry>());
                let bytes = events.chain(letters.iter().map(letter)).sum();
                (entries.len() + letters.len(), bytes)
            }
            Self::Put(row, _) => (1, letter(row)),
            Self::Mark(mark, _) => (1, mark.id.len() + mark.source.len() + size_of::<Mark>()),
            Self::Keep(row, _) => (1, usize::try_from(row.bytes()).unwrap_or(usize::MAX)),
        }
    }

    /// What the tables may grow by.
    fn growth(&self) -> u64 {
        let row = grown;
        match self {
            Self::Append(entries, letters, _) => {
                let letters = letters.iter().map(|letter| row(letter.bytes()));
                entries.iter().map(|entry| row(entry.bytes())).chain(letters).sum()
            }
            Self::Put(letter, _) => row(letter.bytes()),
            Self::Mark(mark, _) => row((2 * (mark.id.len() + mark.source.len()) + size_of::<Mark>()) as u64),
            Self::Keep(kept, _) => row(kept.bytes()),
        }
    }

    pub(crate) fn refuse(self, error: &Error) {
        match self {
            Self::Append(_, _, answer) => drop(answer.send(Err(error.clone()))),
            Self::Put(_, answer) | Self::Mark(_, answer) | Self::Keep(_, answer) => {
                drop(answer.send(Err(error.clone())));
            }
        }
    }
}
