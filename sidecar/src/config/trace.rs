//! Traces in the configuration, as the program uses them. What the file leaves out, OpenTelemetry's own environment
//! variables say; each is read by its name here, and no other is.

mod around;
mod headers;

pub use headers::unfit;

use std::{fmt, path::PathBuf, time::Duration};

use http::Uri;

use super::{build::Values, env::Env, problems::quoted, rules::Rules};
use around::{Around, METRICS, Signal, TRACES, name};

/// Traces, metrics by OTLP, and timelines.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The part of events that are sampled.
    pub ratio: f64,
    /// Whether an event that continues a trace is sampled as that one is.
    pub parent_based: bool,
    /// Whether failed events are kept in any case.
    pub errors: bool,
    /// The same of events that took longer.
    pub slow: Option<Duration>,
    /// By their names, the first first.
    pub propagators: Vec<String>,
    /// Keys of baggage that are passed on.
    pub baggage: Vec<String>,
    /// Timelines in memory.
    pub ring_events: usize,
    /// The most bytes of them.
    pub ring_bytes: usize,
    /// The collector; none keeps timelines only.
    pub export: Option<TraceExport>,
}

/// The collector.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceExport {
    /// The way of spans; none sends none.
    pub traces: Option<TraceWay>,
    /// The same of metrics.
    pub metrics: Option<TraceWay>,
    /// A file of further headers.
    pub headers_file: Option<PathBuf>,
    /// Events that wait.
    pub queue_events: usize,
    /// The same in bytes.
    pub queue_bytes: usize,
    /// Events in one request.
    pub batch_events: usize,
    /// The same in bytes.
    pub batch_bytes: usize,
    /// Characters of one attribute's value.
    pub attribute_chars: usize,
    /// How long an event waits for others.
    pub interval: Duration,
    /// How often metrics are sent.
    pub metrics_interval: Duration,
    /// Bound of the last spans.
    pub flush_timeout: Duration,
    /// What describes this process.
    pub resource: Vec<(String, String)>,
}

/// The way of spans, or of metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceWay {
    /// Whether OTLP is spoken by gRPC.
    pub grpc: bool,
    /// Where they go.
    pub url: Uri,
    /// Headers that are sent along.
    pub headers: Headers,
    /// Whether requests are packed.
    pub gzip: bool,
    /// Bound of one request.
    pub timeout: Duration,
    /// The authorities; none is the system's.
    pub ca: Option<Named>,
    /// Our certificate and its key.
    pub pair: Option<(Named, Named)>,
}

/// A file, and the setting or variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub by: &'static str,
    /// The file.
    pub file: PathBuf,
}

/// What is no setting, and is to be told all the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TraceNotes {
    /// Whether `OTEL_SDK_DISABLED` turns off what the file turns on.
    pub disabled: bool,
    /// Variables of OpenTelemetry that cannot be meant, which count for nothing, and settings without effect: the name, and
    /// what.
    pub warnings: Vec<(&'static str, String)>,
}

/// Names and values of headers. The values may be secret, so they are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// What only counts where something is sent.
const OF_EXPORT: &[&str] = &[
    "trace.protocol",
    "trace.headers",
    "trace.headers_file",
    "trace.compression",
    "trace.timeout",
    "trace.ratio",
    "trace.errors",
    "trace.slow",
    "trace.resource",
    "trace.queue_events",
    "trace.queue_bytes",
    "trace.batch_events",
    "trace.batch_bytes",
    "trace.attribute_chars",
    "trace.interval",
    "trace.metrics",
    "trace.metrics_interval",
    "trace.flush_timeout",
    "trace.tls.ca_file",
    "trace.tls.certificate_file",
    "trace.tls.key_file",
];
/// What only counts over TLS.
const OF_TLS: &[&str] = &["trace.tls.ca_file", "trace.tls.certificate_file", "trace.tls.key_file"];

