//! The least that could do the same: Google's client, a POST of what it pulls, an acknowledgement.

use anyhow::{Context as _, Result};
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::{client::Subscriber, subscriber::MessageStream};
use http::{HeaderMap, HeaderName};
use outrigger_testkit::pubsub::{PROJECT, Server};
use std::{net::SocketAddr, process::Command, sync::Arc};
use tokio::sync::Mutex;

use crate::{post, process::Process};

/// What the peer is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The server's address
    server: SocketAddr,
    /// The subscription, by its whole name
    subscription: String,
    /// POST each message there
    post: SocketAddr,
    /// On so many connections
    connections: usize,
}

/// Starts a process that POSTs all of a subscription.
pub(super) fn start(
    server: &Server,
    subscription: &str,
    address: SocketAddr,
    connections: usize,
) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("pubsub-bare").arg(server.address().to_string());
    command.arg(format!("projects/{PROJECT}/subscriptions/{subscription}"));
    command.arg(address.to_string()).arg(connections.to_string());
    Process::start(&mut command)
}

/// Pulls and POSTs until it is killed.
pub(crate) async fn run(options: Options) -> Result<()> {
    let subscriber = Subscriber::builder()
        .with_endpoint(format!("http://{}", options.server))
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await?;
    let stream = Arc::new(Mutex::new(subscriber.subscribe(&options.subscription).build()));
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..options.connections {
        loops.spawn(deliver(stream.clone(), options.post));
    }
    while let Some(done) = loops.join_next().await {
        done??;
    }
    Ok(())
}

/// One connection: a message, its POST, its acknowledgement, the next message.
async fn deliver(stream: Arc<Mutex<MessageStream>>, address: SocketAddr) -> Result<()> {
    let mut sender = post::connect(address).await?;
    let host: http::HeaderValue = address.to_string().parse()?;
    loop {
        let next = stream.lock().await.next().await;
        let (message, handler) = next.context("the stream has ended")??;
        let mut headers = HeaderMap::with_capacity(message.attributes.len() + 1);
        headers.insert(http::header::HOST, host.clone());
        for (name, value) in &message.attributes {
            headers.insert(name.parse::<HeaderName>()?, value.parse()?);
        }
        post::post(&mut sender, headers, message.data).await?;
        handler.ack();
    }
}
