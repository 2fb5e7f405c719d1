//! Event Grid behind the sidecar's own traits.

use super::{Brokers, Feed, Home, Series, Wish};
use crate::config::{self, Config};
use fastrand::Rng;
use http::{HeaderMap, HeaderValue, Uri};
use outrigger_core::{BoxFuture, Error, Kind, Result, Source};
use outrigger_eventgrid::{
    Counts, Credential, Delay, Endpoint, EventGrid, EventGridSink, Place, SecretFile, SinkConfig, SinkCounts,
    Status, encode::Schema,
};
use outrigger_net::{
    client_credentials::{ClientCredentials, Named, Settings},
    tls::{Authorities, ClientSettings, ClientTls, TlsError, Version},
};
use std::{borrow::Cow, sync::Arc};

/// The machine's own endpoint for identities of Azure's virtual machines and clusters.
const MACHINE_ENDPOINT: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const TOPIC_API_VERSION: &str = "2018-01-01";

/// What Event Grid is wanted for.
pub(super) enum Purpose {
    /// To be checked: nobody is asked for a token.
    Look,
    /// To be spoken to. Instances ask for tokens a little apart.
    Connect(Rng),
}

/// Makes what the configuration asks of Event Grid. Nothing is connected.
///
/// # Errors
/// `Invalid` with the setting, when a file cannot be used.
pub(super) fn brokers(config: &Config, purpose: Purpose) -> Result<Brokers> {
    let (replies, dead) = (&config.replies.eventgrid, &config.dead_letters.eventgrid);
    let is_target = config.eventgrid_targets().next().is_some();
    if config.ingress.eventgrid.is_none() && replies.is_none() && dead.is_none() && !is_target {
        return Ok(Brokers::default());
    }
    let jitter = match &purpose {
        Purpose::Look => Rng::with_seed(0),
        Purpose::Connect(jitter) => jitter.clone(),
    };
    let places = Places::new(config, purpose)?;
    let feed = places.source(config, jitter)?.map(|source| Arc::new(EventGridFeed(source)) as Arc<dyn Feed>);
    let sink =
        |name: &'static str, section: &'static str, topic: &Option<config::EventGridTopic>| -> Result<_> {
            topic.as_ref().map(|topic| places.sink(name.into(), section, topic).map(Arc::new)).transpose()
        };
    let (replies, dead) = (sink("replies", "replies", replies)?, sink("dead letters", "dead_letters", dead)?);
    let targets = config.eventgrid_targets().map(|(target, topic)| {
        let name = format!("target {}", target.name);
        Ok((target.name.clone(), Arc::new(places.sink(name.into(), "targets", topic)?)))
    });
    Ok(Brokers::of(feed, replies, dead).with_targets(targets.collect::<Result<_>>()?))
}

/// What all places have in common.
struct Places<'c> {
    config: &'c config::EventGrid,
    tls: Arc<ClientTls>,
    proxies: outrigger_net::client::Proxies,
    entra: Option<Arc<ClientCredentials>>,
}

impl<'c> Places<'c> {
    fn new(config: &'c Config, purpose: Purpose) -> Result<Self> {
        let (eventgrid, outgoing) = (&config.eventgrid, &config.outgoing);
        let proxies = crate::tls::proxies(outgoing).map_err(invalid)?;
        let credentials = eventgrid.entra.as_ref().map(|entra| {
            let settings = Settings { proxies: proxies.clone(), ..token_settings(entra)? };
            let wrong = |why| invalid(format!("eventgrid.entra.ca_file: {why}"));
            ClientCredentials::new(settings).map_err(wrong)
        });
        let entra = credentials.transpose()?;
        if let (Some(credentials), Purpose::Connect(jitter)) = (&entra, purpose) {
            tokio::spawn(ClientCredentials::keep(Arc::downgrade(credentials), jitter));
        }
        Ok(Self { config: eventgrid, tls: tls(config)?, proxies, entra })
    }

