//! The paths of brokers that push, at the listener of `ingress.http`: each with its own guard, reader and answers.

use super::{doors::Inside, wrong};
use crate::{
    admit::Keys,
    cmd::Failure,
    config::{Auth, Config, EventGridWebhook, Http, Validation, Webhook},
    guard,
    ingress::{Answering, Ingress, confirm::Confirmer},
    registry::push,
    tls,
};
use fastrand::Rng;
use outrigger_core::Inbound;
use outrigger_net::{
    auth::Guard,
    body::BodyLimits,
    client::{Client, Trust},
};
use std::sync::Arc;

/// What a confirming answer may have: it is read and thrown away.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// One path.
pub(super) struct Pushed {
    name: &'static str,
    path: String,
    guard: Arc<Guard>,
    inbound: Arc<dyn Inbound>,
    handshake: Webhook,
    confirmer: Option<Confirmer>,
    body_bytes_max: usize,
}

/// Those that the configuration names. Within a runtime; keys of issuers are fetched from now on.
pub(super) fn open(config: &Config, jitter: &dyn Fn() -> Rng) -> Result<Vec<Pushed>, Failure> {
    let guard = |name: &'static str, auth: &Auth| {
        guard::start(&format!("ingress.{name}"), auth, &config.outgoing, jitter()).map_err(wrong)
    };
    let mut pushed = Vec::new();
    if let Some(webhook) = &config.ingress.eventgrid_webhook {
        let name = "eventgrid_webhook";
        pushed.push(Pushed {
            name,
            path: webhook.path.clone(),
            guard: guard(name, &webhook.auth)?,
            inbound: push::eventgrid(webhook).map_err(wrong)?,
            handshake: webhook.handshake.clone(),
            confirmer: confirmer(config, webhook)?,
            body_bytes_max: webhook.body_bytes_max,
        });
    }
    if let Some(of_pubsub) = &config.ingress.pubsub_push {
        let name = "pubsub_push";
        pushed.push(Pushed {
            name,
            path: of_pubsub.path.clone(),
            guard: guard(name, &of_pubsub.auth)?,
            inbound: push::pubsub(of_pubsub).map_err(wrong)?,
            handshake: Webhook::default(),
            confirmer: None,
            body_bytes_max: of_pubsub.body_bytes_max,
        });
    }
    Ok(pushed)
}

impl Pushed {
    /// The path as the listener serves it, answered as `ingress.http` is.
    pub(super) fn ingress(self, http: &Http, answering: Answering, inside: &Inside<'_>) -> Arc<Ingress> {
        if !self.guard.is_open() {
            inside.metrics.guarded(self.name);
        }
        tracing::info!(name = self.name, path = self.path, "events are taken that are pushed");
        Arc::new(Ingress {
            name: self.name.into(),
            path: self.path,
            guard: self.guard,
            body: BodyLimits {
                bytes_max: self.body_bytes_max,
                decompressed_bytes_max: self.body_bytes_max,
                timeout: http.body_timeout,
            },
            webhook: self.handshake,
            inbound: self.inbound,
            confirmer: self.confirmer,
            keys: Keys(inside.config.delivery.key.clone()),
            answering,
            metrics: inside.metrics.clone(),
        })
    }
}

fn confirmer(config: &Config, webhook: &EventGridWebhook) -> Result<Option<Confirmer>, Failure> {
    if webhook.validation != Validation::Follow {
        return Ok(None);
    }
    let trust = webhook.validation_ca.as_deref().map_or(Trust::System, Trust::File);
    let client = Client::new(trust, webhook.validation_timeout, ANSWER_BYTES_MAX);
    let client =
        client.map_err(|error| wrong(format!("ingress.eventgrid_webhook.validation_ca_file: {error}")))?;
    Ok(Some(Confirmer::new(client.through(tls::proxies(&config.outgoing).map_err(wrong)?))))
}
