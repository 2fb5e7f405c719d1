//! What the function sees of each key: its events one after the other.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::topics::Topic;
use crate::function::Watch;

/// Checks that no event comes after a later one of its key, nor twice.
pub(super) struct Order {
    topic: Topic,
    /// The number after the last one, per key.
    next: Mutex<Vec<u64>>,
    broken: AtomicU64,
}

impl Order {
    pub(super) fn of(topic: Topic) -> Self {
        let keys = usize::try_from(topic.keys).unwrap_or_default();
        Self { topic, next: Mutex::new(vec![0; keys]), broken: AtomicU64::new(0) }
    }

    /// How many events came late or twice.
    pub(super) fn broken(&self) -> u64 {
        self.broken.load(Relaxed)
    }
}

impl Watch for Order {
    fn received(&self, number: u64) {
        let key = usize::try_from(self.topic.key(number)).unwrap_or_default();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if number < next[key] {
            self.broken.fetch_add(1, Relaxed);
        }
        next[key] = next[key].max(number + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::topics::BINARY, *};

    #[test]
    fn an_event_after_a_later_one_of_its_key_is_noticed() {
        let same_key: Vec<u64> = (0..).filter(|n| BINARY.key(*n) == BINARY.key(0)).take(3).collect();
        let order = Order::of(BINARY);
        order.received(same_key[0]);
        order.received(same_key[2]);
        assert_eq!(order.broken(), 0);
        order.received(same_key[1]);
        order.received(same_key[2]);
        assert_eq!(order.broken(), 2);
    }
}
