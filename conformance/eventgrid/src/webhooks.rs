//! What speaks with webhooks: subscriptions are made and taken away, their second handshake is taken, and the clock is
//! moved so that each delivery ends before the next is due.

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{
    answer::{Body, Refusal, empty},
    clock::Moment,
    deliver::Subscription,
    grid::{Grid, State, no_topic},
    push::{Push, PushSettings, Standing},
    tls,
};

/// What speaks with webhooks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Webhooks {
    pub(crate) grid: Arc<Grid>,
    pub(crate) client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    pub(crate) base: Arc<str>,
}

impl Webhooks {
    /// # Errors
    /// The file of authorities cannot be read.
    pub(crate) fn new(grid: Arc<Grid>, base: String, authorities: Option<&Path>) -> io::Result<Self> {
        let client = Client::builder(TokioExecutor::new()).build(tls::connector(authorities)?);
        Ok(Self { grid, client, base: base.into() })
    }

    /// Makes a subscription of a custom topic, in place of one that is there, and begins its handshake. Within the
    /// server's runtime.
    ///
    /// # Errors
    /// The topic is not there, or the settings are out of the service's bounds.
    pub fn subscribe(&self, topic: &str, name: &str, settings: PushSettings) -> Result<(), String> {
        let code = uuid();
        let schema = self.grid.change(|state| {
            let delay = state.dead_letter_delay();
            let custom = state.custom.get_mut(topic).ok_or_else(|| no_topic(topic).message)?;
            settings.check(custom.input_schema)?;
            let push = Push::new(settings.clone(), custom.input_schema, code.clone(), delay);
            let schema = push.schema();
            custom.subscriptions.insert(name.to_owned(), push);
            Ok::<_, String>(schema)
        })?;
        let (hooks, topic, name) = (self.clone(), topic.to_owned(), name.to_owned());
        tokio::spawn(Subscription { hooks, topic, name, code, settings, schema }.run());
        Ok(())
    }

    /// Takes a subscription away, and tells the webhook so. Within the server's runtime.
    #[must_use]
    pub fn unsubscribe(&self, topic: &str, name: &str) -> bool {
        let gone = self.grid.change(|state| state.custom.get_mut(topic)?.subscriptions.remove(name));
        let Some(push) = gone else { return false };
        let schema = push.schema();
        let (hooks, topic, name) = (self.clone(), topic.to_owned(), name.to_owned());
        let subscription =
            Subscription { hooks, topic, name, code: push.code, settings: push.settings, schema };
        tokio::spawn(async move { subscription.say_gone().await });
        true
    }

    /// Moves the clock ahead. With `settle` it stops at each moment at which an attempt is due, and goes on when that
    /// has ended; a webhook that has not answered after ten seconds of real time is not waited for any longer.
    pub async fn advance(&self, by: Duration, settle: bool) {
        let clock = &self.grid.clock;
        let until = clock.now().plus(by);
        if settle {
            while let Some(next) = self.next_due(until).await {
                clock.advance_to(next);
            }
        }
        clock.advance_to(until);
        if settle {
            self.settled().await;
        }
    }

    /// When something is due next, if that is not after `until`, once nothing is due now.
    async fn next_due(&self, until: Moment) -> Option<Moment> {
        self.settled().await;
        let now = self.grid.clock.now();
        let fits = |due: &Moment| *due > now && *due <= until;
        self.grid.look(|state| pushes(state).filter_map(due).filter(fits).min())
    }

    async fn settled(&self) {
        let quiet = |state: &State| {
            let now = self.grid.clock.now();
            let busy = |push: &Push| {
                push.standing == Standing::Validating
                    || push.left().1 > 0
                    || due(push).is_some_and(|due| due <= now)
            };
            (!pushes(state).any(busy)).then_some(())
        };
        let _ = tokio::time::timeout(Duration::from_secs(10), self.grid.wait_for(quiet)).await;
    }
}

fn pushes(state: &State) -> impl Iterator<Item = &Push> {
    state.custom.values().flat_map(|custom| custom.subscriptions.values())
}

/// When something of this subscription is due.
pub(crate) fn due(push: &Push) -> Option<Moment> {
    match push.standing {
        Standing::AwaitingManualAction(until) => Some(until),
        Standing::Active => push.next_due(),
        Standing::Validating | Standing::Failed(_) => None,
    }
}

/// `GET /eventsubscriptions/NAME/validate?id=CODE`: the second way of the handshake.
pub(crate) fn validated(grid: &Grid, parts: &Parts) -> Response<Body> {
    let query = parts.uri.query().unwrap_or_default();
    let code = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "id").map(|(_, value)| value);
    let now = grid.clock.now();
    let found = grid.change(|state| {
        let mut pushes = state.custom.values_mut().flat_map(|custom| custom.subscriptions.values_mut());
        let push = pushes.find(|push| code.as_deref() == Some(push.code.as_str()))?;
        let fits = match push.standing {
            Standing::Validating | Standing::Active => true,
            Standing::AwaitingManualAction(until) => now < until,
            Standing::Failed(_) => false,
        };
        if fits {
            push.standing = Standing::Active;
        }
        Some(fits)
    });
    match found {
        Some(true) => empty(StatusCode::OK),
        Some(false) => Refusal::bad("The validation URL has expired: it is valid for five minutes.").answer(),
        None => Refusal::not_found("There is no event subscription with this validation code.").answer(),
    }
}

/// A random id in the form of a UUID, version 4.
pub(crate) fn uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
