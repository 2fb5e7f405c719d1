//! Traces in the configuration, as the program uses them. What the file leaves out, OpenTelemetry's own environment
//! variables say; each is read by its name here, and no other is.

use std::{fmt, path::PathBuf, time::Duration};

use http::Uri;

use super::{
    build::Values,
    env::Env,
    problems::{Place, Problem, Problems},
    rules::Rules,
};

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
    /// Whether OTLP is spoken by gRPC.
    pub grpc: bool,
    /// Where spans go.
    pub traces: Option<Uri>,
    /// Where metrics go.
    pub metrics: Option<Uri>,
    /// Headers that are sent along.
    pub headers: Headers,
    /// A file of further ones.
    pub headers_file: Option<PathBuf>,
    /// Whether requests are packed.
    pub gzip: bool,
    /// Bound of one request.
    pub timeout: Duration,
    /// The authorities; none is the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key.
    pub pair: Option<(PathBuf, PathBuf)>,
    /// Events that wait.
    pub queue_events: usize,
    /// Events in one request.
    pub batch_events: usize,
    /// How long an event waits for others.
    pub interval: Duration,
    /// How often metrics are sent.
    pub metrics_interval: Duration,
    /// Bound of the last spans.
    pub flush_timeout: Duration,
    /// What describes this process.
    pub resource: Vec<(String, String)>,
}

/// Names and values of headers. The values may be secret, so they are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Names of variables of OpenTelemetry.
mod name {
    pub(super) const DISABLED: &str = "OTEL_SDK_DISABLED";
    pub(super) const SERVICE: &str = "OTEL_SERVICE_NAME";
    pub(super) const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    pub(super) const PROPAGATORS: &str = "OTEL_PROPAGATORS";
    pub(super) const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    pub(super) const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
    pub(super) const TRACES: &str = "OTEL_TRACES_EXPORTER";
    pub(super) const METRICS: &str = "OTEL_METRICS_EXPORTER";
    pub(super) const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    pub(super) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    pub(super) const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    pub(super) const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
    pub(super) const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    pub(super) const COMPRESSION: &str = "OTEL_EXPORTER_OTLP_COMPRESSION";
    pub(super) const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
    pub(super) const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    pub(super) const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
    pub(super) const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
    pub(super) const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
    pub(super) const METRIC_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
}

impl Values {
    /// None where it is off, also by `OTEL_SDK_DISABLED`.
    pub(super) fn trace(&self, env: &dyn Env, problems: &mut Problems) -> Option<Trace> {
        let export = self.word("trace.export");
        let mut around = Around { env, problems };
        if export == "off" || around.word(name::DISABLED, &["true", "false"]) == Some("true") {
            return None;
        }
        let (ratio, parent_based) = around.sampler();
        let propagators = self.list("trace.propagators").unwrap_or_else(|| around.propagators());
        Some(Trace {
            ratio: self.rate_of("trace.ratio").unwrap_or(ratio),
            parent_based: match self.word("trace.parent_based") {
                "auto" => parent_based,
                word => word == "true",
            },
            errors: self.word("trace.errors") == "true",
            slow: self.some_span("trace.slow"),
            propagators,
            baggage: self.list("trace.baggage").unwrap_or_default(),
            ring_events: self.count("trace.ring_events"),
            ring_bytes: self.size("trace.ring_bytes"),
            export: (export == "otlp").then(|| self.trace_export(&mut around)),
        })
    }

    fn trace_export(&self, around: &mut Around<'_>) -> TraceExport {
        let grpc = match self.word("trace.protocol") {
            "auto" => around.word(name::PROTOCOL, &["grpc", "http/protobuf"]).unwrap_or("grpc") == "grpc",
            word => word == "grpc",
        };
        let is_metered = self.word("trace.metrics") == "true" && around.exports(name::METRICS);
        let endpoint = |around: &mut Around<'_>, own, path| self.trace_endpoint(around, grpc, own, path);
        let is_traced = around.exports(name::TRACES);
        let traces = is_traced.then(|| endpoint(around, name::TRACES_ENDPOINT, "v1/traces"));
        let metrics = is_metered.then(|| endpoint(around, name::METRICS_ENDPOINT, "v1/metrics"));
        let mut headers = around.pairs(name::HEADERS);
        headers.extend(self.properties("trace.headers"));
        let pair = self.some_file("trace.tls.certificate_file").zip(self.some_file("trace.tls.key_file"));
        TraceExport {
            grpc,
            traces,
            metrics,
            headers: Headers(headers),
            headers_file: self.some_file("trace.headers_file"),
            gzip: match self.word("trace.compression") {
                "auto" => around.word(name::COMPRESSION, &["none", "gzip"]) == Some("gzip"),
                word => word == "gzip",
            },
            timeout: self.some_span("trace.timeout").unwrap_or_else(|| around.ms(name::TIMEOUT, 10_000)),
            ca: self.some_file("trace.tls.ca_file").or_else(|| around.file(name::CA)),
            pair: pair.or_else(|| around.file(name::CERTIFICATE).zip(around.file(name::KEY))),
            queue_events: self.count("trace.queue_events"),
            batch_events: self.count("trace.batch_events"),
            interval: self.some_span("trace.interval").unwrap_or_else(|| around.ms(name::DELAY, 1_000)),
            metrics_interval: self
                .some_span("trace.metrics_interval")
                .unwrap_or_else(|| around.ms(name::METRIC_INTERVAL, 60_000)),
            flush_timeout: self.span("trace.flush_timeout"),
            resource: self.trace_resource(around),
        }
    }

