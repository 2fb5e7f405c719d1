//! The settings of the journal.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, KIB, MIB, MILLISECOND, YEAR, count, setting, size, span},
};
use crate::config::kind::Kind;

/// All of them.
pub(super) const JOURNAL: &[Setting] = &[
    setting("journal.path", Kind::File, ".outrigger/journal.db", "The file; readable by its owner only."),
    setting(
        "journal.storage",
        Kind::Word(&["auto", "durable", "ephemeral"]),
        "auto",
        "Whether the file outlives the pod or machine; auto says no in Kubernetes, in memory (tmpfs) and in a \
         container's own layer (overlay).",
    ),
    setting(
        "journal.ephemeral",
        Kind::Word(&["refuse", "accept-loss"]),
        "refuse",
        "On ephemeral storage: refuse makes ingress synchronous, accept-loss answers 202 all the same.",
    ),
    setting(
        "journal.bytes_max",
        size(MIB, 1024 * GIB),
        "1GiB",
        "The most bytes of waiting events; beyond it ingress answers 503.",
    ),
    setting(
        "journal.dead_bytes_max",
        size(MIB, 1024 * GIB),
        "1GiB",
        "The most bytes of dead letters; beyond it events that fail wait until some are replayed or dropped.",
    ),
    setting(
        "journal.overflow_bytes_max",
        size(MIB, 1024 * GIB),
        "1GiB",
        "The most bytes of copies that wait for slow targets (targets.NAME.overflow: journal); beyond it sources pause.",
    ),
    setting(
        "journal.marks_max",
        count(1_000, 100_000_000),
        "1000000",
        "The most marks of which of several targets has which event; the oldest are forgotten first.",
    ),
    setting(
        "journal.marks_age_max",
        span(Duration::from_secs(1), YEAR),
        "24h",
        "The age at which a mark is forgotten: what comes again later than that is sent again.",
    ),
    setting(
        "journal.dead_age_max",
        Kind::Or("none", &span(Duration::from_secs(1), YEAR)),
        "none",
        "The age at which a dead letter goes, counted; none keeps them.",
    ),
    setting(
        "journal.keep.settled",
        Kind::Word(&["false", "true"]),
        "false",
        "Whether events are kept when they are settled, for `outrigger events`: a second write of each.",
    ),
    setting(
        "journal.keep.age_max",
        span(Duration::from_secs(1), YEAR),
        "168h",
        "The age at which a kept event goes, counted; from its settlement on.",
    ),
    setting(
        "journal.keep.bytes_max",
        size(MIB, 1024 * GIB),
        "64MiB",
        "The most bytes of kept events; the oldest go first, also where the volume is short of space.",
    ),
    setting(
        "journal.audit_max",
        count(100, 1_000_000),
        "10000",
        "The most entries of who replayed or dropped what; the oldest go first.",
    ),
    setting(
        "journal.commit_every",
        span(MILLISECOND, Duration::from_secs(10)),
        "100ms",
        "How often settled events are written down: what may be delivered again after a crash.",
    ),
    setting("journal.group_events_max", count(1, 65_536), "1024", "The most events that share one fsync."),
    setting("journal.group_bytes_max", size(KIB, GIB), "4MiB", "The most bytes that share one fsync."),
    setting(
        "journal.gather_max",
        span(Duration::ZERO, Duration::from_millis(100)),
        "1ms",
        "How long an fsync waits for the senders that shared the last one; 0ms never waits.",
    ),
    setting(
        "journal.waiting_events_max",
        count(1, 1 << 20),
        "4096",
        "The most events that wait for their fsync; beyond it ingress answers 429.",
    ),
    setting("journal.waiting_bytes_max", size(KIB, 4 * GIB), "8MiB", "The most bytes of them."),
    setting(
        "journal.handoff_events_max",
        count(1, 1 << 20),
        "1024",
        "The most accepted events that are kept in memory for the lanes; the rest is read from the file again.",
    ),
    setting("journal.handoff_bytes_max", size(KIB, 4 * GIB), "2MiB", "The most bytes of them."),
    setting(
        "journal.wal_bytes_max",
        size(256 * KIB, GIB),
        "4MiB",
        "The size at which SQLite's log is copied into the file: a start after a crash reads it whole.",
    ),
    setting(
        "journal.stalled_after",
        span(Duration::from_millis(100), Duration::from_hours(1)),
        "10s",
        "How long the disk may take for one piece of work before /readyz says no.",
    ),
];
