//! What a Pub/Sub source is made of.

use crate::{Link, decode::Place};
use outrigger_core::{Error, Kind, Result};
use std::{sync::Arc, time::Duration};

/// What runs one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// The messages of one ordering key; of those without one, the events that share the first of these attributes
    /// that they have.
    Key(Vec<String>),
    /// Nothing: all run as they come.
    None,
}

/// A source.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name in metrics and dead letters.
    pub name: Arc<str>,
    /// The way to Pub/Sub.
    pub link: Link,
    /// What is read, by name: short, of the link's project, or whole.
    pub subscriptions: Vec<String>,
    /// The topic that stands in the source of messages that are no `CloudEvents`; `None` is their subscription.
    pub topic: Option<String>,
    /// What runs one at a time.
    pub order: Order,
    /// Streams of each subscription.
    pub streams: usize,
    /// The attributes that are kept beside an event that a message became, such as `traceparent`.
    pub hop: &'static [&'static str],
    /// The most messages in hand, over all streams of all subscriptions: those that wait for the window included.
    pub events_max: usize,
    /// The most bytes of them. One message of each stream may go beyond it.
    pub bytes_max: usize,
    /// A larger message becomes a dead letter.
    pub message_bytes_max: usize,
    /// How long a lease lasts that nobody extends: after a crash, messages come again then. 10 s to 600 s.
    pub lease: Duration,
    /// How long a message may be in hand, its lease extended. After that it goes back, unless it runs.
    pub lease_max: Duration,
    /// How often a subscription of which nothing came is asked after; `None` is never.
    pub probe_every: Option<Duration>,
    /// The longest wait before a subscription that cannot be read is tried again.
    pub retry_max: Duration,
    /// How long the last acks of a drain may take.
    pub leave_timeout: Duration,
}

impl Config {
    /// The source of these subscriptions, everything else by default.
    #[must_use]
    pub fn new(link: Link, subscriptions: &[&str]) -> Self {
        Self {
            name: "pubsub".into(),
            link,
            subscriptions: subscriptions.iter().map(|name| (*name).to_owned()).collect(),
            topic: None,
            order: Order::Key(vec!["partitionkey".to_owned()]),
            streams: 1,
            hop: &[],
            events_max: 1000,
            bytes_max: 64 << 20,
            message_bytes_max: 10 << 20,
            lease: Duration::from_mins(1),
            lease_max: Duration::from_hours(1),
            probe_every: Some(Duration::from_secs(15)),
            retry_max: Duration::from_secs(30),
            leave_timeout: Duration::from_secs(5),
        }
    }

    /// Whether the names are names and the credentials are credentials. Asks nobody; needs a runtime of tokio.
    ///
    /// # Errors
    /// `Invalid` with the setting.
    pub fn check(&self) -> Result<()> {
        self.places()?;
        self.link.check()
    }

    /// The subscriptions by their whole names.
    pub(crate) fn places(&self) -> Result<Vec<Place>> {
        if self.subscriptions.is_empty() {
            return Err(Error::new(
                Kind::Invalid,
                "ingress.pubsub.subscription: nothing; a name, or several",
            ));
        }
        let named = |setting: &str, error: &Error| {
            Error::new(Kind::Invalid, format!("{setting}: {}", error.message()))
        };
        let topic = self.topic.as_ref().map(|topic| self.link.name("topics", topic)).transpose();
        let topic = topic.map_err(|error| named("ingress.pubsub.topic", &error))?;
        let place = |given: &String| {
            let subscription = self.link.name("subscriptions", given);
            let subscription = subscription.map_err(|error| named("ingress.pubsub.subscription", &error))?;
            Ok(Place { subscription, topic: topic.clone() })
        };
        self.subscriptions.iter().map(place).collect()
    }
}
