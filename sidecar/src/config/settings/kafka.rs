//! The settings of Kafka: the cluster, the source, and the topics for replies and dead letters.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, KIB, MILLISECOND, TO_AN_HOUR, control, count, setting, size, span},
};
use crate::config::kind::Kind;

/// Kafka as a source; they follow those of `ingress.http`.
pub(super) const SOURCE: &[Setting] = &[
    setting(
        "ingress.kafka.topics",
        Kind::Or("none", &Kind::Topics),
        "none",
        "The topics to read: a list of names, or of patterns, which begin with ^.",
    ),
    setting(
        "ingress.kafka.group",
        Kind::Or("none", &Kind::Line),
        "none",
        "The consumer group; each needs its own name for each purpose.",
    ),
    setting(
        "ingress.kafka.instance",
        Kind::Or("none", &Kind::Line),
        "none",
        "A name of this member alone: with it, a restart within session.timeout.ms moves no partition.",
    ),
    setting(
        "ingress.kafka.rebalance",
        Kind::Word(&["cooperative", "eager", "consumer"]),
        "cooperative",
        "How partitions are shared out: cooperative moves only what must move, eager takes everything from everybody, \
         consumer is KIP-848, for Kafka 4.0 or later.",
    ),
    setting(
        "ingress.kafka.start",
        Kind::Start,
        "earliest",
        "Where a partition begins that the group has no commit of.",
    ),
    setting(
        "ingress.kafka.order",
        Kind::Word(&["key", "partition", "none"]),
        "key",
        "What runs one at a time: the records of one key (else of one delivery.key), of one partition, or nothing.",
    ),
    setting(
        "ingress.kafka.source",
        Kind::Line,
        "/kafka/{topic}",
        "The source of records that are no CloudEvents.",
    ),
    setting(
        "ingress.kafka.type",
        Kind::Line,
        "org.apache.kafka.record",
        "The type of records that are no CloudEvents; {topic} stands for the topic in both.",
    ),
    setting(
        "ingress.kafka.content_type",
        Kind::Or("none", &Kind::Line),
        "none",
        "The content type of records that are no CloudEvents and have no content-type header.",
    ),
    setting(
        "ingress.kafka.schema_registry",
        Kind::Word(&["true", "false"]),
        "false",
        "Whether records begin with a schema registry's prefix: the schema's number becomes kafkaschemaid.",
    ),
    setting(
        "ingress.kafka.record_bytes_max",
        size(KIB, GIB),
        "4MiB",
        "A larger record becomes a dead letter.",
    ),
    setting(
        "ingress.kafka.prefetch_bytes_max",
        size(64 * KIB, GIB),
        "2MiB",
        "The most bytes that are fetched ahead of the window.",
    ),
    setting(
        "ingress.kafka.partition_events_max",
        Kind::Or("auto", &count(1, 1_000_000)),
        "auto",
        "The most records in hand of a partition that is held up by a key, where there are several (three times as \
         many while it flows); auto is a quarter of window.events.",
    ),
    setting(
        "ingress.kafka.commit_every",
        span(MILLISECOND, Duration::from_secs(10)),
        "100ms",
        "How often settled offsets are committed: what may be delivered again after a crash.",
    ),
    setting(
        "ingress.kafka.metadata_bytes_max",
        count(64, 65_536),
        "4096",
        "The most bytes of a commit's metadata, which names what is finished beyond the offset; at most the \
         broker's offset.metadata.max.bytes. When it would be longer, the partition pauses.",
    ),
    setting(
        "ingress.kafka.revoke_timeout",
        TO_AN_HOUR,
        "5s",
        "How long what runs may take when its partition goes to another member.",
    ),
    setting(
        "ingress.kafka.pause_after",
        TO_AN_HOUR,
        "200ms",
        "How long the window may be full before fetching is paused.",
    ),
    setting(
        "ingress.kafka.stalled_after",
        TO_AN_HOUR,
        "60s",
        "How long nothing may come although records are there, before the client is made anew.",
    ),
    control("ingress.kafka.control"),
    setting(
        "ingress.kafka.stats_every",
        span(Duration::from_millis(100), Duration::from_mins(10)),
        "5s",
        "How often the ends of the partitions are noted: how fresh the lag is.",
    ),
    setting(
        "ingress.kafka.leave_timeout",
        TO_AN_HOUR,
        "5s",
        "How long the last commit of a drain may take, and the leave of the group after it.",
    ),
];