    /// A signal's own endpoint is taken as it is; to the common one, HTTP adds the signal's path.
    fn trace_endpoint(&self, around: &mut Around<'_>, grpc: bool, own: &str, path: &str) -> Uri {
        let given = self.url("trace.endpoint");
        if given.is_none()
            && let Some(own) = around.url(own)
        {
            return own;
        }
        let local = if grpc { "http://127.0.0.1:4317" } else { "http://127.0.0.1:4318" };
        let common = given.or_else(|| around.url(name::ENDPOINT)).unwrap_or_else(|| Uri::from_static(local));
        if grpc {
            return common;
        }
        let base = common.to_string();
        format!("{}/{path}", base.trim_end_matches('/')).parse().unwrap_or(common)
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
        around
            .env
            .variable(name::SERVICE)
            .into_iter()
            .for_each(|value| add(("service.name".to_owned(), value)));
        self.properties("trace.resource").into_iter().for_each(&mut add);
        resource
    }
}

/// The environment, and what is wrong with it.
struct Around<'a> {
    env: &'a dyn Env,
    problems: &'a mut Problems,
}

impl Around<'_> {
    fn wrong(&mut self, name: &str, found: &str, expected: &str) {
        let problem = Problem::new(Place::Whole, name, super::problems::quoted(found), expected);
        if !self.problems.list.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn word(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let value = self.env.variable(name)?;
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(value.trim())).copied();
        if word.is_none() {
            self.wrong(name, &value, &words.join(" or "));
        }
        word
    }

    /// Whether the exporter of a signal is not turned off.
    fn exports(&mut self, name: &str) -> bool {
        self.word(name, &["otlp", "none"]) != Some("none")
    }

    fn ms(&mut self, name: &str, default: u64) -> Duration {
        let Some(value) = self.env.variable(name) else { return Duration::from_millis(default) };
        if let Ok(ms @ 1..=3_600_000) = value.trim().parse() {
            return Duration::from_millis(ms);
        }
        self.wrong(name, &value, "milliseconds, from 1 to an hour");
        Duration::from_millis(default)
    }

    fn url(&mut self, name: &str) -> Option<Uri> {
        let value = self.env.variable(name)?;
        let url: Option<Uri> = value.trim().parse().ok();
        let url =
            url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some());
        if url.is_none() {
            self.wrong(name, &value, "a URL, such as http://collector:4317");
        }
        url
    }

    fn file(&mut self, name: &str) -> Option<PathBuf> {
        self.env.variable(name).map(PathBuf::from)
    }

    /// `name=value,name=value`, the values percent-coded.
    fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        let text = self.env.variable(name).unwrap_or_default();
        let mut pairs = Vec::new();
        for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            match member.split_once('=') {
                Some((name, value)) => pairs.push((name.trim().to_owned(), decoded(value.trim()))),
                // Not the text: what is wrong may be a secret.
                None => self.wrong(name, "a member without `=`", "name=value, separated by commas"),
            }
        }
        pairs
    }

    fn sampler(&mut self) -> (f64, bool) {
        const NAMES: &[&str] = &[
            "parentbased_always_on",
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ];
        let name = self.word(name::SAMPLER, NAMES).unwrap_or(NAMES[0]);
        let ratio = if name.ends_with("always_off") {
            0.0
        } else if name.ends_with("ratio") {
            self.sampler_arg()
        } else {
            1.0
        };
        (ratio, name.starts_with("parentbased"))
    }

    fn sampler_arg(&mut self) -> f64 {
        let Some(value) = self.env.variable(name::SAMPLER_ARG) else { return 1.0 };
        match value.trim().parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                self.wrong(name::SAMPLER_ARG, &value, "a number from 0 to 1");
                1.0
            }
        }
    }

    fn propagators(&mut self) -> Vec<String> {
        let known = ["tracecontext", "baggage", "b3", "b3multi", "xray"];
        let Some(value) = self.env.variable(name::PROPAGATORS) else {
            return known[..2].iter().map(|&name| name.to_owned()).collect();
        };
        let named: Vec<_> = value.split(',').map(str::trim).filter(|name| *name != "none").collect();
        if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
            self.wrong(name::PROPAGATORS, unknown, &known.join(", "));
        }
        named.into_iter().filter(|name| known.contains(name)).map(str::to_owned).collect()
    }
}

/// Percent-coding undone; what is none stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|hex| str::from_utf8(hex).ok());
        let coded = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// What the settings may not say together.
pub(super) fn check(rules: &mut Rules<'_>) {
    let off = rules.config.trace.as_ref().is_none_or(|trace| trace.export.is_none());
    if off && rules.are_read(&["trace"]) && rules.differs("trace.endpoint") {
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
    let Some(export) = rules.config.trace.as_ref().and_then(|trace| trace.export.as_ref()) else { return };
    if export.batch_events > export.queue_events
        && rules.are_read(&["trace.batch_events", "trace.queue_events"])
    {
        let at = rules.given(["trace.batch_events", "trace.queue_events"]);
        rules.wrong(at, "a batch that is larger than the queue", "trace.batch_events ≤ trace.queue_events");
    }
}

#[cfg(test)]
mod tests;
