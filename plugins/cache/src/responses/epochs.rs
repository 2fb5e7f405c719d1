//! Whether something was forgotten while an answer to it was on its way: then that answer may be from before.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Keys share these; one that is forgotten costs the others of its place an answer that is not kept, no more.
const PLACES: usize = 1024;

/// Counts what is forgotten. The caller sees to it that nothing is kept between a look and the keeping.
#[derive(Debug)]
pub(super) struct Epochs {
    all: AtomicU64,
    places: Box<[AtomicU64]>,
}

/// A moment in the life of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64, u64);

impl Epochs {
    pub(super) fn new() -> Self {
        Self { all: AtomicU64::new(0), places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn now(&self, key: &str) -> Epoch {
        Epoch(self.all.load(Relaxed), self.place(key).load(Relaxed))
    }

    /// `key` is forgotten.
    pub(super) fn forgets(&self, key: &str) {
        self.place(key).fetch_add(1, Relaxed);
    }

    /// Nobody knows which keys are.
    pub(super) fn forgets_some(&self) {
        self.all.fetch_add(1, Relaxed);
    }

    fn place(&self, key: &str) -> &AtomicU64 {
        let mut hash = DefaultHasher::new();
        key.hash(&mut hash);
        let at = usize::try_from(hash.finish() % PLACES as u64).unwrap_or_default();
        &self.places[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_known_of_its_key_and_of_all_where_nobody_knows() {
        let epochs = Epochs::new();
        let (a, b) = (epochs.now("a"), epochs.now("b"));
        epochs.forgets("a");
        assert_ne!(epochs.now("a"), a);
        assert_eq!(epochs.now("b"), b);
        epochs.forgets_some();
        assert_ne!(epochs.now("b"), b);
    }
}