/// The cluster.
pub(super) const CLUSTER: &[Setting] = &[
    setting(
        "kafka.brokers",
        Kind::Or("none", &Kind::Brokers),
        "none",
        "At least one broker as host:port; the others are found by it.",
    ),
    setting(
        "kafka.preset",
        Kind::Word(&["none", "event-hubs"]),
        "none",
        "event-hubs is Azure Event Hubs: sasl-tls, PLAIN, the user $ConnectionString; the connection string is the \
         password. What it needs of librdkafka is set, too, unless kafka.properties says otherwise.",
    ),
    setting(
        "kafka.security",
        Kind::Word(&["plaintext", "tls", "sasl", "sasl-tls"]),
        "plaintext",
        "Whether connections are encrypted, and whether we say who we are.",
    ),
    setting("kafka.client_id", Kind::Line, "outrigger", "How brokers see us in their logs and quotas."),
    setting(
        "kafka.properties",
        Kind::Properties,
        "{}",
        "Further properties of librdkafka, such as {\"fetch.wait.max.ms\": 50}; those that delivery stands on are refused.",
    ),
    setting(
        "kafka.tls.ca_file",
        Kind::Or("system", &Kind::File),
        "system",
        "The authorities that brokers' certificates may come from, as PEM.",
    ),
    setting("kafka.tls.certificate_file", Kind::Or("none", &Kind::File), "none", "Our certificate, as PEM."),
    setting("kafka.tls.key_file", Kind::Or("none", &Kind::File), "none", "Its key, as PEM."),
    setting(
        "kafka.sasl.mechanism",
        Kind::Word(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]),
        "PLAIN",
        "How we say who we are.",
    ),
    setting("kafka.sasl.username", Kind::Or("none", &Kind::Line), "none", "The user."),
    setting(
        "kafka.sasl.password_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file that holds the password; read again when the broker refuses it.",
    ),
    setting(
        "kafka.sasl.token_url",
        Kind::Or("none", &Kind::TokenUrl),
        "none",
        "OAUTHBEARER: where tokens are fetched (client credentials, RFC 6749 section 4.4).",
    ),
    setting(
        "kafka.sasl.token_ca_file",
        Kind::Or("system", &Kind::File),
        "system",
        "OAUTHBEARER: the authorities that its certificate may come from, as PEM.",
    ),
    setting("kafka.sasl.client_id", Kind::Or("none", &Kind::Line), "none", "OAUTHBEARER: the client."),
    setting(
        "kafka.sasl.client_secret_file",
        Kind::Or("none", &Kind::File),
        "none",
        "OAUTHBEARER: the file that holds its secret; read for each token.",
    ),
    setting("kafka.sasl.scope", Kind::Or("none", &Kind::Line), "none", "OAUTHBEARER: the scope to ask for."),
    setting(
        "kafka.producer.compression",
        Kind::Word(&["auto", "none", "gzip", "snappy", "lz4", "zstd"]),
        "auto",
        "How records are compressed that are written; auto is lz4, and none for event-hubs.",
    ),
    setting(
        "kafka.producer.buffer_bytes_max",
        size(64 * KIB, GIB),
        "8MiB",
        "The most bytes of records that wait for their acknowledgement.",
    ),
    setting(
        "kafka.producer.timeout",
        TO_AN_HOUR,
        "30s",
        "How long one write may take before it counts as failed and is tried again.",
    ),
];

/// Those of `replies`.
pub(super) const REPLIES: &[Setting] = &[
    setting(
        "replies.kafka_topic",
        Kind::Or("none", &Kind::Topic),
        "none",
        "The topic for events that the function answers with; an event is done once its reply is there.",
    ),
    setting("replies.pubsub_topic", Kind::Or("none", &Kind::Line), "none", "The same as a topic of Pub/Sub."),
    setting(
        "replies.mode",
        Kind::Word(&["binary", "structured", "protobuf"]),
        "binary",
        "How they are written.",
    ),
    setting(
        "replies.hops_max",
        count(1, 1_000_000),
        "16",
        "How long a line of replies to replies may get (`outriggerhops`); the event whose reply would be one more \
         becomes a dead letter, as that is a loop.",
    )
    .live(),
];

/// Those of `dead_letters`.
pub(super) const DEAD_LETTERS: &[Setting] = &[
    setting(
        "dead_letters.kafka_topic",
        Kind::Or("none", &Kind::Topic),
        "none",
        "The topic for dead letters, instead of the journal, which then takes only those that are too large for it.",
    ),
    setting(
        "dead_letters.pubsub_topic",
        Kind::Or("none", &Kind::Line),
        "none",
        "The same as a topic of Pub/Sub.",
    ),
];
