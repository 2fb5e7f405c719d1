//! What waits for its export: bounded, and full it drops. Whoever fills it wakes the other side once for each batch.

use crate::lock;
use outrigger_core::Timeline;
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Queue {
    most: Bounds,
    batch: Bounds,
    waiting: Mutex<Waiting>,
    enough: Notify,
    pub(crate) dropped: AtomicU64,
}

/// How much of something there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    timelines: Vec<(Timeline, usize)>,
    bytes: usize,
}

impl Waiting {
    fn reaches(&self, bounds: Bounds) -> bool {
        self.timelines.len() >= bounds.events || self.bytes >= bounds.bytes
    }
}

impl Queue {
    /// An empty one that holds at most so much, and wakes and gives away a batch.
    pub(crate) fn new(most: Bounds, batch: Bounds) -> Self {
        Self { most, batch, waiting: Mutex::default(), enough: Notify::new(), dropped: AtomicU64::new(0) }
    }

    /// Adds one, or drops it.
    pub(crate) fn push(&self, timeline: Timeline) {
        let bytes = timeline.size();
        let mut waiting = lock(&self.waiting);
        if waiting.timelines.len() >= self.most.events || waiting.bytes + bytes > self.most.bytes {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_batch = waiting.reaches(self.batch);
        waiting.timelines.push((timeline, bytes));
        waiting.bytes += bytes;
        let is_batch = waiting.reaches(self.batch);
        drop(waiting);
        if is_batch && !was_batch {
            self.enough.notify_one();
        }
    }

    /// Those that wait first, at most a batch, and at least one where one waits.
    pub(crate) fn take(&self) -> Vec<Timeline> {
        let mut waiting = lock(&self.waiting);
        let mut bytes = 0;
        let fits = |(_, size): &&(Timeline, usize)| {
            let is_first = bytes == 0;
            bytes += size;
            is_first || bytes <= self.batch.bytes
        };
        let count = waiting.timelines.iter().take(self.batch.events).take_while(fits).count();
        let taken: Vec<_> = waiting.timelines.drain(..count).collect();
        waiting.bytes -= taken.iter().map(|(_, size)| size).sum::<usize>();
        drop(waiting);
        taken.into_iter().map(|(timeline, _)| timeline).collect()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.waiting).timelines.len()
    }

    /// Waits for a whole batch. Cancel safe; at once where one waits already.
    pub(crate) async fn enough(&self) {
        while !lock(&self.waiting).reaches(self.batch) {
            self.enough.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::About;
    use std::time::Instant;

    const ANY: usize = usize::MAX;

    fn timeline(path_bytes: usize) -> Timeline {
        let path = "p".repeat(path_bytes);
        Timeline::start(Instant::now(), About::request(&"proxy".into(), ["GET", &path, "http"], 0))
    }

    #[tokio::test]
    async fn full_it_drops_and_counts_and_a_batch_wakes_whoever_waits() {
        let queue = Queue::new(Bounds { events: 3, bytes: ANY }, Bounds { events: 2, bytes: ANY });
        (0..5).for_each(|_| queue.push(timeline(1)));
        assert_eq!((queue.len(), queue.dropped.load(Ordering::Relaxed)), (3, 2));
        queue.enough().await;
        assert_eq!((queue.take().len(), queue.take().len(), queue.take().len()), (2, 1, 0));
    }

    #[tokio::test]
    async fn large_timelines_fill_it_and_make_a_batch_by_their_bytes() {
        let large = timeline(60_000).size();
        let batch = Bounds { events: ANY, bytes: 2 * large };
        let queue = Queue::new(Bounds { events: ANY, bytes: 5 * large }, batch);
        (0..8).for_each(|_| queue.push(timeline(60_000)));
        assert_eq!((queue.len(), queue.dropped.load(Ordering::Relaxed)), (5, 3));
        queue.enough().await;
        assert_eq!([(); 4].map(|()| queue.take().len()), [2, 2, 1, 0]);
        queue.push(timeline(60_000));
        assert_eq!(queue.len(), 1, "there is room again");
    }
}
