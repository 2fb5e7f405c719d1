//! Event Grid's webhook with batches, against the ingress of CloudEvents with the same ones.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, header::CONTENT_TYPE};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    Bench,
    function::Function,
    load,
    post::{Sender, connect},
    report::{Bound, Figure, Report, Spread},
    sidecar::{Settings, Sidecar},
};

pub(crate) const NAME: &str = "Event Grid webhook, batches of 100";
const BATCH: u64 = 100;
const SENDERS: usize = 16;
const WARM_UP: Duration = Duration::from_millis(700);
const MEASURED: Duration = Duration::from_secs(2);

/// A path, and how a batch is sent there.
#[derive(Clone, Copy)]
struct Way {
    path: &'static str,
    content_type: &'static str,
    taken: u16,
}

const OURS: Way =
    Way { path: "/eventgrid", content_type: "application/cloudevents+json; charset=utf-8", taken: 200 };
const BASELINE: Way = Way { path: "/", content_type: "application/cloudevents-batch+json", taken: 202 };

/// The webhook and the ingress, in turn, each on a journal of its own.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        for (way, rates) in [(BASELINE, &mut baseline), (OURS, &mut ours)] {
            let folder = bench.folder()?;
            let stalled = Function::stalled().await?;
            let settings = Settings { webhook: true, ..Settings::new(stalled.address) };
            let sidecar = Sidecar::start(bench, folder.path(), settings).await?;
            rates.push(rate(sidecar.ingress, way).await?);
        }
    }
    let spread = Spread::of(ours.clone()).median;
    report.note(format!(
        "{NAME}: {SENDERS} senders, {spread:.0} events/s accepted, with the headers of a delivery"
    ));
    report.figure(Figure { name: NAME, unit: "events/s", ours, baseline, bound: Bound::AtLeast(0.9) });
    Ok(())
}

/// Events per second that are kept.
async fn rate(address: SocketAddr, way: Way) -> Result<f64> {
    let (next, accepted, end) =
        (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let sender = connect(address).await?;
        senders.spawn(send(sender, way, next.clone(), accepted.clone(), end.clone()));
    }
    sleep(WARM_UP).await;
    let (before, started) = (accepted.load(Relaxed), Instant::now());
    sleep(MEASURED).await;
    let rate = (accepted.load(Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
    end.store(1, Relaxed);
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    Ok(rate)
}

async fn send(
    mut sender: Sender,
    way: Way,
    next: Arc<AtomicU64>,
    accepted: Arc<AtomicU64>,
    end: Arc<AtomicU64>,
) -> Result<()> {
    while end.load(Relaxed) == 0 {
        let mut request =
            Request::post(way.path).header("host", "bench").header(CONTENT_TYPE, way.content_type);
        if way.path == OURS.path {
            request =
                request.header("aeg-event-type", "Notification").header("aeg-subscription-name", "BENCH");
            request = request.header("aeg-delivery-count", "0").header("aeg-metadata-version", "1");
        }
        let request = request.body(Full::new(batch(next.fetch_add(BATCH, Relaxed))))?;
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        anyhow::ensure!(status == way.taken, "a batch was answered {status} instead of {}", way.taken);
        accepted.fetch_add(BATCH, Relaxed);
    }
    Ok(())
}

/// Events from this number on, each with 1 KiB of data.
fn batch(first: u64) -> Bytes {
    let body = load::body();
    let mut batch = Vec::with_capacity(1_200 * 100);
    for number in first..first + BATCH {
        let head = format!(
            "{}{{\"specversion\":\"1.0\",\"id\":\"{number}\",\"source\":\"/bench/topic\",\"type\":\"org.example.bench\",\"data\":",
            if number == first { '[' } else { ',' }
        );
        batch.extend_from_slice(head.as_bytes());
        batch.extend_from_slice(&body);
        batch.push(b'}');
    }
    batch.push(b']');
    batch.into()
}
