//! Kafka's bearer tokens: fetched by `outrigger-net`, on a thread of their own, as librdkafka asks from any thread.

use crate::config;
use outrigger_core::{Error, Kind, Result};
use outrigger_kafka::{Token, Tokens};
use outrigger_net::client_credentials::{ClientCredentials, Settings};
use std::{
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long the start waits for the first token: without one, librdkafka asks again only after ten seconds.
const PATIENCE: Duration = Duration::from_secs(3);

struct Kept {
    credentials: Arc<ClientCredentials>,
    client_id: String,
}

/// Fetches the first token, and new ones as long as somebody holds the result.
pub(super) fn keep(sasl: &config::Sasl) -> Result<Arc<dyn Tokens>> {
    let invalid = |message: String| Error::new(Kind::Invalid, message);
    let config::Sasl::Token { url: Some(url), client_id, client_secret_file, scope, ca_file } = sasl else {
        return Err(invalid("kafka.sasl.token_url: nothing".to_owned()));
    };
    let client_id = client_id.clone().unwrap_or_default();
    let settings = Settings {
        url: url.clone(),
        client_id: client_id.clone(),
        client_secret_file: client_secret_file.clone().unwrap_or_default(),
        scope: scope.clone(),
        ca_file: ca_file.clone(),
    };
    let credentials =
        ClientCredentials::new(settings).map_err(|e| invalid(format!("kafka.sasl.token_url: {e}")))?;
    let kept = Arc::downgrade(&credentials);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| invalid(format!("kafka: there is no runtime for tokens: {e}")))?;
    let started = thread::Builder::new()
        .name("kafka-token".to_owned())
        .spawn(move || runtime.block_on(ClientCredentials::keep(kept)));
    started.map_err(|e| invalid(format!("kafka: there is no thread for tokens: {e}")))?;
    credentials.wait_for_first(PATIENCE);
    Ok(Arc::new(Kept { credentials, client_id }))
}

impl Tokens for Kept {
    fn current(&self) -> Result<Token, String> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let token = self.credentials.current(now_ms)?;
        let principal = subject(&token.value).unwrap_or_else(|| self.client_id.clone());
        Ok(Token {
            principal,
            expires_ms: i64::try_from(token.expires_ms).unwrap_or(i64::MAX),
            value: token.value,
        })
    }
}

/// Whom a JWT speaks for, unverified: the broker verifies it, here it only names the connection.
fn subject(token: &str) -> Option<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims["sub"].as_str().filter(|subject| !subject.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_subject_is_read_where_it_has_one() {
        // {"alg":"none"}.{"sub":"me"}.
        assert_eq!(subject("eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9."), Some("me".to_owned()));
        for opaque in ["", "abc", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(subject(opaque), None, "{opaque}");
        }
    }
}
