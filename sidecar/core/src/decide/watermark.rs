//! What of a partition is settled: the contiguous prefix that may be committed, and what is finished beyond it.
//!
//! Records settle out of order, as their keys run in parallel, but a broker remembers one offset. Committed is
//! therefore only the prefix in fetched order (offsets have legal gaps: compaction, transaction markers); the
//! records that are *not* settled beyond it go into the commit's [metadata](super::marks), so that a restart
//! repeats them and nothing else. [`Watermark::fits`] says when they would no longer fit there: the partition
//! pauses before that.

use super::marks::{self, Marks};
use std::collections::VecDeque;

/// What became of one record that was handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is in a lane or at the function.
    Open,
    /// It came back unsettled, and is to be fetched again.
    Released,
    /// Its outcome is safe: the entry only waits to be swept out.
    Settled,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: i64,
    stamp_ms: i64,
    state: State,
}

/// What to do with a record that was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// Hand it on; its offset settles it.
    Take,
    /// It is finished, or in hand already: pass it over.
    Skip,
}

/// What a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The offset that is read first after a restart.
    pub offset: i64,
    /// What is finished beyond it, for [`Watermark::resume`]; empty where nothing is.
    pub metadata: String,
}

/// Settled entries are swept out once there are so many, and as many as others.
const SWEEP_MIN: usize = 64;

/// One partition's records that are fetched and not settled.
#[derive(Debug)]
pub struct Watermark {
    /// In ascending offsets; the first one is not settled.
    entries: VecDeque<Entry>,
    /// The offset after the last record that was fetched.
    fetched: i64,
    /// The offset after the highest one that is settled.
    until: i64,
    /// What a former commit says to be finished.
    done: Marks,
    open: usize,
    released: usize,
    /// At least the bytes that [`marks::encode`] needs as a list, whatever settles next; and its last offset.
    list: (usize, i64),
    metadata_bytes_max: usize,
    /// Whether something settled since the last commit.
    dirty: bool,
}

