//! Which window the store should have now: small simulations of it, one for each choice, on a sample of the keys.
//!
//! A sample of the keys by their hash, in a cache that is smaller by the same factor, has nearly the hit rate of the whole.
//! The factor doubles whenever a simulation would have more entries than its bound. Requests that both miss or both hit
//! say nothing about which is better, so only those count on which the choices differ (McNemar's test).
//!
//! Source: Waldspurger, Saemundsson, Ahmad, Park, "Cache Modeling and Optimization using Miniature Simulations", USENIX
//! ATC 2017.

use super::segments::{ALL, Segments};

/// The choices, in percent of the bytes. The first one is LRU, with which every store begins.
const WINDOWS: [u64; 2] = [ALL, 1];
/// How many standard deviations the difference has to be away from chance. Requests are not independent of each other, so
/// it is more than a textbook asks for.
const DEVIATIONS: f64 = 3.0;
/// What the other choice must win, of the sampled requests. A change costs hits itself.
const ADVANTAGE: f64 = 0.003;
/// Sampled requests for each entry of a simulation, until what was counted counts half.
const MEMORY: u64 = 20;
/// A factor that spreads a hash into its upper bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

pub(super) struct Trials {
    caches: [Segments<()>; WINDOWS.len()],
    entries_max: usize,
    /// The whole store's bound.
    bytes_max: u64,
    /// One key in 2^`rate` is sampled.
    rate: u32,
    current: usize,
    /// Requests that a choice hit and the current one did not, and the other way round.
    won: [u64; WINDOWS.len()],
    lost: [u64; WINDOWS.len()],
    requests: u64,
    out: Vec<()>,
}

impl Trials {
    pub(super) fn new(bytes_max: u64, entries_max: usize) -> Self {
        Self {
            caches: WINDOWS.map(|window| Segments::new(bytes_max, window)),
            entries_max,
            bytes_max,
            rate: 0,
            current: 0,
            won: [0; WINDOWS.len()],
            lost: [0; WINDOWS.len()],
            requests: 0,
            out: Vec::new(),
        }
    }

    /// The window to have, in percent.
    pub(super) fn window(&self) -> u64 {
        WINDOWS[self.current]
    }

    /// Bytes on the heap.
    pub(super) fn own_bytes(&self) -> u64 {
        self.caches.iter().map(Segments::own_bytes).sum()
    }

    pub(super) fn set_bytes_max(&mut self, bytes_max: u64) {
        self.bytes_max = bytes_max;
        self.bound();
    }

    /// A key was asked for. `weight` where the store has it: then a simulation that has it not takes it, as it would have
    /// been inserted. Else that comes with [`Self::insert`], if at all.
    pub(super) fn get(&mut self, hash: u64, weight: Option<u64>) {
        if !self.is_sampled(hash) {
            return;
        }
        let mut hits = [false; WINDOWS.len()];
        for (cache, hit) in self.caches.iter_mut().zip(&mut hits) {
            let found = cache.find(hash, |()| true);
            *hit = found.is_some();
            if let Some(slot) = found {
                cache.touch(slot);
                cache.settle(&mut self.out);
            }
        }
        if let Some(weight) = weight {
            self.insert(hash, weight);
        }
        self.requests += 1;
        for choice in 0..WINDOWS.len() {
            self.won[choice] += u64::from(hits[choice] && !hits[self.current]);
            self.lost[choice] += u64::from(!hits[choice] && hits[self.current]);
        }
        self.judge();
    }

    /// An entry of the store is new, or has another weight.
    pub(super) fn insert(&mut self, hash: u64, weight: u64) {
        if !self.is_sampled(hash) {
            return;
        }
        for cache in &mut self.caches {
            match cache.find(hash, |()| true) {
                Some(slot) if cache.weight(slot) == weight => continue,
                Some(slot) => cache.weigh(slot, weight),
                None if weight > cache.bytes_max() => continue,
                None => _ = cache.insert(hash, weight, ()),
            }
            cache.settle(&mut self.out);
        }
        self.out.clear();
        while self.caches.iter().any(|cache| cache.len() > self.entries_max) {
            self.sample_less();
        }
    }

    /// An entry was removed from the store by its user.
    pub(super) fn remove(&mut self, hash: u64) {
        if self.is_sampled(hash) {
            for cache in &mut self.caches {
                if let Some(slot) = cache.find(hash, |()| true) {
                    cache.remove(slot);
                }
            }
        }
    }

    fn is_sampled(&self, hash: u64) -> bool {
        self.rate == 0 || hash.wrapping_mul(SPREAD) >> (u64::BITS - self.rate) == 0
    }

    fn sample_less(&mut self) {
        self.rate += 1;
        for choice in 0..WINDOWS.len() {
            // From the last slot on: what takes a removed one's place was seen already.
            for slot in (0..self.caches[choice].len()).rev() {
                let slot = u32::try_from(slot).expect("few entries");
                if !self.is_sampled(self.caches[choice].hash(slot)) {
                    self.caches[choice].remove(slot);
                }
            }
        }
        self.bound();
    }

    fn bound(&mut self) {
        for (cache, window) in self.caches.iter_mut().zip(WINDOWS) {
            cache.bound(self.bytes_max >> self.rate, window);
            cache.settle(&mut self.out);
        }
        self.out.clear();
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    fn judge(&mut self) {
        let lead = |choice: usize| self.won[choice] as f64 - self.lost[choice] as f64;
        let best = (0..WINDOWS.len()).max_by(|a, b| lead(*a).total_cmp(&lead(*b))).unwrap_or(0);
        let differing = (self.won[best] + self.lost[best]) as f64;
        let lead = lead(best);
        if lead > DEVIATIONS * differing.sqrt() && lead > ADVANTAGE * self.requests as f64 {
            self.current = best;
            (self.won, self.lost, self.requests) = Default::default();
        }
        let entries = self.caches[self.current].len().max(64) as u64;
        if self.requests > MEMORY * entries {
            self.won = self.won.map(|count| count / 2);
            self.lost = self.lost.map(|count| count / 2);
            self.requests /= 2;
        }
    }
}
