//! Which window the store should have now, by small simulations of it on a sample of the keys.
//!
//! A sample of the keys by their hash, in a cache that is smaller by the same factor, has nearly the hit rate of the whole.
//! The factor doubles whenever a simulation would have more entries than its bound.
//!
//! While the store fills, simulations as large as it tell nothing: they evict nothing either. Those of a quarter of its size
//! do, and by them it chooses its first window when it is full. Without that, a large store would be LRU for a long time,
//! and one long scan would cost it all that it has.
//!
//! Source: Waldspurger, Saemundsson, Ahmad, Park, "Cache Modeling and Optimization using Miniature Simulations", USENIX
//! ATC 2017.

use super::{
    contest::{Contest, Needed},
    segments::ALL,
};

/// The choices, in percent of the bytes, from LRU to nearly all by popularity.
const WINDOWS: [u64; 4] = [ALL, 80, 20, TINY];
const TINY: u64 = 1;
/// For another window than the store has.
const TO_CHANGE: Needed = Needed { deviations: 2.5, of_requests: 0.003, of_entries: 0.02 };
/// For another first window than LRU. The smaller a store, the more it gains by popularity: so it must gain more here.
const TO_BEGIN: Needed = Needed { deviations: 2.0, of_requests: 0.005, of_entries: 0.0 };
/// The part of the store that the first simulations have.
const YOUNG: u64 = 4;
/// One hit in so many requests, or less, until the store is full: a scan. LRU would keep of it what comes again last.
const SCAN: u64 = 100;
/// A factor that spreads a hash into its upper bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

pub(super) struct Trials {
    whole: Contest<{ WINDOWS.len() }>,
    /// Until the store is full.
    young: Option<Young>,
    entries_max: usize,
    /// The whole store's bound.
    bytes_max: u64,
    /// One key in 2^`rate` is sampled.
    rate: u32,
}

/// What is known of a store that is not full yet.
struct Young {
    contest: Contest<2>,
    requests: u64,
    hits: u64,
}

impl Trials {
    pub(super) fn new(bytes_max: u64, entries_max: usize) -> Self {
        let contest = Contest::new(bytes_max / YOUNG, [ALL, TINY]);
        Self {
            whole: Contest::new(bytes_max, WINDOWS),
            young: Some(Young { contest, requests: 0, hits: 0 }),
            entries_max,
            bytes_max,
            rate: 0,
        }
    }

    /// The window to have, in percent.
    pub(super) fn window(&self) -> u64 {
        self.whole.window()
    }

    /// Bytes on the heap.
    pub(super) fn own_bytes(&self) -> u64 {
        self.whole.own_bytes() + self.young.as_ref().map_or(0, |young| young.contest.own_bytes())
    }

    pub(super) fn set_bytes_max(&mut self, bytes_max: u64) {
        self.bytes_max = bytes_max;
        self.bound();
    }

    /// A key was asked for. `weight` where the store has it: then a simulation that has it not takes it, as it would have
    /// been inserted. Else that comes with [`Self::insert`], if at all.
    pub(super) fn get(&mut self, hash: u64, weight: Option<u64>) {
        if !is_sampled(hash, self.rate) {
            return;
        }
        self.whole.get(hash);
        if let Some(young) = &mut self.young {
            young.requests += 1;
            young.hits += u64::from(weight.is_some());
            young.contest.get(hash);
        }
        if let Some(weight) = weight {
            self.insert(hash, weight);
        }
        if let Some(better) = self.whole.better(&TO_CHANGE) {
            self.whole.choose(better);
        }
        self.whole.forget();
    }

    /// An entry of the store is new, or has another weight.
    pub(super) fn insert(&mut self, hash: u64, weight: u64) {
        if !is_sampled(hash, self.rate) {
            return;
        }
        self.whole.insert(hash, weight);
        if let Some(young) = &mut self.young {
            young.contest.insert(hash, weight);
        }
        while self.whole.len() > self.entries_max {
            self.rate += 1;
            self.thin();
            self.bound();
        }
    }

    /// An entry was removed from the store by its user.
    pub(super) fn remove(&mut self, hash: u64) {
        if is_sampled(hash, self.rate) {
            self.whole.remove(hash);
            if let Some(young) = &mut self.young {
                young.contest.remove(hash);
            }
        }
    }

    /// The store is full: from now on the window matters.
    pub(super) fn full(&mut self) {
        let Some(young) = self.young.take() else { return };
        if young.hits <= young.requests / SCAN || young.contest.better(&TO_BEGIN).is_some() {
            self.whole.choose(WINDOWS.len() - 1);
        }
    }

    /// Lets go of the keys that are not sampled any more.
    fn thin(&mut self) {
        let rate = self.rate;
        let stays = |hash| is_sampled(hash, rate);
        self.whole.retain(stays);
        if let Some(young) = &mut self.young {
            young.contest.retain(stays);
        }
    }

    fn bound(&mut self) {
        self.whole.bound(self.bytes_max >> self.rate);
        if let Some(young) = &mut self.young {
            young.contest.bound((self.bytes_max / YOUNG) >> self.rate);
        }
    }
}

fn is_sampled(hash: u64, rate: u32) -> bool {
    rate == 0 || hash.wrapping_mul(SPREAD) >> (u64::BITS - rate) == 0
}
