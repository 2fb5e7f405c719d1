//! What the plugin is made of.

use http::{HeaderName, HeaderValue, Uri};
use outrigger_net::tls::ClientTls;
use std::{sync::Arc, time::Duration};

/// The plugin's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which events are sampled when they come in.
    pub sampling: Sampling,
    /// Whether events that failed, also once, are kept although they are not sampled.
    pub errors: bool,
    /// The same of events that took longer, from their receipt to their settlement.
    pub slow: Option<Duration>,
    /// How a place in a trace is told, in and out; what is named first is believed first.
    pub propagators: Vec<Propagator>,
    /// The members of baggage that are passed on.
    pub baggage: Vec<String>,
    /// The most events whose timelines are kept in memory.
    pub ring_events: usize,
    /// The most bytes of them.
    pub ring_bytes: usize,
    /// Where spans and metrics go; none keeps timelines only.
    pub export: Option<Export>,
    /// Makes ids repeatable, for tests.
    pub seed: Option<u64>,
}

/// Which events are sampled when they come in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The part of them, from 0 to 1, by their trace's id.
    pub ratio: f64,
    /// Whether one that continues a trace is sampled as that one is.
    pub parent_based: bool,
}

/// How a place in a trace is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagator {
    /// W3C's `traceparent` and `tracestate`.
    TraceContext,
    /// W3C's `baggage`, by the allow-list.
    Baggage,
    /// B3 in one header.
    B3,
    /// B3 in several headers.
    B3Multi,
    /// AWS' `X-Amzn-Trace-Id`.
    XRay,
}

/// Where spans and metrics go, and how.
#[derive(Debug, Clone)]
pub struct Export {
    /// The way of spans; none sends none.
    pub traces: Option<Way>,
    /// The same of metrics.
    pub metrics: Option<Way>,
    /// Events that wait for their export; beyond it they are dropped.
    pub queue_events: usize,
    /// The same in bytes.
    pub queue_bytes: usize,
    /// Events in one request.
    pub batch_events: usize,
    /// The bytes of one request; a single event may have more.
    pub batch_bytes: usize,
    /// The characters of one attribute's value; what is longer is cut.
    pub attribute_chars: usize,
    /// How long an event waits for others.
    pub interval: Duration,
    /// How often metrics are sent.
    pub metrics_interval: Duration,
    /// How long the last spans may take when the process ends.
    pub flush_timeout: Duration,
    /// What describes this process.
    pub resource: Vec<(String, String)>,
    /// Where events go out to.
    pub outward: Outward,
}

/// Where events go out to, as far as the configuration says so.
#[derive(Debug, Clone, Default)]
pub struct Outward {
    /// The targets, by their names.
    pub targets: Vec<(Arc<str>, Whereto)>,
    /// Replies.
    pub replies: Option<Whereto>,
}

/// A place that events are sent to.
#[derive(Debug, Clone)]
pub enum Whereto {
    /// By POST.
    Url(Uri),
    /// A topic, or what is like one.
    Topic {
        /// OpenTelemetry's name of the broker.
        system: Option<&'static str>,
        /// The topic's name.
        name: String,
    },
}

/// The way of one kind of message to its collector.
#[derive(Debug, Clone)]
pub struct Way {
    /// How OTLP is spoken.
    pub protocol: Protocol,
    /// The collector for gRPC, the whole URL for HTTP.
    pub url: Uri,
    /// Sent along, such as a token.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether requests are packed by gzip.
    pub gzip: bool,
    /// How long one request may take, with all its tries.
    pub timeout: Duration,
    /// TLS.
    pub tls: Tls,
}

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// By gRPC.
    Grpc,
    /// By HTTP with Protobuf.
    Http,
}

/// TLS toward the collector, where its URL says https.
#[derive(Clone)]
pub struct Tls {
    /// For HTTP.
    pub client: Arc<ClientTls>,
    /// For gRPC: the authorities (PEM) that are believed; none is the system's.
    pub ca: Option<Vec<u8>>,
    /// For gRPC: a certificate and its key (PEM) to be shown.
    pub pair: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("ca", &self.ca.is_some()).finish_non_exhaustive()
    }
}
