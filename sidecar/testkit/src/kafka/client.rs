//! The tests' own client: it makes topics and writes records. How it reads stands in `read`.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
        TopicResult,
    },
    client::DefaultClientContext,
    config::ClientConfig,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer},
    topic_partition_list::{Offset, TopicPartitionList},
};
use tokio::time::{Instant, sleep};

use super::{Record, broker::blocking};
use crate::process::WAIT_MAX;

const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Records that are on their way at once; librdkafka's own queue takes more.
const IN_FLIGHT_MAX: usize = 10_000;

/// A client of a broker or cluster. Clones share its producer.
#[derive(Clone)]
pub struct Client {
    pub(crate) config: ClientConfig,
    producer: Arc<OnceLock<FutureProducer>>,
}

impl Client {
    /// A client that begins at `bootstrap`. It connects when it is first used.
    #[must_use]
    pub fn new(bootstrap: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("client.id", "testkit");
        // What cannot be said within the test's own patience fails with its reason.
        config.set("message.timeout.ms", "25000").set("reconnect.backoff.max.ms", "500");
        Self { config, producer: Arc::default() }
    }

    /// Sets one of librdkafka's properties, such as `security.protocol`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.config.set(name, value);
        self.producer = Arc::default();
        self
    }

    /// Makes a topic with `partitions` partitions and the broker's usual replicas, and waits until all of them
    /// have a leader. `settings` are Kafka's for topics, such as `("cleanup.policy", "compact")`.
    ///
    /// # Errors
    /// Kafka refuses it.
    ///
    /// # Panics
    /// The partitions have no leader within [`WAIT_MAX`].
    pub async fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> KafkaResult<()> {
        // -1: as many as default.replication.factor says, which rests on the number of nodes.
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
        new.config.extend_from_slice(settings);
        first(self.admin()?.create_topics([&new], &options()).await?)?;
        self.has_partitions(topic, partitions).await;
        Ok(())
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// Kafka refuses it.
    pub async fn delete_topic(&self, topic: &str) -> KafkaResult<()> {
        first(self.admin()?.delete_topics(&[topic], &options()).await?)
    }

    /// Lets a topic have `total` partitions from now on, and waits for their leaders.
    ///
    /// # Errors
    /// Kafka refuses it.
    ///
    /// # Panics
    /// As [`Client::create_topic`].
    pub async fn add_partitions(&self, topic: &str, total: i32) -> KafkaResult<()> {
        let new = NewPartitions::new(topic, usize::try_from(total).unwrap_or_default());
        first(self.admin()?.create_partitions([&new], &options()).await?)?;
        self.has_partitions(topic, total).await;
        Ok(())
    }

    /// Gives a topic these settings and no others: those that are not named fall back to the broker's.
    ///
    /// # Errors
    /// Kafka refuses it.
    pub async fn alter_topic(&self, topic: &str, settings: &[(&str, &str)]) -> KafkaResult<()> {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let change = settings.iter().fold(change, |change, (name, value)| change.set(name, value));
        let results = self.admin()?.alter_configs([&change], &options()).await?;
        results
            .into_iter()
            .try_for_each(|result| result.map(drop).map_err(|(_, code)| KafkaError::AdminOp(code)))
    }

    /// Deletes the records of a partition that are older than the offset `before`.
    ///
    /// # Errors
    /// Kafka refuses it.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) -> KafkaResult<()> {
        let mut until = TopicPartitionList::new();
        until.add_partition_offset(topic, partition, Offset::Offset(before))?;
        let done = self.admin()?.delete_records(&until, &options()).await?;
        done.elements().iter().try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)
    }

    /// Writes records in their order and waits until all are acknowledged (`acks=all`). Their partitions and
    /// offsets, in the same order.
    ///
    /// # Errors
    /// The first that failed; others may have been written.
    pub async fn produce(&self, records: impl IntoIterator<Item = Record>) -> KafkaResult<Vec<(i32, i64)>> {
        let producer = if let Some(producer) = self.producer.get() {
            producer
        } else {
            let fresh = self.config.create()?;
            self.producer.get_or_init(|| fresh)
        };
        send(producer, records).await
    }

    /// A producer with the transactional id `id`, which fences off earlier ones with the same.
    ///
    /// # Errors
    /// Kafka refuses it.
    pub async fn transactions(&self, id: &str) -> KafkaResult<Transaction> {
        let mut config = self.config.clone();
        config.set("transactional.id", id).set("transaction.timeout.ms", "30000");
        let producer: FutureProducer = config.create()?;
        let transaction = Transaction { producer };
        transaction.blocking(|producer| producer.init_transactions(WAIT_MAX)).await?;
        Ok(transaction)
    }

    /// The broker that leads a partition, by its number.
    ///
    /// # Errors
    /// No broker answers, or the partition has no leader.
    pub async fn leader(&self, topic: &str, partition: i32) -> KafkaResult<i32> {
        let leaders = self.leaders(topic).await?;
        let found = leaders.iter().find(|(id, leader)| *id == partition && *leader >= 0);
        found
            .map(|(_, leader)| *leader)
            .ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable))
    }

    /// The partitions of a topic with their leaders; -1 is none.
    async fn leaders(&self, topic: &str) -> KafkaResult<Vec<(i32, i32)>> {
        let (admin, topic) = (self.admin()?, topic.to_owned());
        blocking(move || {
            let metadata = admin.inner().fetch_metadata(Some(&topic), WAIT_MAX)?;
            let partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
            Ok(partitions.map(|it| (it.id(), it.leader())).collect())
        })
        .await
    }

    /// Kafka answers before its brokers know of the change, and there is no event to wait for.
    async fn has_partitions(&self, topic: &str, total: i32) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let leaders = self.leaders(topic).await;
            if leaders.as_ref().is_ok_and(|it| {
                it.len() == usize::try_from(total).unwrap_or_default()
                    && it.iter().all(|(_, leader)| *leader >= 0)
            }) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{topic} has not {total} partitions with leaders: {leaders:?}"
            );
            sleep(POLL_INTERVAL).await;
        }
    }

    fn admin(&self) -> KafkaResult<AdminClient<DefaultClientContext>> {
        self.config.create()
    }
}

