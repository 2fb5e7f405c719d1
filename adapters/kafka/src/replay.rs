//! A range of a topic once more: read without the group, so that nobody's offsets move, and delivered on the same
//! path, with the same keys, as live records.
//!
//! The range's ends are fixed at the start. It ends by itself when every record in it is settled; compaction and
//! transaction markers at an end do not hold it up.

use crate::{
    Config, StartAt,
    client::Headers,
    decode::Record,
    deliver::{self, Place},
    hand_over::hand_over,
    librdkafka::{ASK_TIMEOUT, log},
    login::Login,
    source::unix_ms,
    trouble::error,
};
use futures_util::StreamExt as _;
use outrigger_core::{BoxFuture, Delivery, Drain, Error, Intake, Kind, Receipt, Result, Settlement, Settler};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{Consumer as _, ConsumerContext, StreamConsumer},
    error::KafkaError,
    metadata::MetadataPartition,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::Notify;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The topic.
    pub topic: String,
    /// One of its partitions; none is all.
    pub partition: Option<i32>,
    /// The first record.
    pub from: StartAt,
    /// The first record that is not read any more; none is the end as it is at the start.
    pub to: Option<StartAt>,
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Records that were read.
    pub read: u64,
    /// Of those, the ones that are delivered or dead letters.
    pub settled: u64,
    /// Of those, the ones that came back without an outcome: a drain cut them off.
    pub released: u64,
    /// Whether it has ended.
    pub done: bool,
}

/// See the module.
pub struct Replay {
    config: Config,
    range: Range,
    book: Arc<Book>,
}

#[derive(Default)]
struct Book {
    read: AtomicU64,
    settled: AtomicU64,
    released: AtomicU64,
    done: AtomicBool,
    moved: Notify,
}

impl Settler for Book {
    fn settle(&self, _token: u64, settlement: Settlement) {
        match settlement {
            Settlement::Ack(_) => &self.settled,
            Settlement::Release { .. } | Settlement::Reject(_) => &self.released,
        }
        .fetch_add(1, Relaxed);
        self.moved.notify_one();
    }
}

