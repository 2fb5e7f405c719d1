//! The producer of a sink: its settings, what librdkafka is given for them, and what that calls.

use crate::{
    Cluster,
    client::{Trouble, TroubleKind},
    cluster,
    librdkafka::log,
    login::Login,
    trouble::told,
};
use outrigger_core::{Error, Kind, Result};
use rdkafka::{
    ClientConfig, ClientContext,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{BaseProducer, FutureProducer},
};
use std::{
    error::Error as StdError,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The largest record that the producer itself lets pass, unless `message.max.bytes` is given: the broker says what
/// is too large.
const RECORD_BYTES_MAX: usize = 128 << 20;
/// The most bytes that are sent as one, unless `batch.size` is given: the broker refuses a whole batch that is larger
/// than the topic's `max.message.bytes`, which is four times as much by default.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes as `ce_` headers, the data as the value.
    Binary,
    /// All of it as one JSON.
    Structured,
    /// All of it as one message of Protobuf.
    Protobuf,
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

    /// Whether librdkafka takes all of it together. Connects to nobody.
    ///
    /// # Errors
    /// `Invalid` with the setting and librdkafka's own words.
    pub fn check(&self) -> Result<()> {
        let login = self.cluster.read_login()?;
        cluster::check::<BaseProducer>(self.client(&login))
    }

    fn client(&self, login: &Login) -> ClientConfig {
        let mut config = self.cluster.client_of_producer(login);
        let given = |name: &str| self.cluster.properties.contains_key(name);
        // Ours is the bound, which is fair and does not poll; this one holds what nobody waits for any more as well.
        let queue_kbytes = self.buffer_bytes_max.saturating_add(self.record_bytes_max()) / 1024 + 1;
        for (name, value) in [
            ("compression.type", self.compression.to_owned()),
            ("queue.buffering.max.kbytes", queue_kbytes.min(2_097_151).to_string()),
            ("delivery.timeout.ms", self.timeout.as_millis().to_string()),
            // A worker waits for each write, so there is little to gather.
            ("linger.ms", "1".to_owned()),
            ("message.max.bytes", RECORD_BYTES_MAX.to_string()),
            ("batch.size", BATCH_BYTES_MAX.to_string()),
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

    /// The largest record that the producer itself lets pass.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.property("message.max.bytes", RECORD_BYTES_MAX)
    }

    /// The most bytes that are sent as one.
    pub(crate) fn batch_bytes_max(&self) -> usize {
        self.property("batch.size", BATCH_BYTES_MAX)
    }

    /// The value of one of librdkafka's properties, if it is given.
    fn property(&self, name: &str, default: usize) -> usize {
        self.cluster.properties.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}

/// That no broker can be reached, as last heard.
pub(crate) type Outage = Arc<Mutex<Option<String>>>;

/// What librdkafka calls.
pub(crate) struct Events {
    login: Arc<Login>,
    outage: Outage,
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, failed: KafkaError, reason: &str) {
        tracing::debug!(%failed, reason, "kafka: a producer's connection");
        if let Some(Trouble { kind: TroubleKind::Outage, message }) = told(&failed, reason, &self.login) {
            *lock(&self.outage) = Some(message);
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        self.login.token()
    }
}

/// A producer that is used, and who it says that it is.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) producer: FutureProducer<Events>,
    pub(crate) login: Arc<Login>,
    /// How many there were before it.
    pub(crate) number: u64,
}

/// Makes a producer. Connects in the background.
///
/// # Errors
/// `Invalid` when librdkafka refuses a property; `Storage` or `Unreachable` while there is no password or token.
pub(crate) fn made(config: &SinkConfig, outage: &Outage, number: u64) -> Result<Live> {
    let login = config.cluster.login()?;
    let events = Events { login: login.clone(), outage: outage.clone() };
    let made = config.client(&login).create_with_context(events);
    let producer = made.map_err(|error: KafkaError| {
        Error::new(Kind::Invalid, format!("kafka: a producer for {}: {error}", config.topic))
    })?;
    Ok(Live { producer, login, number })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
