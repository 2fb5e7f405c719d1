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
    events_max: usize,
    batch_events: usize,
    waiting: Mutex<Vec<Timeline>>,
    enough: Notify,
    pub(crate) dropped: AtomicU64,
}

impl Queue {
    pub(crate) fn new(events_max: usize, batch_events: usize) -> Self {
        Self {
            events_max,
            batch_events,
            waiting: Mutex::default(),
            enough: Notify::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Adds one, or drops it.
    pub(crate) fn push(&self, timeline: Timeline) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= self.events_max {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push(timeline);
        let is_batch = waiting.len() == self.batch_events;
        drop(waiting);
        if is_batch {
            self.enough.notify_one();
        }
    }

    /// Those that wait first, at most a batch.
    pub(crate) fn take(&self) -> Vec<Timeline> {
        let mut waiting = lock(&self.waiting);
        if waiting.len() <= self.batch_events {
            return std::mem::take(&mut waiting);
        }
        waiting.drain(..self.batch_events).collect()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.waiting).len()
    }

    /// Waits for a whole batch. Cancel safe; at once where one waits already.
    pub(crate) async fn enough(&self) {
        while self.len() < self.batch_events {
            self.enough.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_it_drops_and_counts_and_a_batch_wakes_whoever_waits() {
        let queue = Queue::new(3, 2);
        (0..5).for_each(|_| queue.push(Timeline::off()));
        assert_eq!((queue.len(), queue.dropped.load(Ordering::Relaxed)), (3, 2));
        queue.enough().await;
        assert_eq!((queue.take().len(), queue.take().len(), queue.take().len()), (2, 1, 0));
    }
}
