//! From the configuration to the adapters: the one place that knows which ones are compiled in.
//!
//! Each adapter is a Cargo feature. One that is left out costs nothing, and asking for it says so.

#[cfg(feature = "journal")]
mod journal;
#[cfg(feature = "kafka")]
mod kafka;
pub mod push;
#[cfg(feature = "kafka")]
mod replay;
#[cfg(feature = "kafka")]
mod tokens;

use crate::{config, dead_api::Dead, ingress::Accept};
use outrigger_core::{
    BoxFuture, Call, DeadLetter, DeadLetters, Error, Exchange, Intake, Kind, Ledger, Plugin, Result, Retry,
    Sink, Source,
};
use outrigger_net::tls::ClientTls;
use std::sync::Arc;

/// The function, plugins wrapped around it in their order.
pub struct Function {
    /// How it is called with events.
    pub call: Arc<dyn Call>,
    /// How it is asked anything else; the calls go by it too.
    pub exchange: Arc<dyn Exchange>,
}

/// The function client. `tls` is needed where the URL says https; `replies` says whether a caller waits for what the
/// function answers to an event.
///
/// # Errors
/// When the URL or a setting is not what the adapter takes.
#[cfg(feature = "http")]
pub fn function(
    config: &config::Function,
    url: &http::Uri,
    tls: Option<Arc<ClientTls>>,
    replies: bool,
    plugins: &[Arc<dyn Plugin>],
) -> Result<Function> {
    let settings = outrigger_http::Config {
        mode: match config.mode {
            config::Mode::Binary => outrigger_http::Mode::Binary,
            config::Mode::Structured => outrigger_http::Mode::Structured,
        },
        protocol: match config.protocol {
            config::Protocol::Http1 => outrigger_http::Protocol::Http1,
            config::Protocol::H2c => outrigger_http::Protocol::H2c,
        },
        connect_timeout: config.connect_timeout,
        idle_timeout: config.idle_timeout,
        timeout: config.timeout,
        idle_connections_max: config.concurrency,
        replies: if replies { outrigger_http::Replies::Used } else { outrigger_http::Replies::Ignored },
        reply_bytes_max: config.reply_bytes_max,
        ..outrigger_http::Config::new(url.clone())?
    };
    let client = outrigger_http::Client::new(&settings);
    let client = match tls {
        Some(tls) => client.secured(tls),
        None => client,
    };
    let mut exchange: Arc<dyn Exchange> = Arc::new(client);
    for plugin in plugins {
        exchange = plugin.around_exchange(exchange);
    }
    let mut call: Arc<dyn Call> = Arc::new(outrigger_http::FunctionCall::new(&settings, exchange.clone()));
    for plugin in plugins {
        call = plugin.around_call(call);
    }
    Ok(Function { call, exchange })
}

/// Says that there is no function client.
///
/// # Errors
/// Always.
#[cfg(not(feature = "http"))]
pub fn function(
    _config: &config::Function,
    _url: &http::Uri,
    _tls: Option<Arc<ClientTls>>,
    _replies: bool,
    _plugins: &[Arc<dyn Plugin>],
) -> Result<Function> {
    Err(left_out("http", "a function cannot be called"))
}

/// The plugins that the configuration turns on. None is compiled in yet: trace and cache come with their issues.
#[must_use]
pub fn plugins(_config: &config::Config) -> Vec<Arc<dyn Plugin>> {
    Vec::new()
}

/// What a journal is to the rest.
pub struct Storage {
    /// Events come in here.
    pub accept: Arc<dyn Accept>,
    /// And go on from here.
    pub source: Arc<dyn Source>,
    /// Given-up events rest here.
    pub dead: Arc<dyn DeadLetters>,
    /// What is done is known here.
    pub ledger: Arc<dyn Ledger>,
    /// Dead letters are listed, replayed and dropped here.
    pub letters: Arc<dyn Dead>,
    /// How it is, and how it ends.
    pub keeper: Arc<dyn Keeper>,
}

/// Looks after a storage.
pub trait Keeper: Send + Sync + 'static {
    /// What is wrong, in one line; `None` when nothing is.
    fn trouble(&self) -> Option<String>;

    /// Its numbers: name, help, value.
    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)>;

    /// Accepted events that are not settled.
    fn pending(&self) -> u64;

    /// Waits until everything settled so far is durable. Cancel safe.
    ///
    /// # Errors
    /// `Full` or `Storage`.
    fn flush(&self) -> BoxFuture<'_, Result<()>>;

    /// Writes what waits and lets go of the files. Cancel safe.
    ///
    /// # Errors
    /// `Storage` when it failed.
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}