impl Values {
    /// None where it is off, also by `OTEL_SDK_DISABLED`; and what is to be told.
    pub(super) fn trace(&self, env: &dyn Env) -> (Option<Trace>, TraceNotes) {
        let export = self.word("trace.export");
        if export == "off" {
            return (None, TraceNotes::default());
        }
        let mut around = Around { env, warnings: Vec::new() };
        if around.word(name::DISABLED, &["true", "false"]) == Some("true") {
            return (None, TraceNotes { disabled: true, warnings: around.warnings });
        }
        let (ratio, parent_based) = around.sampler();
        let trace = Trace {
            ratio: self.rate_of("trace.ratio").unwrap_or(ratio),
            parent_based: match self.word("trace.parent_based") {
                "auto" => parent_based,
                word => word == "true",
            },
            errors: self.word("trace.errors") == "true",
            slow: self.some_span("trace.slow"),
            propagators: self.list("trace.propagators").unwrap_or_else(|| around.propagators()),
            baggage: self.list("trace.baggage").unwrap_or_default(),
            ring_events: self.count("trace.ring_events"),
            ring_bytes: self.size("trace.ring_bytes"),
            export: (export == "otlp").then(|| self.trace_export(&mut around)),
        };
        let mut warnings = around.warnings;
        self.without_effect(trace.export.as_ref(), &mut warnings);
        (Some(trace), TraceNotes { disabled: false, warnings })
    }

