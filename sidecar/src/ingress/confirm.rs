//! Confirms handshakes: a GET of a URL that an adapter found fit, after the answer to the request that brought it.

use crate::{
    config::{EventGridWebhook, Origin, Outgoing, Validation},
    tls,
};
use http::Uri;
use outrigger_core::{Error, Kind, Result};
use outrigger_net::client::{Client, Trust};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// The most at once: who may send us handshakes must not have us ask for them all.
const AT_ONCE_MAX: usize = 4;
/// What is answered is read and thrown away.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The sender must have our answer before it is asked.
const AFTER_THE_ANSWER: Duration = Duration::from_secs(1);

/// Asks for URLs that confirm something. Redirects are not followed.
pub struct Confirmer {
    client: Arc<Client>,
    turns: Arc<Semaphore>,
}

impl Confirmer {
    /// The one that follows the URLs of a webhook's validations; none where they are not followed.
    ///
    /// # Errors
    /// When the authorities that it is to believe, or the proxy on the way, cannot be used.
    pub fn of(webhook: &EventGridWebhook, outgoing: &Outgoing) -> Result<Option<Self>> {
        if webhook.validation != Validation::Follow {
            return Ok(None);
        }
        let trust = webhook.validation_ca.as_deref().map_or(Trust::System, Trust::File);
        let setting = "ingress.eventgrid_webhook.validation_ca_file";
        Self::new(trust, setting, webhook.validation_timeout, outgoing).map(Some)
    }

    /// The one that confirms subscriptions of SNS; none where no topic is named.
    ///
    /// # Errors
    /// When the proxy on the way cannot be used.
    pub fn of_sns(origin: &Origin, outgoing: &Outgoing) -> Result<Option<Self>> {
        if origin.topics.is_empty() {
            return Ok(None);
        }
        Self::new(Trust::System, "ingress.origins", origin.confirm_timeout, outgoing).map(Some)
    }

    fn new(trust: Trust<'_>, setting: &str, timeout: Duration, outgoing: &Outgoing) -> Result<Self> {
        let invalid = |why: String| Error::new(Kind::Invalid, why);
        let client = Client::new(trust, timeout, ANSWER_BYTES_MAX)
            .map_err(|error| invalid(format!("{setting}: {error}")))?;
        let client = Arc::new(client.through(tls::proxies(outgoing).map_err(invalid)?));
        Ok(Self { client, turns: Arc::new(Semaphore::new(AT_ONCE_MAX)) })
    }

    /// Asks for `url` once, in the background, and says what came of it. Within a runtime.
    pub fn confirm(&self, url: Uri) {
        // Its path and query hold what confirms, so they are in no line of the log.
        let host = url.host().unwrap_or_default().to_owned();
        let Ok(turn) = self.turns.clone().try_acquire_owned() else {
            return tracing::warn!(
                host,
                "a handshake is not confirmed: too many at once; it may be asked for again"
            );
        };
        let client = self.client.clone();
        tokio::spawn(async move {
            let _turn = turn;
            tokio::time::sleep(AFTER_THE_ANSWER).await;
            match client.get(&url).await {
                Ok(answer) if answer.status().is_success() => {
                    tracing::info!(host, "a handshake is confirmed");
                }
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    tracing::warn!(host, status, "a handshake is not confirmed: its URL answers otherwise");
                }
                Err(error) => tracing::warn!(%error, "a handshake is not confirmed: its URL cannot be asked"),
            }
        });
    }
}
