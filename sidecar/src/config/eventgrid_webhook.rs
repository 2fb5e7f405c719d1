//! Events that Azure Event Grid pushes, as the program uses the settings.

use std::{path::PathBuf, time::Duration};

use super::{
    auth::{Auth, Claim, Rule, Secret},
    build::Values,
    webhook::Webhook,
};

/// A path that event subscriptions send to.
#[derive(Debug, Clone, PartialEq)]
pub struct EventGridWebhook {
    /// The path.
    pub path: String,
    /// Entra's tokens or a secret; or nobody is asked.
    pub auth: Auth,
    /// Who is granted leave to send `CloudEvents`.
    pub handshake: Webhook,
    /// How a subscription in the `EventGrid` schema is confirmed.
    pub validation: Validation,
    /// The hosts that a `validationUrl` may lead to, and those below them.
    pub validation_hosts: Vec<String>,
    /// The authorities of their certificates; none is the system's.
    pub validation_ca: Option<PathBuf>,
    /// Bound of following one.
    pub validation_timeout: Duration,
    /// The largest body, in bytes.
    pub body_bytes_max: usize,
    /// The most events in a batch.
    pub batch_events_max: usize,
}

/// How a subscription is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// By its code in the answer.
    Answer,
    /// By a GET of its URL, after the answer.
    Follow,
    /// Not at all.
    Refuse,
}

pub(super) const SECTION: &str = "ingress.eventgrid_webhook";
pub(super) const ENTRA: &str = "ingress.eventgrid_webhook.entra";

impl Values {
    pub(super) fn eventgrid_webhook(&self) -> Option<EventGridWebhook> {
        let at = |name: &str| format!("{SECTION}.{name}");
        Some(EventGridWebhook {
            path: self.some_text(&at("path"))?,
            auth: if self.word(&at("auth")) == "required" { self.event_grids_own() } else { Auth::none() },
            handshake: self.webhook(SECTION),
            validation: match self.word(&at("validation")) {
                "follow" => Validation::Follow,
                "refuse" => Validation::Refuse,
                _ => Validation::Answer,
            },
            validation_hosts: self.list(&at("validation_hosts")).unwrap_or_default(),
            validation_ca: self.some_file(&at("validation_ca_file")),
            validation_timeout: self.span(&at("validation_timeout")),
            body_bytes_max: self.size(&at("body_bytes_max")),
            batch_events_max: self.count(&at("batch_events_max")),
        })
    }

    fn event_grids_own(&self) -> Auth {
        let at = |name: &str| format!("{SECTION}.{name}");
        let secret = self.some_file(&at("secret_file")).map(|file| Secret {
            file,
            query: self.some_text(&at("secret_query")),
            header: self.some_header(&at("secret_header")),
        });
        // Every application of the tenant can ask for a token for us: which one it is stands in one of these, by the
        // version of the token.
        let own = |app_id: String| {
            let of = |claim: &str| Rule {
                claims: vec![(claim.to_owned(), vec![Claim::Text(app_id.clone())])],
                ..Rule::default()
            };
            let holder = Rule { methods: vec!["secret".to_owned()], ..Rule::default() };
            vec![of("appid"), of("azp"), holder]
        };
        let oidc = self.oidc(ENTRA);
        let app_id = self.some_text(&format!("{ENTRA}.app_id")).filter(|_| oidc.is_some());
        Auth { oidc: oidc.into_iter().collect(), secret, allow: app_id.map(own), ..Auth::none() }
    }
}
