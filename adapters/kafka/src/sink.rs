//! A topic that is written: replies of the function, and dead letters with their reason.
//!
//! The producer is idempotent: what it sends again after a lost answer is there once. A write counts once the
//! brokers have it (`acks=all`). The buffer is bounded, and a write waits while it is full.

use crate::{
    Cluster, Sasl, Tokens,
    encode::{self, Outgoing},
    librdkafka::{log, oauth_token},
    trouble,
};
use outrigger_core::{BoxFuture, DeadLetter, DeadLetters, Error, Event, Kind, Result, Retry, Sink};
use rdkafka::{
    ClientConfig, ClientContext,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
    util::Timeout,
};
use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes as `ce_` headers, the data as the value.
    Binary,
    /// All of it as one JSON.
    Structured,
}

/// A topic that is written.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Its name in readiness, such as `replies`.
    pub name: &'static str,
    /// The cluster.
    pub cluster: Cluster,
    /// The topic.
    pub topic: String,
    /// How events are written. Dead letters are always binary.
    pub mode: Mode,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub compression: &'static str,
    /// The most bytes of records that wait for their acknowledgement.
    pub buffer_bytes_max: usize,
    /// How long one write may take, the brokers' retries included.
    pub timeout: Duration,
}

impl SinkConfig {
    /// The topic with everything else by default: binary, lz4, 8 MiB, 30 seconds.
    #[must_use]
    pub fn new(cluster: Cluster, name: &'static str, topic: &str) -> Self {
        Self {
            name,
            cluster,
            topic: topic.to_owned(),
            mode: Mode::Binary,
            compression: "lz4",
            buffer_bytes_max: 8 << 20,
            timeout: Duration::from_secs(30),
        }
    }

    fn producer(&self) -> ClientConfig {
        let mut config = self.cluster.client_of_producer();
        let given = |name: &str| self.cluster.properties.contains_key(name);
        let ms = self.timeout.as_millis().to_string();
        for (name, value) in [
            ("compression.type", self.compression.to_owned()),
            ("queue.buffering.max.kbytes", (self.buffer_bytes_max / 1024).max(1).to_string()),
            ("delivery.timeout.ms", ms),
            // A worker waits for each write, so there is little to gather.
            ("linger.ms", "1".to_owned()),
            // The broker says what is too large, not the client. Small batches, as it says so of a whole batch.
            ("message.max.bytes", (128 << 20).to_string()),
            ("batch.size", (256 << 10).to_string()),
            // A topic that is not there yet is told soon, and looked for again with the next write.
            ("topic.metadata.propagation.max.ms", "2000".to_owned()),
        ] {
            if !given(name) {
                config.set(name, value);
            }
        }
        config.set("enable.idempotence", "true");
        config
    }
}

/// See the module. Cheap to share.
pub struct KafkaSink {
    config: SinkConfig,
    producer: Mutex<FutureProducer<Events>>,
    trouble: Mutex<Option<String>>,
}

/// What librdkafka calls.
struct Events(Option<Arc<dyn Tokens>>);

impl KafkaSink {
    /// Makes the producer. Connects in the background.
    ///
    /// # Errors
    /// `Invalid` when librdkafka refuses a property.
    pub fn connect(config: SinkConfig) -> Result<Arc<Self>> {
        let producer = Mutex::new(made(&config)?);
        Ok(Arc::new(Self { config, producer, trouble: Mutex::default() }))
    }

    /// Its name in readiness.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.config.name
    }

    /// What the last write failed of, in one line; `None` after one that succeeded.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Writes the record; it is durable when this returns.
    ///
    /// # Errors
    /// As [`Sink::send`].
    pub async fn write(&self, record: Outgoing<'_>) -> Result<()> {
        let producer = lock(&self.producer).clone();
        let mut out = FutureRecord::<[u8], [u8]>::to(&self.config.topic).headers(headers(&record));
        if let Some(key) = &record.key {
            out = out.key(key);
        }
        if let Some(value) = &record.value {
            out = out.payload(value);
        }
        let written = match producer.send(out, Timeout::Never).await {
            Ok(_) => Ok(()),
            Err((failed, _)) => Err(self.failed(&producer, &failed, size(&record))),
        };
        *lock(&self.trouble) =
            written.as_ref().err().filter(|e| e.retry() != Retry::Permanent).map(ToString::to_string);
        written
    }

    fn failed(&self, producer: &FutureProducer<Events>, failed: &KafkaError, bytes: usize) -> Error {
        if let Some((code, why)) = producer.client().fatal_error() {
            self.replace(&why);
            return Error::new(
                Kind::Unreachable,
                format!("kafka: the producer is made anew: {why} ({code})"),
            );
        }
        let topic = &self.config.topic;
        let code = failed.rdkafka_error_code();
        if code == Some(Code::MessageSizeTooLarge) {
            let message = format!(
                "kafka: a record of {bytes} bytes is too large for topic {topic}: raise its max.message.bytes"
            );
            return Error::new(Kind::Invalid, message);
        }
        trouble::error(failed, &format!("writing to topic {topic}"))
    }

    /// A producer that failed for good is replaced. What it had not written yet is told as failed, and comes again.
    fn replace(&self, why: &str) {
        tracing::error!(topic = self.config.topic, why, "the Kafka producer is made anew");
        match made(&self.config) {
            Ok(producer) => *lock(&self.producer) = producer,
            Err(error) => tracing::error!(%error, "there is no new producer"),
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
        Box::pin(async move {
            let record = match self.config.mode {
                Mode::Binary => encode::event(event, None),
                Mode::Structured => encode::structured(event, None),
            };
            self.write(record).await
        })
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

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, failed: KafkaError, reason: &str) {
        tracing::debug!(%failed, reason, "kafka: a producer's connection");
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        oauth_token(self.0.as_deref())
    }
}

fn made(config: &SinkConfig) -> Result<FutureProducer<Events>> {
    let tokens = match &config.cluster.sasl {
        Some(Sasl::Token(tokens)) => Some(tokens.clone()),
        _ => None,
    };
    let made = config.producer().create_with_context(Events(tokens));
    made.map_err(|error| {
        Error::new(Kind::Invalid, format!("kafka: a producer for {}: {error}", config.topic))
    })
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
    headers
        + record.key.as_ref().map_or(0, |key| key.len())
        + record.value.as_ref().map_or(0, bytes::Bytes::len)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
