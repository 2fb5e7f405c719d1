//! The settings of Google Pub/Sub: the source, the way there, and how topics are written. Those for replies and dead
//! letters stand with Kafka's.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, KIB, MILLISECOND, TO_AN_HOUR, control, count, setting, size, span},
};
use crate::config::kind::Kind;

/// Pub/Sub as a source; they follow those of `ingress.kafka`.
pub(super) const SOURCE: &[Setting] = &[
    setting(
        "ingress.pubsub.subscription",
        Kind::Or("none", &Kind::Lines),
        "none",
        "The subscriptions to pull: a name in pubsub.project, projects/P/subscriptions/S, or a list of them.",
    ),
    setting(
        "ingress.pubsub.topic",
        Kind::Or("none", &Kind::Line),
        "none",
        "The topic that stands in the source of messages that are no CloudEvents; without one it is the subscription.",
    ),
    setting(
        "ingress.pubsub.order",
        Kind::Word(&["key", "none"]),
        "key",
        "What runs one at a time: the messages of one ordering key (else of one delivery.key), or nothing.",
    ),
    setting(
        "ingress.pubsub.streams",
        count(1, 64),
        "1",
        "Streams of each subscription; Google serves about 10 MB/s on one.",
    ),
    setting(
        "ingress.pubsub.events_max",
        Kind::Or("auto", &count(1, 1_000_000)),
        "auto",
        "The most messages in hand over all streams, those that wait for the window included; auto is window.events.",
    ),
    setting(
        "ingress.pubsub.bytes_max",
        Kind::Or("auto", &size(64 * KIB, 64 * GIB)),
        "auto",
        "The most bytes of them; one message of each stream may go beyond. auto is window.bytes.",
    ),
    setting(
        "ingress.pubsub.message_bytes_max",
        size(KIB, GIB),
        "10MiB",
        "A larger message becomes a dead letter.",
    ),
    setting(
        "ingress.pubsub.lease",
        span(Duration::from_secs(10), Duration::from_mins(10)),
        "60s",
        "How long a lease lasts that nobody extends: after a crash, messages come again then. It is extended while an \
         event waits or runs.",
    ),
    setting(
        "ingress.pubsub.lease_max",
        span(Duration::from_secs(10), Duration::from_hours(24)),
        "1h",
        "How long a message may wait here before it goes back to Pub/Sub: how long an outage of the function is borne.",
    ),
    setting(
        "ingress.pubsub.probe_every",
        Kind::Or("never", &span(Duration::from_millis(100), Duration::from_hours(1))),
        "15s",
        "How often a subscription of which nothing came is asked after, so that readiness knows of an outage.",
    ),
    setting(
        "ingress.pubsub.retry_max",
        TO_AN_HOUR,
        "30s",
        "The longest wait before a subscription that is missing or forbidden is tried again.",
    ),
    control("ingress.pubsub.control"),
    setting(
        "ingress.pubsub.leave_timeout",
        TO_AN_HOUR,
        "5s",
        "How long the last acknowledgements of a drain may take.",
    ),
];

/// The way there, and how topics are written.
pub(super) const SERVICE: &[Setting] = &[
    setting(
        "pubsub.project",
        Kind::Or("none", &Kind::Line),
        "none",
        "The project of names that say none; without it, GOOGLE_CLOUD_PROJECT.",
    ),
    setting(
        "pubsub.endpoint",
        Kind::Or("none", &Kind::Url),
        "none",
        "Another endpoint than Google's own, such as a region's; over http:// it is a server on this machine, which is told \
         no credentials. Without one, PUBSUB_EMULATOR_HOST is honoured, which may name another machine.",
    ),
    setting(
        "pubsub.credentials_file",
        Kind::Or("none", &Kind::File),
        "none",
        "Credentials as Google's JSON; without one, Google's default chain (GOOGLE_APPLICATION_CREDENTIALS, gcloud, the \
         metadata server, workload identity).",
    ),
    setting(
        "pubsub.publisher.buffer_bytes_max",
        size(64 * KIB, GIB),
        "8MiB",
        "The most bytes of messages that wait for their acknowledgement, of each topic that is written.",
    ),
    setting(
        "pubsub.publisher.timeout",
        TO_AN_HOUR,
        "30s",
        "How long one write may take before it counts as failed and is tried again.",
    ),
    setting(
        "pubsub.publisher.gather",
        span(MILLISECOND, Duration::from_secs(10)),
        "5ms",
        "How long a message waits for others to be sent with it.",
    ),
];
