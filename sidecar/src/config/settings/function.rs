//! The settings of the function.

use super::{
    Setting,
    table::{GIB, KIB, PAUSE, TO_A_DAY, TO_AN_HOUR, count, setting, size},
};
use crate::config::kind::Kind;

/// Those of the section.
pub(super) const FUNCTION: &[Setting] = &[
    setting(
        "function.url",
        Kind::Or("none", &Kind::Url),
        "none",
        "Where the function listens. Needed unless `outrigger run` is given a COMMAND.",
    ),
    setting(
        "function.port",
        Kind::Or("auto", &count(1, 65_535)),
        "auto",
        "The port that a COMMAND is told to listen on; auto takes a free one.",
    ),
    setting(
        "function.port_env",
        Kind::Variable,
        "PORT",
        "The environment variable that tells a COMMAND its port.",
    ),
    setting(
        "function.mode",
        Kind::Word(&["binary", "structured", "protobuf", "raw"]),
        "binary",
        "How an event is written into the request: attributes as ce- headers, all of it as one JSON or as one message of Protobuf, or the bare data with the headers of OpenFaaS's connectors.",
    ),
    setting(
        "function.protocol",
        Kind::Word(&["http1", "h2c"]),
        "http1",
        "What it speaks: HTTP/1.1, or HTTP/2 without TLS from the first byte on (gRPC).",
    ),
    setting("function.connect_timeout", TO_AN_HOUR, "1s", "How long a connection may take to be made.")
        .live(),
    setting(
        "function.idle_timeout",
        TO_AN_HOUR,
        "15s",
        "How long an unused connection is kept; shorter than the function's own keep-alive.",
    )
    .live(),
    setting(
        "function.timeout",
        TO_A_DAY,
        "30s",
        "How long one attempt may take, from connecting to the reply's last byte.",
    )
    .live(),
    setting("function.concurrency", count(1, 10_000), "64", "The most requests at once.").live(),
    setting(
        "function.rate",
        Kind::Or("none", &Kind::Rate { max: 1_000_000.0 }),
        "none",
        "The most requests per time, such as 100/s.",
    )
    .live(),
    setting(
        "function.reply_bytes_max",
        size(0, GIB),
        "1MiB",
        "The largest body of a 2xx that is kept: a larger reply event fails the attempt, another body is dropped.",
    ),
    setting(
        "function.ready_path",
        Kind::Or("none", &Kind::UrlPath),
        "none",
        "A path that answers 2xx once the function is ready; none asks only for a TCP connection.",
    ),
    setting(
        "function.ready_timeout",
        Kind::Or("none", &TO_A_DAY),
        "none",
        "How long the function may take to be ready before the log says that it is late; events wait for it.",
    ),
    setting(
        "function.statuses",
        Kind::Statuses,
        "{}",
        "Statuses that mean something else than usual, such as {\"404\": refused, \"5xx\": retry}.",
    )
    .live(),
    setting(
        "function.restart",
        Kind::Word(&["on-failure", "always", "never"]),
        "on-failure",
        "Whether a COMMAND that ends is started again.",
    ),
    setting(
        "function.batch.events_max",
        count(1, 10_000),
        "1",
        "The most events in one request, at most function.concurrency, which counts events; 1 sends each alone.",
    ),
    setting(
        "function.batch.bytes_max",
        size(KIB, GIB),
        "1MiB",
        "The most bytes of them; a larger event goes alone.",
    ),
    setting("function.batch.wait", PAUSE, "10ms", "How long the first event of a batch waits for others."),
    setting("function.restart_backoff.initial", TO_AN_HOUR, "200ms", "The first wait."),
    setting("function.restart_backoff.max", TO_AN_HOUR, "30s", "The longest wait."),
    setting(
        "function.output",
        Kind::Word(&["prefix", "pass"]),
        "prefix",
        "Whether a COMMAND's output lines get a prefix or pass as they are.",
    ),
    setting(
        "function.stop_timeout",
        PAUSE,
        "10s",
        "How long a COMMAND may take to end after SIGTERM before it is killed; what it started gets at most 1s more.",
    ),
    setting(
        "function.env",
        Kind::Or("all", &Kind::Variables),
        "all",
        "The variables that a COMMAND inherits besides PATH, HOME, LANG and TZ: all, or a list of names.",
    ),
];
