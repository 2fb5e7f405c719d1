//! Google Pub/Sub behind the sidecar's own traits.

use super::{Brokers, Feed, Home, Series, Wish};
use crate::config::{self, Config};
use outrigger_core::{BoxFuture, Error, Kind, Result, Source};
use outrigger_pubsub::{
    Credentials, Link, Mode, Order, Pubsub, PubsubSink, SinkConfig, Status, SubscriptionStatus,
};
use std::{borrow::Cow, path::Path, sync::Arc};

/// The largest file of credentials, in bytes.
const CREDENTIALS_BYTES_MAX: u64 = 64 << 10;

/// Makes what the configuration asks of Pub/Sub. Connects to nobody.
pub(super) fn brokers(config: &Config) -> Result<Brokers> {
    let Some(link) = wanted_link(config)? else { return Ok(Brokers::default()) };
    let feed = config.ingress.pubsub.as_ref().map(|ingress| source(config, ingress, &link)).transpose()?;
    let sink = |written| -> Result<Arc<PubsubSink>> { PubsubSink::new(settings(config, &link, written)) };
    let replies = replies(config).map(sink).transpose()?;
    let dead = dead_letters(config).map(sink).transpose()?;
    let targets = targets(config).map(|(name, written)| Ok((name, sink(written)?)));
    Ok(Brokers::of(feed, replies, dead).with_targets(targets.collect::<Result<_>>()?))
}

/// The targets that are topics, by their names.
fn targets(config: &Config) -> impl Iterator<Item = (String, Written<'_>)> {
    config.pubsub_targets().map(|(target, topic)| {
        (target.name.clone(), (format!("target {}", target.name).into(), topic, target.mode))
    })
}

/// Whether names are names, and the credentials what Google's libraries take.
pub(super) fn check(config: &Config) -> Result<()> {
    let Some(link) = wanted_link(config)? else { return Ok(()) };
    if let Some(ingress) = &config.ingress.pubsub {
        read_as(config, ingress, &link).check()?;
    }
    let written = [replies(config), dead_letters(config)].into_iter().flatten();
    for written in written.chain(targets(config).map(|(_, written)| written)) {
        settings(config, &link, written).check()?;
    }
    Ok(())
}

/// A topic that is written: its name in readiness, the topic, and how.
type Written<'a> = (Cow<'static, str>, &'a str, config::Mode);

fn replies(config: &Config) -> Option<Written<'_>> {
    Some(("replies".into(), config.replies.pubsub_topic.as_deref()?, config.replies.mode))
}

fn dead_letters(config: &Config) -> Option<Written<'_>> {
    Some(("dead letters".into(), config.dead_letters.pubsub_topic.as_deref()?, config::Mode::Binary))
}

/// The way to Pub/Sub where anything of it is wanted, its credentials checked.
fn wanted_link(config: &Config) -> Result<Option<Link>> {
    let wanted = config.ingress.pubsub.is_some()
        || config.replies.pubsub_topic.is_some()
        || config.dead_letters.pubsub_topic.is_some()
        || config.pubsub_targets().next().is_some();
    if !wanted {
        return Ok(None);
    }
    let link = link(&config.pubsub)?;
    in_a_runtime(|| link.check())?;
    Ok(Some(link))
}

fn link(pubsub: &config::Pubsub) -> Result<Link> {
    let endpoint = match (&pubsub.endpoint, &pubsub.emulator) {
        (Some(endpoint), _) => Some(endpoint.to_string().trim_end_matches('/').to_owned()),
        (None, Some(host)) => return Ok(Link::emulator(host, pubsub.project.as_deref())),
        (None, None) => None,
    };
    let credentials = match &pubsub.credentials_file {
        _ if pubsub.is_local() => Credentials::Anonymous,
        Some(file) => Credentials::Json(read(file)?),
        None => Credentials::Default,
    };
    Ok(Link { project: pubsub.project.clone(), endpoint, credentials })
}

fn read(file: &Path) -> Result<String> {
    use std::io::Read as _;
    let wrong = |why: std::io::Error| {
        Error::new(Kind::Invalid, format!("pubsub.credentials_file: {}: {why}", file.display()))
    };
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(wrong)?;
    opened.take(CREDENTIALS_BYTES_MAX).read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}

/// Google's credentials begin to look after themselves when they are made, which takes a runtime also where nobody is
/// to be asked.
fn in_a_runtime<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    if tokio::runtime::Handle::try_current().is_ok() {
        return work();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::new(Kind::Invalid, format!("no runtime: {error}")))?;
    let _entered = runtime.enter();
    work()
}

fn source(config: &Config, ingress: &config::PubsubIngress, link: &Link) -> Result<Arc<dyn Feed>> {
    Ok(Arc::new(PubsubFeed(Pubsub::new(read_as(config, ingress, link))?)))
}

