//! A bearer token of ours by client credentials (RFC 6749, section 4.4), fetched and kept fresh.
//!
//! The client names itself by HTTP Basic (section 2.3.1). Its secret is read from its file at every fetch, so a
//! rotated one needs no restart. Nothing secret is ever shown.

mod pace;

use crate::client::{Client, ClientError, Proxies, Trust};
use base64::{Engine as _, engine::general_purpose};
use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderValue, StatusCode, Uri};
use pace::Pace;
use serde::Deserialize;
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
/// The life of a token whose answer names none (section 5.1 leaves it open).
const LIFE_DEFAULT: Duration = Duration::from_mins(5);
/// The shortest and the longest life that is believed: a token of no life at all must not be fetched without end.
const LIFE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(365 * 24));
/// The most characters of an endpoint's own words that are repeated.
const WORDS_MAX: usize = 300;

/// Where the token comes from.
#[derive(Debug, Clone)]
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
    /// The proxies on the way there.
    pub proxies: Proxies,
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

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<u64>,
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
        let settings = &self.settings;
        let authorization = basic(&settings.client_id, &secret(&settings.client_secret_file)?)?;
        let form = form(settings.scope.as_deref());
        let asked = self.client.post_form(&settings.url, Some(authorization), form).await;
        let (status, body) = asked.map_err(|e| e.to_string())?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let Answer { access_token, token_type, expires_in } = serde_json::from_slice(&body)
            .map_err(|_| "the answer is no token (RFC 6749, section 5.1)".to_owned())?;
        if access_token.is_empty() || !access_token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("the answer's access_token is empty or holds what no token may".to_owned());
        }
        if let Some(other) = token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(format!("the answer's token_type is {:?}, not Bearer", words(&other)));
        }
        let life = expires_in.map_or(LIFE_DEFAULT, Duration::from_secs).clamp(LIFE.0, LIFE.1);
        Ok((access_token, life))
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
    if status.is_redirection() {
        return format!("it answers {status}, which is not followed; name the place itself");
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error, error_description }) => {
            let detail = error_description.map(|text| format!(": {text}")).unwrap_or_default();
            format!("it refuses with {status}: {}", words(&format!("{error}{detail}")))
        }
        Err(_) => format!("it answers {status}"),
    }
}

/// Words of somebody else in a line of ours.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
