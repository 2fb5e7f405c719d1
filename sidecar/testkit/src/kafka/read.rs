//! What the tests' client finds: the records of a topic, the offsets of a group, and whether it is let in at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    client::ClientContext,
    config::ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers, Message},
    topic_partition_list::{Offset, TopicPartitionList},
};

use super::{Client, Stored, broker::blocking};
use crate::process::WAIT_MAX;

/// How often a consumer looks whether its time is over.
const POLL: Duration = Duration::from_millis(100);

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset that the group would read.
    pub offset: i64,
    /// The text that was committed with it.
    pub metadata: String,
}

impl Client {
    /// Every record of `topic` that is there now and whose transaction, if any, was committed. Partitions follow
    /// one another, each in its order.
    ///
    /// # Errors
    /// It may not be read, is not there, or was not read to its end within [`WAIT_MAX`].
    pub async fn read(&self, topic: &str) -> KafkaResult<Vec<Stored>> {
        self.read_isolated(topic, "read_committed").await
    }

    /// As [`Client::read`], with the records of open and aborted transactions as well.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn read_uncommitted(&self, topic: &str) -> KafkaResult<Vec<Stored>> {
        self.read_isolated(topic, "read_uncommitted").await
    }

    /// The first offset of a partition that is still there, and the one that the next record will get.
    ///
    /// # Errors
    /// The partition is not there, or may not be seen.
    pub async fn offsets(&self, topic: &str, partition: i32) -> KafkaResult<(i64, i64)> {
        let topic = topic.to_owned();
        self.as_consumer("", move |consumer| consumer.fetch_watermarks(&topic, partition, WAIT_MAX)).await
    }

    /// What `group` has committed for the partitions of `topic`, without those where it has nothing.
    ///
    /// # Errors
    /// The topic is not there, or one of the two may not be seen.
    pub async fn committed(&self, group: &str, topic: &str) -> KafkaResult<BTreeMap<i32, Committed>> {
        let topic = topic.to_owned();
        let work = move |consumer: &BaseConsumer| {
            let committed = consumer.committed_offsets(partitions(consumer, &topic)?, WAIT_MAX)?;
            let entries = committed.elements();
            let with_offset = entries.iter().filter_map(|entry| match entry.offset() {
                Offset::Offset(offset) => Some((entry.partition(), offset, entry.metadata().to_owned())),
                _ => None,
            });
            Ok(with_offset
                .map(|(partition, offset, metadata)| (partition, Committed { offset, metadata }))
                .collect())
        };
        self.as_consumer(group, work).await
    }

    /// Commits for `group` from outside, which must have no member.
    ///
    /// # Errors
    /// Kafka refuses it; a group with members does.
    pub async fn commit(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
        metadata: &str,
    ) -> KafkaResult<()> {
        let (topic, metadata) = (topic.to_owned(), metadata.to_owned());
        let work = move |consumer: &BaseConsumer| {
            let mut offsets = TopicPartitionList::new();
            let mut entry = offsets.add_partition(&topic, partition);
            entry.set_offset(Offset::Offset(offset))?;
            entry.set_metadata(&metadata);
            consumer.commit(&offsets, CommitMode::Sync)
        };
        self.as_consumer(group, work).await
    }

    /// Whether the broker lets this client in: connects, proves who it is, and asks for the topics.
    ///
    /// # Errors
    /// Why not: what librdkafka says of a refused login (`Authentication`), of certificates (`SSL`), or of a broker
    /// that does not answer within `patience`.
    ///
    /// # Panics
    /// librdkafka refuses the client's own settings.
    pub async fn is_let_in(&self, patience: Duration) -> Result<(), RDKafkaErrorCode> {
        let config = self.config.clone();
        blocking(move || {
            let consumer: BaseConsumer<Refusals> = consumer(&config, "")
                .create_with_context(Refusals::default())
                .expect("a client that can be made");
            let deadline = Instant::now() + patience;
            loop {
                // Errors come to whoever polls.
                let _ = consumer.poll(Duration::ZERO);
                let Err(error) = consumer.fetch_metadata(None, POLL) else { return Ok(()) };
                if let Some(refusal) = consumer.context().last() {
                    return Err(refusal);
                }
                if Instant::now() > deadline {
                    return Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown));
                }
            }
        })
        .await
    }

    async fn read_isolated(&self, topic: &str, isolation: &str) -> KafkaResult<Vec<Stored>> {
        let mut config = consumer(&self.config, "");
        config.set("enable.partition.eof", "true").set("isolation.level", isolation);
        let topic = topic.to_owned();
        blocking(move || read_to_end(&config.create()?, &topic)).await
    }

    /// Does `work` as a consumer. The first who asks a fresh or restarted broker for a group may be told that nobody
    /// keeps it yet, and then asks again.
    async fn as_consumer<T: Send + 'static>(
        &self,
        group: &str,
        work: impl Fn(&BaseConsumer) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        let config = consumer(&self.config, group);
        blocking(move || {
            let consumer: BaseConsumer = config.create()?;
            let deadline = Instant::now() + WAIT_MAX;
            loop {
                match work(&consumer) {
                    Err(error) if is_not_yet(&error) && Instant::now() < deadline => {
                        // There is nothing to poll for: this is how it waits.
                        let _ = consumer.poll(POLL);
                    }
                    done => return done,
                }
            }
        })
        .await
    }
}

