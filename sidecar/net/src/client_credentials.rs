//! A bearer token of ours by client credentials (RFC 6749, section 4.4), fetched and kept fresh.
//!
//! The client names itself by HTTP Basic (section 2.3.1), by an assertion of somebody who is trusted (RFC 7523, section
//! 2.2), or by being where it is: a cloud's own endpoint tells its machines apart by itself. What it names itself by is
//! read from its file at every fetch, so that a rotated one needs no restart. Nothing secret is ever shown.

mod answer;
mod pace;

use crate::client::{Client, ClientError, Proxies, Trust};
use base64::{Engine as _, engine::general_purpose};
use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use pace::Pace;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Notify;

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// The largest secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// What an assertion is (RFC 7523, section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Where the token comes from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The token endpoint.
    pub url: Uri,
    /// Who asks.
    pub client: Named,
    /// The scope to ask for.
    pub scope: Option<String>,
    /// The authorities of the endpoint's certificate; none is the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxies on the way there.
    pub proxies: Proxies,
}

/// How a client names itself.
#[derive(Debug, Clone)]
pub enum Named {
    /// By a secret.
    Secret {
        /// The client.
        client_id: String,
        /// The file that holds its secret.
        file: PathBuf,
    },
    /// By a token of somebody whom the endpoint trusts, such as a Kubernetes service account's.
    Assertion {
        /// The client.
        client_id: String,
        /// The file that holds the token.
        file: PathBuf,
    },
    /// By asking from the right machine: a GET with these headers. The URL says what for; a scope is not sent.
    Place(HeaderMap),
}

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub value: String,
    /// When it ends, in Unix milliseconds.
    pub expires_ms: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_ms", &self.expires_ms).finish_non_exhaustive()
    }
}

/// Keeps a token. Cheap to share; it is fetched no more once the last handle is dropped.
pub struct ClientCredentials {
    settings: Settings,
    client: Client,
    state: Mutex<State>,
    /// Somebody found the token expired, which [`ClientCredentials::keep`] may have slept through with the machine.
    expired: Arc<Notify>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Why the last fetch failed.
    failed: Option<String>,
}

impl ClientCredentials {
    /// Without a token yet; see [`ClientCredentials::keep`].
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Arc<Self>, ClientError> {
        let trust = match &settings.ca_file {
            Some(file) => Trust::File(file),
            None if settings.url.scheme_str() == Some("https") => Trust::System,
            None => Trust::Nobody,
        };
        let client = Client::new(trust, TIMEOUT, ANSWER_BYTES_MAX)?.through(settings.proxies.clone());
        Ok(Arc::new(Self { settings, client, state: Mutex::default(), expired: Arc::default() }))
    }

    /// Fetches the token, and a new one after about three quarters of its life, until every other handle is dropped.
    /// `jitter` moves that a little, so that instances which started together do not ask together.
    pub async fn keep(this: Weak<Self>, jitter: Rng) {
        let Some(expired) = this.upgrade().map(|it| it.expired.clone()) else { return };
        let fetch = || {
            let this = this.clone();
            async move { Some(this.upgrade()?.refresh().await) }
        };
        pace::keep(fetch, &expired, Pace::new(jitter)).await;
    }

    /// The token that holds at `now_ms`. It does not block.
    ///
    /// # Errors
    /// Why there is none, in one line.
    pub fn current(&self, now_ms: u64) -> Result<Token, String> {
        let state = self.state();
        match (&state.token, &state.failed) {
            (Some(token), _) if token.expires_ms > now_ms => Ok(token.clone()),
            (_, Some(why)) => Err(why.clone()),
            (Some(_), None) => {
                self.expired.notify_one();
                Err("the last one has expired, and a new one is on its way".to_owned())
            }
            (None, None) => Err("the first one is on its way".to_owned()),
        }
    }

    /// One fetch, remembered and said; gives back how long the token lives.
    async fn refresh(&self) -> Result<Duration, ()> {
        let asked_ms = unix_ms();
        let fetched = self.fetch().await;
        let mut state = self.state();
        match fetched {
            Ok((value, life)) => {
                if state.failed.take().is_some() {
                    tracing::info!(endpoint = %self.endpoint(), "there is a token again");
                }
                let expires_ms = asked_ms + u64::try_from(life.as_millis()).unwrap_or(0);
                state.token = Some(Token { value, expires_ms });
                Ok(life)
            }
            Err(why) => {
                let why = format!("{}: {why}", self.endpoint());
                tracing::warn!("no new token: {why}; it is tried again");
                state.failed = Some(why);
                Err(())
            }
        }
    }

    async fn fetch(&self) -> Result<(String, Duration), String> {
        let (status, body) = self.ask().await?;
        if status.is_success() {
            answer::token(&body, unix_ms() / 1000)
        } else {
            Err(answer::refusal(status, &body))
        }
    }

    async fn ask(&self) -> Result<(StatusCode, Bytes), String> {
        let Settings { url, client, scope, .. } = &self.settings;
        let asked = match client {
            Named::Secret { client_id, file } => {
                let authorization = basic(client_id, &secret(file)?)?;
                self.client.post_form(url, Some(authorization), form(scope.as_deref(), &[])).await
            }
            Named::Assertion { client_id, file } => {
                let assertion = secret(file)?;
                let named = [
                    ("client_id", &**client_id),
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", &assertion),
                ];
                self.client.post_form(url, None, form(scope.as_deref(), &named)).await
            }
            Named::Place(headers) => self
                .client
                .get_with(url, headers.clone())
                .await
                .map(|answer| (answer.status(), answer.into_body())),
        };
        asked.map_err(|error| error.to_string())
    }

    /// The URL without its query, which may say more than a log should.
    fn endpoint(&self) -> String {
        let url = &self.settings.url;
        let [scheme, host] = [url.scheme_str(), url.authority().map(http::uri::Authority::as_str)];
        format!("{}://{}{}", scheme.unwrap_or_default(), host.unwrap_or_default(), url.path())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn secret(file: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let wrong = |why: String| format!("{}: {why}", file.display());
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|e| wrong(e.to_string()))?;
    opened.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(|e| wrong(e.to_string()))?;
    let secret = text.trim();
    if secret.is_empty() { Err(wrong("it is empty".to_owned())) } else { Ok(secret.to_owned()) }
}

fn form(scope: Option<&str>, named: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    form.extend_pairs(named);
    form.extend_pairs(scope.map(|scope| ("scope", scope)));
    form.finish()
}

/// Both are form-encoded before they are joined (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &str) -> Result<HeaderValue, String> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = general_purpose::STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
        .map_err(|_| "the client's name cannot be sent".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
