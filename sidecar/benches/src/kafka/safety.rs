//! What is held when the function stalls, and what comes again after a kill.

use anyhow::Result;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

use super::{Place, function::reading, topics::BINARY};
use crate::{
    Bench,
    function::{Function, Watch},
    memory::settled_memory,
    report::{Bound, Figure, Report},
    sidecar::{KafkaSettings, Settings, Sidecar},
};

const STALLED: &str = "kafka, resident memory, stalled function";
const KILLED: &str = "kafka, delivered again after kill -9";
/// All of them.
pub(super) const NAMES: &[&str] = &[STALLED, KILLED];
/// The window's bound on bytes, and what is fetched ahead of it by default.
const WINDOW_BYTES: usize = 32 << 20;
const PREFETCH_BYTES: usize = 2 << 20;
const BESIDE_MAX_MB: f64 = 16.0;
/// More than fit by their bytes, which are what is bounded here.
const WINDOW_EVENTS: usize = 1_000_000;
/// The gauge of what the window holds.
const WINDOW: &str = "outrigger_window_events";
const IN_FLIGHT: usize = 1_000;
/// What the function takes, so that so many are in flight.
const DELAY: Duration = Duration::from_millis(100);
/// `ingress.kafka.commit_every`.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// Answers before the kill, and after the new start: every partition has gone on by then.
const BEFORE: u64 = 20_000;
const AFTER: u64 = 20_000;

/// Those that are wanted.
pub(super) async fn measure(
    bench: &Bench,
    place: &Place,
    report: &mut Report,
    wanted: &impl Fn(&str) -> bool,
) -> Result<()> {
    if wanted(STALLED) {
        stalled(bench, place, report).await?;
    }
    if wanted(KILLED) {
        killed(bench, place, report).await?;
    }
    Ok(())
}

/// A function that never answers, and a million records.
async fn stalled(bench: &Bench, place: &Place, report: &mut Report) -> Result<()> {
    BINARY.write(place).await?;
    let mut ours = Vec::new();
    for _ in 0..bench.rounds {
        let (folder, function) = (bench.folder()?, Function::stalled().await?);
        let settings = Settings {
            window_events: WINDOW_EVENTS,
            window_bytes: WINDOW_BYTES,
            ..Settings::new(function.address)
        };
        let kafka = reading(place, BINARY);
        let sidecar = Sidecar::launch_with_kafka(bench, folder.path(), settings, Some(&kafka))?;
        let mut before = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let held = sidecar.metric(WINDOW).unwrap_or_default(); // it may not listen yet
            if held > 0 && held == before {
                break; // the window is full, and fetching is paused
            }
            before = held;
        }
        ours.push(settled_memory(&sidecar).await? / 1e6);
    }
    let limit = (WINDOW_BYTES + PREFETCH_BYTES) as f64 / 1e6 + BESIDE_MAX_MB;
    let baseline = vec![limit; ours.len()];
    let unit = "MB (baseline: the limit)";
    report.figure(Figure { name: STALLED, unit, ours, baseline, bound: Bound::AtMost(1.0) });
    Ok(())
}

/// Killed with a thousand calls in flight, and started again.
async fn killed(bench: &Bench, place: &Place, report: &mut Report) -> Result<()> {
    BINARY.write(place).await?;
    let (mut repeated, mut allowed) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let folder = bench.folder()?;
        let log = Arc::new(Log::default());
        let function = Function::watched(Some(DELAY), log.clone()).await?;
        let settings = Settings {
            concurrency: IN_FLIGHT,
            window_events: 4 * IN_FLIGHT,
            ..Settings::new(function.address)
        };
        // Its name in the group gives the new start its partitions at once.
        let kafka = KafkaSettings { more: Some("instance: bench"), ..reading(place, BINARY) };
        let mut sidecar = Sidecar::launch_with_kafka(bench, folder.path(), settings, Some(&kafka))?;
        function.reached(BEFORE).await?;
        allowed.push(log.may_come_again() as f64);
        sidecar.process.kill();
        drop(sidecar);

        let sidecar = Sidecar::launch_with_kafka(bench, folder.path(), settings, Some(&kafka))?;
        function.reached(function.answered() + AFTER).await?;
        repeated.push(f64::from(log.repeated()));
        drop(sidecar);
    }
    let unit = "events (baseline: in flight, or settled in 100 ms)";
    report.figure(Figure {
        name: KILLED,
        unit,
        ours: repeated,
        baseline: allowed,
        bound: Bound::AtMost(1.0),
    });
    Ok(())
}

/// What came how often, and what was answered lately.
#[derive(Default)]
struct Log(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    times: HashMap<u64, u32>,
    open: usize,
    lately: VecDeque<Instant>,
}

impl Log {
    /// What is in flight now, and what was answered since a commit may have been.
    fn may_come_again(&self) -> usize {
        let mut seen = self.seen();
        seen.forget();
        seen.open + seen.lately.len()
    }

    /// Deliveries beyond the first of each event.
    fn repeated(&self) -> u32 {
        self.seen().times.values().map(|times| times - 1).sum()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn forget(&mut self) {
        let since = Instant::now() - COMMIT_EVERY;
        while self.lately.front().is_some_and(|at| *at < since) {
            self.lately.pop_front();
        }
    }
}

impl Watch for Log {
    fn received(&self, number: u64) {
        let mut seen = self.seen();
        *seen.times.entry(number).or_default() += 1;
        seen.open += 1;
    }

    fn answered(&self, _: u64) {
        let mut seen = self.seen();
        seen.open -= 1;
        seen.lately.push_back(Instant::now());
        seen.forget();
    }
}