fn is_not_yet(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(
        error.rdkafka_error_code(),
        Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator)
    )
}

fn consumer(config: &ClientConfig, group: &str) -> ClientConfig {
    let mut config = config.clone();
    // Without a group none is joined, but librdkafka wants a name.
    config.set("group.id", if group.is_empty() { "testkit" } else { group });
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    // Those of the producer would be warned of.
    config.remove("message.timeout.ms");
    config
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> KafkaResult<TopicPartitionList> {
    let metadata = consumer.fetch_metadata(Some(topic), WAIT_MAX)?;
    let mut list = TopicPartitionList::new();
    for found in metadata.topics() {
        if let Some(error) = found.error() {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        for partition in found.partitions() {
            list.add_partition(topic, partition.id());
        }
    }
    Ok(list)
}

fn read_to_end(consumer: &BaseConsumer, topic: &str) -> KafkaResult<Vec<Stored>> {
    let mut from = partitions(consumer, topic)?;
    from.set_all_offsets(Offset::Beginning)?;
    consumer.assign(&from)?;
    let (mut ended, mut records) = (BTreeSet::new(), Vec::new());
    let deadline = Instant::now() + WAIT_MAX;
    let mut trouble = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
    while ended.len() < from.count() {
        if Instant::now() > deadline {
            return Err(trouble);
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => records.push(stored(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            // One of several brokers may be gone.
            Some(Err(error)) if is_out_of_reach(&error) => trouble = error,
            Some(Err(error)) => return Err(error),
        }
    }
    records.sort_by_key(|record: &Stored| (record.partition, record.offset));
    Ok(records)
}

fn is_out_of_reach(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    matches!(
        error.rdkafka_error_code(),
        Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve)
    )
}

fn stored(message: &BorrowedMessage<'_>) -> Stored {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Stored {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.map(|it| (it.key.to_owned(), it.value.map(<[u8]>::to_vec))).collect(),
    }
}

/// Remembers why a broker did not let the client in.
#[derive(Default)]
struct Refusals(Mutex<Option<RDKafkaErrorCode>>);

impl Refusals {
    fn last(&self) -> Option<RDKafkaErrorCode> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Refusals {
    fn error(&self, error: KafkaError, _: &str) {
        let refusal = error.rdkafka_error_code();
        let is_one = |code: &RDKafkaErrorCode| {
            matches!(code, RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)
        };
        if let Some(code) = refusal.filter(is_one) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        }
    }
}

impl ConsumerContext for Refusals {}
