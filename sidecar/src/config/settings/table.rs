//! The table itself: one entry per setting; those of the function, of brokers, of `auth` and of TLS stand in files of their
//! own.

use std::time::Duration;

use super::{
    Setting, auth, dedup, eventgrid, function, journal, kafka, origins, proxy, pubsub, push, responses,
    results, routes, tls, trace, webhook,
};
use crate::config::kind::Kind;

/// Every setting, in the order of the example; those of one section stand together.
pub(crate) static SETTINGS: &[Setting] = &concat::<{ count_all(ALL) }>(ALL);

const ALL: &[&[Setting]] = &[
    function::FUNCTION,
    tls::FUNCTION,
    TRANSFORM,
    INWARD,
    auth::INGRESS[0],
    auth::INGRESS[1],
    auth::INGRESS[2],
    tls::INGRESS,
    webhook::INGRESS,
    push::EVENTGRID_WEBHOOK,
    auth::EVENTGRID_WEBHOOK,
    origins::ORIGINS,
    kafka::SOURCE,
    pubsub::SOURCE,
    eventgrid::SOURCE,
    push::PUBSUB_PUSH,
    auth::PUBSUB_PUSH,
    kafka::CLUSTER,
    pubsub::SERVICE,
    eventgrid::NAMESPACE,
    kafka::REPLIES,
    eventgrid::REPLIES,
    routes::REPLIES,
    kafka::DEAD_LETTERS,
    eventgrid::DEAD_LETTERS,
    routes::DEAD_LETTERS,
    routes::TARGETS,
    routes::ROUTES,
    proxy::PROXY,
    auth::PROXY[0],
    auth::PROXY[1],
    auth::PROXY[2],
    tls::PROXY,
    dedup::DEDUP,
    results::RESULTS,
    responses::RESPONSES,
    journal::JOURNAL,
    ADMIN,
    tls::ADMIN,
    trace::TRACE,
    PROCESS,
];

const fn count_all(tables: &[&[Setting]]) -> usize {
    let (mut table, mut count) = (0, 0);
    while table < tables.len() {
        (count, table) = (count + tables[table].len(), table + 1);
    }
    count
}

const fn concat<const N: usize>(tables: &[&[Setting]]) -> [Setting; N] {
    let (mut all, mut table, mut count) = ([tables[0][0]; N], 0, 0);
    while table < tables.len() {
        let mut at = 0;
        while at < tables[table].len() {
            all[count] = tables[table][at];
            (at, count) = (at + 1, count + 1);
        }
        table += 1;
    }
    all
}

/// What becomes of events before their lanes.
const TRANSFORM: &[Setting] = &[setting(
    "transform",
    Kind::Or("none", &Kind::Transforms),
    "none",
    "Rules on the attributes of events, in their order: name, when, copy, rename, drop, set, subject, key.",
)];

