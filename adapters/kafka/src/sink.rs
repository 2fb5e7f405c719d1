//! A topic that is written: replies of the function, and dead letters with their reason.
//!
//! The producer is idempotent: what it sends again after a lost answer is there once. A write counts once the
//! brokers have it (`acks=all`). The buffer is bounded, and a write waits its turn while it is full.
//!
//! Nothing here is final but a record's size. A topic that is made later, a right that is granted later, brokers
//! that come back: the next write succeeds, and a producer that librdkafka gave up is replaced.

use crate::{
    encode::{self, Outgoing},
    librdkafka::ASK_TIMEOUT,
    producer::{Live, Mode, Outage, SinkConfig, lock, made},
    trouble,
};
use outrigger_core::{
    BoxFuture, DeadLetter, DeadLetters, Error, Event, Kind, Result, Retry, Sink, Timeline, event::Format,
};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::{Header, OwnedHeaders},
    producer::{FutureRecord, Producer as _, PurgeConfig},
    util::Timeout,
};
use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout_at},
};

/// How long a write waits before it asks again whether there is a password or a token to enter with.
const ENTER_AGAIN: Duration = Duration::from_millis(250);
/// What a record takes in the producer beyond its bytes.
const AROUND_BYTES: usize = 128;

/// What a sink did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// Records that the brokers have.
    pub written: u64,
    /// Writes that failed, whether or not they may be tried again.
    pub failed: u64,
    /// Writes that found the buffer full and waited.
    pub waited: u64,
    /// Producers that were made anew because the last one could do no more.
    pub renewed: u64,
    /// Bytes of records that wait for their acknowledgement now.
    pub bytes: usize,
}

/// See the module. Cheap to share.
pub struct KafkaSink {
    config: SinkConfig,
    /// None before there was a first token.
    live: Mutex<Option<Live>>,
    renewed: AtomicU64,
    /// What is free of the buffer, in bytes.
    room: Semaphore,
    room_max: u32,
    /// One write at a time asks whether the topic is there by now.
    looking: tokio::sync::Mutex<()>,
    trouble: Mutex<Option<String>>,
    outage: Outage,
    written: AtomicU64,
    failed: AtomicU64,
    waited: AtomicU64,
}

impl KafkaSink {
    /// Makes the producer, or leaves that to the first write where there is no token yet. Connects in the background.
    ///
    /// # Errors
    /// `Invalid` when librdkafka refuses a property.
    pub fn connect(config: SinkConfig) -> Result<Arc<Self>> {
        let outage = Outage::default();
        let live = match made(&config, &outage, 0) {
            Err(error) if error.retry() == Retry::Permanent => return Err(error),
            made => Mutex::new(made.ok()),
        };
        let room_max = u32::try_from(config.buffer_bytes_max).unwrap_or(u32::MAX).max(1);
        Ok(Arc::new(Self {
            config,
            live,
            renewed: AtomicU64::new(0),
            room: Semaphore::new(room_max as usize),
            room_max,
            looking: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
            outage,
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            waited: AtomicU64::new(0),
        }))
    }

    /// Its name in readiness.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What the last write failed of, or that one waits for brokers that cannot be reached, in one line; `None` after
    /// one that succeeded.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let waits = self.room.available_permits() < self.room_max as usize;
        lock(&self.trouble).clone().or_else(|| waits.then(|| lock(&self.outage).clone()).flatten())
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> SinkCounts {
        SinkCounts {
            written: self.written.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            waited: self.waited.load(Ordering::Relaxed),
            renewed: self.renewed.load(Ordering::Relaxed),
            bytes: self.room_max as usize - self.room.available_permits(),
        }
    }

