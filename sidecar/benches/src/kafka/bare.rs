//! The least that could do the same: a bare, tuned consumer that only counts, or that POSTs what it reads.

use anyhow::Result;
use bytes::Bytes;
use http::HeaderMap;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::Clock;
use crate::post;

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
    /// POST each of them there
    #[arg(long)]
    post: Option<SocketAddr>,
    /// On so many connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

/// Reads, and prints what it cost.
pub(crate) async fn run(options: Options) -> Result<()> {
    let consumer = Arc::new(consumer(&options)?);
    let first = consumer.recv().await?;
    let clock = Clock::start()?;
    drop(first);
    match options.post {
        None => {
            for _ in 1..options.records {
                consumer.recv().await?;
            }
        }
        Some(address) => {
            let taken = Arc::new(AtomicU64::new(1));
            let mut loops = tokio::task::JoinSet::new();
            for _ in 0..options.connections {
                loops.spawn(deliver(consumer.clone(), taken.clone(), address, options.records));
            }
            while let Some(done) = loops.join_next().await {
                done??;
            }
        }
    }
    clock.stop(options.records)
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

/// Tuned as the facts say: more ahead gains nothing here, and holds memory.
fn consumer(options: &Options) -> Result<StreamConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "2048")
        .set("fetch.message.max.bytes", "262144")
        .set("fetch.queue.backoff.ms", "10");
    let consumer: StreamConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..options.partitions {
        list.add_partition_offset(&options.topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}
