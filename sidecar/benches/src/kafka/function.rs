//! Kafka to a function over HTTP: the release binary against a loop that POSTs records as they come.

use anyhow::Result;
use std::{sync::Arc, time::Duration};

use super::{
    Place, bare,
    order::Order,
    topics::{self, Topic},
};
use crate::{
    Bench,
    function::Function,
    measured::{Measured, reached, to_function},
    report::{Bound, Figure, Report},
    sidecar::{KafkaSettings, Settings, Sidecar},
};

const CPU: &str = "kafka to function, CPU";
const RATE: &str = "kafka to function, events/s";
const MEMORY: &str = "kafka to function, resident memory at full load";
const ONE: &str = "kafka, one partition, 1,000 keys";
/// All of them.
pub(super) const NAMES: &[&str] = &[CPU, RATE, MEMORY, ONE];
/// Calls at once, of ours and of the bare loop.
const IN_FLIGHT: usize = 64;
/// Events before the clock starts.
const WARM_UP: u64 = 20_000;
const MEMORY_MAX_MB: f64 = 40.0;
/// A million events take half a minute.
const MEMORY_ROUNDS: usize = 2;
/// What the function takes where only keys make a partition parallel.
const DELAY: Duration = Duration::from_millis(20);
const DELAYED_IN_FLIGHT: usize = 128;
const DELAYED_WARM_UP: u64 = 2_000;

/// Those that are wanted.
pub(super) async fn measure(
    bench: &Bench,
    place: &Place,
    report: &mut Report,
    wanted: &impl Fn(&str) -> bool,
) -> Result<()> {
    if wanted(CPU) || wanted(RATE) {
        against_bare(bench, place, report).await?;
    }
    if wanted(MEMORY) {
        in_order(bench, place, report).await?;
    }
    if wanted(ONE) {
        one_partition(bench, place, report).await?;
    }
    Ok(())
}

async fn against_bare(bench: &Bench, place: &Place, report: &mut Report) -> Result<()> {
    topics::CALLED.write(place).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let function = Function::start(None, None).await?;
        let posting = bare::start_posting(place, topics::CALLED, function.address, IN_FLIGHT)?;
        bare.push(reached(&function, &posting, WARM_UP..topics::CALLED.events).await?);
        drop((posting, function));

        let function = Function::start(None, None).await?;
        ours.push(delivered(bench, place, &function, topics::CALLED).await?);
    }
    to_function(report, (CPU, RATE), &ours, &bare);
    Ok(())
}

/// The binary, with defaults but for what is counted.
pub(super) async fn delivered(
    bench: &Bench,
    place: &Place,
    function: &Function,
    topic: Topic,
) -> Result<Measured> {
    let folder = bench.folder()?;
    let settings = Settings { concurrency: IN_FLIGHT, ..Settings::new(function.address) };
    let kafka = reading(place, topic);
    let sidecar = Sidecar::launch_with_kafka(bench, folder.path(), settings, Some(&kafka))?;
    reached(function, &sidecar.process, WARM_UP..topic.events).await
}

/// What the binary is told of a topic.
pub(super) fn reading(place: &Place, topic: Topic) -> KafkaSettings {
    KafkaSettings {
        brokers: place.brokers.clone(),
        topic: topic.name.to_owned(),
        group: place.group(),
        more: None,
    }
}

/// A million events to a function that checks the order of each key; what is measured is memory.
async fn in_order(bench: &Bench, place: &Place, report: &mut Report) -> Result<()> {
    topics::BINARY.write(place).await?;
    let mut ours = Vec::new();
    for _ in 0..bench.rounds.min(MEMORY_ROUNDS) {
        let order = Arc::new(Order::of(topics::BINARY));
        let function = Function::watched(None, order.clone()).await?;
        let measured = delivered(bench, place, &function, topics::BINARY).await?;
        let broken = order.broken();
        anyhow::ensure!(broken == 0, "{broken} events came after a later one of their key, or twice");
        ours.push(measured.peak_bytes / 1e6);
    }
    report.note(format!(
        "{MEMORY}: {} events of {} keys came to the function in the order of their keys, and once",
        topics::BINARY.events,
        topics::BINARY.keys
    ));
    let baseline = vec![MEMORY_MAX_MB; ours.len()];
    let unit = "MB (baseline: the limit)";
    report.figure(Figure { name: MEMORY, unit, ours, baseline, bound: Bound::AtMost(1.0) });
    Ok(())
}

/// A slow function behind one partition: ours in the order of keys, the bare loop in none.
async fn one_partition(bench: &Bench, place: &Place, report: &mut Report) -> Result<()> {
    let topic = topics::ONE;
    topic.write(place).await?;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let function = Function::start(Some(DELAY), None).await?;
        let posting = bare::start_posting(place, topic, function.address, DELAYED_IN_FLIGHT)?;
        baseline.push(reached(&function, &posting, DELAYED_WARM_UP..topic.events).await?.rate());
        drop((posting, function));

        let order = Arc::new(Order::of(topic));
        let function = Function::watched(Some(DELAY), order.clone()).await?;
        let folder = bench.folder()?;
        let settings = Settings { concurrency: DELAYED_IN_FLIGHT, ..Settings::new(function.address) };
        let kafka = reading(place, topic);
        let sidecar = Sidecar::launch_with_kafka(bench, folder.path(), settings, Some(&kafka))?;
        ours.push(reached(&function, &sidecar.process, DELAYED_WARM_UP..topic.events).await?.rate());
        anyhow::ensure!(order.broken() == 0, "events came after a later one of their key, or twice");
    }
    report.figure(Figure { name: ONE, unit: "events/s", ours, baseline, bound: Bound::AtLeast(0.9) });
    Ok(())
}