    /// Waits for what was begun and is awaited by nobody any more, at most for `patience`. What is awaited needs no
    /// flush: its write returns when it is durable. Cancel safe.
    ///
    /// # Errors
    /// `TimedOut` when something was still on its way.
    pub async fn flush(&self, patience: Duration) -> Result<()> {
        let Some(Live { producer, .. }) = lock(&self.live).clone() else { return Ok(()) };
        let flushed = tokio::task::spawn_blocking(move || producer.flush(patience)).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(trouble::error(&error, &format!("the last of topic {}", self.config.topic)))
            }
            Err(error) => Err(Error::new(Kind::Interrupted, format!("kafka: the last writes: {error}"))),
        }
    }

    /// Writes the record; it is durable when this returns. Dropping the future leaves that open.
    ///
    /// # Errors
    /// As [`Sink::send`].
    pub async fn write(&self, record: Outgoing<'_>) -> Result<()> {
        let written = self.try_write(&record).await;
        let trouble = match &written {
            Ok(()) => None,
            // The record is to blame; whatever else was in the way is not, as the broker answered.
            Err(error) if error.retry() == Retry::Permanent => None,
            Err(error) => Some(error.to_string()),
        };
        let count = if written.is_ok() { &self.written } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        *lock(&self.trouble) = trouble;
        if written.is_ok() {
            *lock(&self.outage) = None;
            lock(&self.live).iter().for_each(|live| live.login.let_in());
        }
        written
    }

    async fn try_write(&self, record: &Outgoing<'_>) -> Result<()> {
        let deadline = Instant::now() + self.config.timeout;
        let bytes = size(record);
        let room = self.room(bytes, deadline).await?;
        let live = self.live(deadline).await?;
        let failed = match self.produce(&live, record, deadline).await {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        match failed.rdkafka_error_code() {
            // librdkafka answers from memory for a while, also when the topic has been made or granted since.
            Some(
                Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::TopicAuthorizationFailed,
            ) if self.is_there(&live).await => {}
            // The batch was too large, which need not be this record's fault: alone it is only judged by its own.
            Some(Code::MessageSizeTooLarge) if bytes <= self.config.batch_bytes_max() => {
                drop(room);
                let _all = self.room(usize::MAX, deadline).await?;
                let written = self.produce(&live, record, deadline).await;
                return written.map_err(|failed| self.failed(&failed, bytes));
            }
            _ => return Err(self.failed(&failed, bytes)),
        }
        self.produce(&live, record, deadline).await.map_err(|failed| self.failed(&failed, bytes))
    }

    /// Waits until the buffer has room for a record of `bytes`. One that is larger than the buffer takes all of it.
    async fn room(&self, bytes: usize, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.room_max);
        if let Ok(room) = self.room.try_acquire_many(wanted) {
            return Ok(room);
        }
        self.waited.fetch_add(1, Ordering::Relaxed);
        if let Ok(Ok(room)) = timeout_at(deadline, self.room.acquire_many(wanted)).await {
            return Ok(room);
        }
        let (topic, full) = (&self.config.topic, self.room_max);
        let message = format!(
            "kafka: the {full} bytes that may wait for topic {topic} are not acknowledged; it is tried again"
        );
        Err(Error::new(Kind::Overloaded, message))
    }

    /// The producer, made anew where the broker refused a password that was changed since.
    ///
    /// # Errors
    /// Why there is none at the deadline.
    async fn live(&self, deadline: Instant) -> Result<Live> {
        loop {
            let live = lock(&self.live).clone();
            match &live {
                Some(live) if !live.login.is_outdated() => return Ok(live.clone()),
                Some(live) => {
                    self.replace(live.number, "the password in kafka.sasl.password_file was changed");
                }
                None => self.replace(0, "there was none yet"),
            }
            let made = lock(&self.live).clone().filter(|live| !live.login.is_outdated());
            if let Some(live) = made {
                return Ok(live);
            }
            let again = Instant::now() + ENTER_AGAIN;
            if again > deadline {
                let why = lock(&self.outage).clone().unwrap_or_default();
                return Err(Error::new(Kind::Unreachable, why));
            }
            sleep_until(again).await;
        }
    }

    async fn produce(
        &self,
        live: &Live,
        record: &Outgoing<'_>,
        deadline: Instant,
    ) -> std::result::Result<(), KafkaError> {
        let Live { producer, number, .. } = live;
        let mut out = FutureRecord::<[u8], [u8]>::to(&self.config.topic);
        if !record.headers.is_empty() {
            out = out.headers(headers(record));
        }
        if let Some(key) = &record.key {
            out = out.key(key);
        }
        if let Some(value) = &record.value {
            out = out.payload(value);
        }
        let patience = deadline.saturating_duration_since(Instant::now());
        let written = producer.send(out, Timeout::After(patience)).await;
        written.map(drop).map_err(|(failed, _)| {
            let Some((code, why)) = producer.client().fatal_error() else { return failed };
            self.replace(*number, &why);
            KafkaError::MessageProduction(code)
        })
    }

    /// Whether the topic is there by now. Asking reminds librdkafka of it as well.
    async fn is_there(&self, live: &Live) -> bool {
        let _looking = self.looking.lock().await;
        let (producer, topic) = (live.producer.clone(), self.config.topic.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let found = producer.client().fetch_metadata(Some(&topic), ASK_TIMEOUT);
            found.is_ok_and(|found| found.topics().iter().any(|it| it.error().is_none()))
        });
        asked.await.unwrap_or(false)
    }

    fn record<'a>(&self, event: &'a Event) -> Outgoing<'a> {
        match self.config.mode {
            Mode::Binary => encode::event(event, None),
            Mode::Structured => encode::structured(event, Format::Json, None),
            Mode::Protobuf => encode::structured(event, Format::Protobuf, None),
        }
    }

    fn failed(&self, failed: &KafkaError, bytes: usize) -> Error {
        let SinkConfig { topic, timeout, .. } = &self.config;
        let (code, most) = (failed.rdkafka_error_code(), self.config.record_bytes_max());
        match code {
            Some(Code::MessageSizeTooLarge) if bytes > most => Error::new(
                Kind::Invalid,
                format!(
                    "kafka: a record of {bytes} bytes for topic {topic}; message.max.bytes allows {most}"
                ),
            ),
            Some(Code::MessageSizeTooLarge) => Error::new(
                Kind::Invalid,
                format!(
                    "kafka: a record of {bytes} bytes is too large for topic {topic}: raise its max.message.bytes"
                ),
            ),
            Some(Code::MessageTimedOut) => {
                let outage = lock(&self.outage).clone();
                let why = outage.unwrap_or_else(|| {
                    "a broker is down, or too few replicas are in sync; it is tried again".to_owned()
                });
                Error::new(
                    Kind::TimedOut,
                    format!("kafka: topic {topic} acknowledged nothing within {timeout:?}: {why}"),
                )
            }
            _ => trouble::error(failed, &format!("writing to topic {topic}")),
        }
    }

    /// A producer that failed for good is replaced. What it had not written yet is told as failed, and comes again.
    fn replace(&self, number: u64, why: &str) {
        let mut live = lock(&self.live);
        if live.as_ref().is_some_and(|live| live.number != number) {
            return; // another write was here first
        }
        let next = live.as_ref().map_or(0, |_| number + 1);
        match made(&self.config, &self.outage, next) {
            Ok(made) => {
                let Some(old) = live.replace(made) else { return };
                tracing::error!(topic = self.config.topic, why, "the Kafka producer was made anew");
                self.renewed.fetch_add(1, Ordering::Relaxed);
                // Its end waits for its threads.
                tokio::task::spawn_blocking(move || {
                    old.producer.purge(PurgeConfig::default().queue().inflight());
                    drop(old);
                });
            }
            Err(error) => {
                tracing::debug!(topic = self.config.topic, why, %error, "there is no Kafka producer");
                *lock(&self.outage) = Some(error.to_string());
            }
        }
    }
}

