//! Answers that are kept: what a hit costs in the process, and how many pass the proxy, against a bare hyper server that
//! sends the same bytes.

pub(crate) mod bare;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{StatusCode, Uri};
use outrigger_cache::{
    Responses,
    responses::{Settings, Tenant},
};
use outrigger_core::{Body, BoxFuture, CallCx, Exchange, TargetId};
use std::{
    hint::black_box,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    Bench,
    hop::Hop,
    one_core::OneCore,
    post::{Sender, connect},
    report::{Bound, Figure, Report},
};

pub(crate) const NAME: &str = "cache hit";
const IN_PROCESS: &str = "cache hit, in process";
const PROXIED: &str = "cache hit, 32 connections";
const LIMIT_US: f64 = 5.0;
/// A quarter of a second each.
const TIMES: u32 = 100_000;
const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_millis(100);
const SLICE: Duration = Duration::from_millis(400);
const SLICES: u32 = 5;

/// Both figures.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let responses = filled().await?;
    let request = request()?;
    let in_process: Vec<f64> = (0..bench.rounds).map(|_| us_each(&responses, &request)).collect();
    let (limit, unit) = (vec![LIMIT_US; in_process.len()], "us (baseline: the limit)");
    let bound = Bound::AtMost(1.0);
    report.figure(Figure { name: IN_PROCESS, unit, ours: in_process, baseline: limit, bound });
    proxied(bench, report).await
}

/// What has one answer, of the headers and the size of the bare server's.
async fn filled() -> Result<Arc<Responses>> {
    let responses = Arc::new(Responses::new(Settings {
        bytes_max: 64 << 20,
        object_bytes_max: 1 << 20,
        variants_max: 16,
        fresh_default: Duration::ZERO,
        heuristic_max: Duration::from_hours(1),
        coalesce_wait: Duration::from_secs(5),
        pass_for: Duration::from_secs(10),
        tags: Vec::new(),
        tenant: Tenant::Host,
        cookies_are_credentials: true,
        keeps_cookies: false,
        heeds_clients: true,
    }));
    let cx = CallCx { stream: Some(Duration::from_secs(1)), ..CallCx::first(TargetId("function".into())) };
    let answer =
        responses.clone().before(Arc::new(Function)).send(request()?.map(|()| Body::default()), &cx).await?;
    answer.into_body().collect().await?;
    Ok(responses)
}

struct Function;

impl Exchange for Function {
    fn send<'a>(
        &'a self,
        _: Request<Body>,
        _: &'a CallCx,
    ) -> BoxFuture<'a, outrigger_core::Result<Response<Body>>> {
        Box::pin(async {
            let answer = bare::answer(&Uri::from_static("/"));
            Ok(answer.map(|body| body.map_err(|never| match never {}).boxed_unsync()))
        })
    }
}

fn request() -> Result<Request<()>> {
    let request = Request::get("/kept?of=1").header("host", "127.0.0.1:8081").header("accept", "*/*");
    Ok(request.header("user-agent", "figures").body(())?)
}

/// Microseconds from a request to an answer whose body can be sent.
fn us_each(responses: &Responses, request: &Request<()>) -> f64 {
    let started = Instant::now();
    for _ in 0..TIMES {
        black_box(responses.hit(black_box(request)).expect("it is kept"));
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}

async fn proxied(bench: &Bench, report: &mut Report) -> Result<()> {
    let folder = bench.folder()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let (bare, bare_at) = bare::start()?;
        let keeps = "cache:\n  responses: {bytes_max: 64MiB}\n";
        let hop = Hop::secured(bench, folder.path(), bare_at, keeps).await?;
        let _one_core = OneCore::hold([&bare, &hop.process])?;
        let mut per_second = [0.0; 2];
        for _ in 0..SLICES {
            // What ours adds to the head, the bare server sends by itself at this path.
            for (way, per_second) in
                [(bare_at, "/as-kept"), (hop.address, "/")].into_iter().zip(&mut per_second)
            {
                *per_second += run(way).await? / f64::from(SLICES);
            }
        }
        theirs.push(per_second[0]);
        ours.push(per_second[1]);
    }
    let bound = Bound::AtLeast(0.8);
    report.figure(Figure { name: PROXIED, unit: "requests/s", ours, baseline: theirs, bound });
    Ok(())
}

/// Answers per second to GETs of one path on so many connections.
async fn run((address, path): (SocketAddr, &'static str)) -> Result<f64> {
    let (ends, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(ask(connect(address).await?, path, ends.clone(), answers.clone()));
    }
    sleep(WARM_UP).await;
    let (before, started) = (answers.load(Relaxed), Instant::now());
    sleep(SLICE).await;
    let (after, took) = (answers.load(Relaxed), started.elapsed());
    ends.store(true, Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok((after - before) as f64 / took.as_secs_f64())
}

async fn ask(
    mut sender: Sender,
    path: &'static str,
    ends: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
) -> Result<()> {
    while !ends.load(Relaxed) {
        let request = Request::get(path).header("host", "127.0.0.1:8081").body(Full::<Bytes>::default())?;
        sender.ready().await?;
        let answer = sender.send_request(request).await.context("an answer")?;
        anyhow::ensure!(answer.status() == StatusCode::OK, "the answer is {}", answer.status());
        anyhow::ensure!(
            answer.into_body().collect().await?.to_bytes().len() == bare::BYTES,
            "the body is cut"
        );
        answers.fetch_add(1, Relaxed);
    }
    Ok(())
}
