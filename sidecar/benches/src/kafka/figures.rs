//! The comparisons.

use anyhow::Result;
use outrigger_testkit::kafka::Broker;

use super::{
    Measured, peer,
    topics::{self, Form},
};
use crate::{
    Bench,
    function::Function,
    report::{Bound, Figure, Report},
    sidecar::{KafkaSettings, Settings, Sidecar},
};

const BINARY: &str = "kafka, no function, binary";
const STRUCTURED: &str = "kafka, no function, structured";
const CPU: &str = "kafka to function, CPU";
const RATE: &str = "kafka to function, events/s";
const MEMORY: &str = "kafka to function, resident memory at full load, MB of 40";
/// Records of a figure.
const RECORDS: u64 = 400_000;
const KEYS: u64 = 1_000;
const PARTITIONS: i32 = 12;
const IN_FLIGHT: usize = 64;

/// Every figure of Kafka that is wanted.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, wanted: impl Fn(&str) -> bool) -> Result<()> {
    if ![BINARY, STRUCTURED, CPU, RATE, MEMORY].into_iter().any(&wanted) {
        return Ok(());
    }
    let Some(broker) = topics::broker().await else {
        report.note("kafka: SKIPPED, there is no Kafka (scripts/kafka.sh fetches it)".to_owned());
        return Ok(());
    };
    let size = (PARTITIONS, RECORDS, KEYS);
    if wanted(BINARY) {
        topics::fill(&broker, "binary", size, Form::Binary).await?;
        no_function(bench, report, &broker, ("binary", BINARY, 2.8)).await?;
    }
    if wanted(STRUCTURED) {
        topics::fill(&broker, "structured", size, Form::Structured).await?;
        no_function(bench, report, &broker, ("structured", STRUCTURED, 4.0)).await?;
    }
    if wanted(CPU) || wanted(RATE) || wanted(MEMORY) {
        topics::fill(&broker, "called", size, Form::Binary).await?;
        with_function(bench, report, &broker).await?;
    }
    Ok(())
}

async fn no_function(
    bench: &Bench,
    report: &mut Report,
    broker: &Broker,
    (topic, name, bound): (&str, &'static str, f64),
) -> Result<()> {
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        baseline.push(bare(broker, topic, &[]).await?.cpu_us());
        let group = format!("{topic}-{round}");
        let arguments = ["kafka-path", &broker.bootstrap(), topic, &group, &RECORDS.to_string()];
        ours.push(peer(arguments.map(str::to_owned).to_vec()).await?.cpu_us());
    }
    report.figure(Figure { name, unit: "CPU µs per event", ours, baseline, bound: Bound::AtMost(bound) });
    Ok(())
}

async fn bare(broker: &Broker, topic: &str, more: &[String]) -> Result<Measured> {
    let numbers = [PARTITIONS.to_string(), RECORDS.to_string()];
    let mut arguments = vec!["kafka-bare".to_owned(), broker.bootstrap(), topic.to_owned()];
    arguments.extend(numbers);
    arguments.extend_from_slice(more);
    peer(arguments).await
}

async fn with_function(bench: &Bench, report: &mut Report, broker: &Broker) -> Result<()> {
    let (mut cpu, mut cpu_bare, mut rate, mut rate_bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut memory = Vec::new();
    for round in 0..bench.rounds {
        let function = Function::start(None, None).await?;
        let more = ["--post".to_owned(), function.address.to_string(), format!("--connections={IN_FLIGHT}")];
        let measured = bare(broker, "called", &more).await?;
        cpu_bare.push(measured.cpu_us());
        rate_bare.push(measured.rate());
        drop(function);
        let measured = ours(bench, broker, &format!("called-{round}")).await?;
        cpu.push(measured.cpu_us());
        rate.push(measured.rate());
        memory.push(measured.peak_bytes / 1e6);
    }
    let unit = "CPU µs per event";
    report.figure(Figure { name: CPU, unit, ours: cpu, baseline: cpu_bare, bound: Bound::AtMost(1.4) });
    report.figure(Figure {
        name: RATE,
        unit: "events/s",
        ours: rate,
        baseline: rate_bare,
        bound: Bound::AtLeast(0.8),
    });
    let baseline = vec![40.0; memory.len()];
    report.figure(Figure { name: MEMORY, unit: "MB", ours: memory, baseline, bound: Bound::AtMost(1.0) });
    Ok(())
}

/// The binary from the first event at the function to the last.
async fn ours(bench: &Bench, broker: &Broker, group: &str) -> Result<Measured> {
    let function = Function::start(None, None).await?;
    let folder = bench.folder()?;
    let kafka =
        KafkaSettings { brokers: broker.bootstrap(), topic: "called".to_owned(), group: group.to_owned() };
    let settings = Settings { concurrency: IN_FLIGHT, ..Settings::new(function.address) };
    let sidecar = Sidecar::launch_with_kafka(bench, folder.path(), settings, Some(&kafka))?;
    let started = function.reached(1).await?;
    let before = (sidecar.process.cpu_seconds()?, function.answered());
    let ended = function.reached(RECORDS).await?;
    Ok(Measured {
        records: RECORDS - before.1,
        seconds: (ended - started).as_secs_f64(),
        cpu_seconds: sidecar.process.cpu_seconds()? - before.0,
        peak_bytes: sidecar.process.memory_bytes("VmHWM")?,
    })
}
