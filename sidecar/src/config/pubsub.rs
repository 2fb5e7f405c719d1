//! Google Pub/Sub in the configuration, as the program uses it: the way there, the source, and how topics are written.

use std::{path::PathBuf, time::Duration};

use super::{build::Values, env::Env};

/// Names a local server, as Google's own clients take it: `host:port`.
const EMULATOR_VARIABLE: &str = "PUBSUB_EMULATOR_HOST";
/// The project, where the configuration names none.
const PROJECT_VARIABLE: &str = "GOOGLE_CLOUD_PROJECT";

/// The way to Pub/Sub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pubsub {
    /// The project of names that say none.
    pub project: Option<String>,
    /// Another endpoint than Google's own; over http it is a local server.
    pub endpoint: Option<http::Uri>,
    /// The local server of the environment, `host:port`; it counts where no endpoint is given.
    pub emulator: Option<String>,
    /// Who we say that we are; none is Google's default chain.
    pub credentials_file: Option<PathBuf>,
    /// The most bytes of messages that wait for their acknowledgement.
    pub buffer_bytes_max: usize,
    /// How long one write may take.
    pub timeout: Duration,
    /// How long a message waits for others to be sent with it.
    pub gather: Duration,
}

impl Pubsub {
    /// Whether nobody is to be told who we are: a local server asks for nothing, and a token would go there unprotected.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.endpoint {
            Some(endpoint) => endpoint.scheme_str() != Some("https"),
            None => self.emulator.is_some(),
        }
    }
}

/// Pub/Sub as a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// By name.
    pub subscriptions: Vec<String>,
    /// The topic that stands in the source of plain messages.
    pub topic: Option<String>,
    /// Whether the messages of one ordering key run one at a time.
    pub is_ordered: bool,
    /// Streams of each subscription.
    pub streams: usize,
    /// The most messages in hand.
    pub events_max: usize,
    /// The most bytes of them.
    pub bytes_max: usize,
    /// The largest message, in bytes.
    pub message_bytes_max: usize,
    /// How long a lease lasts that nobody extends.
    pub lease: Duration,
    /// How long a message may be in hand.
    pub lease_max: Duration,
    /// How often a quiet subscription is asked after.
    pub probe_every: Option<Duration>,
    /// The longest wait before a subscription is tried again.
    pub retry_max: Duration,
    /// How long the last acks may take.
    pub leave_timeout: Duration,
}

impl Values {
    pub(super) fn pubsub(&self, env: &dyn Env) -> Pubsub {
        Pubsub {
            project: self.some_text("pubsub.project").or_else(|| env.variable(PROJECT_VARIABLE)),
            endpoint: self.url("pubsub.endpoint"),
            emulator: env.variable(EMULATOR_VARIABLE),
            credentials_file: self.some_file("pubsub.credentials_file"),
            buffer_bytes_max: self.size("pubsub.publisher.buffer_bytes_max"),
            timeout: self.span("pubsub.publisher.timeout"),
            gather: self.span("pubsub.publisher.gather"),
        }
    }

    pub(super) fn pubsub_ingress(&self) -> Option<Ingress> {
        let or_window = |path: &str, window: &str| {
            let given = self.some_count(path).and_then(|most| usize::try_from(most).ok());
            given.unwrap_or_else(|| self.count(window))
        };
        Some(Ingress {
            subscriptions: self.list("ingress.pubsub.subscription")?,
            topic: self.some_text("ingress.pubsub.topic"),
            is_ordered: self.word("ingress.pubsub.order") == "key",
            streams: self.count("ingress.pubsub.streams"),
            events_max: or_window("ingress.pubsub.events_max", "window.events"),
            bytes_max: self
                .some_size("ingress.pubsub.bytes_max")
                .unwrap_or_else(|| self.size("window.bytes")),
            message_bytes_max: self.size("ingress.pubsub.message_bytes_max"),
            lease: self.span("ingress.pubsub.lease"),
            lease_max: self.span("ingress.pubsub.lease_max"),
            probe_every: self.some_span("ingress.pubsub.probe_every"),
            retry_max: self.span("ingress.pubsub.retry_max"),
            leave_timeout: self.span("ingress.pubsub.leave_timeout"),
        })
    }
}
