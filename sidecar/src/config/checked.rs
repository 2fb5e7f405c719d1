//! The configuration as the program uses it: plain typed values within their bounds.
//!
//! What each setting is for stands in the table ([`super::settings`]) and, from there, in `outrigger config
//! example`. No type of an adapter is used here; `app.rs` maps.

use super::{
    auth::Auth,
    dedup::Dedup,
    eventgrid::{EventGrid, Ingress as EventGridIngress, Topic as EventGridTopic},
    eventgrid_webhook::EventGridWebhook,
    function::{Function, Mode},
    kafka::{Ingress as KafkaIngress, Kafka},
    origins::Origin,
    proxy::Proxy,
    pubsub::{Ingress as PubsubIngress, Pubsub},
    pubsub_push::PubsubPush,
    responses::Responses,
    results::Results,
    routes::{Posted, Routes, Target},
    tls::ListenerTls,
    trace::{Trace, TraceNotes},
};
use crate::transform;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The function that gets the events.
    pub function: Function,
    /// What becomes of the attributes of events before their lanes, in this order.
    pub transform: Vec<transform::Rule>,
    /// Order, retries and dead letters.
    pub delivery: Delivery,
    /// What is held in memory at once.
    pub window: Window,
    /// Where events come in.
    pub ingress: Ingress,
    /// The Kafka cluster; none where no broker is named.
    pub kafka: Option<Kafka>,
    /// The way to Google Pub/Sub.
    pub pubsub: Pubsub,
    /// Event Grid, for whatever names a place of it.
    pub eventgrid: EventGrid,
    /// Where events may go besides the function, in the order of the file.
    pub targets: Vec<Target>,
    /// Which go where; none where all go to the function.
    pub routes: Option<Routes>,
    /// Requests that pass through; none where it is off.
    pub proxy: Option<Proxy>,
    /// The names of the sources whose control events count.
    pub control: Vec<String>,
    /// Events that come again; none where they are not looked up.
    pub dedup: Option<Dedup>,
    /// Results of the function; none where they are not kept.
    pub results: Option<Results>,
    /// Answers to those that are kept; none where it is off.
    pub responses: Option<Responses>,
    /// Where events go that the function answers with.
    pub replies: Replies,
    /// Where events go that are given up, if not into the journal.
    pub dead_letters: DeadLetters,
    /// The file that holds events and dead letters.
    pub journal: Journal,
    /// Health, metrics and the owner's socket.
    pub admin: Admin,
    /// What happens on SIGTERM.
    pub drain: Drain,
    /// Log lines.
    pub log: Log,
    /// The process itself.
    pub runtime: Runtime,
    /// Traces and timelines; none where they are off.
    pub trace: Option<Trace>,
    /// What is to be told of them.
    pub trace_notes: TraceNotes,
    /// The way of what we ask of others, such as tokens; from the environment.
    pub outgoing: Outgoing,
}

/// The proxy for what we ask of others over https, as other programs take it: from `HTTPS_PROXY` (or in lower case)
/// and `NO_PROXY`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The proxy's URL; none connects without.
    pub https_proxy: Option<String>,
    /// The hosts that are asked without.
    pub no_proxy: String,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        let https_proxy = self.https_proxy.is_some();
        f.debug_struct("Outgoing")
            .field("https_proxy", &https_proxy)
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// A wait that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Its first ceiling.
    pub initial: Duration,
    /// Its last, at least the first.
    pub max: Duration,
}

/// Order, retries and dead letters.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The attributes that may be the key, the first that an event has; empty means no order.
    pub key: Vec<String>,
    /// Attempts before an event is poison, at least 1.
    pub attempts_max: u32,
    /// Time before an event is poison, without the time that the breaker is open.
    pub deadline: Duration,
    /// What a poison event does to its key.
    pub on_poison: OnPoison,
    /// How long a retry waits.
    pub backoff: Backoff,
    /// How many retries there may be.
    pub retry_budget: RetryBudget,
    /// When a function counts as down.
    pub breaker: Breaker,
}

/// What a poison event does to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPoison {
    /// Becomes a dead letter; the key goes on.
    Skip,
    /// Stays at the key's head; the key waits.
    Park,
}

/// The retries over all events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudget {
    /// Retries per first attempt.
    pub ratio: f64,
    /// Retries per second that are always allowed, more than 0.
    pub per_second_min: f64,
    /// The most that are saved up, at least 1.
    pub burst: f64,
}

/// When a function counts as down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row, at least 1.
    pub failures: u32,
    /// How long it first stays open.
    pub open: Duration,
    /// The longest it stays open, at least [`Breaker::open`].
    pub open_max: Duration,
}

/// What is held in memory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The most events, at least the function's concurrency.
    pub events: usize,
    /// The most bytes of events, at least one body.
    pub bytes: usize,
}

/// Where events come in.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingress {
    /// By HTTP; none where it is off.
    pub http: Option<Http>,
    /// Pushed by Event Grid; none where it has no path.
    pub eventgrid_webhook: Option<EventGridWebhook>,
    /// Sent by others, each to a path of its own.
    pub origins: Vec<Origin>,
    /// From Kafka; none where no topic is named.
    pub kafka: Option<KafkaIngress>,
    /// Pushed by Pub/Sub; none where it has no path.
    pub pubsub_push: Option<PubsubPush>,
    /// From Pub/Sub; none where no subscription is named.
    pub pubsub: Option<PubsubIngress>,
    /// From Event Grid; none where no subscription is named.
    pub eventgrid: Option<EventGridIngress>,
}

