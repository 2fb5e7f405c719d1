//! Kafka's bearer tokens, fetched by `outrigger-net`, and its passwords.

use super::secret;
use crate::config;
use fastrand::Rng;
use outrigger_core::{Error, Kind, Result};
use outrigger_kafka::{Secret, Token, Tokens};
use outrigger_net::client_credentials::{ClientCredentials, Named, Settings};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// A password in a file: it may be another one tomorrow.
pub(super) struct PasswordFile(pub(super) PathBuf);

impl Secret for PasswordFile {
    fn read(&self) -> Result<String, String> {
        secret::read("kafka.sasl.password_file", &self.0).map_err(|error| error.to_string())
    }
}

struct Kept {
    credentials: Arc<ClientCredentials>,
    client_id: String,
}

/// Whether tokens can be asked for: the endpoint's authorities are there. Nobody is asked.
pub(super) fn check(sasl: &config::Sasl, outgoing: &config::Outgoing) -> Result<Arc<dyn Tokens>> {
    Ok(Arc::new(kept(sasl, outgoing)?))
}

/// Fetches a token in the background, and new ones as long as somebody holds the result. Within a runtime.
pub(super) fn keep(sasl: &config::Sasl, outgoing: &config::Outgoing, jitter: Rng) -> Result<Arc<dyn Tokens>> {
    let kept = kept(sasl, outgoing)?;
    tokio::spawn(ClientCredentials::keep(Arc::downgrade(&kept.credentials), jitter));
    Ok(Arc::new(kept))
}

fn kept(sasl: &config::Sasl, outgoing: &config::Outgoing) -> Result<Kept> {
    let invalid = |message: String| Error::new(Kind::Invalid, message);
    let config::Sasl::Token { url: Some(url), client_id, client_secret_file, scope, ca_file } = sasl else {
        return Err(invalid("kafka.sasl.token_url: nothing".to_owned()));
    };
    let client_id = client_id.clone().unwrap_or_default();
    let settings = Settings {
        url: url.clone(),
        client: Named::Secret {
            client_id: client_id.clone(),
            file: client_secret_file.clone().unwrap_or_default(),
        },
        scope: scope.clone(),
        ca_file: ca_file.clone(),
        proxies: crate::tls::proxies(outgoing).map_err(invalid)?,
    };
    let wrong = |why| invalid(format!("kafka.sasl.token_ca_file: {why}"));
    Ok(Kept { credentials: ClientCredentials::new(settings).map_err(wrong)?, client_id })
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
    let named = ["sub", "azp"].into_iter().filter_map(|claim| claims[claim].as_str());
    named.filter(|subject| !subject.is_empty()).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_subject_is_read_where_it_has_one() {
        // {"alg":"none"}, with {"sub":"me"} and {"sub":"","azp":"app"}.
        assert_eq!(subject("eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9."), Some("me".to_owned()));
        assert_eq!(subject("eyJhbGciOiJub25lIn0.eyJzdWIiOiIiLCJhenAiOiJhcHAifQ."), Some("app".to_owned()));
        for opaque in ["", "abc", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(subject(opaque), None, "{opaque}");
        }
    }
}
