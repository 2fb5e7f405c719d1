//! How a member fetches one partition: in batches that take their time, ahead of what is taken from them.

use super::log::Log;
use fastrand::Rng;
use std::collections::VecDeque;

/// How fast records come.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The most records that are fetched ahead of one partition.
    pub ahead: usize,
    /// The longest time from one batch to the next.
    pub latency_ms: u64,
}

/// One partition at a member.
#[derive(Debug)]
pub struct Fetch {
    position: i64,
    buffer: VecDeque<i64>,
    next_at: u64,
    seek: Option<(u64, i64)>,
    /// Whether records are kept back.
    pub paused: bool,
    /// Whether the client has stopped for no reason, and does not know.
    pub silent: bool,
}

impl Fetch {
    /// Reads from `position` on, from `next_at` on.
    #[must_use]
    pub fn new(position: i64, next_at: u64) -> Self {
        Self { position, buffer: VecDeque::new(), next_at, seek: None, paused: false, silent: false }
    }

    /// Goes on at `offset` from the time `at` on; what was fetched before then still comes.
    pub fn seek(&mut self, at: u64, offset: i64) {
        self.seek = Some((at, offset));
    }

    /// Does what is due.
    pub fn pump(&mut self, now: u64, log: &Log, pace: Pace, reachable: bool, rng: &mut Rng) {
        if let Some((at, offset)) = self.seek
            && at <= now
        {
            self.seek = None;
            self.position = offset;
            self.buffer.clear();
        }
        if !self.wants(log) || now < self.next_at || !reachable {
            return;
        }
        for _ in 0..rng.usize(1..=pace.ahead) {
            let Some(offset) = log.from(self.position) else { break };
            self.buffer.push_back(offset);
            self.position = offset + 1;
        }
        self.next_at = now + rng.u64(1..=pace.latency_ms);
    }

    /// The next record, if one is there.
    pub fn take(&mut self) -> Option<i64> {
        if self.paused || self.silent { None } else { self.buffer.pop_front() }
    }

    /// When there is something to do.
    #[must_use]
    pub fn due(&self, log: &Log) -> Option<u64> {
        let fetch = self.wants(log).then_some(self.next_at);
        self.seek.map(|(at, _)| at).into_iter().chain(fetch).min()
    }

    /// Whether everything was fetched and taken.
    #[must_use]
    pub fn is_read(&self, log: &Log) -> bool {
        self.buffer.is_empty() && !self.silent && log.from(self.position).is_none()
    }

    fn wants(&self, log: &Log) -> bool {
        self.buffer.is_empty() && !self.paused && !self.silent && log.from(self.position).is_some()
    }
}
