//! A namespace of Event Grid to a function over HTTP: the release binary against a loop that receives, POSTs and
//! acknowledges.
//!
//! The service is the fake of `conformance/eventgrid` in this process, on a thread of its own, whose CPU is nobody's figure.

pub(crate) mod bare;

use anyhow::Result;
use outrigger_testkit::{Outgoing, eventgrid::EventGrid};
use std::path::Path;

use crate::{
    Bench,
    function::Function,
    measured::{Measured, reached},
    report::{Bound, Figure, Report},
    sidecar::{Settings, Sidecar},
};

pub(crate) const NAME: &str = "eventgrid to function, events/s";
/// Calls at once, of ours and of the bare loop.
const IN_FLIGHT: usize = 64;
const EVENTS: u64 = 40_000;
/// Events before the clock starts.
const WARM_UP: u64 = 5_000;
const TOPIC: &str = "orders";
const SUBSCRIPTION: &str = "billing";
const DATA_BYTES: usize = 1 << 10;

/// Both in turn, each with a service of its own that holds all events before it begins.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let grid = filled().await;
        let function = Function::start(None, None).await?;
        let loops = bare::start(grid.url(), (TOPIC, SUBSCRIPTION), function.address, IN_FLIGHT)?;
        bare.push(reached(&function, &loops, WARM_UP..EVENTS).await?.rate());
        drop((loops, function, grid));

        let grid = filled().await;
        let function = Function::start(None, None).await?;
        ours.push(delivered(bench, &grid, &function).await?.rate());
    }
    let bound = Bound::AtLeast(0.9);
    report.figure(Figure { name: NAME, unit: "events/s", ours, baseline: bare, bound });
    Ok(())
}

async fn filled() -> EventGrid {
    let grid = EventGrid::start();
    let subscription = grid.subscription(TOPIC, SUBSCRIPTION);
    let data = format!("\"{}\"", "x".repeat(DATA_BYTES - 2));
    let event = |n: u64| Outgoing { data: data.clone().into(), ..Outgoing::new(&n.to_string(), None) };
    subscription.publish(&(0..EVENTS).map(event).collect::<Vec<_>>()).await;
    grid
}

/// The binary, with defaults but for what is counted.
async fn delivered(bench: &Bench, grid: &EventGrid, function: &Function) -> Result<Measured> {
    let folder = bench.folder()?;
    let settings = Settings { concurrency: IN_FLIGHT, ..Settings::new(function.address) };
    let sidecar = Sidecar::launch_reading(bench, folder.path(), settings, &source(grid, folder.path())?)?;
    reached(function, &sidecar.process, WARM_UP..EVENTS).await
}

/// What the binary is told of the subscription; its key goes into a file in `folder`.
pub(crate) fn source(grid: &EventGrid, folder: &Path) -> Result<String> {
    std::fs::write(folder.join("eventgrid.key"), EventGrid::KEY)?;
    Ok(format!(
        "  eventgrid: {{topic: {TOPIC}, subscription: {SUBSCRIPTION}}}\n\
         eventgrid: {{endpoint: \"{}\", key_file: eventgrid.key}}\n",
        grid.url()
    ))
}

/// A service with an empty subscription.
pub(crate) fn empty() -> EventGrid {
    let grid = EventGrid::start();
    let _ = grid.subscription(TOPIC, SUBSCRIPTION);
    grid
}
