//! What the tests of the whole binary share: a folder with a configuration, the process that runs in it, and the
//! ways to ask it. The function at the far end, the client, the judge and the faults are the testkit's.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(missing_docs, unreachable_pub, reason = "nothing here is an interface")]

pub mod authority;
pub mod child;
pub mod real;

use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue};
use outrigger_function::Function;
use outrigger_testkit::{
    Launch, Process, Producer, free_port,
    process::{WAIT_MAX, get},
};
use serde_json::Value;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::Command,
    time::{Instant, sleep},
};

/// The shipped binary.
pub const EXE: &str = env!("CARGO_BIN_EXE_outrigger");

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A folder with a configuration and two addresses. It outlives every process that is started in it.
pub struct Site {
    dir: TempDir,
    /// Where events are taken.
    pub ingress: SocketAddr,
    /// Where `/readyz` is answered.
    pub admin: SocketAddr,
    settings: Vec<(String, String)>,
    command: Vec<String>,
}

/// What a verb did.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Site {
    /// A durable journal in a new folder, and `function` as the function.
    pub fn of(function: &Function) -> Self {
        Self::at(&function.url())
    }

    /// The same for the function at `url`, whether something listens there or not.
    pub fn at(url: &str) -> Self {
        Self::supervised(&[]).set("function.url", url)
    }

    /// The same with a COMMAND that outrigger starts itself.
    pub fn supervised(command: &[&str]) -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let site = Self {
            dir: tempfile::tempdir().expect("a folder for the test"),
            ingress: local(free_port()),
            admin: local(free_port()),
            settings: Vec::new(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
        };
        let (ingress, admin) = (site.ingress.to_string(), site.admin.to_string());
        // The folder may lie on a container's own layer, which a journal is right not to trust.
        let site = site.set("journal.storage", "durable").set("log.level", "debug");
        site.set("ingress.http.listen", &ingress).set("admin.listen", &admin)
    }

    /// Gives a setting, such as `delivery.attempts_max`, a value in YAML. A later one goes before an earlier one.
    #[must_use]
    pub fn set(mut self, path: &str, value: &str) -> Self {
        self.settings.retain(|(other, _)| other != path);
        self.settings.push((path.to_owned(), value.to_owned()));
        self
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration as it stands in the folder's `outrigger.yaml`: one line a setting.
    pub fn yaml(&self) -> String {
        let mut yaml = String::new();
        for (path, value) in &self.settings {
            let nested = path.rsplit('.').fold(value.clone(), |inner, name| format!("{{{name}: {inner}}}"));
            let _ = writeln!(yaml, "{}", &nested[1..nested.len() - 1]);
        }
        yaml
    }

    /// `outrigger run` in this folder, to be started, with a shim for example.
    pub fn launch(&self) -> Launch {
        let launch = Launch::new(EXE, self.dir.path()).file("outrigger.yaml", &self.yaml()).arg("run");
        if self.command.is_empty() { launch } else { launch.arg("--").args(&self.command) }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Process {
        let mut process = self.launch().start().expect("the binary can be started");
        process.ready(self.admin).await;
        process
    }

    /// Starts it without waiting for the function: the ingress takes events when this returns.
    pub async fn start_unready(&self) -> Process {
        let mut process = self.launch().start().expect("the binary can be started");
        process.answers(self.admin, "/livez", 200).await;
        self.until_readyz("[+] ingress").await;
        process
    }

    /// The URL of the ingress.
    pub fn url(&self) -> String {
        format!("http://{}/", self.ingress)
    }

    /// A client of the ingress.
    pub fn producer(&self) -> Producer {
        Producer::new(&self.url())
    }

    /// Another verb, run to its end in this folder.
    pub async fn verb(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(EXE);
        command.args(arguments).current_dir(self.dir.path()).kill_on_drop(true);
        let ended = tokio::time::timeout(WAIT_MAX, command.output()).await;
        let output = ended.expect("the verb ends").expect("the binary can be started");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what a verb prints is text");
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// `outrigger run` where it must not start: run to its end.
    pub async fn refused(&self) -> Said {
        let _ = self.launch(); // writes the configuration
        let mut arguments = vec!["run"];
        if !self.command.is_empty() {
            arguments.push("--");
            arguments.extend(self.command.iter().map(String::as_str));
        }
        self.verb(&arguments).await
    }

    /// `/readyz`: status and text.
    pub async fn readyz(&self) -> (u16, String) {
        get(self.admin, "/readyz").await.expect("admin answers")
    }

    /// Waits until `/readyz` has a line that holds `part`, and returns its status and text.
    pub async fn until_readyz(&self, part: &str) -> (u16, String) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let answer = get(self.admin, "/readyz").await;
            match answer {
                Ok(answer) if answer.1.contains(part) => return answer,
                answer => assert!(Instant::now() < deadline, "no {part:?} in /readyz: {answer:?}"),
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The value of an unlabelled metric.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = get(self.admin, "/metrics").await.expect("admin answers");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        line.unwrap_or_else(|| panic!("there is no metric {name} in:\n{text}"))
    }

    /// Waits until an unlabelled metric is as wanted.
    pub async fn until_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        let deadline = Instant::now() + WAIT_MAX;
        while !wanted(self.metric(name).await) {
            assert!(Instant::now() < deadline, "{name} is {}", self.metric(name).await);
            sleep(POLL_INTERVAL).await;
        }
    }

    /// `GET /status` of the owner's socket.
    pub async fn status(&self) -> Value {
        self.ask_socket("/status").await.expect("the owner's socket answers")
    }

    /// Waits until the status is as wanted, and returns it.
    pub async fn until(&self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let status = self.ask_socket("/status").await;
            match status {
                Ok(status) if wanted(&status) => return status,
                status => assert!(Instant::now() < deadline, "{what} did not come: {status:?}"),
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until so many dead letters were made.
    pub async fn until_dead(&self, count: u64) {
        self.until(&format!("{count} dead letters"), |status| status["dead_lettered"] == count).await;
    }

    /// `outrigger dead list --json` and its letters.
    pub async fn letters(&self) -> Vec<Value> {
        let said = self.verb(&["dead", "list", "--json"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        said.json()["letters"].as_array().expect("a list").clone()
    }

    async fn ask_socket(&self, path: &str) -> io::Result<Value> {
        let mut stream = UnixStream::connect(self.path(".outrigger/admin.sock")).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: outrigger\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).map_err(io::Error::other)
    }
}

/// Headers for [`Producer::post`].
pub fn headers<const N: usize>(headers: [(&'static str, &str); N]) -> HeaderMap {
    let header = |(name, value): (&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header's value"))
    };
    headers.into_iter().map(header).collect()
}

/// `data` as a gzip stream.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

impl Said {
    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Fails the test unless it ended with `code` and one line on the standard error, which is returned.
    pub fn one_line(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "one line, but: {}", self.stderr);
        self.stderr.trim_end()
    }
}
