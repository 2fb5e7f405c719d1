//! Event Grid in the configuration, as the program uses it: the namespace, the source, and the topics that are written.

use std::{path::PathBuf, time::Duration};

use http::Uri;

use super::{build::Values, env::Env};

/// The namespace, and what any place of Event Grid is asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGrid {
    /// The namespace's URL; a rule asks for it where a topic or subscription of it is named.
    pub endpoint: Option<Uri>,
    /// The version of the namespace's protocol.
    pub api_version: String,
    /// A key or a signature for the namespace.
    pub secret: Option<Secret>,
    /// Tokens for all places.
    pub entra: Option<Entra>,
    /// The authorities of the places' certificates; none is the system's.
    pub ca: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// The most events in one request that writes.
    pub publish_events_max: usize,
    /// The most bytes of them.
    pub publish_bytes_max: usize,
    /// The most bytes of events that wait to be written.
    pub buffer_bytes_max: usize,
}

/// A key, or a signature made with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// The key itself is sent.
    Key(PathBuf),
    /// A signature is made with the key in this file for each request.
    Signing(PathBuf),
    /// A signature is in this file.
    Signature(PathBuf),
}

/// How tokens of Microsoft Entra are had. What is missing here a rule has complained about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entra {
    /// By what we name ourselves.
    pub method: Method,
    /// The directory.
    pub tenant: Option<String>,
    /// The application, or a managed identity that the user made.
    pub client_id: Option<String>,
    /// Where tokens are given out.
    pub authority: String,
    /// The authorities of its certificate; none is the system's.
    pub ca: Option<PathBuf>,
    /// What tokens are asked for.
    pub scope: String,
}

/// By what we name ourselves to Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// By a secret in this file.
    ClientSecret(Option<PathBuf>),
    /// By the token of a Kubernetes service account (or another issuer that is trusted) in this file.
    WorkloadIdentity(Option<PathBuf>),
    /// By the machine's or the platform's own endpoint, with a header where the platform asks for one.
    ManagedIdentity {
        /// The platform's endpoint (`IDENTITY_ENDPOINT`); none is the machine's.
        endpoint: Option<String>,
        /// What it knows us by (`IDENTITY_HEADER`).
        header: Option<IdentityHeader>,
    },
}

/// A secret of the environment; its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityHeader(pub String);

impl std::fmt::Debug for IdentityHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityHeader")
    }
}

/// A topic that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// A name in the namespace, or the URL of a custom topic.
    pub place: String,
    /// Whether events are written in the Event Grid schema.
    pub is_event_grid_schema: bool,
    /// A custom topic's own key or signature.
    pub secret: Option<Secret>,
}

impl Topic {
    /// Its URL, where it is a custom topic.
    #[must_use]
    pub fn url(&self) -> Option<Uri> {
        if self.place.contains("://") { self.place.parse().ok() } else { None }
    }
}

/// A subscription as a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// The topic; a rule asks for both.
    pub topic: Option<String>,
    /// The subscription.
    pub subscription: Option<String>,
    /// Requests for events that are out at once.
    pub polls: usize,
    /// How long the service waits for events.
    pub wait: Duration,
    /// The most events that are asked for at once.
    pub receive_events_max: usize,
    /// The largest answer.
    pub receive_bytes_max: usize,
    /// The most events in hand.
    pub events_max: usize,
    /// How long a lock holds.
    pub lock: Duration,
    /// How long an event is held.
    pub hold_max: Duration,
    /// How long one that was held so long stays away, in seconds: 0, 10, 60, 600 or 3,600.
    pub hold_delay_s: u16,
    /// How long one stays away that goes back otherwise.
    pub release_delay_s: u16,
    /// How long an outcome waits for others.
    pub tell_every: Duration,
    /// The most outcomes in one request.
    pub tell_events_max: usize,
    /// Requests that tell outcomes that are out at once.
    pub tells: usize,
    /// The waits after a request that failed.
    pub backoff: super::Backoff,
    /// How long the last outcomes may take.
    pub leave_timeout: Duration,
}

/// The delays that Event Grid knows, as the file says them.
pub(super) const DELAYS: &[&str] = &["0s", "10s", "1m", "10m", "1h"];
/// Where Entra gives out tokens, but in national clouds.
const AUTHORITY: &str = "https://login.microsoftonline.com";

impl Values {
    pub(super) fn eventgrid(&self, env: &dyn Env) -> EventGrid {
        EventGrid {
            endpoint: self.url("eventgrid.endpoint"),
            api_version: self.text("eventgrid.api_version"),
            secret: self.eventgrid_secret("eventgrid.key_file", "eventgrid.sas_file"),
            entra: self.entra(env),
            ca: self.some_file("eventgrid.ca_file"),
            timeout: self.span("eventgrid.timeout"),
            publish_events_max: self.count("eventgrid.publish_events_max"),
            publish_bytes_max: self.size("eventgrid.publish_bytes_max"),
            buffer_bytes_max: self.size("eventgrid.buffer_bytes_max"),
        }
    }