    fn endpoint(
        &self,
        url: &Uri,
        place: Place,
        secret: Option<&config::EventGridSecret>,
        section: &'static str,
    ) -> Result<Endpoint> {
        let credential = match (secret, &self.entra) {
            (Some(config::EventGridSecret::Key(file)), _) => Credential::Key(SecretFile::new(file.clone())),
            (Some(config::EventGridSecret::Signing(file)), _) => {
                Credential::Signed(SecretFile::new(file.clone()))
            }
            (Some(config::EventGridSecret::Signature(file)), _) => {
                Credential::Sas(SecretFile::new(file.clone()))
            }
            (None, Some(entra)) => Credential::Entra(entra.clone()),
            (None, None) => return Err(invalid(format!("{section}: nothing says who we are"))),
        };
        // Where the secret's file is named: beside the namespace, or beside the topic.
        let named =
            if place == Place::Namespace { "eventgrid.".to_owned() } else { format!("{section}.eventgrid_") };
        let file = if let Credential::Sas(_) = credential { "sas_file" } else { "key_file" };
        credential.check().map_err(|why| invalid(format!("{named}{file}: {why}")))?;
        Ok(Endpoint {
            url: url.clone(),
            place,
            api_version: match place {
                Place::Namespace => self.config.api_version.clone(),
                Place::Topic => TOPIC_API_VERSION.to_owned(),
            },
            credential: Arc::new(credential),
            tls: self.tls.clone(),
            proxies: self.proxies.clone(),
            timeout: self.config.timeout,
            section,
        })
    }

    fn namespace(&self) -> Result<Endpoint> {
        let url = self.config.endpoint.as_ref();
        let url = url.ok_or_else(|| invalid("eventgrid.endpoint: no namespace".to_owned()))?;
        self.endpoint(url, Place::Namespace, self.config.secret.as_ref(), "eventgrid")
    }

    fn source(&self, config: &Config, jitter: Rng) -> Result<Option<Arc<EventGrid>>> {
        let Some(ingress) = &config.ingress.eventgrid else { return Ok(None) };
        let [topic, subscription] =
            [&ingress.topic, &ingress.subscription].map(|name| name.clone().unwrap_or_default());
        let settings = outrigger_eventgrid::Config {
            key: config.delivery.key.clone(),
            polls: ingress.polls,
            wait: ingress.wait,
            receive_events_max: ingress.receive_events_max,
            receive_bytes_max: ingress.receive_bytes_max,
            events_max: ingress.events_max,
            lock: ingress.lock,
            hold_max: ingress.hold_max,
            hold_delay: delay(ingress.hold_delay_s),
            release_delay: delay(ingress.release_delay_s),
            tell_every: ingress.tell_every,
            tell_events_max: ingress.tell_events_max,
            tells: ingress.tells,
            backoff: (ingress.backoff.initial, ingress.backoff.max),
            leave_timeout: ingress.leave_timeout,
            jitter,
            ..outrigger_eventgrid::Config::new(self.namespace()?, &topic, &subscription)
        };
        Ok(Some(EventGrid::new(settings)))
    }

    fn sink(
        &self,
        name: Cow<'static, str>,
        section: &'static str,
        topic: &config::EventGridTopic,
    ) -> Result<EventGridSink> {
        let (endpoint, topic_name) = match topic.url() {
            Some(url) => (self.endpoint(&url, Place::Topic, topic.secret.as_ref(), section)?, ""),
            None => (self.namespace()?, &*topic.place),
        };
        Ok(EventGridSink::new(SinkConfig {
            schema: if topic.is_event_grid_schema { Schema::EventGrid } else { Schema::CloudEvents },
            batch_events_max: self.config.publish_events_max,
            batch_bytes_max: self.config.publish_bytes_max,
            buffer_bytes_max: self.config.buffer_bytes_max,
            ..SinkConfig::new(endpoint, name, topic_name)
        }))
    }
}

fn invalid(message: String) -> Error {
    Error::new(Kind::Invalid, message)
}

fn delay(seconds: u16) -> Delay {
    Delay::at_least(std::time::Duration::from_secs(seconds.into()))
}

