//! The paths of brokers that push, at the listener of `ingress.http`: each with its own guard, reader and answers.

use super::{doors::Inside, wrong};
use crate::{
    admit::Keys,
    cmd::Failure,
    config::{Auth, Config, Http, Webhook},
    control::Control,
    guard,
    ingress::{Answering, Complaints, Ingress, confirm::Confirmer},
    registry::{self, push},
};
use fastrand::Rng;
use outrigger_core::Inbound;
use outrigger_net::{
    auth::Guard,
    body::{BodyLimits, Budget},
};
use std::sync::Arc;

/// One path.
pub(super) struct Pushed {
    name: String,
    path: String,
    guard: Arc<Guard>,
    inbound: Arc<dyn Inbound>,
    handshake: Webhook,
    confirmer: Option<Confirmer>,
    body_bytes_max: usize,
}

/// Those that the configuration names. Within a runtime; keys of issuers are fetched from now on.
pub(super) fn open(config: &Config, jitter: &dyn Fn() -> Rng) -> Result<Vec<Pushed>, Failure> {
    let guard = |name: &str, auth: &Auth| {
        guard::start(&format!("ingress.{name}"), auth, &config.outgoing, jitter()).map_err(wrong)
    };
    let mut pushed = Vec::new();
    if let Some(webhook) = &config.ingress.eventgrid_webhook {
        let name = "eventgrid_webhook";
        pushed.push(Pushed {
            name: name.to_owned(),
            path: webhook.path.clone(),
            guard: guard(name, &webhook.auth)?,
            inbound: push::eventgrid(webhook).map_err(wrong)?,
            handshake: webhook.handshake.clone(),
            confirmer: Confirmer::of(webhook, &config.outgoing).map_err(wrong)?,
            body_bytes_max: webhook.body_bytes_max,
        });
    }
    if let Some(of_pubsub) = &config.ingress.pubsub_push {
        let name = "pubsub_push";
        pushed.push(Pushed {
            name: name.to_owned(),
            path: of_pubsub.path.clone(),
            guard: guard(name, &of_pubsub.auth)?,
            inbound: push::pubsub(of_pubsub, crate::registry::hop(config)).map_err(wrong)?,
            handshake: Webhook::default(),
            confirmer: None,
            body_bytes_max: of_pubsub.body_bytes_max,
        });
    }
    for origin in &config.ingress.origins {
        pushed.push(Pushed {
            name: origin.name(),
            path: origin.path.clone(),
            guard: guard("origins", &origin.auth)?,
            inbound: push::origin(origin, jitter()).map_err(wrong)?,
            handshake: Webhook::default(),
            confirmer: Confirmer::of_sns(origin, &config.outgoing).map_err(wrong)?,
            body_bytes_max: origin.body_bytes_max,
        });
    }
    Ok(pushed)
}

impl Pushed {
    /// The path as the listener serves it, answered as `ingress.http` is.
    pub(super) fn ingress(
        self,
        http: &Http,
        answering: Answering,
        inside: &Inside<'_>,
        receiving: Arc<Budget>,
    ) -> Arc<Ingress> {
        if !self.guard.is_open() {
            inside.metrics.guarded(&self.name);
        }
        tracing::info!(name = self.name, path = self.path, "events are taken that are pushed");
        let answering = Control::before(inside.control, answering, &self.name);
        Arc::new(Ingress {
            name: self.name.into(),
            path: self.path,
            guard: self.guard,
            body: BodyLimits {
                bytes_max: self.body_bytes_max,
                decompressed_bytes_max: self.body_bytes_max,
                timeout: http.body_timeout,
            },
            receiving,
            webhook: self.handshake,
            inbound: self.inbound,
            confirmer: self.confirmer,
            keys: Keys(inside.config.delivery.key.clone()),
            answering,
            metrics: inside.metrics.clone(),
            hop: registry::hop(inside.config),
            complaints: Complaints::default(),
        })
    }
}