/// A producer whose records become visible together or never.
pub struct Transaction {
    producer: FutureProducer,
}

impl Transaction {
    /// Begins one. Dropping the producer meanwhile leaves it open until Kafka's timeout (30 s) aborts it.
    ///
    /// # Errors
    /// One is open already.
    pub fn begin(&self) -> KafkaResult<()> {
        self.producer.begin_transaction()
    }

    /// Writes records, as [`Client::produce`].
    ///
    /// # Errors
    /// The first that failed.
    pub async fn produce(&self, records: impl IntoIterator<Item = Record>) -> KafkaResult<Vec<(i32, i64)>> {
        send(&self.producer, records).await
    }

    /// Commits it.
    ///
    /// # Errors
    /// Kafka refuses it, or takes longer than [`WAIT_MAX`].
    pub async fn commit(&self) -> KafkaResult<()> {
        self.blocking(|producer| producer.commit_transaction(WAIT_MAX)).await
    }

    /// Aborts it.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub async fn abort(&self) -> KafkaResult<()> {
        self.blocking(|producer| producer.abort_transaction(WAIT_MAX)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&FutureProducer) -> T + Send + 'static,
    ) -> T {
        let producer = self.producer.clone();
        blocking(move || work(&producer)).await
    }
}

async fn send(
    producer: &FutureProducer,
    records: impl IntoIterator<Item = Record>,
) -> KafkaResult<Vec<(i32, i64)>> {
    let (mut done, mut on_the_way) = (Vec::new(), Vec::new());
    for record in records {
        on_the_way.push(enqueue(producer, &record)?);
        if on_the_way.len() == IN_FLIGHT_MAX {
            acknowledged(&mut on_the_way, &mut done).await?;
        }
    }
    acknowledged(&mut on_the_way, &mut done).await?;
    Ok(done)
}

fn enqueue(producer: &FutureProducer, record: &Record) -> KafkaResult<DeliveryFuture> {
    let mut new = FutureRecord::<[u8], [u8]>::to(&record.topic);
    new.partition = record.partition;
    new.key = record.key.as_deref();
    new.payload = record.value.as_deref();
    new.timestamp = record.timestamp_ms;
    if !record.headers.is_empty() {
        let add = |all: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
            all.insert(Header { key, value: value.as_deref() })
        };
        new.headers = Some(record.headers.iter().fold(OwnedHeaders::new(), add));
    }
    producer.send_result(new).map_err(|(error, _)| error)
}

async fn acknowledged(on_the_way: &mut Vec<DeliveryFuture>, done: &mut Vec<(i32, i64)>) -> KafkaResult<()> {
    for delivery in on_the_way.drain(..) {
        let delivered = delivery.await.map_err(|_| KafkaError::Canceled)?.map_err(|(error, _)| error)?;
        done.push((delivered.partition, delivered.offset));
    }
    Ok(())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(WAIT_MAX)).operation_timeout(Some(WAIT_MAX))
}

fn first(results: Vec<TopicResult>) -> KafkaResult<()> {
    results.into_iter().try_for_each(|result| result.map(drop).map_err(|(_, code)| KafkaError::AdminOp(code)))
}
