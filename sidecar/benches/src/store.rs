//! What a look into the cache's store costs, in this program itself.

use outrigger_cache::store::Store;
use std::{hint::black_box, sync::Arc, time::Instant};

use crate::{
    Bench,
    report::{Bound, Figure, Report},
};

pub(crate) const NAME: &str = "store";
const HIT: &str = "store, a hit";
const LIMIT_US: f64 = 5.0;
const BYTES_MAX: u64 = 64 << 20;
const ENTRIES: usize = 50_000;
/// About a quarter of a second.
const TIMES: usize = 1_000_000;
/// Far from one another, so that no two hits after one another find the same cache line.
const STRIDE: usize = 7_919;

/// Microseconds for a hit among fifty thousand entries.
pub(crate) fn measure(bench: &Bench, report: &mut Report) {
    let store: Store<Arc<str>> = Store::seeded(BYTES_MAX, 7);
    let keys: Vec<String> =
        (0..ENTRIES).map(|number| format!("GET https://shop.example/items/{number}?page=1")).collect();
    for key in &keys {
        store.insert(key.as_str(), Arc::from("value"), 600);
    }
    let ours: Vec<_> = (0..bench.rounds).map(|_| us_each(&store, &keys)).collect();
    let (baseline, unit) = (vec![LIMIT_US; ours.len()], "us (baseline: the limit)");
    report.figure(Figure { name: HIT, unit, ours, baseline, bound: Bound::AtMost(1.0) });
}

fn us_each(store: &Store<Arc<str>>, keys: &[String]) -> f64 {
    let started = Instant::now();
    for number in 0..TIMES {
        black_box(store.get(&keys[number * STRIDE % keys.len()]));
    }
    started.elapsed().as_secs_f64() * 1e6 / TIMES as f64
}