/// A source of a broker: how it is, and what its owner may ask of it.
pub trait Feed: Send + Sync + 'static {
    /// The source itself.
    fn source(&self) -> Arc<dyn Source>;

    /// What keeps events from coming in, in one line; `None` when nothing does.
    fn trouble(&self) -> Option<String>;

    /// How it is, in a few words, while there is no trouble.
    fn note(&self) -> String;

    /// Its numbers.
    fn series(&self) -> Vec<Series>;

    /// Everything, for `outrigger kafka status`.
    fn status(&self) -> serde_json::Value;

    /// Does what the owner asks for these partitions, and names them.
    ///
    /// # Errors
    /// When none of them is ours, or it makes no sense there.
    fn ask<'a>(
        &'a self,
        wish: Wish,
        topic: &'a str,
        partition: Option<i32>,
    ) -> BoxFuture<'a, Result<Vec<String>>>;
}

/// What an owner may ask of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Fetch no more.
    Pause,
    /// Fetch again.
    Resume,
    /// Go on at this offset; without one, behind what is damaged.
    Skip {
        /// The offset.
        to: Option<i64>,
    },
}

/// The numbers of one metric: one row for each set of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// The labels' names.
    pub labels: &'static [&'static str],
    /// Whether it only grows.
    pub is_counter: bool,
    /// The labels' values, and the number.
    pub rows: Vec<(Vec<String>, u64)>,
}

/// What the configuration asks of brokers.
#[derive(Default)]
pub struct Brokers {
    /// Where events come from.
    pub feeds: Vec<Arc<dyn Feed>>,
    /// Where replies go.
    pub replies: Option<Arc<dyn Sink>>,
    /// Where dead letters go.
    pub dead: Option<Arc<dyn DeadLetters>>,
    /// How those homes are.
    pub homes: Vec<Arc<dyn Home>>,
    /// Who reads a range of a topic once more.
    pub replays: Option<Arc<dyn Replays>>,
}

/// Reads ranges of topics once more, through the same path and without their groups.
pub trait Replays: Send + Sync + 'static {
    /// Begins with a topic (or one of its partitions), from there to there.
    ///
    /// # Errors
    /// When another one runs.
    fn start(
        &self,
        place: (&str, Option<i32>),
        range: (config::Start, Option<config::Start>),
        intake: Intake,
    ) -> Result<()>;

    /// How far the last one is: `{read, settled, released, done, failed}`; null where there was none.
    fn progress(&self) -> serde_json::Value;

    /// Reads no more.
    fn stop(&self);
}

/// A topic that is written, for readiness and metrics.
pub trait Home: Send + Sync + 'static {
    /// Its name in readiness.
    fn name(&self) -> &str;

    /// What keeps it from being written, in one line; `None` when nothing does.
    fn trouble(&self) -> Option<String>;
}

/// Dead letters go to the first home. What it can never take, such as one that is too large for it, goes to the
/// second, where there is one; what it cannot take now is pushed back.
pub struct Homes {
    /// The first.
    pub first: Arc<dyn DeadLetters>,
    /// The second.
    pub second: Option<Arc<dyn DeadLetters>>,
}

impl DeadLetters for Homes {
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match (self.first.put(letter).await, &self.second) {
                (Err(error), Some(second)) if error.retry() == Retry::Permanent => {
                    tracing::warn!(%error, "a dead letter goes into the journal instead");
                    second.put(letter).await
                }
                (done, _) => done,
            }
        })
    }
}

/// A topic that `outrigger send` writes.
///
/// # Errors
/// When the cluster is not configured, a setting is not what the adapter takes, or the adapter is not compiled in.
pub fn topic(config: &config::Config, topic: &str, mode: config::Mode) -> Result<Arc<dyn Sink>> {
    let Some(kafka) = &config.kafka else {
        return Err(Error::new(
            Kind::Invalid,
            "kafka.brokers: no broker; name one in the configuration (-c)",
        ));
    };
    kafka_topic(config, kafka, topic, mode)
}

#[cfg(feature = "kafka")]
fn kafka_topic(
    config: &config::Config,
    kafka: &config::Kafka,
    topic: &str,
    mode: config::Mode,
) -> Result<Arc<dyn Sink>> {
    let cluster = kafka::cluster(kafka, &config.outgoing, kafka::Purpose::Connect(fastrand::Rng::new()))?;
    Ok(kafka::sink(kafka, &cluster, ("the topic", topic, mode))?)
}

#[cfg(not(feature = "kafka"))]
fn kafka_topic(
    _config: &config::Config,
    _kafka: &config::Kafka,
    _topic: &str,
    _mode: config::Mode,
) -> Result<Arc<dyn Sink>> {
    Err(left_out("kafka", "nothing can be written to a topic"))
}