impl Replay {
    /// A replay that reads records as a source of `config` would; its topics and its group are not used.
    #[must_use]
    pub fn new(config: Config, range: Range) -> Arc<Self> {
        Arc::new(Self { config, range, book: Arc::default() })
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            read: self.book.read.load(Relaxed),
            settled: self.book.settled.load(Relaxed),
            released: self.book.released.load(Relaxed),
            done: self.book.done.load(Relaxed),
        }
    }

    /// Reads the range and returns once all of it is settled, or `drain` has started and nothing is in hand.
    ///
    /// # Errors
    /// When the topic or its ends cannot be read; what was read so far is delivered all the same.
    #[must_use]
    pub fn run(self: Arc<Self>, intake: Intake, drain: Drain) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let read = self.read(&intake, drain).await;
            while self.in_hand() > 0 {
                self.book.moved.notified().await;
            }
            self.book.done.store(true, Relaxed);
            read
        })
    }

    fn in_hand(&self) -> u64 {
        let progress = self.progress();
        progress.read - progress.settled - progress.released
    }

    async fn read(&self, intake: &Intake, mut drain: Drain) -> Result<()> {
        let consumer = Arc::new(self.consumer()?);
        let (asked, range) = (consumer.clone(), self.range.clone());
        let ends = tokio::task::spawn_blocking(move || ends(&asked, &range)).await;
        let mut ends = ends.map_err(|e| Error::new(Kind::Interrupted, format!("kafka: {e}")))??;
        let topic = &self.range.topic;
        let names: BTreeMap<i32, Arc<str>> =
            ends.keys().map(|number| (*number, format!("{topic}/{number}").into())).collect();
        let mut list = TopicPartitionList::new();
        ends.retain(|_, (from, to)| from < to);
        for (number, (from, _)) in &ends {
            let added = list.add_partition_offset(topic, *number, Offset::Offset(*from));
            added.map_err(|e| error(&e, "the beginning of a replay"))?;
        }
        consumer.assign(&list).map_err(|e| error(&e, "a replay"))?;
        let mut stream = consumer.stream();
        while !ends.is_empty() {
            let next = tokio::select! {
                biased;
                () = drain.started() => return Ok(()),
                next = stream.next() => next,
            };
            match next {
                Some(Ok(message)) => {
                    let mut ready = None;
                    hand_over(&message, &mut |record| ready = self.take(&record, &names, &mut ends));
                    drop(message);
                    if let Some(delivery) = ready
                        && !push(intake, delivery, &mut drain).await
                    {
                        return Ok(());
                    }
                }
                // The end as it is now lies at or behind the one that is wanted.
                Some(Err(KafkaError::PartitionEOF(number))) => drop(ends.remove(&number)),
                Some(Err(failed)) if is_passing(&failed) => {}
                Some(Err(failed)) => return Err(error(&failed, &format!("replaying {topic}"))),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The delivery of a record that lies in the range. One behind it ends its partition.
    fn take(
        &self,
        record: &Record<'_, Headers<'_>>,
        names: &BTreeMap<i32, Arc<str>>,
        ends: &mut BTreeMap<i32, (i64, i64)>,
    ) -> Option<Delivery> {
        let (_, to) = *ends.get(&record.partition)?;
        if record.offset + 1 >= to {
            ends.remove(&record.partition);
        }
        if record.offset >= to {
            return None;
        }
        self.book.read.fetch_add(1, Relaxed);
        let (item, key) = deliver::read(record, &self.config);
        let scope = deliver::scope(record.topic);
        let place = Place { scope: &scope, name: names.get(&record.partition)?, offset: record.offset };
        let receipt = Receipt::new(self.book.clone(), deliver::token(record.offset));
        Some(deliver::delivery(&self.config, &place, (item, key.as_deref()), unix_ms(), receipt))
    }

    /// A consumer that joins no group.
    fn consumer(&self) -> Result<StreamConsumer<Quiet>> {
        let (mut config, login) = self.config.consumer()?;
        for name in
            ["group.instance.id", "group.protocol", "partition.assignment.strategy", "statistics.interval.ms"]
        {
            config.remove(name);
        }
        config.set("group.id", "outrigger-replay").set("enable.partition.eof", "true");
        config
            .create_with_context(Quiet(login))
            .map_err(|e| error(&e, "the client of a replay cannot be made"))
    }
}

/// Pushes as soon as there is room. False when the drain came first: the record is released.
async fn push(intake: &Intake, delivery: Delivery, drain: &mut Drain) -> bool {
    let mut delivery = delivery;
    loop {
        match intake.try_push(delivery) {
            Ok(()) => return true,
            Err(back) => delivery = back,
        }
        tokio::select! {
            biased;
            () = drain.started() => return false,
            () = intake.room(delivery.size()) => {}
        }
    }
}

/// First and last offset (exclusive) of each partition of the range. Blocking.
fn ends(consumer: &StreamConsumer<Quiet>, range: &Range) -> Result<BTreeMap<i32, (i64, i64)>> {
    let topic = &range.topic;
    let known = consumer
        .fetch_metadata(Some(topic), ASK_TIMEOUT)
        .map_err(|e| error(&e, &format!("the partitions of {topic} cannot be read")))?;
    let partitions =
        known.topics().iter().flat_map(|topic| topic.partitions().iter().map(MetadataPartition::id));
    let wanted: Vec<i32> = partitions.filter(|id| range.partition.is_none_or(|only| only == *id)).collect();
    if wanted.is_empty() {
        let which = range.partition.map_or_else(|| topic.clone(), |number| format!("{topic}/{number}"));
        return Err(Error::new(
            Kind::Invalid,
            format!("kafka: there is no {which}; create it, or mend its name"),
        ));
    }
    let mut ends = BTreeMap::new();
    for number in wanted {
        let (low, high) = consumer
            .fetch_watermarks(topic, number, ASK_TIMEOUT)
            .map_err(|e| error(&e, &format!("the ends of {topic}/{number} cannot be read")))?;
        let at = |place: StartAt| offset_of(consumer, topic, number, place, (low, high));
        let from = at(range.from)?;
        let to = range.to.map_or(Ok(high), at)?;
        ends.insert(number, (from, to));
    }
    Ok(ends)
}

fn offset_of(
    consumer: &StreamConsumer<Quiet>,
    topic: &str,
    number: i32,
    place: StartAt,
    (low, high): (i64, i64),
) -> Result<i64> {
    let ms = match place {
        StartAt::Earliest => return Ok(low),
        StartAt::Latest => return Ok(high),
        StartAt::Offset(offset) => return Ok(offset.clamp(low, high)),
        StartAt::Time(ms) => ms,
    };
    let wrong =
        |e: &KafkaError| error(e, &format!("the offset of a time in {topic}/{number} cannot be read"));
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number, Offset::Offset(ms)).map_err(|e| wrong(&e))?;
    let found = consumer.offsets_for_times(list, ASK_TIMEOUT).map_err(|e| wrong(&e))?;
    Ok(match found.elements().first().map(rdkafka::topic_partition_list::TopicPartitionListElem::offset) {
        Some(Offset::Offset(offset)) => offset.clamp(low, high),
        _ => high,
    })
}

/// A connection that is lost is made again by the client itself.
fn is_passing(failed: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        failed.rdkafka_error_code(),
        Some(Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut | Code::Resolve)
    )
}

/// What librdkafka calls: log lines and tokens.
struct Quiet(Arc<Login>);

impl ClientContext for Quiet {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, failed: KafkaError, reason: &str) {
        tracing::debug!(%failed, reason, "kafka: a replay's connection");
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        self.0.token()
    }
}

impl ConsumerContext for Quiet {}
