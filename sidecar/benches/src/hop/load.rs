//! Clients of the hop: each has a connection, asks, reads the answer to its end, and asks again.

use anyhow::Result;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode, Uri};
use rustls::pki_types::ServerName;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep},
};

use tokio_rustls::TlsConnector;

use super::bare::count;
use crate::{
    load::{body, headers},
    post::{Sender, connect, connect_over},
};

/// Where a way to the function begins.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    /// How TLS is spoken there; none speaks without.
    pub(crate) tls: Option<TlsConnector>,
}

impl From<SocketAddr> for Door {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

impl Door {
    async fn connect(&self) -> Result<Sender> {
        let Some(tls) = &self.tls else { return connect(self.address).await };
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        connect_over(tls.connect(ServerName::try_from("localhost")?, stream).await?).await
    }
}

/// What one run gave.
pub(crate) struct Run {
    /// Answers per second.
    pub(crate) per_second: f64,
    /// Answers in all, the warm-up's among them.
    pub(crate) answers: u64,
    /// From a request to the last byte of its answer, in ns, without the warm-up.
    pub(crate) latency_ns: Histogram<u64>,
}

struct Shared {
    measuring: AtomicBool,
    ends: AtomicBool,
    answers: AtomicU64,
}

/// POSTs of 1 KiB with an event's headers, answered with 1 KiB, on so many connections.
pub(crate) async fn run(
    door: &Door,
    connections: usize,
    warm_up: Duration,
    measured: Duration,
) -> Result<Run> {
    let shared = Arc::new(Shared { measuring: false.into(), ends: false.into(), answers: 0.into() });
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        clients.spawn(ask(door.connect().await?, shared.clone()));
    }
    sleep(warm_up).await;
    shared.measuring.store(true, Relaxed);
    let (before, started) = (shared.answers.load(Relaxed), Instant::now());
    sleep(measured).await;
    let (after, took) = (shared.answers.load(Relaxed), started.elapsed());
    shared.ends.store(true, Relaxed);
    let mut latency_ns = histogram()?;
    while let Some(ended) = clients.join_next().await {
        latency_ns.add(ended??)?;
    }
    let per_second = (after - before) as f64 / took.as_secs_f64();
    Ok(Run { per_second, answers: shared.answers.load(Relaxed), latency_ns })
}

async fn ask(mut sender: Sender, shared: Arc<Shared>) -> Result<Histogram<u64>> {
    let mut latency = histogram()?;
    while !shared.ends.load(Relaxed) {
        let started = Instant::now();
        post(&mut sender, "/1024", body()).await?;
        if shared.measuring.load(Relaxed) {
            latency.saturating_record(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        shared.answers.fetch_add(1, Relaxed);
    }
    Ok(latency)
}

/// One POST; gives back how many bytes came.
pub(crate) async fn post(sender: &mut Sender, path: &'static str, body: Bytes) -> Result<u64> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(path);
    *request.headers_mut() = headers("1", None);
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    anyhow::ensure!(answer.status() == StatusCode::OK, "the hop answered {}", answer.status());
    count(answer.into_body()).await
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}