    pub(super) fn eventgrid_topic(&self, section: &str) -> Option<Topic> {
        let of = |name: &str| format!("{section}.eventgrid_{name}");
        let place = self.some_text(&of("topic"))?;
        // Dead letters have attributes that say why: the Event Grid schema has no place for them.
        let is_event_grid_schema = section != "dead_letters" && self.word(&of("schema")) == "eventgrid";
        Some(Topic {
            place,
            is_event_grid_schema,
            secret: self.eventgrid_secret(&of("key_file"), &of("sas_file")),
        })
    }

    fn eventgrid_secret(&self, key: &str, signature: &str) -> Option<Secret> {
        let signs = self.word("eventgrid.key_as") == "signature";
        let key = self.some_file(key).map(if signs { Secret::Signing } else { Secret::Key });
        key.or_else(|| self.some_file(signature).map(Secret::Signature))
    }

    fn entra(&self, env: &dyn Env) -> Option<Entra> {
        let text = |key: &str, variable: &str| self.some_text(key).or_else(|| env.variable(variable));
        let method = match self.word("eventgrid.entra.method") {
            "client-secret" => Method::ClientSecret(self.some_file("eventgrid.entra.client_secret_file")),
            "workload-identity" => {
                let file = self.some_file("eventgrid.entra.token_file");
                let by_variable = || env.variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from);
                Method::WorkloadIdentity(file.or_else(by_variable))
            }
            "managed-identity" => Method::ManagedIdentity {
                endpoint: env.variable("IDENTITY_ENDPOINT"),
                header: env.variable("IDENTITY_HEADER").map(IdentityHeader),
            },
            _ => return None,
        };
        let authority = text("eventgrid.entra.authority", "AZURE_AUTHORITY_HOST");
        // A managed identity is the machine's own unless the file names another.
        let is_managed = matches!(method, Method::ManagedIdentity { .. });
        let client_id = self.some_text("eventgrid.entra.client_id");
        let by_variable = || env.variable("AZURE_CLIENT_ID").filter(|_| !is_managed);
        Some(Entra {
            method,
            tenant: text("eventgrid.entra.tenant", "AZURE_TENANT_ID"),
            client_id: client_id.or_else(by_variable),
            authority: authority
                .map_or_else(|| AUTHORITY.to_owned(), |url| url.trim_end_matches('/').to_owned()),
            ca: self.some_file("eventgrid.entra.ca_file"),
            scope: self.text("eventgrid.entra.scope"),
        })
    }

    pub(super) fn eventgrid_ingress(&self) -> Option<Ingress> {
        let topic = self.some_text("ingress.eventgrid.topic");
        let subscription = self.some_text("ingress.eventgrid.subscription");
        if topic.is_none() && subscription.is_none() {
            return None;
        }
        Some(Ingress {
            topic,
            subscription,
            polls: self.count("ingress.eventgrid.polls"),
            wait: self.span("ingress.eventgrid.wait"),
            receive_events_max: self.count("ingress.eventgrid.receive_events_max"),
            receive_bytes_max: self.size("ingress.eventgrid.receive_bytes_max"),
            events_max: self.count("ingress.eventgrid.events_max"),
            lock: self.span("ingress.eventgrid.lock"),
            hold_max: self.span("ingress.eventgrid.hold_max"),
            hold_delay_s: seconds(self.word("ingress.eventgrid.hold_delay")),
            release_delay_s: seconds(self.word("ingress.eventgrid.release_delay")),
            tell_every: self.span("ingress.eventgrid.tell_every"),
            tell_events_max: self.count("ingress.eventgrid.tell_events_max"),
            tells: self.count("ingress.eventgrid.tells"),
            backoff: super::Backoff {
                initial: self.span("ingress.eventgrid.backoff.initial"),
                max: self.span("ingress.eventgrid.backoff.max"),
            },
            leave_timeout: self.span("ingress.eventgrid.leave_timeout"),
        })
    }
}

fn seconds(delay: &str) -> u16 {
    let delay = super::units::duration(delay).unwrap_or_default();
    u16::try_from(delay.as_secs()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delay_is_a_number_of_seconds_that_event_grid_knows() {
        let all: Vec<_> = DELAYS.iter().map(|delay| seconds(delay)).collect();
        assert_eq!(all, [0, 10, 60, 600, 3600]);
    }
}