fn read_as(config: &Config, ingress: &config::PubsubIngress, link: &Link) -> outrigger_pubsub::Config {
    outrigger_pubsub::Config {
        subscriptions: ingress.subscriptions.clone(),
        topic: ingress.topic.clone(),
        order: if ingress.is_ordered { Order::Key(config.delivery.key.clone()) } else { Order::None },
        streams: ingress.streams,
        events_max: ingress.events_max,
        bytes_max: ingress.bytes_max,
        message_bytes_max: ingress.message_bytes_max,
        lease: ingress.lease,
        lease_max: ingress.lease_max,
        probe_every: ingress.probe_every,
        retry_max: ingress.retry_max,
        leave_timeout: ingress.leave_timeout,
        hop: super::hop(config),
        ..outrigger_pubsub::Config::new(link.clone(), &[])
    }
}

/// How a topic is written.
fn settings(config: &Config, link: &Link, (name, topic, mode): Written<'_>) -> SinkConfig {
    SinkConfig {
        mode: match mode {
            config::Mode::Binary => Mode::Binary,
            config::Mode::Structured => Mode::Structured,
            config::Mode::Protobuf => Mode::Protobuf,
        },
        buffer_bytes_max: config.pubsub.buffer_bytes_max,
        timeout: config.pubsub.timeout,
        gather: config.pubsub.gather,
        ..SinkConfig::new(link.clone(), name, topic)
    }
}

impl Home for PubsubSink {
    fn name(&self) -> &str {
        PubsubSink::name(self)
    }

    fn trouble(&self) -> Option<String> {
        PubsubSink::trouble(self)
    }
}

/// A number of the whole source: name, help, whether it only grows, and how it is read.
type OfSource = (&'static str, &'static str, bool, fn(&Status) -> u64);

const NUMBERS: [OfSource; 12] = [
    ("outrigger_pubsub_in_hand_messages", "Messages in hand, whose leases are kept", false, |s| {
        s.in_hand as u64
    }),
    ("outrigger_pubsub_in_hand_bytes", "Their bytes", false, |s| s.in_hand_bytes as u64),
    ("outrigger_pubsub_waiting_messages", "Those of them that wait for the window", false, |s| {
        s.waiting as u64
    }),
    (
        "outrigger_pubsub_full",
        "1 while no stream is read because as many as may be are in hand",
        false,
        |s| u64::from(s.is_full),
    ),
    ("outrigger_pubsub_messages_total", "Messages that came", true, |s| s.received),
    (
        "outrigger_pubsub_redelivered_total",
        "Those that Pub/Sub had delivered before, as far as it tells (with a dead-letter policy)",
        true,
        |s| s.redelivered,
    ),
    (
        "outrigger_pubsub_acks_total",
        "Acknowledgements, confirmed where delivery is exactly once",
        true,
        |s| s.acks,
    ),
    (
        "outrigger_pubsub_ack_failures_total",
        "Acknowledgements that were not confirmed: each is a duplicate to come",
        true,
        |s| s.ack_failures,
    ),
    ("outrigger_pubsub_nacks_total", "Messages that were given back", true, |s| s.nacks),
    (
        "outrigger_pubsub_tails_total",
        "Those that were given back because an earlier one of their ordering key was",
        true,
        |s| s.tails,
    ),
    ("outrigger_pubsub_expired_total", "Those that were in hand longer than lease_max", true, |s| s.expired),
    ("outrigger_pubsub_streams_total", "Streams that were opened", true, |s| s.streams),
];

struct PubsubFeed(Arc<Pubsub>);

impl Feed for PubsubFeed {
    fn source(&self) -> Arc<dyn Source> {
        self.0.clone()
    }

    fn trouble(&self) -> Option<String> {
        self.0.trouble()
    }

    fn note(&self) -> String {
        let status = self.0.status();
        let full = if status.is_full { "; as many as may be" } else { "" };
        let names: Vec<_> = status.subscriptions.iter().map(described).collect();
        format!("{}: {} messages in hand{full}", names.join(", "), status.in_hand)
    }

    fn series(&self) -> Vec<Series> {
        let status = self.0.status();
        let numbers = NUMBERS.iter().map(|(name, help, is_counter, of)| Series {
            name,
            help,
            labels: &[],
            is_counter: *is_counter,
            rows: vec![(Vec::new(), of(&status))],
        });
        numbers.collect()
    }

    fn status(&self) -> serde_json::Value {
        serde_json::json!(self.0.status())
    }

    fn ask<'a>(&'a self, _: Wish, _: &'a str, _: Option<i32>) -> BoxFuture<'a, Result<Vec<String>>> {
        let error = Error::new(Kind::Invalid, "Pub/Sub has no partitions");
        Box::pin(std::future::ready(Err(error)))
    }
}

/// A subscription by its last name, with what it says of itself.
fn described(subscription: &SubscriptionStatus) -> String {
    let name = subscription.name.rsplit('/').next().unwrap_or_default();
    let mut words = Vec::new();
    if subscription.is_ordered == Some(true) {
        words.push("ordered".to_owned());
    }
    if subscription.is_exactly_once == Some(true) {
        words.push("exactly once".to_owned());
    }
    if let Some(most) = subscription.delivery_attempts_max {
        words.push(format!("dead-lettered by Pub/Sub after {most} deliveries"));
    }
    if words.is_empty() { name.to_owned() } else { format!("{name} ({})", words.join(", ")) }
}
