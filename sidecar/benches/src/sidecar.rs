//! The release binary, as a user starts it: a configuration in a folder, `outrigger run`.

use anyhow::{Context as _, Result};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};
use tokio::time::{Instant, sleep};

use crate::{Bench, process::Process};

const WAIT_MAX: Duration = Duration::from_secs(30);

/// What differs between figures; everything else is the default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) function: SocketAddr,
    pub(crate) concurrency: usize,
    pub(crate) window_events: usize,
    pub(crate) window_bytes: usize,
    /// Whether Event Grid's webhook is there, at /eventgrid.
    pub(crate) webhook: bool,
    /// The most calls of the function in a second.
    pub(crate) rate: Option<u32>,
}

impl Settings {
    /// The defaults, for the function at this address.
    pub(crate) fn new(function: SocketAddr) -> Self {
        Self {
            function,
            concurrency: 64,
            window_events: 1_024,
            window_bytes: 32 << 20,
            webhook: false,
            rate: None,
        }
    }
}

/// A topic to read from.
#[derive(Debug, Clone)]
pub(crate) struct KafkaSettings {
    pub(crate) brokers: String,
    pub(crate) topic: String,
    pub(crate) group: String,
    /// Further settings of `ingress.kafka`, such as `instance: a`.
    pub(crate) more: Option<&'static str>,
}

/// The running binary.
pub(crate) struct Sidecar {
    pub(crate) process: Process,
    pub(crate) ingress: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Sidecar {
    /// Starts it on the journal in `folder`, which may be there already, and waits until it is ready.
    pub(crate) async fn start(bench: &Bench, folder: &Path, settings: Settings) -> Result<Self> {
        let mut sidecar = Self::launch(bench, folder, settings)?;
        sidecar.ready().await?;
        Ok(sidecar)
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + WAIT_MAX;
        while !is_ready(self.admin) {
            anyhow::ensure!(self.process.is_alive(), "outrigger ended before it was ready");
            anyhow::ensure!(Instant::now() < deadline, "outrigger is not ready after {WAIT_MAX:?}");
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Starts it and waits for nothing.
    pub(crate) fn launch(bench: &Bench, folder: &Path, settings: Settings) -> Result<Self> {
        Self::launch_with_kafka(bench, folder, settings, None)
    }

    /// Starts it, reading from Kafka too where it is told to, and waits for nothing.
    pub(crate) fn launch_with_kafka(
        bench: &Bench,
        folder: &Path,
        settings: Settings,
        kafka: Option<&KafkaSettings>,
    ) -> Result<Self> {
        let source = kafka.map_or_else(String::new, |KafkaSettings { brokers, topic, group, more }| {
            let more = more.map_or_else(String::new, |more| format!(", {more}"));
            format!("  kafka: {{topics: {topic}, group: {group}{more}}}\nkafka: {{brokers: \"{brokers}\"}}\n")
        });
        Self::launch_reading(bench, folder, settings, &source)
    }

    /// Starts it with further lines of its configuration, which begin below `ingress`, and waits for nothing.
    pub(crate) fn launch_reading(
        bench: &Bench,
        folder: &Path,
        settings: Settings,
        source: &str,
    ) -> Result<Self> {
        let (ingress, admin) = (free_address()?, free_address()?);
        let Settings { function, concurrency, window_events, window_bytes, webhook, rate } = settings;
        let rate = rate.map_or_else(String::new, |rate| format!("  rate: {rate}/s\n"));
        let webhook = if webhook { "  eventgrid_webhook: {path: /eventgrid, auth: none}\n" } else { "" };
        let config = format!(
            "function:\n  url: http://{function}/\n  concurrency: {concurrency}\n  timeout: 1h\n{rate}\
             window:\n  events: {window_events}\n  bytes: {window_bytes}B\n\
             ingress:\n  http:\n    listen: {ingress}\n{webhook}{source}\
             journal:\n  path: journal.db\n  storage: durable\n\
             admin:\n  listen: {admin}\n  socket: admin.sock\n\
             log:\n  level: error\n"
        );
        std::fs::write(folder.join("outrigger.yaml"), config)?;
        let mut command = Command::new(&bench.outrigger);
        command.args(["run", "-c", "outrigger.yaml"]).current_dir(folder);
        Ok(Self { process: Process::start(&mut command)?, ingress, admin })
    }

    /// A number of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> Result<u64> {
        let text = get(self.admin, "/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("/metrics has no {name}"))?.parse()?)
    }

    /// Waits until nothing that was accepted is unsettled.
    pub(crate) async fn settled(&self) -> Result<()> {
        let deadline = Instant::now() + WAIT_MAX;
        while self.metric("outrigger_journal_pending_events")? > 0 {
            anyhow::ensure!(Instant::now() < deadline, "events are not settled after {WAIT_MAX:?}");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// Whether `/readyz` answers 200 now.
pub(crate) fn is_ready(admin: SocketAddr) -> bool {
    get(admin, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// A whole answer over a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
