//! The figures of Kafka, against a real broker.
//!
//! In reading order: `topics` (what is in the broker, written once), `bare` (the least that could do the same), `path`
//! (ours without a function, in a process of its own), `daprd` (a peer that is given by path); then the figures: what
//! the path costs (`alone`), what it reaches with a function (`function`), what traces cost (`trace`), and what it keeps when the function stalls
//! or it is killed (`safety`).

pub(crate) mod bare;
pub(crate) mod path;

mod alone;
mod daprd;
mod function;
mod order;
mod safety;
mod topics;
mod trace;

use anyhow::{Context as _, Result};
use outrigger_testkit::kafka::{self, Broker};
use std::{
    process::Command,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use crate::{Bench, measured::Measured, report::Report};

/// Where every figure of Kafka is measured.
pub(crate) struct Place {
    /// The broker's `host:port`.
    brokers: String,
    /// How many groups there were.
    groups: AtomicU64,
    /// The broker lives as long.
    _broker: Option<Broker>,
}

impl Place {
    /// The broker that is named, or one that is started; `None` where there is no Kafka, which is said.
    async fn find(bench: &Bench) -> Option<Self> {
        let groups = 0.into();
        if let Some(brokers) = &bench.kafka {
            return Some(Self { brokers: brokers.clone(), groups, _broker: None });
        }
        let settings = kafka::Settings::default().below(&bench.work);
        let broker = kafka::broker_with("the figures of Kafka", settings).await?;
        Some(Self { brokers: broker.bootstrap(), groups, _broker: Some(broker) })
    }

    /// The name of a group that never was, also at a broker that was here before us.
    fn group(&self) -> String {
        format!("bench-{}-{}", std::process::id(), self.groups.fetch_add(1, Relaxed))
    }
}

/// Every figure of Kafka that is wanted. Without Kafka it says so and measures nothing.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let all = [
        alone::NAMES,
        function::NAMES,
        safety::NAMES,
        trace::NAMES,
        &[daprd::RATE, daprd::CPU, daprd::MEMORY],
    ];
    if !all.into_iter().flatten().any(|name| wanted(name)) {
        return Ok(());
    }
    let Some(place) = Place::find(bench).await else {
        report.note("kafka: SKIPPED, there is no Kafka (scripts/kafka.sh fetches it)".to_owned());
        return Ok(());
    };
    alone::measure(bench, &place, report, &wanted).await?;
    function::measure(bench, &place, report, &wanted).await?;
    safety::measure(bench, &place, report, &wanted).await?;
    trace::measure(bench, &place, report, &wanted).await?;
    daprd::measure(bench, &place, report, &wanted).await
}

/// Takes the times of this very process.
pub(crate) struct Clock {
    started: Instant,
    cpu: f64,
}

impl Clock {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { started: Instant::now(), cpu: crate::process::cpu_seconds_of("self")? })
    }

    /// Prints what was measured.
    pub(crate) fn stop(&self, records: u64) -> Result<()> {
        let measured = Measured {
            records,
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: crate::process::cpu_seconds_of("self")? - self.cpu,
            peak_bytes: crate::process::memory_bytes_of("self", "VmHWM")?,
        };
        println!("{}", serde_json::to_string(&measured)?);
        Ok(())
    }
}

/// Runs this program as a peer, and reads what it measured.
async fn peer(arguments: Vec<String>) -> Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(&arguments);
    let ended = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&ended.stdout);
    let errors = String::from_utf8_lossy(&ended.stderr);
    let line =
        text.lines().last().with_context(|| format!("{arguments:?} ended without a word: {errors}"))?;
    serde_json::from_str(line).with_context(|| format!("{arguments:?} printed {line:?}: {errors}"))
}