impl Watermark {
    /// A partition that is read from `offset` on. Commits have at most `metadata_bytes_max` bytes of metadata.
    #[must_use]
    pub fn new(offset: i64, metadata_bytes_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            fetched: offset,
            until: offset,
            done: Marks::default(),
            open: 0,
            released: 0,
            list: (0, offset - 1),
            metadata_bytes_max,
            dirty: false,
        }
    }

    /// A partition that goes on after the commit of `offset` with `metadata`. Metadata that is not ours counts
    /// as none: records are repeated then, never lost.
    #[must_use]
    pub fn resume(offset: i64, metadata: &str, metadata_bytes_max: usize) -> Self {
        let done = marks::decode(offset, metadata).unwrap_or_default();
        Self { until: done.until().max(offset), done, ..Self::new(offset, metadata_bytes_max) }
    }

    /// A record was fetched. `stamp_ms` is its own time, for [`Watermark::oldest_ms`].
    ///
    /// An offset below the highest one fetched so far comes after a seek: only what was released is taken again.
    pub fn fetched(&mut self, offset: i64, stamp_ms: i64) -> Fetched {
        if offset < self.fetched {
            return self.fetched_again(offset);
        }
        self.fetched = offset + 1;
        if self.done.contains(offset) {
            self.dirty = true;
            return Fetched::Skip;
        }
        self.list = (self.list.0 + marks::list_bytes(offset - self.list.1), offset);
        self.entries.push_back(Entry { offset, stamp_ms, state: State::Open });
        self.open += 1;
        Fetched::Take
    }

    /// The outcome of the record at `offset` is safe. False when it was so before.
    pub fn settle(&mut self, offset: i64) -> bool {
        let Some(at) = self.position_of(offset) else { return false };
        match std::mem::replace(&mut self.entries[at].state, State::Settled) {
            State::Settled => return false,
            State::Open => self.open -= 1,
            State::Released => self.released -= 1,
        }
        self.until = self.until.max(offset + 1);
        self.dirty = true;
        self.sweep();
        true
    }

    /// The record at `offset` came back unsettled: it must be fetched again, from [`Watermark::rewind`] on.
    pub fn release(&mut self, offset: i64) {
        let Some(at) = self.position_of(offset) else { return };
        if self.entries[at].state == State::Open {
            self.entries[at].state = State::Released;
            self.open -= 1;
            self.released += 1;
        }
    }

    /// The lowest offset that was released and not fetched again since.
    #[must_use]
    pub fn rewind(&self) -> Option<i64> {
        if self.released == 0 {
            return None;
        }
        self.entries.iter().find(|entry| entry.state == State::Released).map(|entry| entry.offset)
    }

    /// Passes over everything below `offset` that was not fetched yet.
    pub fn skip_to(&mut self, offset: i64) {
        if offset > self.fetched {
            self.fetched = offset;
            self.dirty = true;
        }
    }

    /// Whether the unsettled records still fit into a commit's metadata when the record at `offset` is taken on.
    pub fn fits(&mut self, offset: i64) -> bool {
        let room = marks::capacity(self.metadata_bytes_max);
        let with = |(bytes, last): (usize, i64)| bytes + marks::list_bytes(offset - last);
        if marks::bitmap_bytes(offset + 1 - self.next()) <= room || with(self.list) <= room {
            return true;
        }
        self.list = self.unsettled().fold((0, self.next() - 1), |(bytes, last), offset| {
            (bytes + marks::list_bytes(offset - last), offset)
        });
        with(self.list) <= room
    }

    /// What to commit, when something settled since the last time.
    pub fn commit(&mut self) -> Option<Commit> {
        std::mem::take(&mut self.dirty).then(|| self.state_of_commit())
    }

    /// A commit is due: the one that was taken did not reach the broker, or there was none yet.
    pub fn commit_again(&mut self) {
        self.dirty = true;
    }

    /// Whether there is something to commit.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The offset that is read first after a restart: every record below it is settled.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.entries.front().map_or(self.fetched, |entry| entry.offset)
    }

    /// The offset after the last record that was fetched.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.fetched
    }

    /// Records that were taken and are neither settled nor released.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// Records that were released and wait to be fetched again.
    #[must_use]
    pub fn released(&self) -> usize {
        self.released
    }

    /// The own time of the oldest record that is not settled, in Unix milliseconds.
    #[must_use]
    pub fn oldest_ms(&self) -> Option<i64> {
        self.entries.front().map(|entry| entry.stamp_ms)
    }

    fn state_of_commit(&self) -> Commit {
        let next = self.next();
        let fetched = self.unsettled().take_while(|offset| *offset < self.until);
        // What a former commit says to be finished and was not fetched again yet stays finished.
        let pending = fetched.chain(self.done.pending_from(self.fetched));
        let metadata = marks::encode(next, self.until, pending, self.metadata_bytes_max);
        Commit { offset: next, metadata }
    }

    fn unsettled(&self) -> impl Iterator<Item = i64> {
        self.entries.iter().filter(|entry| entry.state != State::Settled).map(|entry| entry.offset)
    }

    fn fetched_again(&mut self, offset: i64) -> Fetched {
        match self.position_of(offset) {
            Some(at) if self.entries[at].state == State::Released => {
                self.entries[at].state = State::Open;
                self.released -= 1;
                self.open += 1;
                Fetched::Take
            }
            _ => Fetched::Skip,
        }
    }

    fn position_of(&self, offset: i64) -> Option<usize> {
        // Most partitions have no gaps, so the place is known without a search.
        let guess =
            offset.checked_sub(self.entries.front()?.offset).and_then(|at| usize::try_from(at).ok())?;
        match self.entries.get(guess) {
            Some(entry) if entry.offset == offset => Some(guess),
            _ => self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok(),
        }
    }

    fn sweep(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.state == State::Settled) {
            self.entries.pop_front();
        }
        let settled = self.entries.len() - self.open - self.released;
        if settled >= SWEEP_MIN && settled >= self.open + self.released {
            self.entries.retain(|entry| entry.state != State::Settled);
        }
        if self.entries.is_empty() {
            self.list = (0, self.fetched - 1);
        }
    }
}

#[cfg(test)]
#[path = "watermark_tests.rs"]
mod tests;
