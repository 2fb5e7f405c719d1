//! Whether something was forgotten while an answer to it was on its way: then that answer may be from before.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What is on its way; no more than there are requests. The caller sees to it that nothing is forgotten between a look and
/// the keeping.
#[derive(Debug, Default)]
pub(super) struct Underway {
    /// How often nobody knew which keys were forgotten.
    all: AtomicU64,
    keys: Mutex<HashMap<String, Fetches>>,
}

/// The requests to the function for one key.
#[derive(Debug, Default)]
struct Fetches {
    count: usize,
    /// How often it was forgotten since the first of them.
    forgotten: u64,
}

/// One of them, until its answer is whole.
#[derive(Debug)]
pub(super) struct Fetching {
    underway: Arc<Underway>,
    key: String,
    since: (u64, u64),
}

impl Underway {
    /// The function is asked for `key` now.
    pub(super) fn start(self: &Arc<Self>, key: &str) -> Fetching {
        let mut keys = self.keys();
        let fetches = keys.entry(key.to_owned()).or_default();
        fetches.count += 1;
        let since = (self.all.load(Relaxed), fetches.forgotten);
        Fetching { underway: self.clone(), key: key.to_owned(), since }
    }

    /// `key` is forgotten.
    pub(super) fn forgets(&self, key: &str) {
        if let Some(fetches) = self.keys().get_mut(key) {
            fetches.forgotten += 1;
        }
    }

    /// Some are, and nobody knows which.
    pub(super) fn forgets_some(&self) {
        self.all.fetch_add(1, Relaxed);
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<String, Fetches>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetching {
    /// What is asked for.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether nothing was forgotten that its answer may be from before.
    pub(super) fn is_current(&self) -> bool {
        let forgotten = self.underway.keys().get(&self.key).map_or(0, |fetches| fetches.forgotten);
        self.since == (self.underway.all.load(Relaxed), forgotten)
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let mut keys = self.underway.keys();
        if let Some(fetches) = keys.get_mut(&self.key) {
            fetches.count -= 1;
            if fetches.count == 0 {
                keys.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_known_of_its_key_and_of_all_where_nobody_knows() {
        let underway: Arc<Underway> = Arc::default();
        let (a, b) = (underway.start("a"), underway.start("b"));
        underway.forgets("a");
        let later = underway.start("a");
        assert!(!a.is_current() && b.is_current() && later.is_current());
        underway.forgets_some();
        assert!(!b.is_current() && !later.is_current());
        drop((a, b, later));
        assert!(underway.keys().is_empty());
    }
}
