//! What everything but the function costs: the whole path with a call that answers at once, against a loop that takes
//! records and does nothing.

use anyhow::{Context as _, Result};
use outrigger_testkit::kafka;

use super::{
    Measured, Place, bare, path,
    topics::{self, Topic},
};
use crate::{
    Bench,
    report::{Bound, Figure, Floor, Report},
};

const BINARY: &str = "kafka, no function, binary";
const STRUCTURED: &str = "kafka, no function, structured";
const SPREAD: &str = "kafka, 64 partitions and 10,000 keys against 4 and 256";
const FLOOR: &str = "bare consumer against kafka-consumer-perf-test";
/// All of them.
pub(super) const NAMES: &[&str] = &[BINARY, STRUCTURED, SPREAD, FLOOR];
const UNIT: &str = "CPU µs per event";

/// Those that are wanted.
pub(super) async fn measure(
    bench: &Bench,
    place: &Place,
    report: &mut Report,
    wanted: &impl Fn(&str) -> bool,
) -> Result<()> {
    if wanted(BINARY) {
        against_bare(bench, place, report, (topics::BINARY, BINARY, 2.8)).await?;
    }
    if wanted(FLOOR) {
        floor(bench, place, report).await?;
    }
    if wanted(STRUCTURED) {
        against_bare(bench, place, report, (topics::STRUCTURED, STRUCTURED, 4.0)).await?;
    }
    if wanted(SPREAD) {
        spread(bench, place, report).await?;
    }
    Ok(())
}

async fn against_bare(
    bench: &Bench,
    place: &Place,
    report: &mut Report,
    (topic, name, at_most): (Topic, &'static str, f64),
) -> Result<()> {
    topic.write(place).await?;
    let (mut ours, mut baseline, mut to_tuned) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        baseline.push(bare::consume(place, topic).await?.cpu_us());
        ours.push(path::consume(place, topic).await?.cpu_us());
        to_tuned.push(ours[ours.len() - 1] / bare::consume_tuned(place, topic).await?.cpu_us());
    }
    to_tuned.sort_by(f64::total_cmp);
    report.note(format!("{name}, against a tuned bare consumer: {:.2}", to_tuned[to_tuned.len() / 2]));
    report.figure(Figure { name, unit: UNIT, ours, baseline, bound: Bound::AtMost(at_most) });
    Ok(())
}

/// How much more an event costs than in the bare loop, with many partitions and keys against with few.
async fn spread(bench: &Bench, place: &Place, report: &mut Report) -> Result<()> {
    topics::FEW.write(place).await?;
    topics::MANY.write(place).await?;
    let (mut many, mut few) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        for (topic, ratios) in [(topics::FEW, &mut few), (topics::MANY, &mut many)] {
            let bare = bare::consume_tuned(place, topic).await?.cpu_us();
            ratios.push(path::consume(place, topic).await?.cpu_us() / bare);
        }
    }
    let unit = "CPU per event over the bare loop's";
    report.figure(Figure { name: SPREAD, unit, ours: many, baseline: few, bound: Bound::AtMost(1.15) });
    Ok(())
}

async fn floor(bench: &Bench, place: &Place, report: &mut Report) -> Result<()> {
    topics::BINARY.write(place).await?;
    let (mut baseline, mut against) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        against.push(perf_tool(place, topics::BINARY).await?);
        baseline.push(Measured::rate(&bare::consume(place, topics::BINARY).await?));
    }
    report.floor(Floor { name: FLOOR, unit: "events/s", baseline, against, at_least: 0.7 });
    Ok(())
}

/// Records per second by Kafka's own tool, as it counts them: without the time that the group takes to form.
async fn perf_tool(place: &Place, topic: Topic) -> Result<f64> {
    let (events, group) = (topic.events.to_string(), place.group());
    let arguments = [
        ["--bootstrap-server", &place.brokers],
        ["--topic", topic.name],
        ["--num-records", &events],
        ["--group", &group],
    ];
    let mut command = kafka::tool("org.apache.kafka.tools.ConsumerPerformance", arguments.as_flattened())
        .context("the tools of Kafka are absent (scripts/kafka.sh fetches them)")?;
    command.arg("--hide-header");
    let said = tokio::task::spawn_blocking(move || command.output()).await??;
    let (text, errors) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let rate = text.lines().filter_map(|line| line.rsplit_once(", ")?.1.trim().parse().ok()).next_back();
    rate.with_context(|| format!("Kafka's tool says no rate: {text}{errors}"))
}
