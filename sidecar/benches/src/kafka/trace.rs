//! What traces cost: Kafka to a function with each event sampled, and with none, against the same without traces.

use anyhow::{Context as _, Result};
use outrigger_testkit::otelcol::Collector;
use std::path::Path;

use super::{
    Place,
    topics::{self, Topic},
};
use crate::{
    Bench,
    function::Function,
    measured::{Measured, reached},
    report::{Bound, Figure, Report},
    sidecar::{Settings, Sidecar},
};

const SAMPLED: &str = "kafka to function, every event traced, CPU";
const UNSAMPLED: &str = "kafka to function, traces on and none sampled, CPU";
/// All of them.
pub(super) const NAMES: &[&str] = &[SAMPLED, UNSAMPLED];
const IN_FLIGHT: usize = 64;
/// At so many events a second no span may be dropped.
const RATE: u32 = 10_000;
/// Six seconds of them are measured, after one.
const WARM_UP: u64 = 10_000;
const EVENTS: u64 = 70_000;

/// An arm of the comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arm {
    Off,
    Sampled,
    Unsampled,
}

/// Those that are wanted.
pub(super) async fn measure(
    bench: &Bench,
    place: &Place,
    report: &mut Report,
    wanted: &impl Fn(&str) -> bool,
) -> Result<()> {
    if NAMES.iter().any(|name| wanted(name)) {
        topics::CALLED.write(place).await?;
    }
    if wanted(SAMPLED) {
        let arms = (Arm::Sampled, Some(RATE), WARM_UP..EVENTS);
        against_off(bench, place, report, (SAMPLED, Bound::AtMost(1.8)), arms).await?;
    }
    if wanted(UNSAMPLED) {
        let arms = (Arm::Unsampled, None, 2 * WARM_UP..topics::CALLED.events);
        against_off(bench, place, report, (UNSAMPLED, Bound::AtMost(1.05)), arms).await?;
    }
    Ok(())
}

async fn against_off(
    bench: &Bench,
    place: &Place,
    report: &mut Report,
    (name, bound): (&'static str, Bound),
    (arm, rate, events): (Arm, Option<u32>, std::ops::Range<u64>),
) -> Result<()> {
    let Some(collector) = Collector::start(name).await else {
        report.note(format!("{name}: SKIPPED, there is no collector (scripts/otelcol.sh builds it)"));
        return Ok(());
    };
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        for (arm, costs) in [(Arm::Off, &mut baseline), (arm, &mut ours)] {
            let took = run(bench, place, &collector, (arm, rate), events.clone()).await?;
            costs.push(took.cpu_us());
        }
    }
    report.figure(Figure { name, unit: "CPU µs per event", ours, baseline, bound });
    Ok(())
}

async fn run(
    bench: &Bench,
    place: &Place,
    collector: &Collector,
    (arm, rate): (Arm, Option<u32>),
    events: std::ops::Range<u64>,
) -> Result<Measured> {
    let function = Function::start(None, None).await?;
    let folder = bench.folder()?;
    let sidecar = launch(bench, folder.path(), place, &function, (arm, rate, collector))?;
    let took = reached(&function, &sidecar.process, events).await?;
    if arm == Arm::Sampled {
        let dropped = sidecar.metric("outrigger_trace_dropped_total").context("traces are on")?;
        let exported = sidecar.metric("outrigger_trace_exported_total")?;
        anyhow::ensure!(dropped == 0, "{dropped} spans were dropped at {RATE} events/s");
        anyhow::ensure!(exported > 0, "nothing came to the collector");
    }
    Ok(took)
}

fn launch(
    bench: &Bench,
    folder: &Path,
    place: &Place,
    function: &Function,
    (arm, rate, collector): (Arm, Option<u32>, &Collector),
) -> Result<Sidecar> {
    let Topic { name, .. } = topics::CALLED;
    let ratio = match arm {
        Arm::Off => None,
        Arm::Sampled => Some(1),
        Arm::Unsampled => Some(0),
    };
    let endpoint = collector.grpc();
    let trace = ratio.map_or_else(String::new, |ratio| {
        format!("trace: {{export: otlp, endpoint: \"{endpoint}\", ratio: {ratio}}}\n")
    });
    let (brokers, group) = (&place.brokers, place.group());
    let source =
        format!("  kafka: {{topics: {name}, group: {group}}}\nkafka: {{brokers: \"{brokers}\"}}\n{trace}");
    let settings = Settings { concurrency: IN_FLIGHT, rate, ..Settings::new(function.address) };
    Sidecar::launch_reading(bench, folder, settings, &source)
}
