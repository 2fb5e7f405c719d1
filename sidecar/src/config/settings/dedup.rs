//! The settings of deduplication.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, KIB, MILLISECOND, TO_A_DAY, setting, size, span},
};
use crate::config::kind::Kind;

/// All of them.
pub(super) const DEDUP: &[Setting] = &[
    setting(
        "cache.dedup.window",
        Kind::Or("off", &TO_A_DAY),
        "off",
        "How long a handled event is known by its source and id, at each receiver and target, so that it is settled \
         without a call when it comes again; at most journal.marks_age_max.",
    ),
    setting(
        "cache.dedup.conflict",
        Kind::Word(&["deliver", "reject", "drop"]),
        "deliver",
        "What becomes of an event whose source and id are known with another type or data: it is delivered all the \
         same, becomes a dead letter (a sender who waits gets 409), or is dropped. Each is counted.",
    ),
    setting(
        "cache.dedup.bytes_max",
        size(4 * KIB, 16 * GIB),
        "16MiB",
        "What the marks may take of memory, about 140 bytes each; full, the oldest go, and what comes again is sent again.",
    ),
    setting(
        "cache.dedup.redis.url",
        Kind::Or("none", &Kind::Line),
        "none",
        "redis://HOST:PORT/DATABASE, or rediss:// with TLS; none keeps marks in the journal.",
    ),
    setting("cache.dedup.redis.username", Kind::Or("none", &Kind::Line), "none", "As whom to log in."),
    setting(
        "cache.dedup.redis.password_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file with the password.",
    ),
    setting(
        "cache.dedup.redis.ca_file",
        Kind::Or("system", &Kind::File),
        "system",
        "The authorities (PEM) of rediss://; system is the system's.",
    ),
    setting(
        "cache.dedup.redis.timeout",
        span(MILLISECOND, Duration::from_secs(10)),
        "100ms",
        "How long a question or a mark may take; then the event goes on without it, and the store is left alone for a while.",
    ),
    setting(
        "cache.dedup.redis.prefix",
        Kind::Line,
        "\"outrigger:dedup:\"",
        "What each key begins with; of replicas the same.",
    ),
];
