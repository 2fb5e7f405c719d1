//! The producers: each has a connection, sends one event, waits for its 202, and sends the next.

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::post::{connect, post};

/// The payload of an event.
const BODY_BYTES: usize = 1024;

/// What is sent, and where to.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) producers: usize,
    /// One of so many keys, drawn evenly and alike in every run; none leaves events unordered.
    pub(crate) keys: Option<u64>,
    /// A permit is taken for each event, so that no more are under way than there were permits.
    pub(crate) gate: Option<Arc<Semaphore>>,
}

/// A JSON string of 1 KiB.
pub(crate) fn body() -> Bytes {
    let mut body = vec![b'x'; BODY_BYTES];
    body[0] = b'"';
    body[BODY_BYTES - 1] = b'"';
    body.into()
}

/// The headers of a binary-mode event.
pub(crate) fn headers(id: &str, key: Option<u64>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert("host", HeaderValue::from_static("bench"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
    headers.insert("ce-id", HeaderValue::try_from(id).expect("a number is a header's value"));
    headers.insert("ce-source", HeaderValue::from_static("/bench/producers"));
    headers.insert("ce-type", HeaderValue::from_static("org.example.bench"));
    if let Some(key) = key {
        headers.insert("ce-partitionkey", HeaderValue::from(key));
    }
    headers
}

/// Producers at work.
pub(crate) struct Running {
    shared: Arc<Shared>,
    tasks: JoinSet<Result<()>>,
}

struct Shared {
    load: Load,
    body: Bytes,
    /// Numbers from here on are not sent.
    end: AtomicU64,
    next: AtomicU64,
    accepted: AtomicU64,
}

impl Load {
    /// Sends `events` events and waits for the last 202. Gives back how long that took.
    pub(crate) async fn send(self, events: u64) -> Result<Duration> {
        let started = Instant::now();
        self.start(events).await?.finish().await?;
        Ok(started.elapsed())
    }

    /// Events accepted per second, over `measured` after `warm_up`.
    pub(crate) async fn rate(self, warm_up: Duration, measured: Duration) -> Result<f64> {
        let running = self.start(u64::MAX).await?;
        sleep(warm_up).await;
        let (before, started) = (running.accepted(), Instant::now());
        sleep(measured).await;
        let rate = (running.accepted() - before) as f64 / started.elapsed().as_secs_f64();
        running.shared.end.store(0, Relaxed);
        running.finish().await?;
        Ok(rate)
    }

    /// Connects all producers, then lets them send up to `events` events.
    pub(crate) async fn start(self, events: u64) -> Result<Running> {
        let mut senders = Vec::with_capacity(self.producers);
        for _ in 0..self.producers {
            senders.push(connect(self.address).await?);
        }
        let (end, next, accepted) = (events.into(), 0.into(), 0.into());
        let shared = Arc::new(Shared { load: self, body: body(), end, next, accepted });
        let mut tasks = JoinSet::new();
        for sender in senders {
            tasks.spawn(produce(sender, shared.clone()));
        }
        Ok(Running { shared, tasks })
    }
}

impl Running {
    fn accepted(&self) -> u64 {
        self.shared.accepted.load(Relaxed)
    }

    /// Waits until every producer has ended.
    pub(crate) async fn finish(mut self) -> Result<()> {
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn produce(mut sender: crate::post::Sender, shared: Arc<Shared>) -> Result<()> {
    loop {
        if let Some(gate) = &shared.load.gate {
            gate.acquire().await?.forget();
        }
        let number = shared.next.fetch_add(1, Relaxed);
        if number >= shared.end.load(Relaxed) {
            return Ok(());
        }
        let headers = headers(&number.to_string(), shared.load.keys.map(|keys| drawn(number) % keys));
        let status = post(&mut sender, headers, shared.body.clone()).await?;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "an event was answered {status} instead of 202");
        shared.accepted.fetch_add(1, Relaxed);
    }
}

/// The finalizer of splitmix64: numbers in a row become numbers without a pattern.
fn drawn(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
