//! OpenTelemetry's own collector, which takes OTLP by gRPC and HTTP and writes what it got into a file, where tests read it.
//!
//! `scripts/otelcol.sh` builds it once from `otelcol/`. Each is a process of its own, listens on 127.0.0.1 only, and dies
//! with the test.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{place, process::WAIT_MAX};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running collector. Dropping it ends it.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    folder: TempDir,
    grpc: u16,
    http: u16,
}

/// A span as the collector got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its trace, 32 digits.
    pub trace: String,
    /// Its own id, 16 digits.
    pub id: String,
    /// Its parent's; empty where there is none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// OTLP's number of its kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: u64,
    /// Its attributes, each as text.
    pub attributes: Vec<(String, String)>,
    /// The spans of other traces that it names: trace and id.
    pub links: Vec<(String, String)>,
    /// Whether it says that it failed.
    pub failed: bool,
    /// When it began and ended, in ns of Unix time.
    pub times: (u64, u64),
}

impl Span {
    /// An attribute as text; empty where there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.attributes.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }
}

impl Collector {
    /// A collector for the test `test`, or `None` after that was reported as skipped.
    ///
    /// # Panics
    /// It did not start.
    pub async fn start(test: &str) -> Option<Self> {
        let program = match program() {
            Ok(program) => program,
            Err(why) => {
                place::skip(test, why);
                return None;
            }
        };
        let folder = tempfile::tempdir().expect("a folder for the collector");
        let (grpc, http) = (place::free_port(), place::free_port());
        let out = folder.path().join("out.json");
        let config = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}, http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}\n\
             exporters: {{file: {{path: '{}', flush_interval: 20ms}}}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}, logs: {{level: warn}}}}\n  pipelines:\n    \
             traces: {{receivers: [otlp], exporters: [file]}}\n    metrics: {{receivers: [otlp], exporters: [file]}}\n",
            out.display()
        );
        let file = folder.path().join("config.yaml");
        fs::write(&file, config).expect("the folder is ours");
        let child = Command::new(program)
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).expect("the folder is ours"))
            .spawn()
            .expect("the collector can be started");
        let mut collector = Self { child, folder, grpc, http };
        collector.ready().await;
        Some(collector)
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + WAIT_MAX;
        for port in [self.grpc, self.http] {
            while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.is_err() {
                let ended = self.child.try_wait().expect("it can be asked");
                assert!(
                    ended.is_none() && Instant::now() < deadline,
                    "the collector: {ended:?}: {}",
                    self.log()
                );
                sleep(POLL_INTERVAL).await;
            }
        }
    }

    /// What it says.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Where it takes OTLP by gRPC.
    #[must_use]
    pub fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// Where it takes OTLP by HTTP.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Every span that it has got so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let below = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let groups = self.lines().into_iter().flat_map(|line| below(&line, "resourceSpans"));
        let scopes = groups.flat_map(|group| below(&group, "scopeSpans"));
        scopes.flat_map(|scope| below(&scope, "spans")).map(|span| read(&span)).collect()
    }

    /// The names of every metric that it has got so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<String> {
        let below = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let groups = self.lines().into_iter().flat_map(|line| below(&line, "resourceMetrics"));
        let scopes = groups.flat_map(|group| below(&group, "scopeMetrics"));
        scopes.flat_map(|scope| below(&scope, "metrics")).map(|metric| text(&metric["name"])).collect()
    }

    /// Waits until its spans are as `wanted`, and gives them back.
    ///
    /// # Panics
    /// They were not in time.
    pub async fn until(&self, what: &str, wanted: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let spans = self.spans();
            if wanted(&spans) {
                return spans;
            }
            assert!(Instant::now() < deadline, "{what}: {spans:#?}; {}", self.log());
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Whole lines: the last may be half written.
    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("out.json")).unwrap_or_default();
        text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn read(span: &Value) -> Span {
    let all = |key: &str| span[key].as_array().cloned().unwrap_or_default();
    let value =
        |value: &Value| value.as_object().and_then(|it| it.values().next().map(text)).unwrap_or_default();
    let ns = |key: &str| span[key].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    let id = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    Span {
        trace: id(span, "traceId"),
        id: id(span, "spanId"),
        parent: id(span, "parentSpanId"),
        name: id(span, "name"),
        kind: span["kind"].as_u64().unwrap_or_default(),
        attributes: all("attributes").iter().map(|it| (text(&it["key"]), value(&it["value"]))).collect(),
        links: all("links").iter().map(|link| (id(link, "traceId"), id(link, "spanId"))).collect(),
        failed: span["status"]["code"] == 2,
        times: (ns("startTimeUnixNano"), ns("endTimeUnixNano")),
    }
}

/// The program, which the script finds, or what is absent.
fn program() -> Result<&'static PathBuf, &'static str> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        if let Some(named) = std::env::var_os("OUTRIGGER_OTELCOL").filter(|name| !name.is_empty()) {
            return Ok(named.into());
        }
        let script = place::workspace().join("scripts/otelcol.sh");
        let run = Command::new(script).arg("--find").output().map_err(|error| error.to_string())?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        if run.status.success() { Ok(text(run.stdout).into()) } else { Err(text(run.stderr)) }
    });
    found.as_ref().map_err(String::as_str)
}