impl Sink for KafkaSink {
    /// The key is the event's `partitionkey`.
    ///
    /// # Errors
    /// `Unreachable`, `TimedOut` or `Overloaded` while the brokers cannot take it; `Storage` when the topic is not
    /// there or forbidden; `Invalid` when the record is too large for it.
    fn send<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write(self.record(event)))
    }

    /// The place in the trace is told by headers of the record, such as `traceparent`.
    fn send_within<'a>(&'a self, event: &'a Event, timeline: &'a Timeline) -> BoxFuture<'a, Result<()>> {
        let mut record = self.record(event);
        timeline.carry(&mut |name, value| {
            record.headers.push((Cow::Borrowed(name), Some(Cow::Owned(value.as_bytes().to_vec()))));
        });
        Box::pin(self.write(record))
    }
}

impl DeadLetters for KafkaSink {
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write(encode::dead_letter(letter)))
    }
}

impl fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink").field("topic", &self.config.topic).finish_non_exhaustive()
    }
}

fn headers(record: &Outgoing<'_>) -> OwnedHeaders {
    record
        .headers
        .iter()
        .fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (name, value)| {
            headers.insert(Header { key: name, value: value.as_deref() })
        })
}

fn size(record: &Outgoing<'_>) -> usize {
    let headers: usize =
        record.headers.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, |v| v.len())).sum();
    AROUND_BYTES
        + headers
        + record.key.as_ref().map_or(0, |key| key.len())
        + record.value.as_ref().map_or(0, bytes::Bytes::len)
}
