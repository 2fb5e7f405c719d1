//! From the configuration to the adapters: the one place that knows which ones are compiled in.
//!
//! Each adapter is a Cargo feature. One that is left out costs nothing, and asking for it says so.

mod broker;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "http")]
mod client;
#[cfg(feature = "eventgrid")]
mod eventgrid;
#[cfg(feature = "journal")]
mod journal;
#[cfg(feature = "kafka")]
mod kafka;
pub mod normalize;
mod plugins;
#[cfg(feature = "pubsub")]
mod pubsub;
pub mod push;
#[cfg(feature = "kafka")]
mod replay;
#[cfg(feature = "cache")]
mod responses;
#[cfg(any(feature = "cache", feature = "eventgrid", feature = "kafka", feature = "trace"))]
mod secret;
#[cfg(feature = "kafka")]
mod tokens;
#[cfg(feature = "trace")]
mod trace;

pub use self::broker::{Brokers, Feed, Home, Homes, Replays, Series, Wish};
#[cfg(feature = "http")]
pub use self::client::{function, target};
pub use self::plugins::{Kept, Plugins, Traces, check_trace, hop, hop_of, plugins};

use crate::{
    audit::Auditor, config, dead_api::Dead, dispatch::Overflow, events_api::Events, ingress::Accept,
};
use bytes::Bytes;
use outrigger_core::{
    BoxFuture, Call, DeadLetter, DeadLetters, Error, Event, Exchange, Invalid, Kind, Ledger, Result, Sink,
    Source,
};
use std::sync::Arc;

/// The function, plugins wrapped around it in their order.
pub struct Function {
    /// How it is called with events.
    pub call: Arc<dyn Call>,
    /// How it is asked anything else; the calls go by it too.
    pub exchange: Arc<dyn Exchange>,
    /// Has it go by other settings, as far as they may change while it works.
    pub tune: Tune,
}

/// Takes the settings of a function that may change.
pub type Tune = Box<dyn Fn(&config::Function) + Send + Sync>;

/// Says that there is no function client.
///
/// # Errors
/// Always.
#[cfg(not(feature = "http"))]
pub fn function(
    _config: &config::Function,
    _url: &http::Uri,
    _tls: Option<Arc<outrigger_net::tls::ClientTls>>,
    _replies: bool,
    _plugins: &[Arc<dyn outrigger_core::Plugin>],
) -> Result<Function> {
    Err(left_out("http", "a function cannot be called"))
}

