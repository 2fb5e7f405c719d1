//! Keeps values by key within a bound in bytes, and decides which to keep.
//!
//! In reading order: `Store` (the lock, the keys, the true weights), `policy` (the whole decision), `segments` (W-TinyLFU,
//! or LRU), `trials` (which of them, by small simulations), `contest` (which of several simulations hits more), `sketch`
//! (how often keys were seen), `slab` (where entries lie).
//!
//! Deliberately absent: a clock. Values know until when they are good, and their user looks. And moka: its policy is
//! chosen for good when a cache is made, and each of its two is far below the other on some traces (the README's table).

mod contest;
pub(crate) mod policy;
pub(crate) mod segments;
mod sketch;
mod slab;
mod trials;

use std::{
    hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use self::policy::{Policy, SAMPLES_MAX};

/// Bytes of the bound for each entry that a simulation has: all of them need less than a twentieth of it.
const BYTES_PER_SAMPLE: u64 = 8_192;

/// Values by key, within a bound in bytes: keys, values, and what keeping them needs.
///
/// A request costs some hundred nanoseconds under one lock. Nothing is kept beyond the bound, not even for a moment after
/// a call. What was inserted may be gone at the next [`Self::get`], even at once.
pub struct Store<V> {
    state: Mutex<State<V>>,
    bytes_max: u64,
    seed: u64,
}

struct State<V> {
    policy: Policy<Entry<V>>,
    evicted: u64,
}

struct Entry<V> {
    key: Box<str>,
    value: V,
}

impl<V> Store<V> {
    /// A store of at most `bytes_max` bytes. Below some kilobytes it keeps next to nothing.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self::seeded(bytes_max, RandomState::new().hash_one(0))
    }

    /// The same, with a seed: of two with the same seed and the same calls, both keep the same.
    #[must_use]
    pub fn seeded(bytes_max: u64, seed: u64) -> Self {
        Self { state: Mutex::new(State { policy: fresh(bytes_max), evicted: 0 }), bytes_max, seed }
    }

    /// The value of a key. It counts as a request, also when there is none.
    ///
    /// The value is cloned under the lock: let it be an `Arc`, `Bytes` or alike.
    pub fn get(&self, key: &str) -> Option<V>
    where
        V: Clone,
    {
        let hash = self.hash(key);
        self.state().policy.get(hash, |entry| *entry.key == *key).map(|entry| entry.value.clone())
    }

    /// The value of a key, without that it counts as a request: for a second look at what one request asked for, and for
    /// what is looked at before it is changed. Each request should count once.
    pub fn peek(&self, key: &str) -> Option<V>
    where
        V: Clone,
    {
        let hash = self.hash(key);
        self.state().policy.peek(hash, |entry| *entry.key == *key).map(|entry| entry.value.clone())
    }

    /// Keeps a value, in place of one that the key had.
    ///
    /// `weight` is what the value has on the heap, in bytes; the key, and what keeping needs, are added. A value that is
    /// heavier than the bound is not kept, nor is the one that it would have replaced.
    pub fn insert(&self, key: impl Into<Box<str>>, value: V, weight: u64) {
        let key = key.into();
        let hash = self.hash(&key);
        let weight = weight.saturating_add(key.len() as u64 + Policy::<Entry<V>>::NODE_BYTES);
        let mut out = Vec::new();
        // What goes is dropped after the lock.
        let mut state = self.state();
        let entry = Entry { key, value };
        let before = state.policy.insert(hash, weight, entry, |kept, new| kept.key == new.key, &mut out);
        let useless = self.bound(&mut state, &mut out);
        state.evicted += out.len() as u64;
        drop(state);
        drop((before, useless, out));
    }

    /// Takes a value out.
    pub fn remove(&self, key: &str) -> Option<V> {
        let hash = self.hash(key);
        let mut state = self.state();
        let found = state.policy.remove(hash, |entry| *entry.key == *key);
        drop(state);
        found.map(|entry| entry.value)
    }

    /// Removes every value of which `stays` does not say that it stays, and tells how many those were.
    ///
    /// It sees all of them under the lock, and must not use the store itself.
    pub fn retain(&self, mut stays: impl FnMut(&str, &V) -> bool) -> u64 {
        let mut out = Vec::new();
        self.state().policy.retain(|entry| stays(&entry.key, &entry.value), &mut out);
        out.len() as u64
    }

    /// Bytes on the heap: keys, values as they were weighed, and what keeping them needs.
    pub fn bytes(&self) -> u64 {
        let state = self.state();
        state.policy.bytes() + state.policy.own_bytes()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.state().policy.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values had to go for others so far, or were too heavy.
    pub fn evicted(&self) -> u64 {
        self.state().evicted
    }

    /// Leaves the entries what the policy does not need itself. Returns a policy that had no room for a single entry.
    fn bound(&self, state: &mut State<V>, out: &mut Vec<Entry<V>>) -> Option<Policy<Entry<V>>> {
        let mut own = state.policy.own_bytes();
        state.policy.set_bytes_max(self.bytes_max.saturating_sub(own), out);
        // The place of one that goes is the policy's own until a whole piece of memory goes back.
        while state.policy.len() > 0 && state.policy.bytes() + state.policy.own_bytes() > self.bytes_max {
            own = state.policy.own_bytes();
            state.policy.set_bytes_max(self.bytes_max.saturating_sub(own), out);
        }
        own = state.policy.own_bytes();
        let is_too_small = state.policy.len() == 0 && own > self.bytes_max;
        is_too_small.then(|| std::mem::replace(&mut state.policy, fresh(self.bytes_max)))
    }

    /// Keys come from outside: the seed keeps their hashes unknown there.
    fn hash(&self, key: &str) -> u64 {
        hash(self.seed, key.as_bytes())
    }

    /// A panic under the lock is one of a value's `clone`, or of what `retain` was given: the entries are whole.
    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> std::fmt::Debug for Store<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        let bytes = state.policy.bytes() + state.policy.own_bytes();
        f.debug_struct("Store")
            .field("entries", &state.policy.len())
            .field("bytes", &bytes)
            .field("bytes_max", &self.bytes_max)
            .finish_non_exhaustive()
    }
}

/// `SipHash` of a key, which tells nothing about other keys to those who do not know the seed.
pub(crate) fn hash(seed: u64, key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    hasher.write(key);
    hasher.finish()
}

fn fresh<T>(bytes_max: u64) -> Policy<T> {
    let samples = usize::try_from(bytes_max / BYTES_PER_SAMPLE).unwrap_or(SAMPLES_MAX);
    Policy::new(bytes_max, samples.min(SAMPLES_MAX))
}

#[cfg(test)]
mod tests;
