//! `outrigger simulate cache`: hit rates of the store's policy on a trace of one's own, and of what it is measured by.
//!
//! In reading order: `trace` (what was asked for), `rates` (everything on one trace), `optimum` (what no policy can beat).
//! Sizes count as they stand in the trace: nothing is added for keys and overhead.

mod optimum;
mod trace;

use std::hash::{BuildHasherDefault, DefaultHasher};

use moka::{policy::EvictionPolicy, sync::Cache};

use crate::store::{
    policy::{Policy, SAMPLES_MAX},
    segments::{ALL, Segments},
};

pub use self::trace::{Format, REQUESTS_MAX, Trace, TraceError};

/// Hit rates on a trace, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// The policy of the store.
    pub ours: f64,
    /// Least recently used.
    pub lru: f64,
    /// moka with its own default, TinyLFU.
    pub moka: f64,
    /// What knowing the future would give; see [`Rates::is_exact`].
    pub optimum: f64,
    /// Whether the optimum can be reached: where all sizes are equal. Else it is a bound that no policy is above.
    pub is_exact: bool,
}

impl Rates {
    /// All of them, for a cache of `bytes`. Of an empty trace they are 0.
    #[must_use]
    pub fn of(trace: &Trace, bytes: u64) -> Self {
        let optimum = optimum::hits(trace, bytes);
        let rate = |hits: u64| ratio(hits, trace.requests().len());
        Self {
            ours: rate(ours(trace, bytes)),
            lru: rate(lru(trace, bytes)),
            moka: rate(with_moka(trace, bytes)),
            optimum: rate(optimum.hits),
            is_exact: optimum.is_exact,
        }
    }
}

fn ours(trace: &Trace, bytes: u64) -> u64 {
    let mut policy = Policy::new(bytes, SAMPLES_MAX);
    let (mut hits, mut out) = (0, Vec::new());
    for request in trace.requests() {
        if policy.get(request.key, |()| true).is_some() {
            hits += 1;
        } else {
            policy.insert(request.key, request.bytes, (), |(), ()| true, &mut out);
        }
    }
    hits
}

fn lru(trace: &Trace, bytes: u64) -> u64 {
    let mut entries = Segments::new(bytes, ALL);
    let (mut hits, mut out) = (0, Vec::new());
    for request in trace.requests() {
        if let Some(slot) = entries.find(request.key, |()| true) {
            hits += 1;
            entries.touch(slot);
        } else if request.bytes <= bytes {
            entries.insert(request.key, request.bytes, ());
            entries.settle(&mut out);
        }
    }
    hits
}

/// moka decides later, in batches; told to do so at each request, it is at its best, and always the same. It also does
/// better where it counts entries instead of weighing them, so it may where all sizes are equal.
fn with_moka(trace: &Trace, bytes: u64) -> u64 {
    let weigh = |_: &u64, bytes: &u64| u32::try_from(*bytes).unwrap_or(u32::MAX);
    let builder = Cache::builder().eviction_policy(EvictionPolicy::tiny_lfu());
    let builder = match trace.size() {
        Some(size) => builder.max_capacity(bytes / size),
        None => builder.max_capacity(bytes).weigher(weigh),
    };
    let cache = builder.build_with_hasher(BuildHasherDefault::<DefaultHasher>::default());
    let mut hits = 0;
    for request in trace.requests() {
        if cache.get(&request.key).is_some() {
            hits += 1;
        } else {
            cache.insert(request.key, request.bytes);
        }
        cache.run_pending_tasks();
    }
    hits
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn ratio(hits: u64, requests: usize) -> f64 {
    if requests == 0 { 0.0 } else { hits as f64 / requests as f64 }
}

#[cfg(test)]
mod tests;
