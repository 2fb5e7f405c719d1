//! What is kept, bounded in bytes: what is used least goes first.
//!
//! Each entry is put in with its weight: what it takes of memory, its key and our own overhead included.

use moka::{policy::EvictionPolicy, sync::Cache};
use std::sync::Arc;

/// Entries by their keys. Cheap to share behind an `Arc`; no call waits for another for long.
pub struct Store<V> {
    entries: Cache<Arc<str>, (V, u32)>,
}

impl<V: Clone + Send + Sync + 'static> Store<V> {
    /// An empty one that holds at most `bytes_max` by the weights of its entries.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        let weigh = |_: &Arc<str>, (_, weight): &(V, u32)| *weight;
        let entries = Cache::builder().max_capacity(bytes_max).weigher(weigh);
        Self { entries: entries.eviction_policy(EvictionPolicy::tiny_lfu()).build() }
    }

    /// What is kept under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<V> {
        self.entries.get(key).map(|(value, _)| value)
    }

    /// Keeps `value` under `key` in place of what was there. Where there is no room, what is used less goes, which may be
    /// this one.
    pub fn insert(&self, key: String, value: V, weight: u32) {
        self.entries.insert(key.into(), (value, weight));
    }

    /// Forgets what is kept under `key`, and gives it back.
    pub fn remove(&self, key: &str) -> Option<V> {
        self.entries.remove(key).map(|(value, _)| value)
    }

    /// Forgets what `keeps` does not want kept. Looks at every entry. Gives back how many went.
    pub fn retain(&self, mut keeps: impl FnMut(&str, &V) -> bool) -> u64 {
        let gone = self.entries.iter().filter(|(key, (value, _))| !keeps(key, value)).map(|(key, _)| key);
        let gone: Vec<_> = gone.collect();
        gone.iter().filter(|key| self.entries.remove(&***key).is_some()).count() as u64
    }

    /// The bytes that its entries weigh now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.weighted_size()
    }

    /// How many entries it has now.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_no_more_bytes_than_it_may() {
        let store = Store::new(1_000);
        for number in 0..100 {
            store.insert(format!("key {number}"), number, 90);
        }
        assert!(store.bytes() <= 1_000 && !store.is_empty(), "{} bytes", store.bytes());
        assert_eq!(store.bytes(), store.len() * 90);
    }

    #[test]
    fn what_is_not_wanted_goes_and_is_counted() {
        let store = Store::new(1_000);
        for number in 0..10 {
            store.insert(format!("key {number}"), number, 1);
        }
        assert_eq!(store.retain(|key, number| *number < 4 && key != "key 0"), 7);
        assert_eq!(
            (store.len(), store.get("key 1"), store.remove("key 1"), store.get("key 1")),
            (3, Some(1), Some(1), None)
        );
    }
}
