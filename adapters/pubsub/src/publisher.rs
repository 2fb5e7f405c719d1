//! How a topic is written: the settings, and Google's publisher made of them.

use crate::{Link, trouble};
use google_cloud_gax::retry_policy::RetryPolicyExt as _;
use google_cloud_pubsub::{
    client::{BasePublisher, Publisher},
    retry_policy::RetryableErrors,
};
use outrigger_core::{Error, Kind, Result};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Google's publisher keeps a task for every ordering key that it has ever seen. After so many it is replaced, and the
/// old one ends once it has sent what it has.
const KEYS_MAX: usize = 10_000;

/// How events become messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes of the event are attributes of the message, the data is the data.
    Binary,
    /// The data is the event as JSON.
    Structured,
    /// The data is the event as a message of Protobuf.
    Protobuf,
}

/// A topic that is written.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Its name in readiness.
    pub name: &'static str,
    /// The way to Pub/Sub.
    pub link: Link,
    /// The topic: short, of the link's project, or its whole name.
    pub topic: String,
    /// How events become messages.
    pub mode: Mode,
    /// The most bytes of messages that wait for their acknowledgement.
    pub buffer_bytes_max: usize,
    /// How long one write may take.
    pub timeout: Duration,
    /// How long a message waits for others to be sent with it.
    pub gather: Duration,
}

impl SinkConfig {
    /// The topic, everything else by default.
    #[must_use]
    pub fn new(link: Link, name: &'static str, topic: &str) -> Self {
        Self {
            name,
            link,
            topic: topic.to_owned(),
            mode: Mode::Binary,
            buffer_bytes_max: 8 << 20,
            timeout: Duration::from_secs(30),
            gather: Duration::from_millis(5),
        }
    }

    /// Whether the name is one and the credentials are credentials. Asks nobody; needs a runtime of tokio.
    ///
    /// # Errors
    /// `Invalid` with what is wrong.
    pub fn check(&self) -> Result<()> {
        self.whole_topic()?;
        self.link.check()
    }

    /// The topic's whole name.
    pub(crate) fn whole_topic(&self) -> Result<String> {
        self.link.name("topics", &self.topic).map_err(|error| {
            let setting = format!("{}.pubsub_topic", self.name.replace(' ', "_"));
            Error::new(Kind::Invalid, format!("{setting}: {}", error.message()))
        })
    }
}

/// Google's publisher, replaced where it has seen too many keys.
pub(crate) struct Live {
    base: BasePublisher,
    topic: String,
    gather: Duration,
    now: Mutex<(Publisher, HashSet<String>)>,
}

impl Live {
    pub(crate) async fn new(config: &SinkConfig, topic: &str) -> Result<Self> {
        let mut builder = BasePublisher::builder()
            .with_credentials(config.link.credentials()?)
            .with_retry_policy(RetryableErrors.with_time_limit(config.timeout));
        if let Some(endpoint) = &config.link.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let base = builder.build().await.map_err(|error| {
            Error::new(Kind::Unreachable, format!("pubsub: a client: {}", trouble::chain(&error)))
        })?;
        let first = made(&base, topic, config.gather);
        let now = Mutex::new((first, HashSet::new()));
        Ok(Self { base, topic: topic.to_owned(), gather: config.gather, now })
    }

    /// The publisher for a message of that ordering key.
    pub(crate) fn publisher(&self, key: &str) -> Publisher {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if !key.is_empty() && !now.1.contains(key) {
            if now.1.len() >= KEYS_MAX {
                *now = (made(&self.base, &self.topic, self.gather), HashSet::new());
            }
            now.1.insert(key.to_owned());
        }
        now.0.clone()
    }
}

fn made(base: &BasePublisher, topic: &str, gather: Duration) -> Publisher {
    base.publisher(topic).set_delay_threshold(gather).build()
}