/// Whether the adapters take what the configuration asks of brokers: names, values, files. Connects to nobody.
///
/// # Errors
/// What is wrong, with the setting.
pub fn check_brokers(config: &config::Config) -> Result<()> {
    let Some(kafka) = &config.kafka else { return Ok(()) };
    check_kafka(config, kafka)
}

#[cfg(feature = "kafka")]
fn check_kafka(config: &config::Config, kafka: &config::Kafka) -> Result<()> {
    let cluster = kafka::cluster(kafka, &config.outgoing, kafka::Purpose::Look)?;
    kafka::source(config, &cluster)?;
    let written = [replies(config), dead_letters(config)].into_iter().flatten().next();
    written.map_or(Ok(()), |written| kafka::sink_settings(kafka, &cluster, written).check())
}

#[cfg(not(feature = "kafka"))]
fn check_kafka(config: &config::Config, kafka: &config::Kafka) -> Result<()> {
    kafka_brokers(config, kafka).map(drop)
}

/// Makes what the configuration asks of brokers. Connects to none.
///
/// # Errors
/// When a setting is not what the adapter takes, a secret cannot be read, or the adapter is not compiled in.
pub fn brokers(config: &config::Config) -> Result<Brokers> {
    let Some(kafka) = &config.kafka else { return Ok(Brokers::default()) };
    kafka_brokers(config, kafka)
}

#[cfg(feature = "kafka")]
fn kafka_brokers(config: &config::Config, kafka: &config::Kafka) -> Result<Brokers> {
    let jitter = config.runtime.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
    let cluster = kafka::cluster(kafka, &config.outgoing, kafka::Purpose::Connect(jitter))?;
    let feed = kafka::source(config, &cluster)?;
    let sink = |written| kafka::sink(kafka, &cluster, written);
    let replies = replies(config).map(sink).transpose()?;
    let dead = dead_letters(config).map(sink).transpose()?;
    let homes = [&replies, &dead].into_iter().flatten().map(|sink| sink.clone() as Arc<dyn Home>).collect();
    Ok(Brokers {
        feeds: feed.into_iter().collect(),
        replies: replies.map(|sink| sink as _),
        dead: dead.map(|sink| sink as _),
        homes,
        replays: Some(Arc::new(replay::Replayer::new(kafka::settings(config, &cluster)?))),
    })
}

#[cfg(feature = "kafka")]
fn replies(config: &config::Config) -> Option<kafka::Written<'_>> {
    Some(("replies", config.replies.kafka_topic.as_deref()?, config.replies.mode))
}

#[cfg(feature = "kafka")]
fn dead_letters(config: &config::Config) -> Option<kafka::Written<'_>> {
    Some(("dead letters", config.dead_letters.kafka_topic.as_deref()?, config::Mode::Binary))
}

#[cfg(not(feature = "kafka"))]
fn kafka_brokers(_config: &config::Config, _kafka: &config::Kafka) -> Result<Brokers> {
    Err(left_out("kafka", "leave the settings of kafka out"))
}

/// Opens the journal. `on_fatal` is called from its thread when it must not go on.
///
/// # Errors
/// One line with what to do: another process holds it, it is damaged, or from a newer version.
#[cfg(feature = "journal")]
pub fn journal(config: &config::Journal, on_fatal: impl FnOnce(Error) + Send + 'static) -> Result<Storage> {
    journal::open(config, on_fatal)
}

/// Says that there is no journal.
///
/// # Errors
/// Always.
#[cfg(not(feature = "journal"))]
pub fn journal(_config: &config::Journal, _on_fatal: impl FnOnce(Error) + Send + 'static) -> Result<Storage> {
    Err(left_out("journal", "events cannot be kept; set journal.storage: ephemeral to do without"))
}

#[cfg(not(all(
    feature = "eventgrid",
    feature = "http",
    feature = "journal",
    feature = "kafka",
    feature = "pubsub"
)))]
fn left_out(feature: &str, so: &str) -> Error {
    Error::new(Kind::Invalid, format!("this outrigger was built without the feature {feature}: {so}"))
}

/// The home of dead letters where there is no storage that outlives the pod: nothing is kept there, so nothing
/// is taken. Synchronous ingress, the only way in then, never asks for it.
pub struct Homeless;

impl DeadLetters for Homeless {
    fn put<'a>(&'a self, _letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        let message =
            "there is no journal on durable storage, so a dead letter cannot be kept; set journal.storage";
        Box::pin(async move { Err(Error::new(Kind::Storage, message)) })
    }
}
