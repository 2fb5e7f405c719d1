//! A bare client: keep-alive connections of hyper, no pool, no timeouts, nothing is parsed. What the baseline delivers
//! with, and a load of its own that is compared with a well-known tool.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, StatusCode,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};

use crate::{
    Bench,
    function::Function,
    load,
    report::{Floor, Report},
};

pub(crate) const NAME: &str = "bare POST loop against wrk";
const CONNECTIONS: usize = 64;
const SECONDS: u64 = 3;

/// A connection that can be asked.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// A new connection.
pub(crate) async fn connect(address: SocketAddr) -> Result<Sender> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    connect_over(stream).await
}

/// A new connection over `stream`.
pub(crate) async fn connect_over<S>(stream: S) -> Result<Sender>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One POST, its answer read to the end.
pub(crate) async fn post(sender: &mut Sender, headers: HeaderMap, body: Bytes) -> Result<StatusCode> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = hyper::Uri::from_static("/");
    *request.headers_mut() = headers;
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    answer.into_body().collect().await?;
    Ok(status)
}

/// Delivers what it is given over a fixed number of connections; the rest waits, without a bound.
#[derive(Clone)]
pub(crate) struct Posts(Arc<Mutex<State>>);

struct State {
    idle: Vec<Sender>,
    waiting: VecDeque<(HeaderMap, Bytes)>,
}

impl Posts {
    /// Opens the connections.
    pub(crate) async fn open(address: SocketAddr, in_flight: usize) -> Result<Self> {
        let mut idle = Vec::with_capacity(in_flight);
        for _ in 0..in_flight {
            idle.push(connect(address).await?);
        }
        Ok(Self(Arc::new(Mutex::new(State { idle, waiting: VecDeque::new() }))))
    }

    /// Posts it, now or as soon as a connection is idle.
    pub(crate) fn push(&self, headers: HeaderMap, body: Bytes) {
        let mut state = self.state();
        match state.idle.pop() {
            Some(sender) => drop(tokio::spawn(self.clone().deliver(sender, headers, body))),
            None => state.waiting.push_back((headers, body)),
        }
    }

    async fn deliver(self, mut sender: Sender, mut headers: HeaderMap, mut body: Bytes) {
        loop {
            if post(&mut sender, headers, body).await.is_err() {
                return; // the count at the function will tell
            }
            let mut state = self.state();
            match state.waiting.pop_front() {
                Some(next) => (headers, body) = next,
                None => return state.idle.push(sender),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop as a process of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to
    address: SocketAddr,
    /// On so many connections
    connections: usize,
    /// For so long
    seconds: u64,
}

/// POSTs events for a while and prints how many were answered.
pub(crate) async fn run(options: Options) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..options.connections {
        loops.spawn(async move {
            let mut sender = connect(options.address).await?;
            let (headers, body) = (load::headers("0", None), load::body());
            let mut answered = 0_u64;
            while Instant::now() < end {
                post(&mut sender, headers.clone(), body.clone()).await?;
                answered += 1;
            }
            anyhow::Ok(answered)
        });
    }
    let mut answered = 0;
    while let Some(done) = loops.join_next().await {
        answered += done??;
    }
    println!("{answered}");
    Ok(())
}

/// The loop and wrk, in turn, against one function. Without wrk it says so and measures nothing.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    if Command::new("wrk").arg("--version").output().is_err() {
        report.note(format!("floor, {NAME}: SKIPPED, wrk is absent (apt-get install wrk)"));
        return Ok(());
    }
    let function = Function::start(None, None).await?;
    let folder = bench.folder()?;
    std::fs::write(folder.path().join("post.lua"), wrk_script())?;
    let (mut ours, mut wrk) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let mut command = Command::new(std::env::current_exe()?);
        let numbers = [CONNECTIONS.to_string(), SECONDS.to_string()];
        command.arg("post-loop").arg(function.address.to_string()).args(numbers);
        ours.push(rate(command, &function).await?);

        let mut command = Command::new("wrk");
        command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}"), "-s", "post.lua"]);
        command.arg(format!("http://{}/", function.address)).current_dir(folder.path());
        wrk.push(rate(command, &function).await?);
    }
    report.floor(Floor { name: NAME, unit: "requests/s", baseline: ours, against: wrk, at_least: 0.8 });
    Ok(())
}

/// Requests per second, as the function counts them, while `command` runs.
async fn rate(mut command: Command, function: &Function) -> Result<f64> {
    let (before, started) = (function.answered(), Instant::now());
    let ended = tokio::task::spawn_blocking(move || command.output()).await??;
    anyhow::ensure!(ended.status.success(), "a load tool failed: {}", String::from_utf8_lossy(&ended.stderr));
    Ok((function.answered() - before) as f64 / started.elapsed().as_secs_f64())
}

/// The same request for wrk.
fn wrk_script() -> String {
    let headers = load::headers("0", None);
    let lines = headers.iter().filter(|(name, _)| *name != "host").map(|(name, value)| {
        format!("wrk.headers[\"{name}\"] = \"{}\"\n", value.to_str().unwrap_or_default())
    });
    let body = "'\"' .. string.rep('x', 1022) .. '\"'";
    format!("wrk.method = \"POST\"\nwrk.body = {body}\n{}", lines.collect::<String>())
}
