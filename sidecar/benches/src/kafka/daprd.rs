//! Dapr's sidecar, where its binary is given by path: it is in no registry.

use anyhow::{Context as _, Result};
use std::{ffi::OsString, path::Path, process::Command};

use super::{Place, function::delivered, topics::CALLED};
use crate::{
    Bench,
    function::Function,
    measured::{Measured, reached},
    process::Process,
    report::{Bound, Figure, Report},
};

pub(super) const RATE: &str = "kafka to function against daprd, events/s";
pub(super) const CPU: &str = "kafka to function against daprd, CPU";
pub(super) const MEMORY: &str = "kafka to function against daprd, resident memory";
const VARIABLE: &str = "OUTRIGGER_PEER_DAPRD";
/// Events before its clock starts, and at its end: it is slower.
const RANGE: std::ops::Range<u64> = 10_000..100_000;

/// How a number is read from a measurement.
type Of = fn(&Measured) -> f64;

/// Those that are wanted. Without the binary it says so and measures nothing.
pub(super) async fn measure(
    bench: &Bench,
    place: &Place,
    report: &mut Report,
    wanted: &impl Fn(&str) -> bool,
) -> Result<()> {
    if ![RATE, CPU, MEMORY].into_iter().any(wanted) {
        return Ok(());
    }
    let Some(binary) = named() else {
        report.note(format!("kafka to function against daprd: SKIPPED, {VARIABLE} names no binary"));
        return Ok(());
    };
    CALLED.write(place).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let (folder, function) = (bench.folder()?, Function::start(None, None).await?);
        let daprd = start(&binary, folder.path(), place, &function)?;
        theirs.push(reached(&function, &daprd, RANGE).await?);
        drop((daprd, function));

        let function = Function::start(None, None).await?;
        ours.push(delivered(bench, place, &function, CALLED).await?);
    }
    let memory = |measured: &Measured| measured.peak_bytes / 1e6;
    let lines: [(_, _, Of, _); 3] = [
        (RATE, "events/s", Measured::rate, Bound::AtLeast(4.0)),
        (CPU, "CPU µs per event", Measured::cpu_us, Bound::AtMost(1.0 / 8.0)),
        (MEMORY, "MB", memory, Bound::AtMost(1.0 / 5.0)),
    ];
    for (name, unit, part, bound) in lines {
        let of = |arms: &[Measured]| arms.iter().map(part).collect();
        report.figure(Figure { name, unit, ours: of(&ours), baseline: of(&theirs), bound });
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a peer is named as in the tests, not in a configuration")]
fn named() -> Option<OsString> {
    std::env::var_os(VARIABLE).filter(|path| !path.is_empty())
}

/// Subscribed to the topic, with the function as its app.
fn start(binary: &OsString, folder: &Path, place: &Place, function: &Function) -> Result<Process> {
    let component = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: bench\nspec:\n  type: pubsub.kafka\n  \
         version: v1\n  metadata:\n  - {{name: brokers, value: \"{}\"}}\n  - {{name: consumerGroup, value: \"{}\"}}\n  \
         - {{name: authType, value: none}}\n  - {{name: initialOffset, value: oldest}}\n",
        place.brokers,
        place.group()
    );
    let subscription = format!(
        "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata:\n  name: bench\nspec:\n  topic: {}\n  \
         pubsubname: bench\n  routes:\n    default: /\n",
        CALLED.name
    );
    std::fs::write(folder.join("component.yaml"), component)?;
    std::fs::write(folder.join("subscription.yaml"), subscription)?;
    let mut command = Command::new(binary);
    command.args(["--app-id", "bench", "--log-level", "error", "--enable-metrics=false"]);
    command.arg("--app-port").arg(function.address.port().to_string());
    for flag in ["--dapr-http-port", "--dapr-grpc-port", "--dapr-internal-grpc-port"] {
        command.arg(flag).arg(outrigger_testkit::free_port().to_string());
    }
    command.args(["--dapr-listen-addresses", "127.0.0.1", "--resources-path"]).arg(folder);
    Process::start(&mut command).context("daprd cannot be started")
}
