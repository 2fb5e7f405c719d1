//! Hit rates on traces that differ in what they reward: ours must hold on each of them.

use super::*;
use std::fmt::Write as _;

fn trace(keys: &[usize]) -> Trace {
    let text = keys.iter().fold(String::new(), |mut text, key| {
        let _ = writeln!(text, "{key}");
        text
    });
    Trace::read(text.as_bytes(), None).unwrap()
}

/// Keys of which the n-th is asked for in proportion to n^-`exponent`.
struct Zipf {
    sums: Vec<f64>,
    random: fastrand::Rng,
}

impl Zipf {
    fn new(exponent: f64, keys: usize, seed: u64) -> Self {
        let mut sum = 0.0;
        let sums = (1_u32..).take(keys).map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        });
        Self { sums: sums.collect(), random: fastrand::Rng::with_seed(seed) }
    }
}

impl Iterator for Zipf {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let at = self.random.f64() * self.sums.last()?;
        Some(self.sums.partition_point(|sum| *sum < at))
    }
}

fn zipf(keys: usize, requests: usize, seed: u64) -> Vec<usize> {
    Zipf::new(0.9, keys, seed).take(requests).collect()
}

fn holds(name: &str, trace: &Trace, bytes: u64) -> Rates {
    let rates = Rates::of(trace, bytes);
    assert!(rates.ours >= rates.lru, "{name}, {bytes}: below LRU: {rates:?}");
    assert!(rates.ours >= rates.moka - 0.01, "{name}, {bytes}: below moka: {rates:?}");
    assert!(rates.ours <= rates.optimum && rates.moka <= rates.optimum, "{name}, {bytes}: {rates:?}");
    rates
}

#[test]
fn where_some_keys_are_popular_it_is_as_good_as_tinylfu() {
    let trace = trace(&zipf(20_000, 150_000, 3));
    for bytes in [200, 1_000, 4_000] {
        let rates = holds("zipf", &trace, bytes);
        assert!(rates.is_exact && rates.ours > rates.lru + 0.02, "{bytes}: {rates:?}");
    }
}

#[test]
fn keys_that_are_asked_for_once_do_not_drive_out_the_others() {
    let mut keys = Vec::new();
    let mut once = 1_000_000..;
    for part in zipf(20_000, 100_000, 4).chunks(2_000) {
        keys.extend_from_slice(part);
        keys.extend(once.by_ref().take(1_500));
    }
    let trace = trace(&keys);
    for bytes in [200, 1_000, 4_000] {
        let rates = holds("scans", &trace, bytes);
        assert!(rates.ours > rates.lru + 0.03, "{bytes}: {rates:?}");
    }
}

/// A large store has to choose when it is full: what it learns later it learns slowly.
#[test]
fn a_large_store_holds_on_popular_keys() {
    let keys: Vec<_> = Zipf::new(0.8, 100_000, 11).take(140_000).collect();
    let trace = trace(&keys);
    for bytes in [1_000, 10_000, 30_000] {
        holds("zipf", &trace, bytes);
    }
}

#[test]
fn a_large_store_holds_on_popular_keys_between_scans() {
    let mut popular = Zipf::new(0.9, 100_000, 13);
    let mut once = 1_000_000..;
    let mut keys = Vec::new();
    while keys.len() < 140_000 {
        keys.extend(popular.by_ref().take(8_000));
        keys.extend(once.by_ref().take(4_000));
    }
    let trace = trace(&keys);
    for bytes in [1_000, 10_000, 30_000] {
        holds("scans", &trace, bytes);
    }
}

/// Nothing came again while it filled: so it keeps what it has, of which LRU would lose all.
#[test]
fn of_a_scan_that_comes_again_it_keeps_what_it_has() {
    let keys: Vec<_> = (0..140_000).map(|at| at % 40_000).collect();
    let rates = Rates::of(&trace(&keys), 30_000);
    assert!(rates.lru < 0.01 && rates.ours > rates.moka - 0.02, "{rates:?}");
}

#[test]
fn where_what_was_asked_for_lately_comes_again_it_is_lru() {
    let mut random = fastrand::Rng::with_seed(5);
    let keys: Vec<_> = (0..100_000_usize).map(|at| at / 4 - random.usize(0..=(at / 4).min(900))).collect();
    let trace = trace(&keys);
    for bytes in [1_000, 3_000] {
        let rates = holds("recent", &trace, bytes);
        assert!(rates.moka < rates.lru - 0.1, "the trace does not tell the two apart: {rates:?}");
    }
}

#[test]
fn when_the_trace_changes_its_nature_the_choice_follows() {
    let popular = zipf(20_000, 60_000, 6);
    let mut random = fastrand::Rng::with_seed(7);
    let recent = (0..60_000_usize).map(|at| 1_000_000 + at / 4 - random.usize(0..=(at / 4).min(900)));
    let trace = trace(&[popular, recent.collect()].concat());
    let rates = Rates::of(&trace, 1_000);
    assert!(rates.ours > rates.lru && rates.ours > rates.moka + 0.1, "{rates:?}");
}

#[test]
fn sizes_that_differ_are_weighed() {
    let keys = zipf(20_000, 100_000, 8);
    let text = keys.iter().fold(String::new(), |mut text, key| {
        let size = 100 + (key * 7_919) % 5_000;
        let _ = writeln!(text, "/item/{key},{size}");
        text
    });
    let trace = Trace::read(text.as_bytes(), None).unwrap();
    for bytes in [300_000, 3_000_000] {
        assert!(!holds("sizes", &trace, bytes).is_exact);
    }
}

#[test]
fn the_same_trace_has_the_same_rates_again() {
    let trace = trace(&zipf(2_000, 20_000, 9));
    assert_eq!(Rates::of(&trace, 300), Rates::of(&trace, 300));
    let nothing = Rates::of(&Trace::read(&b""[..], None).unwrap(), 10);
    assert!(nothing.ours.abs() < f64::EPSILON && nothing.optimum.abs() < f64::EPSILON);
}

#[test]
fn sizes_and_bounds_up_to_the_largest_number_are_counted() {
    let line = |key| format!("{key},{}\n", u64::MAX);
    let trace = Trace::read([line("a"), line("a"), line("b")].concat().as_bytes(), None).unwrap();
    for bytes in [1, u64::MAX / 2, u64::MAX] {
        let rates = Rates::of(&trace, bytes);
        assert!(rates.ours <= rates.optimum && rates.lru <= rates.optimum, "{bytes}: {rates:?}");
    }
}
