//! The hop: what it costs to pass through, against a bare hyper proxy.

pub(crate) mod bare;
pub(crate) mod function;
mod load;
mod secured;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hdrhistogram::Histogram;
use std::{net::SocketAddr, path::Path, process::Command, time::Duration};
use tokio::time::{Instant, sleep};

use crate::{
    Bench,
    one_core::OneCore,
    post::{self, connect},
    process::Process,
    report::{Bound, Figure, Floor, Report},
    sidecar::{free_address, get},
};

/// All figures of the hop have it in their name.
pub(crate) const NAME: &str = "hop";
const WARM_UP: Duration = Duration::from_millis(100);
const SLICE: Duration = Duration::from_millis(400);
const SLICES: u32 = 5;
const WAIT_MAX: Duration = Duration::from_secs(30);
const CONNECTIONS: usize = 32;
const LATE_MS: u64 = 400;
const IDLE_CONNECTIONS: usize = 1_000;
const IDLE_BYTES_MORE: f64 = 4_096.0;
const MB: f64 = 1e6;
/// What may be on its way of a stream, whatever its length.
const FLAT_MB: f64 = 4.0;

/// What all ways lead to.
struct Function {
    process: Process,
    address: SocketAddr,
}

/// Outrigger as a hop.
pub(crate) struct Hop {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Hop {
    async fn start(bench: &Bench, folder: &Path, function: SocketAddr) -> Result<Self> {
        Self::secured(bench, folder, function, "").await
    }

    /// The same with more settings of the proxy, a line each; sections of their own may follow.
    pub(crate) async fn secured(
        bench: &Bench,
        folder: &Path,
        function: SocketAddr,
        settings: &str,
    ) -> Result<Self> {
        let (hop, admin) = Self::launch(bench, folder, settings, &[&format!("--url=http://{function}/")])?;
        let deadline = Instant::now() + WAIT_MAX;
        while !get(admin, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            anyhow::ensure!(Instant::now() < deadline, "outrigger is not ready after {WAIT_MAX:?}");
            sleep(Duration::from_millis(2)).await;
        }
        Ok(hop)
    }

    fn launch(bench: &Bench, folder: &Path, settings: &str, function: &[&str]) -> Result<(Self, SocketAddr)> {
        let (address, admin) = (free_address()?, free_address()?);
        let config = format!(
            "ingress:\n  http:\n    listen: off\nproxy:\n  listen: {address}\n  connections_max: 2000\n{settings}\
             journal:\n  path: journal.db\n  storage: durable\n\
             admin:\n  listen: {admin}\n  socket: admin.sock\nlog:\n  level: error\n"
        );
        std::fs::write(folder.join("outrigger.yaml"), config)?;
        let mut command = Command::new(&bench.outrigger);
        command.args(["run", "-c", "outrigger.yaml"]).args(function).current_dir(folder);
        Ok((Self { process: Process::start(&mut command)?, address }, admin))
    }
}

/// Every figure of the hop; only those with TLS where `only` names one of them.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, only: Option<&str>) -> Result<()> {
    let folder = bench.folder()?;
    let (process, address) = function::start()?;
    let function = &Function { process, address };
    secured::small(bench, folder.path(), function, report).await?;
    if only.is_some_and(|only| only.starts_with(secured::NAME)) {
        return Ok(());
    }
    small(bench, folder.path(), function, report).await?;
    large(bench, folder.path(), function, report).await?;
    late(bench, folder.path(), report).await?;
    idle(bench, folder.path(), address, report).await
}

/// Numbers of one way to the function, by round.
#[derive(Default)]
struct Small {
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
}

/// One way to the function, and the process that stands in it, or that it leads to.
type Way<'a> = (load::Door, &'a Process);