    /// What the file says to no end.
    fn without_effect(&self, export: Option<&TraceExport>, warnings: &mut Vec<(&'static str, String)>) {
        let is_https = |way: &TraceWay| way.url.scheme_str() == Some("https");
        let (settings, why) = match export {
            None => (OF_EXPORT, "it is without effect: trace.export: local sends nothing"),
            Some(export) if !export.traces.iter().chain(&export.metrics).any(is_https) => {
                (OF_TLS, "it is without effect: the collector's URL says http")
            }
            Some(_) => return,
        };
        let given = settings.iter().filter(|path| self.differs(path));
        warnings.extend(given.map(|path| (*path, why.to_owned())));
    }

    fn trace_export(&self, around: &mut Around<'_>) -> TraceExport {
        let is_metered = self.word("trace.metrics") == "true" && around.exports(name::METRICS);
        let is_traced = around.exports(name::TRACES);
        let queue_events = self.some_count("trace.queue_events");
        let queue_events = queue_events.unwrap_or_else(|| around.count(name::QUEUE, 16_384, 1_000_000));
        let batch_events = self.some_count("trace.batch_events");
        let batch_events =
            batch_events.unwrap_or_else(|| around.count(name::BATCH, 512, 10_000).min(queue_events));
        let as_size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        TraceExport {
            traces: is_traced.then(|| self.trace_way(around, &TRACES)),
            metrics: is_metered.then(|| self.trace_way(around, &METRICS)),
            headers_file: self.some_file("trace.headers_file"),
            queue_events: as_size(queue_events),
            queue_bytes: self.size("trace.queue_bytes"),
            batch_events: as_size(batch_events),
            batch_bytes: self.size("trace.batch_bytes"),
            attribute_chars: as_size(
                self.some_count("trace.attribute_chars").unwrap_or_else(|| around.attribute_chars()),
            ),
            interval: self.some_span("trace.interval").unwrap_or_else(|| around.ms(&[name::DELAY], 1_000)),
            metrics_interval: self
                .some_span("trace.metrics_interval")
                .unwrap_or_else(|| around.ms(&[name::METRIC_INTERVAL], 60_000)),
            flush_timeout: self.span("trace.flush_timeout"),
            resource: self.trace_resource(around),
        }
    }

    /// The file says one thing for both; what it leaves out a signal's own variable says, or else the common one.
    fn trace_way(&self, around: &mut Around<'_>, of: &Signal) -> TraceWay {
        let grpc = match self.word("trace.protocol") {
            "auto" => around.first_word(of.protocol, &["grpc", "http/protobuf"]).unwrap_or("grpc") == "grpc",
            word => word == "grpc",
        };
        let named = |by: &'static str| self.some_file(by).map(|file| Named { by, file });
        let pair = named("trace.tls.certificate_file").zip(named("trace.tls.key_file"));
        let mut headers = around.headers(of.headers);
        for (name, value) in self.properties("trace.headers") {
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        TraceWay {
            grpc,
            url: self.trace_endpoint(around, grpc, of),
            headers: Headers(headers),
            gzip: match self.word("trace.compression") {
                "auto" => around.first_word(of.compression, &["none", "gzip"]) == Some("gzip"),
                word => word == "gzip",
            },
            timeout: self.some_span("trace.timeout").unwrap_or_else(|| around.ms(of.timeout, 10_000)),
            ca: named("trace.tls.ca_file").or_else(|| around.file(of.ca)),
            pair: pair.or_else(|| around.pair(of)),
        }
    }

    /// A signal's own endpoint is taken as it is; to the common one, HTTP adds the signal's path.
    fn trace_endpoint(&self, around: &mut Around<'_>, grpc: bool, of: &Signal) -> Uri {
        let given = self.url("trace.endpoint");
        if given.is_none()
            && let Some(own) = around.url(of.endpoint)
        {
            return own;
        }
        let local = if grpc { "http://127.0.0.1:4317" } else { "http://127.0.0.1:4318" };
        let common = given.or_else(|| around.url(name::ENDPOINT)).unwrap_or_else(|| Uri::from_static(local));
        if grpc { common } else { below(&common, of.path) }
    }

    /// What the file says goes before what the variables say.
    fn trace_resource(&self, around: &mut Around<'_>) -> Vec<(String, String)> {
        let mut resource = vec![("service.name".to_owned(), "outrigger".to_owned())];
        resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
        let mut add = |(name, value): (String, String)| {
            resource.retain(|(other, _)| *other != name);
            resource.push((name, value));
        };
        around.pairs(name::RESOURCE).into_iter().for_each(&mut add);
        if let Some(service) = around.env.variable(name::SERVICE) {
            add(("service.name".to_owned(), service));
        }
        self.properties("trace.resource").into_iter().for_each(&mut add);
        resource
    }
}

/// The URL of a path below another one, whose query stays behind it.
fn below(base: &Uri, path: &str) -> Uri {
    let query = base.query().map(|query| format!("?{query}")).unwrap_or_default();
    let whole = format!("{}/{path}{query}", base.path().trim_end_matches('/'));
    let mut parts = base.clone().into_parts();
    parts.path_and_query = whole.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| base.clone())
}

/// What the settings may not say together.
pub(super) fn check(rules: &mut Rules<'_>) {
    let off = rules.config.trace.as_ref().is_none_or(|trace| trace.export.is_none());
    if off
        && !rules.config.trace_notes.disabled
        && rules.are_read(&["trace"])
        && rules.differs("trace.endpoint")
    {
        rules.wrong("trace.endpoint", "a collector, but nothing is sent", "trace.export: otlp");
    }
    let [certificate, key] =
        ["trace.tls.certificate_file", "trace.tls.key_file"].map(|key| rules.differs(key));
    if certificate != key && rules.are_read(&["trace.tls"]) {
        let (given, missing) = if certificate {
            ("certificate", "trace.tls.key_file")
        } else {
            ("key", "trace.tls.certificate_file")
        };
        rules.wrong(missing, format!("a {given} without the other"), "both files");
    }
    let trace = rules.config.trace.as_ref();
    if let Some(key) = trace.and_then(|trace| trace.baggage.iter().find(|key| !headers::is_token(key))) {
        rules.wrong(
            "trace.baggage",
            quoted(key),
            "a key of baggage: a word without blanks, commas or signs such as =",
        );
    }
    // Those of variables are left out already where they cannot be sent.
    let export = trace.and_then(|trace| trace.export.as_ref());
    let mut ways = export.into_iter().flat_map(|export| export.traces.iter().chain(&export.metrics));
    let unfit_of = |way: &TraceWay| {
        way.headers.0.iter().find_map(|(name, value)| Some((name.clone(), unfit(name, value)?)))
    };
    if let Some((name, why)) = ways.find_map(unfit_of) {
        rules.wrong(
            "trace.headers",
            format!("{}: {why}", quoted(&name)),
            "headers that OTLP leaves to its users",
        );
    }
    let Some(export) = rules.config.trace.as_ref().and_then(|trace| trace.export.as_ref()) else { return };
    let mut ways = export.traces.iter().chain(&export.metrics);
    if rules.differs("trace.endpoint") && ways.any(|way| way.grpc && way.url.query().is_some()) {
        rules.wrong(
            "trace.endpoint",
            "a query, which gRPC does not send",
            "a URL without one, or trace.protocol: http",
        );
    }
    if export.batch_events > export.queue_events
        && rules.are_read(&["trace.batch_events", "trace.queue_events"])
    {
        let at = rules.given(["trace.batch_events", "trace.queue_events"]);
        rules.wrong(at, "a batch that is larger than the queue", "trace.batch_events ≤ trace.queue_events");
    }
}

#[cfg(test)]
mod tests;
