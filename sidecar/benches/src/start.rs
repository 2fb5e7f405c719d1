//! From the start of the process to the first 200 of `/readyz`.

use anyhow::Result;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Bench,
    function::Function,
    load::Load,
    report::{Bound, Figure, Report},
    sidecar::{Settings, Sidecar, is_ready},
};

pub(crate) const NAME: &str = "start to ready";
const LIMIT_MS: f64 = 15.0;
const WAITING_EVENTS: u64 = 1_000;
const WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// A start is short, so there are more of them than rounds.
const STARTS_PER_ROUND: usize = 5;

/// Starts on one journal, again and again: nothing is delivered, so all starts find the same.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let folder = bench.folder()?;
    let stalled = Function::stalled().await?;
    let settings = Settings::new(stalled.address);
    let sidecar = Sidecar::start(bench, folder.path(), settings).await?;
    Load { address: sidecar.ingress, producers: 32, keys: None, gate: None }.send(WAITING_EVENTS).await?;
    drop(sidecar); // killed, so that every start also recovers a log

    let mut ours = Vec::new();
    for _ in 0..bench.rounds * STARTS_PER_ROUND {
        let (bench, path) = (bench.clone(), folder.path().to_owned());
        // On a thread of its own: it looks more often than a runtime's timer could.
        ours.push(tokio::task::spawn_blocking(move || start(&bench, &path, settings)).await??);
    }
    let baseline = vec![LIMIT_MS; ours.len()];
    let unit = "ms (baseline: the limit)";
    report.figure(Figure { name: NAME, unit, ours, baseline, bound: Bound::AtMost(1.0) });
    Ok(())
}

/// Milliseconds from just before the process is made to the first 200.
fn start(bench: &Bench, folder: &Path, settings: Settings) -> Result<f64> {
    let started = Instant::now();
    let sidecar = Sidecar::launch(bench, folder, settings)?;
    while !is_ready(sidecar.admin) {
        anyhow::ensure!(started.elapsed() < WAIT_MAX, "outrigger is not ready after {WAIT_MAX:?}");
        thread::park_timeout(LOOK_EVERY);
    }
    Ok(started.elapsed().as_secs_f64() * 1_000.0)
}
