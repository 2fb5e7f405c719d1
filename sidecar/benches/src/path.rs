//! Events per CPU second on the whole path: accepted, journaled, delivered, settled; and the same with ten routes.

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
/// Its baseline is ours without rules.
pub(crate) const ROUTES: &str = "ingress to settled, 10 routes";
const PRODUCERS: usize = 256;
const IN_FLIGHT: usize = 64;
/// Events under way at most, from sent to delivered: within the window, so that neither side builds a backlog.
const UNDER_WAY: usize = 768;
const WARM_UP: u64 = 4_000;
const EVENTS: u64 = 40_000;

/// Both figures, or that of the routes alone.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, plain: bool) -> Result<()> {
    if plain {
        against_baseline(bench, report).await?;
    }
    with_routes(bench, report).await
}

/// The baseline and ours, in turn.
async fn against_baseline(bench: &Bench, report: &mut Report) -> Result<()> {
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

        ours.push(ours_with(bench, "").await?);
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

/// The binary with ten rules and without, in turn.
async fn with_routes(bench: &Bench, report: &mut Report) -> Result<()> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        without.push(ours_with(bench, "").await?);
        with.push(ours_with(bench, &rules()).await?);
    }
    report.figure(Figure {
        name: ROUTES,
        unit: "events per CPU second",
        ours: with,
        baseline: without,
        bound: Bound::AtLeast(0.95),
    });
    Ok(())
}

/// Nine rules of the kinds that people write, which no event of the load fits, and one that every event does.
fn rules() -> String {
    let mut rules = String::from("routes:\n  rules:\n");
    for n in 0..3 {
        let line =
            |name: &str, when: &str| format!("    - {{name: {name}-{n}, when: {when}, to: function}}\n");
        rules += &line("type", &format!("\"type LIKE 'com.example.shop{n}.%' AND source LIKE '%/eu'\""));
        rules += &line(
            "prefix",
            &format!("{{any: [{{prefix: {{source: /region{n}/}}}}, {{suffix: {{type: .v{n}}}}}]}}"),
        );
        rules += &line("priority", &format!("\"EXISTS priority AND INT(priority) > {n}\""));
    }
    rules
        + "    - {name: rest, when: \"EXISTS id AND NOT (source = '/elsewhere')\", to: function}\n  otherwise: discard\n"
}

/// One round of ours, with further lines of its configuration.
async fn ours_with(bench: &Bench, more: &str) -> Result<f64> {
    let (gate, function) = function().await?;
    let folder = bench.folder()?;
    let settings = Settings { concurrency: IN_FLIGHT, ..Settings::new(function.address) };
    let mut sidecar = Sidecar::launch_reading(bench, folder.path(), settings, more)?;
    sidecar.ready().await?;
    send(sidecar.ingress, &gate, &function, WARM_UP).await?;
    sidecar.settled().await?;
    let before = sidecar.process.cpu_seconds()?;
    send(sidecar.ingress, &gate, &function, EVENTS).await?;
    sidecar.settled().await?;
    Ok(EVENTS as f64 / (sidecar.process.cpu_seconds()? - before))
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
