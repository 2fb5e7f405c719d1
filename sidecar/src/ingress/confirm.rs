//! Confirms handshakes: a GET of a URL that an adapter found fit, after the answer to the request that brought it.

use http::Uri;
use outrigger_net::client::Client;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// The most at once: who may send us handshakes must not have us ask for them all.
const AT_ONCE_MAX: usize = 4;
/// The sender must have our answer before it is asked.
const AFTER_THE_ANSWER: Duration = Duration::from_secs(1);

/// Asks for URLs that confirm something. Redirects are not followed.
pub struct Confirmer {
    client: Arc<Client>,
    turns: Arc<Semaphore>,
}

impl Confirmer {
    /// One that asks by `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client: Arc::new(client), turns: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
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
                    tracing::info!(host, "a handshake is confirmed")
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
