//! How groups of writers who share one fsync come together.

use std::time::{Duration, Instant};

/// How long the next group waits for more, right after the last one.
///
/// Callers who were just answered tend to come again at once. A group that waits for them shares its fsync among
/// all; without this wait they fall into two halves, each of which waits for the other's fsync.
#[derive(Default)]
pub(crate) struct Gather {
    /// `None`: no waiting.
    pub(crate) until: Option<Instant>,
    /// So many events end it.
    wanted: usize,
}

impl Gather {
    /// From so many callers on, the whole time is waited: then a commit of a few would cost more than it saves.
    const MANY: usize = 16;

    pub(crate) fn after(now: Instant, wanted: usize, commit_time: Duration, max: Duration) -> Self {
        let time = if wanted >= Self::MANY { max } else { max.min(commit_time / 8) };
        Self { until: (wanted > 1 && !time.is_zero()).then(|| now + time), wanted }
    }

    pub(crate) fn is_over(&self, events: usize) -> bool {
        self.until.is_none() || events >= self.wanted
    }

    pub(crate) fn end_if_over(&mut self, now: Instant, events: usize) {
        if self.is_over(events) || self.until.is_some_and(|until| until <= now) {
            self.until = None;
        }
    }
}
