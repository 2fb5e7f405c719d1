//! What a Kafka source and its cluster are made of, with the properties that librdkafka is given for it.

use crate::decode::Plain;
use outrigger_core::{Error, Kind, Result};
use rdkafka::ClientConfig;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// A cluster and how it is entered; shared by source and sink.
#[derive(Clone)]
pub struct Cluster {
    /// `host:port` of at least one broker.
    pub brokers: Vec<String>,
    /// How this client names itself to the brokers.
    pub client_id: String,
    /// Whether connections are encrypted.
    pub tls: Option<Tls>,
    /// How we say who we are.
    pub sasl: Option<Sasl>,
    /// Further properties of librdkafka; see [`Cluster::refused`] for those that are not taken.
    pub properties: BTreeMap<String, String>,
}

/// Encrypted connections. Paths are of PEM files, read when a client is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that a broker's certificate may come from; none takes the system's.
    pub ca: Option<String>,
    /// Our certificate, where brokers want one.
    pub certificate: Option<String>,
    /// Its key.
    pub key: Option<String>,
}

/// Who we are.
#[derive(Clone)]
pub enum Sasl {
    /// A name and a password.
    Password {
        /// The mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        mechanism: &'static str,
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// `OAUTHBEARER`: tokens that somebody else fetches.
    Token(Arc<dyn Tokens>),
}

/// A bearer token for a broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub value: String,
    /// Whom it speaks for.
    pub principal: String,
    /// When it ends, in Unix milliseconds.
    pub expires_ms: i64,
}

/// Whoever keeps a token fresh.
pub trait Tokens: Send + Sync + 'static {
    /// The token that holds now. It does not block.
    ///
    /// # Errors
    /// Why there is none, in one line.
    fn current(&self) -> Result<Token, String>;
}

/// Properties that belong to us, as delivery stands on them.
const OWNED: [&str; 14] = [
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "metadata.broker.list",
    "offset.store.method",
    "partition.assignment.strategy",
    "plugin.library.paths",
];

/// How the names of properties begin that only a consumer has.
const CONSUMERS: [&str; 10] = [
    "auto.",
    "check.crcs",
    "fetch.",
    "group.",
    "heartbeat.",
    "isolation.",
    "max.partition.",
    "max.poll.",
    "queued.",
    "session.",
];

impl Cluster {
    /// Why a property is not taken; `None` where it is. The names that librdkafka does not know it refuses itself,
    /// when [`Cluster::check`] is asked.
    #[must_use]
    pub fn refused(property: &str) -> Option<&'static str> {
        match property {
            "plugin.library.paths" => Some("it would load code into the process"),
            _ if OWNED.contains(&property) => Some("it has a setting of its own, or delivery stands on it"),
            _ if property.ends_with("_cb") || property.starts_with("oauthbearer_") => {
                Some("it is a callback")
            }
            _ => None,
        }
    }

    /// Whether librdkafka takes all of it: names, values, and what the files hold. Connects to nobody.
    ///
    /// # Errors
    /// `Invalid` with librdkafka's own words.
    pub fn check(&self) -> Result<()> {
        for property in self.properties.keys() {
            if let Some(why) = Self::refused(property) {
                return Err(Error::new(Kind::Invalid, format!("kafka.properties: {property}: {why}")));
            }
        }
        let made: rdkafka::error::KafkaResult<rdkafka::consumer::BaseConsumer> = self.client().create();
        made.map(drop).map_err(|error| Error::new(Kind::Invalid, format!("kafka: {error}")))
    }

    /// The properties of a producer: librdkafka says of each that is a consumer's that it does nothing there.
    pub(crate) fn client_of_producer(&self) -> ClientConfig {
        let mut config = self.client();
        for name in
            self.properties.keys().filter(|name| CONSUMERS.iter().any(|prefix| name.starts_with(prefix)))
        {
            config.remove(name);
        }
        config
    }

    /// The properties of any client of this cluster.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", self.brokers.join(",")).set("client.id", &self.client_id);
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            let files = [
                ("ssl.ca.location", &tls.ca),
                ("ssl.certificate.location", &tls.certificate),
                ("ssl.key.location", &tls.key),
            ];
            for (name, file) in files {
                if let Some(file) = file {
                    config.set(name, file);
                }
            }
        }
        match &self.sasl {
            None => {}
            Some(Sasl::Password { mechanism, username, password }) => {
                config.set("sasl.mechanism", *mechanism);
                config.set("sasl.username", username).set("sasl.password", password);
            }
            Some(Sasl::Token(_)) => {
                config.set("sasl.mechanism", "OAUTHBEARER");
            }
        }
        config
    }
}

impl fmt::Debug for Cluster {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

/// How the group shares partitions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebalance {
    /// The classic protocol; members keep what stays theirs (`cooperative-sticky`).
    Cooperative,
    /// The classic protocol; every change takes everything from everybody (`range`, `roundrobin`).
    Eager,
    /// The protocol of KIP-848: the broker decides. It needs Kafka 4.0 or later.
    Consumer,
}

