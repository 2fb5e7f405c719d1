//! The least that could do the same: a bare consumer that only counts, or a tuned one that POSTs what it reads.

use anyhow::Result;
use bytes::Bytes;
use http::HeaderMap;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
};
use std::{
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{Clock, Measured, Place, peer, topics::Topic};
use crate::{post, process::Process};

const TUNED: &str = "--tuned";

/// What the peer is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The broker
    brokers: String,
    /// The topic
    topic: String,
    /// Its partitions
    partitions: i32,
    /// How many records to read
    records: u64,
    /// Keep as little ahead as is useful, as ours does
    #[arg(long)]
    tuned: bool,
    /// POST each of them there
    #[arg(long)]
    post: Option<SocketAddr>,
    /// On so many connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

/// Reads `topic` in a process of its own with the client's defaults, and gives back what that cost.
pub(super) async fn consume(place: &Place, topic: Topic) -> Result<Measured> {
    peer(arguments(place, topic)).await
}

/// The same, tuned.
pub(super) async fn consume_tuned(place: &Place, topic: Topic) -> Result<Measured> {
    peer([arguments(place, topic), vec![TUNED.to_owned()]].concat()).await
}

/// Starts a process that POSTs all of `topic`, and ends with its last answer.
pub(super) fn start_posting(
    place: &Place,
    topic: Topic,
    address: SocketAddr,
    connections: usize,
) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments(place, topic)).args([TUNED, "--post"]).arg(address.to_string());
    command.arg("--connections").arg(connections.to_string());
    Process::start(&mut command)
}

fn arguments(place: &Place, topic: Topic) -> Vec<String> {
    let numbers = [topic.partitions.to_string(), topic.events.to_string()];
    let mut arguments = vec!["kafka-bare".to_owned(), place.brokers.clone(), topic.name.to_owned()];
    arguments.extend(numbers);
    arguments
}

/// Reads, and prints what it cost; who POSTs is measured from outside, as the binary under test is.
pub(crate) async fn run(options: Options) -> Result<()> {
    let consumer = Arc::new(consumer(&options)?);
    let Some(address) = options.post else {
        consumer.recv().await?;
        let clock = Clock::start()?;
        for _ in 1..options.records {
            consumer.recv().await?;
        }
        return clock.stop(options.records);
    };
    let taken = Arc::new(AtomicU64::new(0));
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..options.connections {
        loops.spawn(deliver(consumer.clone(), taken.clone(), address, options.records));
    }
    while let Some(done) = loops.join_next().await {
        done??;
    }
    Ok(())
}

/// One connection: a record, its POST, the next record.
async fn deliver(
    consumer: Arc<StreamConsumer>,
    taken: Arc<AtomicU64>,
    address: SocketAddr,
    records: u64,
) -> Result<()> {
    let mut sender = post::connect(address).await?;
    let mut headers = HeaderMap::new();
    headers.insert(http::header::HOST, address.to_string().parse()?);
    headers.insert(http::header::CONTENT_TYPE, "application/json".parse()?);
    while taken.fetch_add(1, Relaxed) < records {
        let body = {
            let message = consumer.recv().await?;
            Bytes::copy_from_slice(message.payload().unwrap_or_default())
        };
        post::post(&mut sender, headers.clone(), body).await?;
    }
    Ok(())
}

/// With the client's defaults, or tuned: more ahead gains nothing here, holds memory, and costs caches.
fn consumer(options: &Options) -> Result<StreamConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false");
    if options.tuned {
        config
            .set("queued.max.messages.kbytes", "2048")
            .set("fetch.message.max.bytes", "262144")
            .set("fetch.queue.backoff.ms", "10");
    }
    let consumer: StreamConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..options.partitions {
        list.add_partition_offset(&options.topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}
