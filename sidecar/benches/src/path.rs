//! Events per CPU second on the whole path: accepted, journaled, delivered, settled.

use anyhow::Result;
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::Semaphore;

use crate::{
    Bench,
    function::Function,
    load::Load,
    report::{Bound, Figure, Report},
    server::{self, Work},
    sidecar::{Settings, Sidecar},
};

pub(crate) const NAME: &str = "ingress to settled";
const PRODUCERS: usize = 256;
const IN_FLIGHT: usize = 64;
/// Events under way at most, from sent to delivered: within the window, so that neither side builds a backlog.
const UNDER_WAY: usize = 768;
const WARM_UP: u64 = 4_000;
const EVENTS: u64 = 40_000;

/// The baseline and ours, in turn.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let (mut baseline, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let (gate, function) = function().await?;
        let folder = bench.folder()?;
        let (server, address) =
            server::start(folder.path(), Work::CommitAndPost(function.address, IN_FLIGHT))?;
        send(address, &gate, &function, WARM_UP).await?;
        let before = server.cpu_seconds()?;
        send(address, &gate, &function, EVENTS).await?;
        baseline.push(EVENTS as f64 / (server.cpu_seconds()? - before));
        drop((server, folder, function));

        let (gate, function) = self::function().await?;
        let folder = bench.folder()?;
        let settings = Settings { concurrency: IN_FLIGHT, ..Settings::new(function.address) };
        let sidecar = Sidecar::start(bench, folder.path(), settings).await?;
        send(sidecar.ingress, &gate, &function, WARM_UP).await?;
        sidecar.settled().await?;
        let before = sidecar.process.cpu_seconds()?;
        send(sidecar.ingress, &gate, &function, EVENTS).await?;
        sidecar.settled().await?;
        ours.push(EVENTS as f64 / (sidecar.process.cpu_seconds()? - before));
    }
    report.figure(Figure {
        name: NAME,
        unit: "events per CPU second",
        ours,
        baseline,
        bound: Bound::AtLeast(0.7),
    });
    Ok(())
}

async fn function() -> Result<(Arc<Semaphore>, Function)> {
    let gate = Arc::new(Semaphore::new(UNDER_WAY));
    let function = Function::start(None, Some(gate.clone())).await?;
    Ok((gate, function))
}

/// Sends so many events and waits until the function has them all.
async fn send(address: SocketAddr, gate: &Arc<Semaphore>, function: &Function, events: u64) -> Result<()> {
    let before = function.answered();
    let load = Load { address, producers: PRODUCERS, keys: None, gate: Some(gate.clone()) };
    load.send(events).await?;
    function.reached(before + events).await?;
    gate.add_permits(PRODUCERS); // each producer took one before it saw that all were sent
    Ok(())
}