/// Where a partition begins that the group has no commit of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest record.
    Earliest,
    /// With what comes from now on.
    Latest,
    /// With the first record of that time or later, in Unix milliseconds.
    Time(i64),
    /// With this offset of every partition, or the oldest record after it.
    Offset(i64),
}

/// What runs one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// The records of one key; of those without one, the events that share the first of these attributes that
    /// they have.
    Key(Vec<String>),
    /// The records of one partition.
    Partition,
    /// Nothing: all run as they come.
    None,
}

/// A source.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name in metrics, keys and dead letters.
    pub name: Arc<str>,
    /// The cluster.
    pub cluster: Cluster,
    /// Topics by name, or by pattern where they begin with `^`.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group: String,
    /// The name of this member where membership is static: a restart within the session moves no partition.
    pub instance: Option<String>,
    /// How the group shares partitions out.
    pub rebalance: Rebalance,
    /// Where a partition begins that the group has no commit of.
    pub start: StartAt,
    /// What becomes of records that are no `CloudEvents`.
    pub plain: Plain,
    /// What runs one at a time.
    pub order: Order,
    /// How often what settled is committed.
    pub commit_every: Duration,
    /// The most bytes of a commit's metadata; the broker's `offset.metadata.max.bytes`.
    pub metadata_bytes_max: usize,
    /// The most records of one partition in hand, where there are several and its oldest one holds it up (a key
    /// that is parked or backs off); three times as many while it flows.
    pub partition_events_max: usize,
    /// A larger record becomes a dead letter.
    pub record_bytes_max: usize,
    /// The most bytes that are fetched ahead.
    pub prefetch_bytes_max: usize,
    /// How long what runs may take when its partition is given up.
    pub revoke_timeout: Duration,
    /// How long a full window is waited for before fetching is paused.
    pub pause_after: Duration,
    /// How long nothing may come in although there are records, before the client is made anew.
    pub stalled_after: Duration,
    /// How long the last commit of a drain may take.
    pub leave_timeout: Duration,
    /// How often the ends of the partitions are asked for: the freshness of the lag.
    pub stats_every: Duration,
    /// When a seek that seems to have been lost is sent again.
    pub seek_again: Duration,
}

impl Config {
    /// The source of these topics for this group, everything else by default.
    #[must_use]
    pub fn new(cluster: Cluster, group: &str, topics: &[&str]) -> Self {
        Self {
            name: "kafka".into(),
            cluster,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            group: group.to_owned(),
            instance: None,
            rebalance: Rebalance::Cooperative,
            start: StartAt::Earliest,
            plain: Plain::default(),
            order: Order::Key(vec!["partitionkey".to_owned()]),
            commit_every: Duration::from_millis(100),
            metadata_bytes_max: 4096,
            partition_events_max: 256,
            record_bytes_max: 4 << 20,
            prefetch_bytes_max: 2 << 20,
            revoke_timeout: Duration::from_secs(5),
            pause_after: Duration::from_millis(200),
            stalled_after: Duration::from_mins(1),
            leave_timeout: Duration::from_secs(5),
            stats_every: Duration::from_secs(5),
            seek_again: Duration::from_secs(5),
        }
    }

    /// Whether librdkafka takes all of it together. Connects to nobody.
    ///
    /// # Errors
    /// `Invalid` with librdkafka's own words.
    pub fn check(&self) -> Result<()> {
        let made: rdkafka::error::KafkaResult<rdkafka::consumer::BaseConsumer> = self.consumer().create();
        made.map(drop).map_err(|error| Error::new(Kind::Invalid, format!("kafka: {error}")))
    }

    /// The properties of a consumer of the group.
    pub(crate) fn consumer(&self) -> ClientConfig {
        let mut config = self.cluster.client();
        let given = |name: &str| self.cluster.properties.contains_key(name);
        config.set("group.id", &self.group);
        match self.rebalance {
            Rebalance::Cooperative => config.set("partition.assignment.strategy", "cooperative-sticky"),
            Rebalance::Eager => config.set("partition.assignment.strategy", "range,roundrobin"),
            Rebalance::Consumer => config.set("group.protocol", "consumer"),
        };
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", instance);
        }
        // Commits are ours, after the outcome; where to begin is asked for each partition by itself.
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "earliest").set("enable.partition.eof", "false");
        config.set("allow.auto.create.topics", "false");
        config.set("statistics.interval.ms", self.stats_every.as_millis().to_string());
        let prefetch = self.prefetch_bytes_max;
        for (name, value) in [
            ("queued.max.messages.kbytes", (prefetch / 1024).max(1).to_string()),
            // The default limit by number would starve small records or hold too many of them.
            ("queued.min.messages", "100000".to_owned()),
            ("fetch.message.max.bytes", (prefetch / 8).clamp(64 << 10, 1 << 20).to_string()),
            // Without it a full queue stops fetching for a second, and throughput drops to a tenth.
            ("fetch.queue.backoff.ms", "10".to_owned()),
            ("fetch.wait.max.ms", "100".to_owned()),
            ("check.crcs", "true".to_owned()),
            ("isolation.level", "read_committed".to_owned()),
            ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
        ] {
            if !given(name) {
                config.set(name, value);
            }
        }
        config
    }
}
