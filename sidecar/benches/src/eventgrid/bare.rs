//! The least that could do the same: events are received a hundred at a time, posted as they stand, and acknowledged
//! together. Nothing of an event is parsed, no lock is renewed, and what fails ends the process.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use outrigger_testkit::eventgrid::EventGrid;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{net::SocketAddr, process::Command, sync::Arc};
use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    post::{self, Sender},
    process::Process,
};

/// The most that the service gives in one answer, and that are acknowledged in one request.
const BATCH: usize = 100;

/// What the peer is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The service's address
    service: SocketAddr,
    /// The topic
    topic: String,
    /// The subscription
    subscription: String,
    /// POST each event there
    post: SocketAddr,
    /// On so many connections
    connections: usize,
}

/// Starts a process that POSTs all of a subscription.
pub(super) fn start(
    url: &str,
    (topic, subscription): (&str, &str),
    address: SocketAddr,
    connections: usize,
) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("eventgrid-bare").arg(url.strip_prefix("http://").context("the service is local")?);
    command.args([topic, subscription]).arg(address.to_string()).arg(connections.to_string());
    Process::start(&mut command)
}

struct Held {
    lock_token: String,
    event: Bytes,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    value: Vec<Member<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    broker_properties: Properties,
    #[serde(borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    lock_token: String,
}

/// Receives, POSTs and acknowledges until it is killed.
pub(crate) async fn run(options: Options) -> Result<()> {
    let Options { service, topic, subscription, post, connections } = options;
    let place = format!("/topics/{topic}/eventsubscriptions/{subscription}");
    let (held, taken) = mpsc::channel(2 * BATCH);
    let (done, told) = mpsc::channel(2 * BATCH);
    let taken = Arc::new(Mutex::new(taken));
    let mut loops = JoinSet::new();
    loops.spawn(receive(service, place.clone(), held));
    loops.spawn(acknowledge(service, place, told));
    for _ in 0..connections {
        loops.spawn(deliver(taken.clone(), post, done.clone()));
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(())
}

async fn receive(service: SocketAddr, place: String, held: mpsc::Sender<Held>) -> Result<()> {
    let mut sender = connect(service).await?;
    let path = format!("{place}:receive?api-version=2024-06-01&maxEvents={BATCH}&maxWaitTime=60");
    loop {
        let body = ask(&mut sender, service, &path, Bytes::new()).await?;
        for Member { broker_properties, event } in serde_json::from_slice::<Answer<'_>>(&body)?.value {
            let event = body.slice_ref(event.get().as_bytes());
            held.send(Held { lock_token: broker_properties.lock_token, event }).await?;
        }
    }
}

/// One connection: an event, its POST, the next event.
async fn deliver(
    taken: Arc<Mutex<mpsc::Receiver<Held>>>,
    address: SocketAddr,
    done: mpsc::Sender<String>,
) -> Result<()> {
    let mut sender = post::connect(address).await?;
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, address.to_string().parse()?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
    loop {
        let next = taken.lock().await.recv().await;
        let Held { lock_token, event } = next.context("nothing is received any more")?;
        post::post(&mut sender, headers.clone(), event).await?;
        done.send(lock_token).await?;
    }
}

async fn acknowledge(service: SocketAddr, place: String, mut told: mpsc::Receiver<String>) -> Result<()> {
    let mut sender = connect(service).await?;
    let path = format!("{place}:acknowledge?api-version=2024-06-01");
    let mut tokens = Vec::with_capacity(BATCH);
    while told.recv_many(&mut tokens, BATCH).await > 0 {
        let body = serde_json::json!({"lockTokens": tokens}).to_string();
        ask(&mut sender, service, &path, body.into()).await?;
        tokens.clear();
    }
    Ok(())
}

async fn connect(service: SocketAddr) -> Result<Sender> {
    let stream = TcpStream::connect(service).await?;
    stream.set_nodelay(true)?;
    post::connect_over(stream).await
}

async fn ask(sender: &mut Sender, service: SocketAddr, path: &str, body: Bytes) -> Result<Bytes> {
    let request = Request::post(path)
        .header(header::HOST, service.to_string())
        .header(header::AUTHORIZATION, format!("SharedAccessKey {}", EventGrid::KEY))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    anyhow::ensure!(status == 200, "the service answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}