/// TLS toward Event Grid: the system's authorities, those of a file, or none where nothing is https.
fn tls(config: &Config) -> Result<Arc<ClientTls>> {
    let topics = [&config.replies.eventgrid, &config.dead_letters.eventgrid].into_iter().flatten();
    let topics = topics.chain(config.eventgrid_targets().map(|(_, topic)| topic));
    let urls = topics.filter_map(config::EventGridTopic::url);
    let mut urls = urls.chain(config.eventgrid.endpoint.clone());
    let authorities = match &config.eventgrid.ca {
        Some(file) => Authorities::File(file.clone()),
        None if urls.any(|url| url.scheme_str() == Some("https")) => Authorities::System,
        None => Authorities::Nobody,
    };
    let version_min = Version::default();
    let settings = ClientSettings { section: "eventgrid".to_owned(), authorities, pair: None, version_min };
    let told = |error: TlsError| {
        let lines = error.problems.into_iter().map(|(key, what)| format!("{key}: {what}"));
        invalid(lines.collect::<Vec<_>>().join("; "))
    };
    ClientTls::open(settings).map(Arc::new).map_err(told)
}

/// Where tokens come from, and how we name ourselves there.
fn token_settings(entra: &config::Entra) -> Result<Settings> {
    let client_id = entra.client_id.clone().unwrap_or_default();
    let file = |file: &Option<std::path::PathBuf>| file.clone().unwrap_or_default();
    let tenant = entra.tenant.as_deref().unwrap_or_default();
    let at_tenant = format!("{}/{tenant}/oauth2/v2.0/token", entra.authority);
    let (url, client) = match &entra.method {
        config::EntraMethod::ClientSecret(secret) => {
            super::secret::read("eventgrid.entra.client_secret_file", &file(secret))?;
            (at_tenant, Named::Secret { client_id, file: file(secret) })
        }
        config::EntraMethod::WorkloadIdentity(token) => {
            super::secret::read("eventgrid.entra.token_file", &file(token))?;
            (at_tenant, Named::Assertion { client_id, file: file(token) })
        }
        config::EntraMethod::ManagedIdentity { endpoint, header } => {
            managed(entra, endpoint.as_deref(), header.as_ref())?
        }
    };
    let url = url.parse().map_err(|_| invalid(format!("eventgrid.entra: {url:?} is no URL")))?;
    let (scope, ca_file) = (Some(entra.scope.clone()), entra.ca.clone());
    Ok(Settings { url, client, scope, ca_file, proxies: outrigger_net::client::Proxies::default() })
}

/// A managed identity is known by its machine. Its endpoint asks for a header that no browser or redirect would send.
fn managed(
    entra: &config::Entra,
    endpoint: Option<&str>,
    header: Option<&config::IdentityHeader>,
) -> Result<(String, Named)> {
    let mut headers = HeaderMap::new();
    let (endpoint, version) = if let (Some(endpoint), Some(header)) = (endpoint, header) {
        let mut value = HeaderValue::from_str(&header.0)
            .map_err(|_| invalid("eventgrid.entra: IDENTITY_HEADER is no header's value".to_owned()))?;
        value.set_sensitive(true);
        headers.insert("x-identity-header", value);
        (endpoint, "2019-08-01")
    } else {
        headers.insert("metadata", HeaderValue::from_static("true"));
        (MACHINE_ENDPOINT, "2018-02-01")
    };
    let resource = entra.scope.trim_end_matches(".default").trim_end_matches('/');
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("api-version", version).append_pair("resource", resource);
    query.extend_pairs(entra.client_id.iter().map(|id| ("client_id", id)));
    Ok((format!("{endpoint}?{}", query.finish()), Named::Place(headers)))
}

impl Home for EventGridSink {
    fn name(&self) -> &str {
        EventGridSink::name(self)
    }

    fn trouble(&self) -> Option<String> {
        EventGridSink::trouble(self)
    }