/// Delivery, the window, and HTTP as a source.
const INWARD: &[Setting] = &[
    setting(
        "delivery.key",
        Kind::Or("none", &Kind::Attributes),
        "partitionkey",
        "The attribute whose equal values are delivered in order; of a list, the first that an event has.",
    ),
    setting("delivery.attempts_max", count(1, 1_000), "5", "Attempts before an event is poison.").live(),
    setting(
        "delivery.deadline",
        span(MILLISECOND, YEAR),
        "1h",
        "How long an event is tried in all before it is poison; stands still while the breaker is open.",
    )
    .live(),
    setting(
        "delivery.on_poison",
        Kind::Word(&["skip", "park"]),
        "skip",
        "What a poison event does to its key: skip makes it a dead letter and goes on, park holds the key.",
    )
    .live(),
    setting("delivery.backoff.initial", TO_AN_HOUR, "200ms", "The ceiling after the first failure.").live(),
    setting("delivery.backoff.max", TO_A_DAY, "60s", "The longest wait, a Retry-After included.").live(),
    setting(
        "delivery.retry_budget.ratio",
        Kind::Number { min: 0.0, max: 10.0 },
        "0.2",
        "Retries per first attempt.",
    )
    .live(),
    setting(
        "delivery.retry_budget.per_second_min",
        Kind::Number { min: 0.1, max: 100_000.0 },
        "10",
        "Retries per second that are always allowed.",
    )
    .live(),
    setting(
        "delivery.retry_budget.burst",
        count(1, 1_000_000),
        "100",
        "The most retries that may be saved up.",
    )
    .live(),
    setting(
        "delivery.breaker.failures",
        count(1, 1_000_000),
        "10",
        "Failures in a row, without any answer that counts, that open it.",
    )
    .live(),
    setting(
        "delivery.breaker.open",
        TO_AN_HOUR,
        "1s",
        "How long it first stays open; doubles up to open_max.",
    )
    .live(),
    setting("delivery.breaker.open_max", TO_AN_HOUR, "30s", "The longest it stays open between two probes.")
        .live(),
    setting("window.events", count(1, 1_000_000), "1024", "The most events.").live(),
    setting("window.bytes", size(64 * KIB, 64 * GIB), "32MiB", "The most bytes of events.").live(),
    setting(
        "ingress.http.listen",
        Kind::Or("off", &Kind::Listen),
        "127.0.0.1:8080",
        "The address; beyond loopback it needs an auth section, if only `auth: none`.",
    ),
    setting("ingress.http.path", Kind::UrlPath, "/", "The path that takes events."),
    setting(
        "ingress.http.sync",
        Kind::Word(&["auto", "true", "false"]),
        "auto",
        "true answers with the function's outcome, false as soon as the journal has the event; auto is false \
         where the journal is durable.",
    ),
    setting(
        "ingress.http.sync_timeout",
        TO_AN_HOUR,
        "30s",
        "How long a synchronous sender waits for the outcome before it gets a 504.",
    ),
    setting(
        "ingress.http.body_bytes_max",
        size(1, GIB),
        "1MiB",
        "The largest body on the wire; beyond it 413.",
    ),
    setting(
        "ingress.http.decompressed_bytes_max",
        size(1, GIB),
        "4MiB",
        "The largest body after gzip, deflate or zstd; beyond it 413.",
    ),
    setting(
        "ingress.http.receiving_bytes_max",
        size(64 * KIB, 64 * GIB),
        "64MiB",
        "The most bytes of bodies that are not whole yet, over all requests, and at least one body; beyond it 503.",
    ),
    setting("ingress.http.headers_max", count(8, 1_000), "100", "The most headers; beyond it 431."),
    setting(
        "ingress.http.header_bytes_max",
        size(8 * KIB, MIB),
        "64KiB",
        "The most bytes of headers; beyond it 431.",
    ),
    setting(
        "ingress.http.batch_events_max",
        count(1, 65_536),
        "1000",
        "The most events in one batch; beyond it 413.",
    ),
    setting(
        "ingress.http.connections_max",
        count(1, 100_000),
        "1024",
        "The most connections; then the one that has rested longest makes room, or further ones wait in the kernel's queue.",
    ),
    setting("ingress.http.header_timeout", TO_AN_HOUR, "10s", "How long a request's headers may take."),
    setting("ingress.http.body_timeout", TO_AN_HOUR, "30s", "How long a request's body may take."),
    setting(
        "ingress.http.idle_timeout",
        TO_AN_HOUR,
        "75s",
        "How long a connection may rest between requests.",
    ),
    control("ingress.http.control"),
    setting(
        "ingress.http.http2_streams_max",
        count(0, 10_000),
        "100",
        "The most requests at once on one HTTP/2 connection; further ones wait. 0 speaks HTTP/1.1 alone.",
    ),
];

/// Admin.
const ADMIN: &[Setting] = &[
    setting(
        "admin.listen",
        Kind::Or("off", &Kind::Listen),
        "127.0.0.1:9464",
        "Where /livez, /readyz and /metrics are answered.",
    ),
    setting(
        "admin.socket",
        Kind::File,
        ".outrigger/admin.sock",
        "The Unix socket, for its owner only, through which `outrigger dead` talks to a running outrigger.",
    ),
];

/// The process.
const PROCESS: &[Setting] = &[
    setting(
        "drain.lame_duck",
        PAUSE,
        "0s",
        "How long events are still taken after /readyz says no, so that senders can notice.",
    ).live(),
    setting(
        "drain.deadline",
        TO_AN_HOUR,
        "25s",
        "How long the rest may take; what is left is delivered again later.",
    ).live(),
    setting(
        "drain.storage_timeout",
        TO_AN_HOUR,
        "10s",
        "How long the journal may take to write what settled last; after that the process ends without it.",
    ).live(),
    setting(
        "log.level",
        Kind::Word(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "The least level.",
    )
    .live(),
    setting(
        "log.format",
        Kind::Word(&["auto", "text", "json"]),
        "auto",
        "auto is text on a terminal, else JSON.",
    ),
    setting(
        "log.audit",
        Kind::Word(&["off", "refused", "all"]),
        "refused",
        "Which decisions about senders get a line each, whatever log.level is; of those refused at most 20 a second. What an \
         owner replays or drops gets one unless it is off.",
    )
    .live(),
    setting("runtime.threads", count(1, 256), "1", "Worker threads; one costs the least per event."),
    setting(
        "runtime.seed",
        Kind::Or("none", &count(0, u64::MAX)),
        "none",
        "Makes random choices repeatable, for tests; none takes a fresh one.",
    ),
];

pub(super) const fn setting(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { path, kind, default, doc, live: false }
}

/// Whether a source's control events count.
pub(super) const fn control(path: &'static str) -> Setting {
    let doc = "Whether control events from here (io.outrigger.cache.invalidate) count; from elsewhere they are discarded, \
               counted, wherever there is something to control.";
    setting(path, Kind::Word(&["true", "false"]), "false", doc)
}

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
pub(super) const YEAR: Duration = Duration::from_hours(24 * 366);

pub(super) const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

pub(super) const fn span(min: Duration, max: Duration) -> Kind {
    Kind::Span { min, max }
}

pub(super) const fn size(min: u64, max: u64) -> Kind {
    Kind::Size { min, max }
}

pub(super) const TO_AN_HOUR: Kind = span(MILLISECOND, HOUR);
pub(super) const TO_A_DAY: Kind = span(MILLISECOND, DAY);
pub(super) const PAUSE: Kind = span(Duration::ZERO, HOUR);
