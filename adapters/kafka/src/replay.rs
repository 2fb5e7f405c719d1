//! A range of a topic once more: read without the group, so that nobody's offsets move, and delivered on the same
//! path, with the same keys, as live records.
//!
//! The range's ends are fixed at the start. It ends by itself when every record in it is settled; compaction and
//! transaction markers at an end do not hold it up. What comes back without an outcome is read again, some times.

use crate::{
    Config,
    client::Headers,
    decode::Record,
    deliver::{self, Place},
    hand_over::hand_over,
    librdkafka::log,
    login::Login,
    source::unix_ms,
    trouble::error,
};
use futures_util::StreamExt as _;
use outrigger_core::{BoxFuture, Delivery, Drain, Error, Intake, Kind, Receipt, Result, Settlement, Settler};
use rdkafka::{
    ClientContext, Message as _, Offset, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{Consumer as _, ConsumerContext, StreamConsumer},
    error::KafkaError,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as StdError,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::Notify;

mod range;

pub use range::Range;
use range::{Ends, around, ends, is_in};

/// How often what came back is read again.
const ROUNDS_MAX: usize = 3;
/// The most records that are read again; what came back beyond them is only counted.
const AGAIN_MAX: usize = 65_536;

/// How far a replay is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Records that were read.
    pub read: u64,
    /// Of those, the ones that are delivered or dead letters.
    pub settled: u64,
    /// Of those, the ones that came back without an outcome: they are read again, or a drain cut them off.
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
    /// What came back since the last round, by partition and offset.
    again: Mutex<BTreeSet<(i32, i64)>>,
}

impl Book {
    fn again(&self) -> MutexGuard<'_, BTreeSet<(i32, i64)>> {
        self.again.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came back, which counts as not read from now on.
    fn take_again(&self) -> BTreeSet<(i32, i64)> {
        let again = std::mem::take(&mut *self.again());
        let count = again.len() as u64;
        self.released.fetch_sub(count, Relaxed);
        self.read.fetch_sub(count, Relaxed);
        again
    }
}

/// A partition of the range. The token of a receipt is the record's offset.
struct Part {
    number: i32,
    /// `topic/partition`.
    name: Arc<str>,
    book: Arc<Book>,
}

impl Settler for Part {
    fn is_replay(&self) -> bool {
        true
    }

    fn settle(&self, token: u64, settlement: Settlement) {
        match settlement {
            Settlement::Ack(_) => &self.book.settled,
            Settlement::Release { .. } | Settlement::Reject(_) => {
                let mut again = self.book.again();
                if again.len() < AGAIN_MAX {
                    again.insert((self.number, i64::try_from(token).unwrap_or(i64::MAX)));
                }
                &self.book.released
            }
        }
        .fetch_add(1, Relaxed);
        self.book.moved.notify_one();
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
    pub fn run(self: Arc<Self>, intake: Intake, mut drain: Drain) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let mut read = self.read(&intake, &mut drain, None).await;
            for _ in 0..ROUNDS_MAX {
                self.at_rest().await;
                if read.is_err() || drain.is_started() || self.book.again().is_empty() {
                    break;
                }
                let again = self.book.take_again();
                tracing::info!(source = %self.config.name, records = again.len(), "what came back is replayed again");
                read = self.read(&intake, &mut drain, Some(again)).await;
            }
            self.at_rest().await;
            self.book.done.store(true, Relaxed);
            read
        })
    }

    /// Waits until nothing is in hand.
    async fn at_rest(&self) {
        loop {
            let Progress { read, settled, released, .. } = self.progress();
            if read == settled + released {
                return;
            }
            self.book.moved.notified().await;
        }
    }

    /// Reads the range, or of it only what came back.
    async fn read(
        &self,
        intake: &Intake,
        drain: &mut Drain,
        only: Option<BTreeSet<(i32, i64)>>,
    ) -> Result<()> {
        let (consumer, mut ends) = self.begin(only.as_ref()).await?;
        let topic = &self.range.topic;
        let parts = self.parts(&ends);
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
                    let is_wanted = only
                        .as_ref()
                        .is_none_or(|only| only.contains(&(message.partition(), message.offset())));
                    hand_over(&message, &mut |record| {
                        if is_in(&record, &mut ends) && is_wanted {
                            ready = self.take(&record, &parts);
                        }
                    });
                    if !ends.contains_key(&message.partition()) {
                        enough(&consumer, topic, message.partition());
                    }
                    drop(message);
                    if let Some(delivery) = ready
                        && !push(intake, delivery, drain).await
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

    /// A consumer that reads the range, or of it what came back.
    async fn begin(&self, only: Option<&BTreeSet<(i32, i64)>>) -> Result<(Arc<StreamConsumer<Quiet>>, Ends)> {
        let consumer = Arc::new(self.consumer()?);
        let mut ends = if let Some(only) = only {
            around(only)
        } else {
            let (asked, range) = (consumer.clone(), self.range.clone());
            let ends = tokio::task::spawn_blocking(move || ends(&*asked, &range)).await;
            ends.map_err(|e| Error::new(Kind::Interrupted, format!("kafka: {e}")))??
        };
        ends.retain(|_, (from, to)| from < to);
        let mut list = TopicPartitionList::new();
        for (number, (from, _)) in &ends {
            let added = list.add_partition_offset(&self.range.topic, *number, Offset::Offset(*from));
            added.map_err(|e| error(&e, "the beginning of a replay"))?;
        }
        consumer.assign(&list).map_err(|e| error(&e, "a replay"))?;
        Ok((consumer, ends))
    }

    fn parts(&self, ends: &Ends) -> BTreeMap<i32, Arc<Part>> {
        let part = |number: i32| {
            let name = format!("{}/{number}", self.range.topic).into();
            Arc::new(Part { number, name, book: self.book.clone() })
        };
        ends.keys().map(|number| (*number, part(*number))).collect()
    }

    fn take(&self, record: &Record<'_, Headers<'_>>, parts: &BTreeMap<i32, Arc<Part>>) -> Option<Delivery> {
        let part = parts.get(&record.partition)?;
        self.book.read.fetch_add(1, Relaxed);
        let read = deliver::read(record, &self.config);
        let scope = deliver::scope(record.topic);
        let place = Place { scope: &scope, name: &part.name, offset: record.offset };
        let receipt = Receipt::new(part.clone(), deliver::token(record.offset));
        Some(deliver::delivery(&self.config, &place, read, unix_ms(), receipt))
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

/// Fetches no more of a partition that is at its end: the others may take long.
fn enough(consumer: &StreamConsumer<Quiet>, topic: &str, number: i32) {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, number);
    if let Err(error) = consumer.pause(&list) {
        tracing::debug!(%error, "kafka: a replay's pause was refused");
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
