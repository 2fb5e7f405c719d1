//! What order per key costs: the same events with a thousand keys and with none.

use anyhow::Result;
use std::time::Duration;

use crate::{
    Bench,
    function::Function,
    load::Load,
    report::{Bound, Figure, Report},
    sidecar::{Settings, Sidecar},
};

pub(crate) const NAME: &str = "lanes, 1,000 keys";
const KEYS: u64 = 1_000;
const IN_FLIGHT: usize = 128;
const DELAY: Duration = Duration::from_millis(20);
const EVENTS: u64 = 16_000;
/// Deliveries before the clock starts: connections are made then.
const WARM_UP: u64 = 2_000;

/// With keys and without, in turn.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let (mut unordered, mut ordered) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        unordered.push(deliver(bench, None).await?);
        ordered.push(deliver(bench, Some(KEYS)).await?);
    }
    report.figure(Figure {
        name: NAME,
        unit: "events/s",
        ours: ordered,
        baseline: unordered,
        bound: Bound::AtLeast(0.9),
    });
    Ok(())
}

/// Fills a journal, then delivers from it: the ingress takes no part in what is measured.
async fn deliver(bench: &Bench, keys: Option<u64>) -> Result<f64> {
    let folder = bench.folder()?;
    let stalled = Function::stalled().await?;
    let sidecar = Sidecar::start(bench, folder.path(), Settings::new(stalled.address)).await?;
    let load = Load { address: sidecar.ingress, producers: 128, keys, gate: None };
    load.send(EVENTS).await?;
    drop((sidecar, stalled));

    let function = Function::start(Some(DELAY), None).await?;
    let settings = Settings { concurrency: IN_FLIGHT, ..Settings::new(function.address) };
    let _sidecar = Sidecar::start(bench, folder.path(), settings).await?;
    let started = function.reached(WARM_UP).await?;
    let before = function.answered();
    let ended = function.reached(EVENTS).await?;
    Ok((EVENTS - before) as f64 / (ended - started).as_secs_f64())
}