/// Says that there is no client for another function.
///
/// # Errors
/// Always.
#[cfg(not(feature = "http"))]
pub fn target(target: &config::Target, _at: &config::TargetUrl) -> Result<Arc<dyn Call>> {
    Err(left_out("http", &format!("targets.{}.url cannot be called", target.name)))
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
    /// Events are listed and replayed here.
    pub events: Arc<dyn Events>,
    /// Who changed what is written down here.
    pub auditor: Arc<dyn Auditor>,
    /// As a target: what it has is kept here.
    pub archive: Arc<dyn Call>,
    /// Copies for targets whose lanes are full wait here.
    pub overflow: Arc<dyn Overflow>,
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
    Ok(kafka::sink(kafka, &cluster, ("the topic".into(), topic, mode))?)
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

/// The events of a file that Azure Event Grid wrote its dead letters into, each for itself.
///
/// # Errors
/// When it is no such file, or the adapter is not compiled in.
#[cfg(feature = "eventgrid")]
pub fn eventgrid_dead_letters(file: &Bytes) -> Result<Vec<Result<Event, Invalid>>> {
    outrigger_eventgrid::deadletter::read(file)
        .map_err(|invalid| Error::new(Kind::Invalid, invalid.to_string()))
}

/// Says that there is no reader.
///
/// # Errors
/// Always.
#[cfg(not(feature = "eventgrid"))]
pub fn eventgrid_dead_letters(_file: &Bytes) -> Result<Vec<Result<Event, Invalid>>> {
    Err(left_out("eventgrid", "its dead letters cannot be read"))
}

/// Whether the adapters take what the configuration asks of brokers: names, values, files. Connects to nobody.
///
/// # Errors
/// What is wrong, with the setting.
pub fn check_brokers(config: &config::Config) -> Result<()> {
    if let Some(kafka) = &config.kafka {
        check_kafka(config, kafka)?;
    }
    check_pubsub(config)?;
    check_eventgrid(config)?;
    plugins(config)?;
    http_homes(config)?;
    config.url_targets().try_for_each(|(of, at)| target(of, at).map(drop))
}

#[cfg(feature = "eventgrid")]
fn check_eventgrid(config: &config::Config) -> Result<()> {
    eventgrid::brokers(config, eventgrid::Purpose::Look).map(drop)
}

#[cfg(not(feature = "eventgrid"))]
fn check_eventgrid(config: &config::Config) -> Result<()> {
    eventgrid_brokers(config).map(drop)
}

#[cfg(feature = "pubsub")]
fn check_pubsub(config: &config::Config) -> Result<()> {
    pubsub::check(config)
}

#[cfg(not(feature = "pubsub"))]
fn check_pubsub(config: &config::Config) -> Result<()> {
    pubsub_brokers(config).map(drop)
}

#[cfg(feature = "kafka")]
fn check_kafka(config: &config::Config, kafka: &config::Kafka) -> Result<()> {
    let cluster = kafka::cluster(kafka, &config.outgoing, kafka::Purpose::Look)?;
    kafka::source(config, &cluster)?;
    let written = [replies(config), dead_letters(config)].into_iter().flatten();
    let written = written.chain(targets(config).map(|(_, written)| written)).next();
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
    let kafka = match &config.kafka {
        Some(kafka) => kafka_brokers(config, kafka)?,
        None => Brokers::default(),
    };
    Ok(kafka.and(pubsub_brokers(config)?).and(eventgrid_brokers(config)?).and(http_homes(config)?))
}

#[cfg(feature = "http")]
fn http_homes(config: &config::Config) -> Result<Brokers> {
    client::homes(config)
}

#[cfg(not(feature = "http"))]
fn http_homes(config: &config::Config) -> Result<Brokers> {
    if config.replies.url.is_some() || config.dead_letters.url.is_some() {
        return Err(left_out("http", "leave replies.url and dead_letters.url out"));
    }
    Ok(Brokers::default())
}

#[cfg(feature = "pubsub")]
fn pubsub_brokers(config: &config::Config) -> Result<Brokers> {
    pubsub::brokers(config)
}

#[cfg(not(feature = "pubsub"))]
fn pubsub_brokers(config: &config::Config) -> Result<Brokers> {
    let topics = [&config.replies.pubsub_topic, &config.dead_letters.pubsub_topic];
    let is_target = config.pubsub_targets().next().is_some();
    if config.ingress.pubsub.is_none() && !is_target && topics.iter().all(|topic| topic.is_none()) {
        return Ok(Brokers::default());
    }
    Err(left_out("pubsub", "leave the settings of pubsub out"))
}

#[cfg(feature = "eventgrid")]
fn eventgrid_brokers(config: &config::Config) -> Result<Brokers> {
    let jitter = config.runtime.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
    eventgrid::brokers(config, eventgrid::Purpose::Connect(jitter))
}

#[cfg(not(feature = "eventgrid"))]
fn eventgrid_brokers(config: &config::Config) -> Result<Brokers> {
    let written = config.replies.eventgrid.is_some()
        || config.dead_letters.eventgrid.is_some()
        || config.eventgrid_targets().next().is_some();
    if config.ingress.eventgrid.is_some() || written {
        return Err(left_out("eventgrid", "leave the settings of eventgrid out"));
    }
    Ok(Brokers::default())
}

#[cfg(feature = "kafka")]
fn kafka_brokers(config: &config::Config, kafka: &config::Kafka) -> Result<Brokers> {
    let jitter = config.runtime.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
    let cluster = kafka::cluster(kafka, &config.outgoing, kafka::Purpose::Connect(jitter))?;
    let feed = kafka::source(config, &cluster)?;
    let sink = |written| kafka::sink(kafka, &cluster, written);
    let replies = replies(config).map(sink).transpose()?;
    let dead = dead_letters(config).map(sink).transpose()?;
    let targets = targets(config).map(|(name, written)| Ok((name, sink(written)?)));
    let targets = targets.collect::<Result<_>>()?;
    let replayer = replay::Replayer::new(kafka::settings(config, &cluster)?);
    let brokers = Brokers::of(feed, replies, dead).with_targets(targets);
    Ok(Brokers { replays: Some(Arc::new(replayer)), ..brokers })
}

/// The targets that are topics of Kafka, by their names.
#[cfg(feature = "kafka")]
fn targets(config: &config::Config) -> impl Iterator<Item = (String, kafka::Written<'_>)> {
    let named = |name: &str| format!("target {name}");
    config
        .kafka_targets()
        .map(move |(target, topic)| (target.name.clone(), (named(&target.name).into(), topic, target.mode)))
}

#[cfg(feature = "kafka")]
fn replies(config: &config::Config) -> Option<kafka::Written<'_>> {
    Some(("replies".into(), config.replies.kafka_topic.as_deref()?, config.replies.mode))
}

#[cfg(feature = "kafka")]
fn dead_letters(config: &config::Config) -> Option<kafka::Written<'_>> {
    Some(("dead letters".into(), config.dead_letters.kafka_topic.as_deref()?, config::Mode::Binary))
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
    feature = "cache",
    feature = "eventgrid",
    feature = "http",
    feature = "journal",
    feature = "kafka",
    feature = "pubsub",
    feature = "trace"
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
