//! `make bench`: Outrigger's release binary against the least that could do the same, in one run.
//!
//! In reading order: `report` (what a figure is), the figures (`ingress`, `push`, `path`, `lanes`, `memory`, `start`, `hop`, `hits`,
//! `token`, `filters`, `decode`, `kafka`, `pubsub`, `eventgrid`), and what they are measured with: `sidecar` (the binary), `server` (the
//! baseline), `post` (the bare client), `load` (the producers), `function` (the function), `process` (what the system says of a
//! process), `measured` (what that comes to per event). The README beside this folder explains each figure.
//!
//! Deliberately absent: a harness that repeats until numbers look stable. Peers take turns on one busy machine, and the
//! table shows the least and the most beside the median.

#![expect(clippy::cast_precision_loss, reason = "counts of events and bytes are far below 2^52")]

mod decode;
mod eventgrid;
mod filters;
mod function;
mod hits;
mod hop;
mod ingress;
mod kafka;
mod lanes;
mod load;
mod measured;
mod memory;
mod one_core;
mod path;
mod post;
mod process;
mod pubsub;
mod push;
mod report;
mod server;
mod sidecar;
mod start;
mod store;
mod token;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode, time::Instant};
use tempfile::TempDir;

use crate::report::Report;

/// The binary's, for both sides: a difference is then ours.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(name = "figures", about = "Measures the table of figures")]
struct Options {
    /// Only the figures whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// How often the peers take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where the report goes; peers work in folders beside it
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// A Kafka that runs already, as host:port, instead of one that is started; topics stay in it
    #[arg(long)]
    kafka: Option<String>,
    #[command(subcommand)]
    peer: Option<Peer>,
}

/// What this program starts itself as.
#[derive(Debug, Subcommand)]
enum Peer {
    /// The baseline: a server that only commits in groups, and may POST what it committed
    #[command(hide = true)]
    Server(server::Options),
    /// The bare POST loop alone
    #[command(hide = true)]
    PostLoop(post::Options),
    /// A bare proxy
    #[command(hide = true)]
    HopBare(hop::bare::Options),
    /// The function behind a hop
    #[command(hide = true)]
    HopFunction(hop::function::Options),
    /// A bare server of the bytes of a hit
    #[command(hide = true)]
    HitsBare,
    /// A bare consumer of a topic
    #[command(hide = true)]
    KafkaBare(kafka::bare::Options),
    /// Ours without a function
    #[command(hide = true)]
    KafkaPath(kafka::path::Options),
    /// A bare puller of a subscription that POSTs what it pulls
    #[command(hide = true)]
    PubsubBare(pubsub::bare::Options),
    /// The baseline of Event Grid to a function
    #[command(hide = true)]
    EventgridBare(eventgrid::bare::Options),
}

/// What every figure is given.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    /// How often the peers take turns.
    pub(crate) rounds: usize,
    /// Where peers work: on a real disk, and empty at first.
    work: PathBuf,
    /// The binary under test.
    pub(crate) outrigger: PathBuf,
    /// A Kafka that runs already.
    pub(crate) kafka: Option<String>,
}

impl Bench {
    /// A folder for one peer.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        tempfile::tempdir_in(&self.work).with_context(|| format!("no folder in {}", self.work.display()))
    }
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match options.peer {
        Some(Peer::Server(options)) => runtime.block_on(server::run(options))?,
        Some(Peer::PostLoop(options)) => runtime.block_on(post::run(options))?,
        Some(Peer::HopBare(options)) => runtime.block_on(hop::bare::run(options))?,
        Some(Peer::HopFunction(options)) => runtime.block_on(hop::function::run(options))?,
        Some(Peer::HitsBare) => runtime.block_on(hits::bare::run())?,
        Some(Peer::KafkaBare(options)) => runtime.block_on(kafka::bare::run(options))?,
        Some(Peer::KafkaPath(options)) => runtime.block_on(kafka::path::run(options))?,
        Some(Peer::PubsubBare(options)) => runtime.block_on(pubsub::bare::run(options))?,
        Some(Peer::EventgridBare(options)) => runtime.block_on(eventgrid::bare::run(options))?,
        None => return runtime.block_on(measure(options)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(options: Options) -> Result<ExitCode> {
    let started = Instant::now();
    let out = &options.out;
    let work = out.join("work");
    let _ = std::fs::remove_dir_all(&work); // what an interrupted run left
    std::fs::create_dir_all(&work).with_context(|| format!("{} cannot be made", work.display()))?;
    let here = std::env::current_exe().context("this program does not know where it lies")?;
    let bench = Bench {
        rounds: options.rounds.max(1),
        work: work.canonicalize()?,
        outrigger: here.with_file_name("outrigger"),
        kafka: options.kafka,
    };
    anyhow::ensure!(
        bench.outrigger.exists(),
        "{} is missing: `make bench` builds it, or `cargo build --release -p outrigger`",
        bench.outrigger.display()
    );
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    println!("measuring {} rounds of each figure; with five it takes about fifteen minutes", bench.rounds);
    let mut report = Report::default();
    if wanted(ingress::NAME) {
        ingress::measure(&bench, &mut report).await?;
    }
    if wanted(push::NAME) {
        push::measure(&bench, &mut report).await?;
    }
    // The name of the one begins with that of the other.
    if wanted(path::ROUTES) {
        path::measure(&bench, &mut report, wanted(path::NAME)).await?;
    }
    if wanted(post::NAME) {
        post::measure(&bench, &mut report).await?;
    }
    if wanted(lanes::NAME) {
        lanes::measure(&bench, &mut report).await?;
    }
    if wanted(memory::IDLE) {
        memory::idle(&bench, &mut report).await?;
    }
    if wanted(memory::BROKERS) {
        memory::brokers(&bench, &mut report).await?;
    }
    if wanted(memory::FULL) {
        memory::full(&bench, &mut report).await?;
    }
    if wanted(start::NAME) {
        start::measure(&bench, &mut report).await?;
    }
    if wanted(token::CHECKED) || wanted(token::SEEN) {
        token::measure(&bench, &mut report).await?;
    }
    let only = options.only.as_deref();
    in_this_program(&bench, &mut report, only)?;
    if only.is_none_or(|only| only.starts_with(hop::NAME)) {
        hop::measure(&bench, &mut report, only).await?;
    }
    if wanted(hits::NAME) {
        hits::measure(&bench, &mut report).await?;
    }
    kafka::measure(&bench, &mut report, wanted).await?;
    pubsub::measure(&bench, &mut report, wanted).await?;
    if wanted(eventgrid::NAME) {
        eventgrid::measure(&bench, &mut report).await?;
    }
    let path = report.write(out)?;
    println!("{report}");
    println!("{} written after {} s", path.display(), started.elapsed().as_secs());
    Ok(ExitCode::SUCCESS)
}

/// The figures of pure functions, which need no process of their own.
fn in_this_program(bench: &Bench, report: &mut Report, only: Option<&str>) -> Result<()> {
    let begins = |name: &str| only.is_none_or(|only| only.starts_with(name));
    if begins(filters::NAME) {
        filters::measure(bench, report)?;
    }
    if begins(store::NAME) {
        store::measure(bench, report);
    }
    if begins(decode::NAME) {
        decode::measure(bench, report)?;
    }
    Ok(())
}
