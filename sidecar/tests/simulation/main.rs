//! The whole path from Kafka to the function and other targets, with everything outside it simulated: broker, group,
//! targets, disks, dead letters, time, and what goes wrong with each. One seed decides a run; every other one has rules.
//!
//! `OUTRIGGER_SEED=123 cargo test -p outrigger --test simulation` runs one seed and prints what happened in it.
//! `OUTRIGGER_LONG=1` runs ten times as many, `OUTRIGGER_SEEDS=500` so many.

mod client;
mod disk;
mod flaws;
mod instance;
mod rules;
mod stage;

use flaws::Flaw;
use outrigger::telemetry::Metrics;
use outrigger_testkit::sim::Plan;
use stage::{Outcome, run};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Seeds of a run in CI.
const SEEDS: u64 = 10_000;
/// Threads that share them; each run stays on one.
const THREADS: usize = 2;
/// Seeds that are tried for a planted flaw before the judge counts as blind.
const SEEDS_OF_A_FLAW: u64 = 300;

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().expect("metrics"))
}

fn of(seed: u64, flaw: Option<Flaw>, metrics: &Arc<Metrics>, recording: bool) -> Outcome {
    run(Plan::new(seed), flaw, metrics, recording)
}

/// The run of a seed with all that happened, for whoever has to find out.
fn tell(seed: u64, flaw: Option<Flaw>) -> String {
    let Outcome { violations, trace, .. } = of(seed, flaw, &metrics(), true);
    let plan = Plan::new(seed);
    format!("{plan:#?}\n{}\nseed {seed}: {violations:#?}", trace.join("\n"))
}

#[expect(clippy::disallowed_methods, reason = "a test's own switches")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_seed_keeps_every_promise() {
    if let Some(seed) = number("OUTRIGGER_SEED") {
        let told = tell(seed, None);
        println!("{told}");
        assert!(told.ends_with("[]"), "seed {seed} fails; what happened is above");
        return;
    }
    let usual = if number("OUTRIGGER_LONG") == Some(1) { SEEDS * 10 } else { SEEDS };
    let seeds = number("OUTRIGGER_SEEDS").unwrap_or(usual);
    let next = AtomicU64::new(0);
    let sums = [const { AtomicU64::new(0) }; 3];
    let failed: Vec<u64> = thread::scope(|scope| {
        let work = || {
            let (metrics, mut failed) = (metrics(), Vec::new());
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds || failed.len() >= 10 {
                    return failed;
                }
                let outcome = of(seed, None, &metrics, false);
                let (calls, dead, repeats) = outcome.counts;
                for (sum, n) in sums.iter().zip([calls, dead, repeats]) {
                    sum.fetch_add(n, Ordering::Relaxed);
                }
                if !outcome.violations.is_empty() {
                    println!("seed {seed}: {:?}", outcome.violations);
                    failed.push(seed);
                }
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a run panicked")).collect()
    });
    let [calls, dead, repeats] = sums.map(AtomicU64::into_inner);
    println!("{seeds} seeds: {calls} calls, {dead} dead letters, {repeats} deliveries beyond the first");
    if let Some(first) = failed.iter().min() {
        panic!(
            "{}\n{failed:?} failed; OUTRIGGER_SEED={first} cargo test -p outrigger --test simulation",
            tell(*first, None)
        );
    }
}

#[test]
fn the_same_seed_runs_the_same_way_twice() {
    for seed in 0..40 {
        let (first, second) = (of(seed, None, &metrics(), true), of(seed, None, &metrics(), true));
        let differs = first.trace.iter().zip(&second.trace).position(|(one, other)| one != other);
        let at = differs.map(|at| (&first.trace[at], &second.trace[at]));
        assert_eq!((at, first.trace.len()), (None, second.trace.len()), "seed {seed}");
    }
}

#[test]
fn every_planted_flaw_is_found() {
    let metrics = metrics();
    let mut blind = Vec::new();
    for (flaw, word) in Flaw::ALL {
        let finds = |seed: &u64| {
            let found = of(*seed, Some(flaw), &metrics, false).violations;
            found.iter().any(|violation| violation.starts_with(word))
        };
        match (0..SEEDS_OF_A_FLAW).find(finds) {
            Some(seed) => println!("{flaw:?} is found with seed {seed}"),
            None => blind.push(flaw),
        }
    }
    assert!(blind.is_empty(), "the judge does not see {blind:?}");
}
