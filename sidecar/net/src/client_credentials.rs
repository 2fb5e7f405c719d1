//! A bearer token of ours by client credentials (RFC 6749, section 4.4), fetched and kept fresh.
//!
//! The client names itself by HTTP Basic (section 2.3.1). Its secret is read from its file at every fetch, so a
//! rotated one needs no restart. Nothing secret is ever shown.

use crate::client::{Client, ClientError};
use base64::{Engine as _, engine::general_purpose};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// The largest secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// The life of a token whose answer names none (section 5.1 leaves it open).
const LIFE_DEFAULT: Duration = Duration::from_mins(5);
/// The first wait after a failed fetch, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where the token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The token endpoint.
    pub url: Uri,
    /// The client.
    pub client_id: String,
    /// The file that holds its secret.
    pub client_secret_file: PathBuf,
    /// The scope to ask for.
    pub scope: Option<String>,
    /// The authorities of the endpoint's certificate; none is the system's.
    pub ca_file: Option<PathBuf>,
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
    changed: Condvar,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Why the last fetch failed.
    failed: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

impl ClientCredentials {
    /// Without a token yet; see [`ClientCredentials::keep`].
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Arc<Self>, ClientError> {
        let client = Client::new(settings.ca_file.as_deref(), TIMEOUT, ANSWER_BYTES_MAX)?;
        Ok(Arc::new(Self { settings, client, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// Fetches the token and a new one after three quarters of its life, until every other handle is dropped.
    pub async fn keep(this: Weak<Self>) {
        let mut wait = AGAIN.0;
        while let Some(credentials) = this.upgrade() {
            let pause = match credentials.fetch().await {
                Ok(life) => {
                    wait = AGAIN.0;
                    life * 3 / 4
                }
                Err(why) => {
                    tracing::warn!(url = %credentials.settings.url, "no token: {why}");
                    credentials.state().failed = Some(why);
                    credentials.changed.notify_all();
                    let pause = wait;
                    wait = (wait * 2).min(AGAIN.1);
                    pause
                }
            };
            drop(credentials);
            tokio::time::sleep(pause).await;
        }
    }

    /// The token that holds at `now_ms`. It does not block.
    ///
    /// # Errors
    /// Why there is none, in one line.
    pub fn current(&self, now_ms: u64) -> Result<Token, String> {
        let state = self.state();
        match &state.token {
            Some(token) if token.expires_ms > now_ms => Ok(token.clone()),
            _ => Err(state.failed.clone().unwrap_or_else(|| "it is not fetched yet".to_owned())),
        }
    }

    /// Blocks until the first fetch has ended in one way or the other, `patience` at most.
    pub fn wait_for_first(&self, patience: Duration) {
        let state = self.state();
        let pending = |state: &mut State| state.token.is_none() && state.failed.is_none();
        let waited = self.changed.wait_timeout_while(state, patience, pending);
        drop(waited); // whichever way it went, the token is asked for afterwards
    }

    /// One fetch; gives back how long the token lives.
    async fn fetch(&self) -> Result<Duration, String> {
        let settings = &self.settings;
        let authorization = basic(&settings.client_id, &secret(&settings.client_secret_file)?)?;
        let form = form(settings.scope.as_deref());
        let asked = self.client.post_form(&settings.url, Some(authorization), form).await;
        let (status, body) = asked.map_err(|e| e.to_string())?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| "the answer is no token (RFC 6749, section 5.1)".to_owned())?;
        let life = answer.expires_in.map_or(LIFE_DEFAULT, Duration::from_secs).max(AGAIN.0);
        let expires_ms = unix_ms() + u64::try_from(life.as_millis()).unwrap_or(u64::MAX / 2);
        *self.state() = State { token: Some(Token { value: answer.access_token, expires_ms }), failed: None };
        self.changed.notify_all();
        Ok(life)
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

fn form(scope: Option<&str>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
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

/// The endpoint's own words (RFC 6749, section 5.2), which hold no secret.
fn refusal(status: StatusCode, body: &Bytes) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error, error_description }) => {
            let detail = error_description.map(|text| format!(": {text}")).unwrap_or_default();
            let line: String =
                format!("{error}{detail}").chars().filter(|c| !c.is_control()).take(300).collect();
            format!("the endpoint refuses with {status}: {line}")
        }
        Err(_) => format!("the endpoint answers {status}"),
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