/// One round of all ways, all on one core: they take turns in short slices, so that what disturbs the machine disturbs
/// all of them.
async fn round(ways: &[Way<'_>], numbers: &mut [Small]) -> Result<()> {
    let mut latencies: Vec<Histogram<u64>> = Vec::new();
    let _one_core = OneCore::hold(ways.iter().map(|(_, process)| *process))?;
    for slice in 0..SLICES {
        for (way, (door, _)) in ways.iter().enumerate() {
            let one = load::run(door, 1, WARM_UP, SLICE).await?.latency_ns;
            if slice == 0 { latencies.push(one) } else { latencies[way].add(one)? }
        }
    }
    let mut many = vec![(0.0, 0.0, 0_u64); ways.len()];
    for _ in 0..SLICES {
        for ((door, process), (per_second, cpu, answers)) in ways.iter().zip(&mut many) {
            let before = process.cpu_seconds()?;
            let run = load::run(door, CONNECTIONS, WARM_UP, SLICE).await?;
            *per_second += run.per_second / f64::from(SLICES);
            *cpu += process.cpu_seconds()? - before;
            *answers += run.answers;
        }
    }
    for ((numbers, latency), (per_second, cpu, answers)) in numbers.iter_mut().zip(&latencies).zip(many) {
        numbers.p50_us.push(latency.value_at_quantile(0.5) as f64 / 1e3);
        numbers.p99_us.push(latency.value_at_quantile(0.99) as f64 / 1e3);
        numbers.per_second.push(per_second);
        numbers.cpu_us.push(cpu * 1e6 / answers as f64);
    }
    Ok(())
}

async fn small(bench: &Bench, folder: &Path, function: &Function, report: &mut Report) -> Result<()> {
    let mut numbers = [Small::default(), Small::default(), Small::default()];
    for _ in 0..bench.rounds {
        let (bare, bare_at) = bare::start(function.address)?;
        let hop = Hop::start(bench, folder, function.address).await?;
        let ways = [
            (function.address.into(), &function.process),
            (bare_at.into(), &bare),
            (hop.address.into(), &hop.process),
        ];
        round(&ways, &mut numbers).await?;
    }
    let [direct, theirs, ours] = numbers;
    let added = |p50: &[f64]| p50.iter().zip(&direct.p50_us).map(|(hop, direct)| hop - direct).collect();
    let (ours_added, theirs_added) = (added(&ours.p50_us), added(&theirs.p50_us));
    report.floor(Floor {
        name: "bare proxy against no hop",
        unit: "requests/s",
        baseline: theirs.per_second.clone(),
        against: direct.per_second,
        at_least: 0.35,
    });
    let figure = |name, unit, ours, baseline, bound| Figure { name, unit, ours, baseline, bound };
    report.figure(figure("hop, added p50", "us", ours_added, theirs_added, Bound::AtMost(1.2)));
    report.figure(figure("hop, p99", "us", ours.p99_us, theirs.p99_us, Bound::AtMost(1.5)));
    let name = "hop, CPU per request, 32 connections";
    report.figure(figure(name, "us", ours.cpu_us, theirs.cpu_us, Bound::AtMost(1.15)));
    let (ours, theirs) = (ours.per_second, theirs.per_second);
    report.figure(figure("hop, 32 connections", "requests/s", ours, theirs, Bound::AtLeast(0.9)));
    Ok(())
}

/// Bodies both ways; the memory after the longest against that after the shorter.
async fn large(bench: &Bench, folder: &Path, function: &Function, report: &mut Report) -> Result<()> {
    let upload = Bytes::from(vec![b'x'; 10_000_000]);
    let (mut down, mut long, mut up, mut grown) =
        (Rates::default(), Rates::default(), Rates::default(), Vec::new());
    for _ in 0..bench.rounds {
        let (bare, bare_at) = bare::start(function.address)?;
        let hop = Hop::start(bench, folder, function.address).await?;
        let _one_core = OneCore::hold([&function.process, &bare, &hop.process])?;
        let ways = [bare_at, hop.address];
        let used = || hop.process.memory_bytes("VmHWM");
        down.round(ways, SLICES, 200.0, |way| stream(way, "/10000000", 10_000_000, 20)).await?;
        let before = used()?;
        long.round(ways, 1, 1_000.0, |way| stream(way, "/1000000000", 1_000_000_000, 1)).await?;
        grown.push((used()? - before) / MB);
        up.round(ways, SLICES, 100.0, |way| upload_to(way, upload.clone(), 10)).await?;
    }
    for (name, unit, Rates([baseline, ours])) in [
        ("hop, 10 MB bodies", "MB/s, down", down),
        ("hop, 1 GB bodies", "MB/s, down", long),
        ("hop, 10 MB uploads", "MB/s", up),
    ] {
        report.figure(Figure { name, unit, ours, baseline, bound: Bound::AtLeast(0.9) });
    }
    report.figure(Figure {
        name: "hop, growth of memory from 10 MB to 1 GB",
        unit: "MB (baseline: the limit)",
        baseline: vec![FLAT_MB; grown.len()],
        ours: grown,
        bound: Bound::AtMost(1.0),
    });
    Ok(())
}

/// MB per second by round: the baseline's, and ours.
#[derive(Default)]
struct Rates([Vec<f64>; 2]);

impl Rates {
    /// One round, in which each way has so many turns of `mb` each.
    async fn round<F: Future<Output = Result<Duration>>>(
        &mut self,
        ways: [SocketAddr; 2],
        turns: u32,
        mb: f64,
        once: impl Fn(SocketAddr) -> F,
    ) -> Result<()> {
        let mut took = [Duration::ZERO; 2];
        for _ in 0..turns {
            for (way, took) in ways.into_iter().zip(&mut took) {
                *took += once(way).await?;
            }
        }
        for (rates, took) in self.0.iter_mut().zip(took) {
            rates.push(mb * f64::from(turns) / took.as_secs_f64());
        }
        Ok(())
    }
}

async fn stream(address: SocketAddr, path: &'static str, bytes: u64, times: u32) -> Result<Duration> {
    let mut sender = connect(address).await?;
    let started = Instant::now();
    for _ in 0..times {
        let came = load::post(&mut sender, path, Bytes::from_static(b"{}")).await?;
        anyhow::ensure!(came == bytes, "{came} of {bytes} bytes came");
    }
    Ok(started.elapsed())
}

async fn upload_to(address: SocketAddr, body: Bytes, times: u32) -> Result<Duration> {
    let mut sender = connect(address).await?;
    let started = Instant::now();
    for _ in 0..times {
        load::post(&mut sender, "/0", body.clone()).await?;
    }
    Ok(started.elapsed())
}

/// Asked from the first moment on that it listens itself.
async fn late(bench: &Bench, folder: &Path, report: &mut Report) -> Result<()> {
    let here = std::env::current_exe()?;
    let here = here.to_str().context("the path of this program is UTF-8")?;
    let script = format!("exec \"$0\" hop-function --late-ms {LATE_MS} --port \"$PORT\"");
    let mut errors = Vec::new();
    for _ in 0..bench.rounds {
        let command = ["--", "sh", "-c", &script, here];
        let (hop, _) = Hop::launch(bench, folder, "", &command)?;
        let deadline = Instant::now() + WAIT_MAX;
        let mut failed = 0;
        let (mut asked, mut answered) = (Instant::now(), false);
        while !answered {
            anyhow::ensure!(Instant::now() < deadline, "nothing was answered within {WAIT_MAX:?}");
            let Ok(mut sender) = connect(hop.address).await else { continue };
            asked = Instant::now();
            answered = load::post(&mut sender, "/1024", Bytes::from_static(b"{}")).await.is_ok();
            failed += i32::from(!answered);
        }
        report.note(format!(
            "hop, late function: the first answer came {} ms after it was asked for",
            asked.elapsed().as_millis()
        ));
        errors.push(f64::from(failed));
    }
    let limit = vec![1.0; errors.len()];
    let (name, unit) = ("hop, a function that listens 400 ms late", "errors");
    report.figure(Figure { name, unit, ours: errors, baseline: limit, bound: Bound::AtMost(0.0) });
    Ok(())
}

/// Connections that have asked once and rest.
async fn idle(bench: &Bench, folder: &Path, function: SocketAddr, report: &mut Report) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let (bare, bare_at) = bare::start(function)?;
        theirs.push(growth(&bare, bare_at).await? + IDLE_BYTES_MORE);
        let hop = Hop::start(bench, folder, function).await?;
        ours.push(growth(&hop.process, hop.address).await?);
    }
    let (name, unit) = ("hop, memory of an idle connection", "bytes (baseline: a bare proxy's and 4 KiB)");
    report.figure(Figure { name, unit, ours, baseline: theirs, bound: Bound::AtMost(1.0) });
    Ok(())
}

async fn growth(process: &Process, address: SocketAddr) -> Result<f64> {
    let mut held: Vec<post::Sender> = Vec::with_capacity(IDLE_CONNECTIONS);
    load::run(&address.into(), CONNECTIONS, WARM_UP, WARM_UP).await?; // what is needed once is there
    let before = process.memory_bytes("VmRSS")?;
    for _ in 0..IDLE_CONNECTIONS {
        let mut sender = connect(address).await?;
        load::post(&mut sender, "/1024", Bytes::from_static(b"{}")).await?;
        held.push(sender);
    }
    sleep(WARM_UP).await;
    let after = process.memory_bytes("VmRSS")?;
    drop(held);
    Ok((after - before) / IDLE_CONNECTIONS as f64)
}
