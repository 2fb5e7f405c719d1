//! The function: answers 200 after a while, or never, and counts.
//!
//! It lives in this process, because its count is what paces the producers; `conformance/function` judges deliveries
//! and costs more.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    HeaderMap, Method, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::{Instant, sleep},
};

/// How long anything is waited for before a figure fails.
const WAIT_MAX: Duration = Duration::from_mins(2);

/// A function that answers; it stops listening when it is dropped.
pub(crate) struct Function {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

struct Counts {
    answered: AtomicU64,
    moved: Notify,
    /// Gets a permit for every answer.
    gate: Option<Arc<Semaphore>>,
    delay: Option<Duration>,
    watch: Option<Arc<dyn Watch>>,
}

/// Sees every event, by the number that is its id.
pub(crate) trait Watch: Send + Sync {
    /// It came in.
    fn received(&self, number: u64);

    /// Its answer is on the way.
    fn answered(&self, number: u64) {
        let _ = number;
    }
}

impl Function {
    /// Listens on a free port, and answers after `delay`.
    pub(crate) async fn start(delay: Option<Duration>, gate: Option<Arc<Semaphore>>) -> Result<Self> {
        Self::open(delay, gate, None).await
    }

    /// The same, seen by `watch`.
    pub(crate) async fn watched(delay: Option<Duration>, watch: Arc<dyn Watch>) -> Result<Self> {
        Self::open(delay, None, Some(watch)).await
    }

    async fn open(
        delay: Option<Duration>,
        gate: Option<Arc<Semaphore>>,
        watch: Option<Arc<dyn Watch>>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts { answered: 0.into(), moved: Notify::new(), gate, delay, watch });
        let accepting = tokio::spawn(accept(listener, counts.clone()));
        Ok(Self { address, counts, accepting })
    }

    /// A function that takes what it is sent and never answers.
    pub(crate) async fn stalled() -> Result<Self> {
        Self::start(Some(Duration::from_hours(24)), None).await
    }

    /// How many requests were answered.
    pub(crate) fn answered(&self) -> u64 {
        self.counts.answered.load(Relaxed)
    }

    /// Waits until so many requests were answered, and tells when.
    pub(crate) async fn reached(&self, count: u64) -> Result<Instant> {
        let reached = async {
            while self.answered() < count {
                self.counts.moved.notified().await;
            }
            Instant::now()
        };
        let reached = tokio::time::timeout(WAIT_MAX, reached).await;
        reached.map_err(|_| anyhow::anyhow!("the function got {} of {count} events", self.answered()))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true); // a connection that is gone says so when it is read
        let counts = counts.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, counts.clone()));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    counts: Arc<Counts>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    if request.method() != Method::POST {
        return Ok(not_found()); // a peer that asks what we are
    }
    let seen = counts.watch.as_ref().and_then(|watch| Some((watch, number(request.headers())?)));
    if let Some((watch, number)) = seen {
        watch.received(number);
    }
    let _ = request.into_body().collect().await; // a sender that is gone reads no answer either
    if let Some(delay) = counts.delay {
        sleep(delay).await;
    }
    if let Some((watch, number)) = seen {
        watch.answered(number);
    }
    counts.answered.fetch_add(1, Relaxed);
    counts.moved.notify_one();
    if let Some(gate) = &counts.gate {
        gate.add_permits(1);
    }
    Ok(Response::new(Empty::new()))
}

fn not_found() -> Response<Empty<Bytes>> {
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

fn number(headers: &HeaderMap) -> Option<u64> {
    headers.get("ce-id")?.to_str().ok()?.parse().ok()
}