impl Ingress {
    /// Whether events are fetched from a broker.
    #[must_use]
    pub fn is_pulled(&self) -> bool {
        self.kafka.is_some() || self.pubsub.is_some() || self.eventgrid.is_some()
    }
}

/// Where events go that the function answers with.
#[derive(Debug, Clone, PartialEq)]
pub struct Replies {
    /// A topic of Kafka. Without any place they are dropped.
    pub kafka_topic: Option<String>,
    /// A topic of Pub/Sub.
    pub pubsub_topic: Option<String>,
    /// How they are written to Kafka and Pub/Sub.
    pub mode: Mode,
    /// A topic of Event Grid.
    pub eventgrid: Option<EventGridTopic>,
    /// How long a line of replies to replies may get.
    pub hops_max: u32,
    /// What takes them by POST.
    pub url: Option<Posted>,
}

/// Where events go that are given up.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetters {
    /// A topic of Kafka. Without any place it is the journal.
    pub kafka_topic: Option<String>,
    /// A topic of Pub/Sub.
    pub pubsub_topic: Option<String>,
    /// A topic of Event Grid.
    pub eventgrid: Option<EventGridTopic>,
    /// What takes them by POST.
    pub url: Option<Posted>,
}

/// Events by HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The path that takes events.
    pub path: String,
    /// Who may send.
    pub auth: Auth,
    /// Whether the answer is the function's outcome. True wherever the journal is ephemeral and loss is refused.
    pub sync: bool,
    /// How long a synchronous sender waits.
    pub sync_timeout: Duration,
    /// The largest body on the wire, in bytes.
    pub body_bytes_max: usize,
    /// The largest body after decompression, in bytes; at least the former.
    pub decompressed_bytes_max: usize,
    /// The most bytes of bodies that are not whole yet, over all requests.
    pub receiving_bytes_max: usize,
    /// The most headers.
    pub headers_max: usize,
    /// The most bytes of headers.
    pub header_bytes_max: usize,
    /// The most events in a batch.
    pub batch_events_max: usize,
    /// The most connections.
    pub connections_max: usize,
    /// Bound of a request's headers.
    pub header_timeout: Duration,
    /// Bound of a request's body.
    pub body_timeout: Duration,
    /// Bound of the rest between two requests.
    pub idle_timeout: Duration,
    /// The most requests at once on one HTTP/2 connection; 0 speaks HTTP/1.1 alone.
    pub http2_streams_max: u32,
    /// TLS; none speaks without.
    pub tls: Option<ListenerTls>,
    /// Who is granted leave to send by webhook.
    pub webhook: super::Webhook,
}

/// The file that holds events and dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The file.
    pub path: PathBuf,
    /// Whether it outlives the pod or machine; `auto` is resolved.
    pub storage: Storage,
    /// Whether a 202 may be answered although the file is ephemeral.
    pub accept_loss: bool,
    /// The most bytes of waiting events.
    pub bytes_max: u64,
    /// The most bytes of dead letters.
    pub dead_bytes_max: u64,
    /// The most bytes of copies that wait for slow targets.
    pub overflow_bytes_max: u64,
    /// The most marks.
    pub marks_max: u64,
    /// The age at which a mark is forgotten.
    pub marks_age_max: Duration,
    /// The age at which a dead letter goes; none keeps them.
    pub dead_age_max: Option<Duration>,
    /// Whether events are kept when they are settled.
    pub keep_settled: bool,
    /// The age at which a kept event goes.
    pub keep_age_max: Duration,
    /// The most bytes of kept events.
    pub keep_bytes_max: u64,
    /// The most entries of who replayed or dropped what.
    pub audit_max: u64,
    /// How often settled events are written down.
    pub commit_every: Duration,
    /// The most events that share one fsync.
    pub group_events_max: usize,
    /// The most bytes that share one fsync.
    pub group_bytes_max: usize,
    /// How long an fsync waits for the senders of the last one.
    pub gather_max: Duration,
    /// The most events that wait for their fsync.
    pub waiting_events_max: usize,
    /// The most bytes of them.
    pub waiting_bytes_max: usize,
    /// The most accepted events that are kept in memory for the lanes.
    pub handoff_events_max: usize,
    /// The most bytes of them.
    pub handoff_bytes_max: usize,
    /// The size at which SQLite's log is copied.
    pub wal_bytes_max: u64,
    /// How long the disk may take for one piece of work before `/readyz` tells.
    pub stalled_after: Duration,
}

/// Whether what is written outlives the pod or machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// It does.
    Durable,
    /// It does not, or not for sure.
    Ephemeral,
}

/// Health, metrics and the owner's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The address of health and metrics; none where it is off.
    pub listen: Option<SocketAddr>,
    /// TLS for it; none speaks without.
    pub tls: Option<ListenerTls>,
    /// The owner's socket.
    pub socket: PathBuf,
}

/// What happens on SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Between "not ready" and the stop of the sources.
    pub lame_duck: Duration,
    /// From then on, for the lanes to finish.
    pub deadline: Duration,
    /// How long the storage may take to write what settled last.
    pub storage_timeout: Duration,
}

/// Log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least level, as `tracing` names it.
    pub level: &'static str,
    /// How they are written.
    pub format: LogFormat,
    /// Which decisions about senders are written.
    pub audit: Audit,
}

/// Which decisions about senders get a line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// None.
    Off,
    /// Those against.
    Refused,
    /// All.
    All,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// The process itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    /// Worker threads, at least 1.
    pub threads: usize,
    /// The seed of random choices; none takes a fresh one.
    pub seed: Option<u64>,
}
