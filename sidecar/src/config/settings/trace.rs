//! The settings of traces, of metrics by OTLP, and of timelines.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, KIB, MILLISECOND, TO_AN_HOUR, count, setting, size, span},
};
use crate::config::kind::Kind;

const FILE: Kind = Kind::Or("none", &Kind::File);
const YES_OR_NO: Kind = Kind::Word(&["true", "false"]);

/// In the order of the example.
pub(super) const TRACE: &[Setting] = &[
    setting(
        "trace.export",
        Kind::Word(&["off", "local", "otlp"]),
        "off",
        "otlp sends spans and metrics to a collector; local keeps only the timelines that `outrigger trace` shows; off \
         is neither, and costs nothing.",
    ),
    setting(
        "trace.protocol",
        Kind::Word(&["auto", "grpc", "http"]),
        "auto",
        "How OTLP is spoken; auto is what OTEL_EXPORTER_OTLP_PROTOCOL says, else grpc.",
    ),
    setting(
        "trace.endpoint",
        Kind::Or("auto", &Kind::CollectorUrl),
        "auto",
        "The collector; over http, /v1/traces and /v1/metrics are added. auto is OTEL_EXPORTER_OTLP_ENDPOINT, else port \
         4317 (grpc) or 4318 (http) of this host.",
    ),
    setting(
        "trace.headers",
        Kind::Named("headers to their values"),
        "{}",
        "Headers that are sent along, beside those of OTEL_EXPORTER_OTLP_HEADERS.",
    ),
    setting(
        "trace.headers_file",
        FILE,
        "none",
        "A file of further ones, each line `name: value`: for tokens. It is read at the start.",
    ),
    setting(
        "trace.compression",
        Kind::Word(&["auto", "none", "gzip"]),
        "auto",
        "How requests are packed; auto is what OTEL_EXPORTER_OTLP_COMPRESSION says, else none.",
    ),
    setting(
        "trace.timeout",
        Kind::Or("auto", &TO_AN_HOUR),
        "auto",
        "How long a request to the collector may take, with all its tries; auto is OTEL_EXPORTER_OTLP_TIMEOUT (ms), else 10s.",
    ),
    setting(
        "trace.ratio",
        Kind::Or("auto", &Kind::Number { min: 0.0, max: 1.0 }),
        "auto",
        "The part of events that are sampled; auto is what OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG say, else all.",
    ),
    setting(
        "trace.parent_based",
        Kind::Word(&["auto", "true", "false"]),
        "auto",
        "Whether an event that continues a trace is sampled as that trace is; auto is as OTEL_TRACES_SAMPLER says, else true.",
    ),
    setting(
        "trace.errors",
        YES_OR_NO,
        "true",
        "Whether events are kept that are not sampled, but failed, be it at one attempt.",
    ),
    setting(
        "trace.slow",
        Kind::Or("none", &span(MILLISECOND, Duration::from_hours(24))),
        "1s",
        "Events that took longer, from their admission to their settlement, are kept as well.",
    ),
    setting(
        "trace.propagators",
        Kind::Or("auto", &Kind::Words(&["tracecontext", "baggage", "b3", "b3multi", "xray"])),
        "auto",
        "How the place in a trace is read and told on; what is named first is believed first. auto is OTEL_PROPAGATORS, \
         else tracecontext and baggage.",
    ),
    setting(
        "trace.baggage",
        Kind::Or("none", &Kind::Lines),
        "none",
        "The members of baggage that are passed on, by their keys.",
    ),
    setting(
        "trace.resource",
        Kind::Named("attributes to their values"),
        "{}",
        "What describes this process, beside OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME; service.name is else outrigger.",
    ),
    setting(
        "trace.queue_events",
        Kind::Or("auto", &count(1, 1_000_000)),
        "auto",
        "Events whose spans wait for the collector; beyond it they are dropped and counted. auto is \
         OTEL_BSP_MAX_QUEUE_SIZE, else 16384.",
    ),
    setting(
        "trace.queue_bytes",
        size(64 * KIB, GIB),
        "16MiB",
        "The same in bytes of memory: events with long sources, ids or paths take more.",
    ),
    setting(
        "trace.batch_events",
        Kind::Or("auto", &count(1, 10_000)),
        "auto",
        "Events in one request; auto is OTEL_BSP_MAX_EXPORT_BATCH_SIZE, else 512, and no more than wait.",
    ),
    setting(
        "trace.batch_bytes",
        size(64 * KIB, GIB),
        "2MiB",
        "The same in bytes, before they are packed. A collector takes 4 MiB at once by default; what it finds too large all \
         the same, it gets in halves.",
    ),
    setting(
        "trace.attribute_chars",
        Kind::Or("auto", &count(1, 1_000_000)),
        "auto",
        "Characters of one attribute of a span; what is longer is cut. auto is OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT or \
         OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT, else 1024.",
    ),
    setting(
        "trace.interval",
        Kind::Or("auto", &TO_AN_HOUR),
        "auto",
        "How long an event waits for others; auto is OTEL_BSP_SCHEDULE_DELAY (ms), else 1s.",
    ),
    setting(
        "trace.metrics",
        YES_OR_NO,
        "true",
        "Whether metrics are sent as well, by their names in /metrics.",
    ),
    setting(
        "trace.metrics_interval",
        Kind::Or("auto", &TO_AN_HOUR),
        "auto",
        "How often; auto is OTEL_METRIC_EXPORT_INTERVAL (ms), else 1m.",
    ),
    setting(
        "trace.flush_timeout",
        TO_AN_HOUR,
        "2s",
        "How long the last spans may take at the end of the process.",
    ),
    setting("trace.ring_events", count(1, 10_000_000), "1000", "Timelines that `outrigger trace` can show."),
    setting("trace.ring_bytes", size(64 * KIB, GIB), "1MiB", "The most bytes of them; the oldest make room."),
    setting(
        "trace.tls.ca_file",
        Kind::Or("auto", &Kind::File),
        "auto",
        "The authorities (PEM) that may have signed the collector's certificate; auto is OTEL_EXPORTER_OTLP_CERTIFICATE, \
         else the system's.",
    ),
    setting(
        "trace.tls.certificate_file",
        FILE,
        "none",
        "A certificate (PEM) that is shown to the collector.",
    ),
    setting("trace.tls.key_file", FILE, "none", "Its key (PEM, not encrypted)."),
];
