//! Kafka in the configuration, as the program uses it: the cluster and the source.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::build::Values;

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port`, at least one.
    pub brokers: Vec<String>,
    /// How brokers see us.
    pub client_id: String,
    /// Encryption, if any.
    pub tls: Option<Tls>,
    /// Who we are, if we say so.
    pub sasl: Option<Sasl>,
    /// Further properties of librdkafka.
    pub properties: BTreeMap<String, String>,
    /// How records are written.
    pub producer: Producer,
}

/// Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The authorities; none is the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// Who we are. What is missing here a rule has complained about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sasl {
    /// A user with a password.
    Password {
        /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        mechanism: &'static str,
        /// The user.
        username: Option<String>,
        /// The file that holds the password.
        password_file: Option<PathBuf>,
    },
    /// Tokens by client credentials.
    Token {
        /// Where they are fetched.
        url: Option<http::Uri>,
        /// The client.
        client_id: Option<String>,
        /// The file that holds its secret.
        client_secret_file: Option<PathBuf>,
        /// The scope to ask for.
        scope: Option<String>,
        /// The authorities of the endpoint's certificate; none is the system's.
        ca_file: Option<PathBuf>,
    },
}

/// How records are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// In librdkafka's words.
    pub compression: Compression,
    /// The most bytes that wait for their acknowledgement.
    pub buffer_bytes_max: usize,
    /// How long one write may take.
    pub timeout: Duration,
}

/// A codec, by librdkafka's name.
pub type Compression = &'static str;

/// How a group shares partitions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebalance {
    /// Only what must move moves.
    Cooperative,
    /// Everything is taken from everybody.
    Eager,
    /// KIP-848.
    Consumer,
}

/// Where a partition begins that the group has no commit of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record.
    Earliest,
    /// With what comes from now on.
    Latest,
    /// With the first record of that time or later, in Unix milliseconds.
    Time(i64),
    /// With that offset of every partition.
    Offset(i64),
}

impl Start {
    /// Reads `earliest`, `latest`, a time (RFC 3339) or `offset:N`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        use time::{OffsetDateTime, format_description::well_known::Rfc3339};
        match text {
            "earliest" => return Some(Self::Earliest),
            "latest" => return Some(Self::Latest),
            _ => {}
        }
        if let Some(offset) = text.strip_prefix("offset:") {
            return offset.parse().ok().filter(|offset| *offset >= 0).map(Self::Offset);
        }
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().filter(|ms| *ms >= 0).map(Self::Time)
    }
}

/// What runs one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The records of one key.
    Key,
    /// The records of one partition.
    Partition,
    /// Nothing.
    None,
}

/// Kafka as a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// Names, or patterns that begin with `^`.
    pub topics: Vec<String>,
    /// The consumer group; a rule asks for it.
    pub group: Option<String>,
    /// The name of a static member.
    pub instance: Option<String>,
    /// How partitions are shared out.
    pub rebalance: Rebalance,
    /// Where a partition begins that has no commit.
    pub start: Start,
    /// What runs one at a time.
    pub order: Order,
    /// The source of plain records.
    pub source: String,
    /// Their type.
    pub ty: String,
    /// Their content type, where they have none.
    pub content_type: Option<String>,
    /// Whether they begin with a schema's number.
    pub schema_registry: bool,
    /// The largest record, in bytes.
    pub record_bytes_max: usize,
    /// The most bytes that are fetched ahead.
    pub prefetch_bytes_max: usize,
    /// The most records of one partition in hand.
    pub partition_events_max: usize,
    /// How often settled offsets are committed.
    pub commit_every: Duration,
    /// The most bytes of a commit's metadata.
    pub metadata_bytes_max: usize,
    /// How long what runs may take when its partition goes.
    pub revoke_timeout: Duration,
    /// How long the window may be full before fetching is paused.
    pub pause_after: Duration,
    /// How long nothing may come although records are there.
    pub stalled_after: Duration,
    /// How often the ends of partitions are noted.
    pub stats_every: Duration,
    /// How long the last commit may take.
    pub leave_timeout: Duration,
}

/// What Azure Event Hubs needs: it drops connections that rest for four minutes, without a word, and closes those
/// that bring a request of more than 1,046,528 bytes.
const EVENT_HUBS: [(&str, &str); 3] = [
    ("connections.max.idle.ms", "180000"),
    ("message.max.bytes", "1000000"),
    ("socket.keepalive.enable", "true"),
];

impl Values {
    pub(super) fn kafka(&self) -> Option<Kafka> {
        let event_hubs = self.word("kafka.preset") == "event-hubs";
        let security = if event_hubs { "sasl-tls" } else { self.word("kafka.security") };
        Some(Kafka {
            brokers: self.list("kafka.brokers")?,
            client_id: self.text("kafka.client_id"),
            tls: security.ends_with("tls").then(|| Tls {
                ca: self.some_file("kafka.tls.ca_file"),
                certificate: self.some_file("kafka.tls.certificate_file"),
                key: self.some_file("kafka.tls.key_file"),
            }),
            sasl: security.starts_with("sasl").then(|| self.sasl(event_hubs)),
            properties: self.kafka_properties(event_hubs),
            producer: Producer {
                compression: match self.word("kafka.producer.compression") {
                    "auto" if event_hubs => "none",
                    "auto" => "lz4",
                    codec => codec,
                },
                buffer_bytes_max: self.size("kafka.producer.buffer_bytes_max"),
                timeout: self.span("kafka.producer.timeout"),
            },
        })
    }

    fn kafka_properties(&self, event_hubs: bool) -> BTreeMap<String, String> {
        let mut properties = self.properties("kafka.properties");
        let needed: &[(&str, &str)] = if event_hubs { &EVENT_HUBS } else { &[] };
        for (name, value) in needed {
            properties.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        properties
    }

    fn sasl(&self, event_hubs: bool) -> Sasl {
        match self.word("kafka.sasl.mechanism") {
            "OAUTHBEARER" => Sasl::Token {
                url: self.url("kafka.sasl.token_url"),
                client_id: self.some_text("kafka.sasl.client_id"),
                client_secret_file: self.some_file("kafka.sasl.client_secret_file"),
                scope: self.some_text("kafka.sasl.scope"),
                ca_file: self.some_file("kafka.sasl.token_ca_file"),
            },
            mechanism => Sasl::Password {
                mechanism,
                // Azure tells its clients apart by the connection string alone.
                username: if event_hubs {
                    Some("$ConnectionString".to_owned())
                } else {
                    self.some_text("kafka.sasl.username")
                },
                password_file: self.some_file("kafka.sasl.password_file"),
            },
        }
    }

    pub(super) fn kafka_ingress(&self) -> Option<Ingress> {
        let quarter: usize = self.count::<usize>("window.events").div_ceil(4);
        let most = self.some_count("ingress.kafka.partition_events_max");
        Some(Ingress {
            topics: self.list("ingress.kafka.topics")?,
            group: self.some_text("ingress.kafka.group"),
            instance: self.some_text("ingress.kafka.instance"),
            rebalance: match self.word("ingress.kafka.rebalance") {
                "eager" => Rebalance::Eager,
                "consumer" => Rebalance::Consumer,
                _ => Rebalance::Cooperative,
            },
            start: self.start("ingress.kafka.start"),
            order: match self.word("ingress.kafka.order") {
                "partition" => Order::Partition,
                "none" => Order::None,
                _ => Order::Key,
            },
            source: self.text("ingress.kafka.source"),
            ty: self.text("ingress.kafka.type"),
            content_type: self.some_text("ingress.kafka.content_type"),
            schema_registry: self.word("ingress.kafka.schema_registry") == "true",
            record_bytes_max: self.size("ingress.kafka.record_bytes_max"),
            prefetch_bytes_max: self.size("ingress.kafka.prefetch_bytes_max"),
            partition_events_max: most.and_then(|most| usize::try_from(most).ok()).unwrap_or(quarter),
            commit_every: self.span("ingress.kafka.commit_every"),
            metadata_bytes_max: self.count("ingress.kafka.metadata_bytes_max"),
            revoke_timeout: self.span("ingress.kafka.revoke_timeout"),
            pause_after: self.span("ingress.kafka.pause_after"),
            stalled_after: self.span("ingress.kafka.stalled_after"),
            stats_every: self.span("ingress.kafka.stats_every"),
            leave_timeout: self.span("ingress.kafka.leave_timeout"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_a_time_or_an_offset() {
        for (text, expected) in [
            ("earliest", Some(Start::Earliest)),
            ("latest", Some(Start::Latest)),
            ("offset:42", Some(Start::Offset(42))),
            ("1970-01-01T00:00:01.5Z", Some(Start::Time(1_500))),
            ("offset:-1", None),
            ("42", None),
            ("yesterday", None),
            ("1969-01-01T00:00:00Z", None),
        ] {
            assert_eq!(Start::read(text), expected, "{text}");
        }
    }
}
