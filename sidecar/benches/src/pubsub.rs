//! Pub/Sub to a function over HTTP: the release binary against a loop of Google's client that POSTs what it pulls.
//!
//! The server is the testkit's fake, which sends as fast as it is read: Google's in-memory server sends about a hundred
//! messages a second. It is a process of its own, whose CPU is nobody's figure.

pub(crate) mod bare;

use anyhow::Result;
use outrigger_testkit::pubsub::{self, PROJECT, Server};
use serde_json::json;

use crate::{
    Bench,
    function::Function,
    measured::{Measured, reached, to_function},
    report::Report,
    sidecar::{Settings, Sidecar},
};

const CPU: &str = "pubsub to function, CPU";
const RATE: &str = "pubsub to function, events/s";
/// Calls at once, of ours and of the bare loop.
const IN_FLIGHT: usize = 64;
const EVENTS: u64 = 120_000;
/// Events before the clock starts.
const WARM_UP: u64 = 20_000;
const KEYS: u64 = 10_000;
const TOPIC: &str = "called";

/// The figures that are wanted. Without the server it says so and measures nothing.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, wanted: impl Fn(&str) -> bool) -> Result<()> {
    if !wanted(CPU) && !wanted(RATE) {
        return Ok(());
    }
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let Some(server) = filled().await else {
            report.note("pubsub: SKIPPED, there is no server (scripts/pstest.sh builds it)".to_owned());
            return Ok(());
        };
        let function = Function::start(None, None).await?;
        let posting = bare::start(&server, TOPIC, function.address, IN_FLIGHT)?;
        bare.push(reached(&function, &posting, WARM_UP..EVENTS).await?);
        drop((posting, function, server));

        let Some(server) = filled().await else { return Ok(()) };
        let function = Function::start(None, None).await?;
        ours.push(delivered(bench, &server, &function).await?);
    }
    to_function(report, (CPU, RATE), &ours, &bare);
    Ok(())
}

/// A server of its own for each arm, with the events in an ordered subscription.
async fn filled() -> Option<Server> {
    let server = pubsub::fake("the figures of Pub/Sub")?;
    server.topic(TOPIC).await;
    server.subscription(TOPIC, TOPIC, json!({"enableMessageOrdering": true})).await;
    server.fill(TOPIC, EVENTS, KEYS).await;
    Some(server)
}

/// The binary, with defaults but for what is counted.
async fn delivered(bench: &Bench, server: &Server, function: &Function) -> Result<Measured> {
    let folder = bench.folder()?;
    let settings = Settings { concurrency: IN_FLIGHT, ..Settings::new(function.address) };
    let source = format!(
        "  pubsub: {{subscription: {TOPIC}}}\npubsub: {{project: {PROJECT}, endpoint: \"http://{}\"}}\n",
        server.address()
    );
    let sidecar = Sidecar::launch_reading(bench, folder.path(), settings, &source)?;
    reached(function, &sidecar.process, WARM_UP..EVENTS).await
}
