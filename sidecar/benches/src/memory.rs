//! Resident memory: idle, idle with brokers, and with a stalled function and a full queue.

use anyhow::Result;
use outrigger_testkit::pubsub::{self, PROJECT};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

use crate::{
    Bench, eventgrid,
    function::Function,
    load::Load,
    report::{Bound, Figure, Report},
    sidecar::{Settings, Sidecar},
};

pub(crate) const IDLE: &str = "resident memory, idle";
pub(crate) const BROKERS: &str = "resident memory, idle, with Pub/Sub and Event Grid";
pub(crate) const FULL: &str = "resident memory, full queue";
const MB: f64 = 1e6;
const IDLE_MAX: f64 = 12.0 * MB;
const BROKERS_MAX: f64 = 20.0 * MB;
const WINDOW_BYTES: usize = 32 << 20;
const BESIDE_WINDOW_MAX: f64 = 16.0 * MB;
/// Enough for a window of 32 MiB and as much again, which stays on disk.
const EVENTS: u64 = 60_000;
/// More than fit by their bytes, which are what is bounded here.
const WINDOW_EVENTS: usize = 1_000_000;

/// An idle process with a journal of earlier days.
pub(crate) async fn idle(bench: &Bench, report: &mut Report) -> Result<()> {
    let folder = bench.folder()?;
    let function = Function::start(None, None).await?;
    let settings = Settings::new(function.address);
    let sidecar = Sidecar::start(bench, folder.path(), settings).await?;
    Load { address: sidecar.ingress, producers: 8, keys: None, gate: None }.send(1_000).await?;
    sidecar.settled().await?;
    drop(sidecar);
    let mut ours = Vec::new();
    for _ in 0..bench.rounds {
        let sidecar = Sidecar::start(bench, folder.path(), settings).await?;
        sleep(Duration::from_secs(1)).await;
        ours.push(sidecar.process.memory_bytes("VmRSS")? / MB);
    }
    report.figure(limited(IDLE, ours, IDLE_MAX / MB));
    Ok(())
}

/// An idle process that waits for events of both. Without the server of Pub/Sub it says so and measures nothing.
pub(crate) async fn brokers(bench: &Bench, report: &mut Report) -> Result<()> {
    let Some(server) = pubsub::fake("the figure of idle memory") else {
        report.note(format!("{BROKERS}: SKIPPED, there is no server (scripts/pstest.sh builds it)"));
        return Ok(());
    };
    server.topic("orders").await;
    server.subscription("billing", "orders", json!({})).await;
    let grid = eventgrid::empty();
    let function = Function::start(None, None).await?;
    let mut ours = Vec::new();
    for _ in 0..bench.rounds {
        let folder = bench.folder()?;
        let source = format!(
            "  pubsub: {{subscription: billing}}\n{}pubsub: {{project: {PROJECT}, endpoint: \"http://{}\"}}\n",
            eventgrid::source(&grid, folder.path())?,
            server.address()
        );
        let settings = Settings::new(function.address);
        let mut sidecar = Sidecar::launch_reading(bench, folder.path(), settings, &source)?;
        sidecar.ready().await?;
        sleep(Duration::from_secs(1)).await;
        ours.push(sidecar.process.memory_bytes("VmRSS")? / MB);
    }
    report.figure(limited(BROKERS, ours, BROKERS_MAX / MB));
    Ok(())
}

/// A function that never answers, a window that is full, more events on disk, and 256 producers still connected.
pub(crate) async fn full(bench: &Bench, report: &mut Report) -> Result<()> {
    let (mut ours, mut peak) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let folder = bench.folder()?;
        let stalled = Function::stalled().await?;
        let settings = Settings {
            window_events: WINDOW_EVENTS,
            window_bytes: WINDOW_BYTES,
            ..Settings::new(stalled.address)
        };
        let sidecar = Sidecar::start(bench, folder.path(), settings).await?;
        let load = Load { address: sidecar.ingress, producers: 256, keys: None, gate: None };
        load.send(EVENTS).await?;
        let full = settled_memory(&sidecar).await?;
        ours.push(full / MB);
        peak.push(sidecar.process.memory_bytes("VmHWM")? / MB);
    }
    let limit = (WINDOW_BYTES as f64 + BESIDE_WINDOW_MAX) / MB;
    let peak = peak.into_iter().fold(0.0, f64::max);
    report.note(format!("{FULL}: at its highest, while 256 producers sent, it was {peak:.1} MB"));
    report.figure(limited(FULL, ours, limit));
    Ok(())
}

/// The memory once it no longer grows: the source goes on filling the window after the last 202.
pub(crate) async fn settled_memory(sidecar: &Sidecar) -> Result<f64> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut last = sidecar.process.memory_bytes("VmRSS")?;
    loop {
        sleep(Duration::from_millis(500)).await;
        let now = sidecar.process.memory_bytes("VmRSS")?;
        if now <= last || Instant::now() > deadline {
            return Ok(now);
        }
        last = now;
    }
}

fn limited(name: &'static str, ours: Vec<f64>, limit: f64) -> Figure {
    let baseline = vec![limit; ours.len()];
    Figure { name, unit: "MB (baseline: the limit)", ours, baseline, bound: Bound::AtMost(1.0) }
}
