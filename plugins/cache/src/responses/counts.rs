//! What became of requests, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Hit,
    Stale,
    Collapsed,
    Validated,
    Miss,
    Passed,
}

#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; 6]);

/// What became of requests since the start, and what is kept now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Served fresh, without the function.
    pub hits: u64,
    /// Served stale, as the function allows: while it is asked, or because it failed.
    pub stale: u64,
    /// Served by the answer to another request at the same time.
    pub collapsed: u64,
    /// Served once the function had said that what is kept still holds.
    pub validated: u64,
    /// Answered by the function.
    pub misses: u64,
    /// The same, without a look: with a body, a method that changes something, or a condition that is not ours to judge.
    pub passed: u64,
    /// URLs that have answers, by host and tenant.
    pub kept: u64,
    /// The bytes that they take.
    pub bytes: u64,
}

impl Counts {
    pub(super) fn one(&self, outcome: Outcome) {
        self.0[outcome as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn stats(&self, kept: u64, bytes: u64) -> Stats {
        let of = |outcome: Outcome| self.0[outcome as usize].load(Relaxed);
        Stats {
            hits: of(Outcome::Hit),
            stale: of(Outcome::Stale),
            collapsed: of(Outcome::Collapsed),
            validated: of(Outcome::Validated),
            misses: of(Outcome::Miss),
            passed: of(Outcome::Passed),
            kept,
            bytes,
        }
    }
}