    fn series(&self) -> Vec<Series> {
        let counts = self.counts();
        let row = |of: fn(&SinkCounts) -> u64| vec![(vec![self.name().to_owned()], of(&counts))];
        SINK.iter()
            .map(|(name, help, of)| Series {
                name,
                help,
                labels: &["sink"],
                is_counter: true,
                rows: row(*of),
            })
            .collect()
    }
}

/// A number of a sink: name, help, and how it is read.
type OfSink = (&'static str, &'static str, fn(&SinkCounts) -> u64);

const SINK: [OfSink; 3] = [
    ("outrigger_eventgrid_published_total", "Events that Event Grid has taken", |c| c.written),
    ("outrigger_eventgrid_publish_failures_total", "Writes of events that failed, tried again or not", |c| {
        c.failed
    }),
    ("outrigger_eventgrid_publish_requests_total", "Requests that wrote", |c| c.requests),
];

/// A number of the source: name, help, and how it is read.
type OfSource = (&'static str, &'static str, fn(&Counts) -> u64);

const COUNTERS: [OfSource; 9] = [
    ("outrigger_eventgrid_received_total", "Events that were received", |c| c.received),
    ("outrigger_eventgrid_redelivered_total", "Of them, those that had been delivered before", |c| {
        c.redelivered
    }),
    ("outrigger_eventgrid_acknowledged_total", "Acknowledgements that Event Grid took", |c| c.acknowledged),
    ("outrigger_eventgrid_released_total", "Events that went back", |c| c.released),
    ("outrigger_eventgrid_rejected_total", "Events that were rejected", |c| c.rejected),
    ("outrigger_eventgrid_renewed_total", "Locks that were renewed", |c| c.renewed),
    (
        "outrigger_eventgrid_lost_total",
        "Locks that ended before the outcome was taken; each is a duplicate to come",
        |c| c.lost,
    ),
    (
        "outrigger_eventgrid_late_total",
        "Outcomes that came after their lock had ended and counted for nothing",
        |c| c.late,
    ),
    (
        "outrigger_eventgrid_given_back_total",
        "Events that went back because they were held as long as Event Grid allows",
        |c| c.given_back,
    ),
];

struct EventGridFeed(Arc<EventGrid>);

impl Feed for EventGridFeed {
    fn source(&self) -> Arc<dyn Source> {
        self.0.clone()
    }

    fn trouble(&self) -> Option<String> {
        self.0.trouble()
    }

    fn note(&self) -> String {
        let Status { topic, subscription, in_hand, .. } = self.0.status();
        format!("{topic}/{subscription}, {in_hand} in hand")
    }

    fn series(&self) -> Vec<Series> {
        let status = self.0.status();
        let labels: &[&str] = &["topic", "subscription"];
        let row = |value| vec![(vec![status.topic.clone(), status.subscription.clone()], value)];
        let series =
            |name, help, is_counter, value| Series { name, help, labels, is_counter, rows: row(value) };
        let counted = COUNTERS.iter().map(|(name, help, of)| series(name, help, true, of(&status.counts)));
        let mut all: Vec<_> = counted.collect();
        all.push(series(
            "outrigger_eventgrid_in_hand_events",
            "Events in hand, with those whose outcome is not taken yet",
            false,
            status.in_hand as u64,
        ));
        all.push(series(
            "outrigger_eventgrid_failed_requests_total",
            "Requests that failed",
            true,
            status.failed_requests,
        ));
        all.push(series(
            "outrigger_eventgrid_unreadable_total",
            "Members of answers without a lock token or an event; they come again",
            true,
            status.unreadable,
        ));
        all
    }

    fn status(&self) -> serde_json::Value {
        serde_json::json!(self.0.status())
    }

    fn ask<'a>(&'a self, _: Wish, _: &'a str, _: Option<i32>) -> BoxFuture<'a, Result<Vec<String>>> {
        let message = "Event Grid has no partitions to pause, resume or skip";
        Box::pin(async move { Err(Error::new(Kind::Invalid, message)) })
    }
}

#[cfg(test)]
mod tests;
