//! Bearer tokens of an `OpenID` Connect issuer: its keys are discovered, kept fresh, and survive its outages.
//!
//! [`Oidc::keep`] fetches in the background: at the start, every `refresh_every`, sooner after a failure, and when a
//! token names a key that is not known (rotation), which happens at most once in `refresh_min`, so that made-up tokens
//! cannot be used to hammer the issuer. While the issuer is out of reach the keys at hand go on serving, until
//! `keys_age_max`; what they cannot answer is a 503 and never a 401, because it will pass.

mod fetch;
mod shelf;

use super::{
    denial::{Denial, Why},
    jwks::{ALGORITHMS, Key},
    jwt::{Claims, Expected, Unverified},
    seen::{Fingerprints, Good, Seen},
};
use crate::client::{Client, ClientError, Proxies, Trust};
use fastrand::Rng;
use fetch::Fetched;
use http::Uri;
use jsonwebtoken::Algorithm;
use shelf::{Look, Shelf};
use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

/// Whose tokens, for whom, and how their keys are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer, exactly as its tokens name it (`iss`): a URL without query.
    pub issuer: String,
    /// Who we are: a token's `aud` must be or hold one of these.
    pub audiences: Vec<String>,
    /// The algorithms that are allowed. Only asymmetric ones exist here.
    pub algorithms: Vec<Algorithm>,
    /// How far the clocks may be apart; at most 60 s are sound.
    pub leeway: Duration,
    /// Where the keys are; none asks the issuer's discovery document.
    pub keys_url: Option<Uri>,
    /// The authorities of the issuer's certificate; none is the system's. Read again at every fetch.
    pub ca_file: Option<PathBuf>,
    /// How often the keys are fetched.
    pub refresh_every: Duration,
    /// How often at most an unknown key makes them be fetched.
    pub refresh_min: Duration,
    /// How old they may become while the issuer is out of reach.
    pub keys_age_max: Duration,
    /// Bound of one question to the issuer; a fetch has one or two.
    pub timeout: Duration,
    /// The most bytes of one answer.
    pub answer_bytes_max: usize,
    /// How many tokens that were verified are known again; 0 checks each signature anew.
    pub tokens_max: usize,
    /// The proxies on the way to the issuer.
    pub proxies: Proxies,
}

impl Settings {
    /// The algorithm of that name (RFC 7518), where it is one of an asymmetric key.
    #[must_use]
    pub fn algorithm(name: &str) -> Option<Algorithm> {
        ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }

    fn client(&self) -> Result<Client, ClientError> {
        let is_https = |url: &str| url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let keys = self.keys_url.as_ref().and_then(Uri::scheme_str);
        let trust = match &self.ca_file {
            Some(file) => Trust::File(file),
            None if is_https(&self.issuer) || keys == Some("https") => Trust::System,
            None => Trust::Nobody,
        };
        Ok(Client::new(trust, self.timeout, self.answer_bytes_max)?.through(self.proxies.clone()))
    }
}

/// Checks tokens of one issuer. Nothing is fetched any more once the last handle is dropped.
pub struct Oidc {
    settings: Settings,
    expected: Expected,
    client: Mutex<Arc<Client>>,
    fingerprints: Fingerprints,
    state: Mutex<State>,
    /// Somebody wants the keys now.
    wanted: Arc<Notify>,
    /// Grows with each fetch that ended.
    fetched: watch::Sender<u64>,
}

struct State {
    shelf: Shelf,
    seen: Seen,
    /// Grows when a key goes: what was verified before that is not remembered after it.
    epoch: u64,
}

impl Oidc {
    /// Without keys yet; see [`Oidc::keep`].
    ///
    /// # Errors
    /// When the authorities of the issuer's certificate cannot be read.
    pub fn new(settings: Settings) -> Result<Arc<Self>, ClientError> {
        let expected = Expected {
            issuer: settings.issuer.clone(),
            audiences: settings.audiences.clone(),
            leeway: settings.leeway,
        };
        let state = State { shelf: Shelf::default(), seen: Seen::new(settings.tokens_max), epoch: 0 };
        Ok(Arc::new(Self {
            client: Mutex::new(Arc::new(settings.client()?)),
            expected,
            settings,
            fingerprints: Fingerprints::new(),
            state: Mutex::new(state),
            wanted: Arc::default(),
            fetched: watch::Sender::new(0),
        }))
    }

    /// Keeps the keys fresh until every other handle is dropped. `jitter` moves the times a little, so that instances
    /// which started together do not ask together. Without this task every token is answered 503.
    pub async fn keep(this: Weak<Self>, mut jitter: Rng) {
        let Some(wanted) = this.upgrade().map(|oidc| oidc.wanted.clone()) else { return };
        while let Some(oidc) = this.upgrade() {
            let wait = oidc.refresh(&mut jitter).await;
            drop(oidc);
            tokio::select! {
                () = sleep(wait) => {}
                () = wanted.notified() => {}
            }
        }
    }

    /// Whom the token speaks for, at `now_s` (Unix seconds).
    ///
    /// One that was seen before costs a fingerprint and a look into a table. One that names an unknown key may wait for a
    /// fetch, at most four times [`Settings::timeout`].
    ///
    /// # Errors
    /// Why it is not believed; [`Why::Unavailable`] or [`Why::Unsettled`] where that will pass.
    ///
    /// # Cancellation
    /// Safe.
    pub async fn check(&self, token: &[u8], now_s: i64) -> Result<Arc<Claims>, Denial> {
        let fingerprint = self.fingerprints.of(token);
        let epoch = {
            let mut state = self.state();
            let in_force = state.shelf.in_force(Instant::now(), &self.settings);
            if let Some(claims) = in_force.then(|| state.seen.get(&fingerprint, now_s)).flatten() {
                return Ok(claims);
            }
            state.epoch
        };
        let token = Unverified::read(token)?;
        let algorithm = self.allowed(&token.algorithm)?;
        // Before its key is looked for: what is refused anyway must not make us ask the issuer.
        let validity = token.claims.judge(&self.expected, now_s)?;
        let key = self.key(token.key_id.as_deref(), algorithm).await?;
        let claims = Arc::new(token.verified(&key, algorithm)?);
        let mut state = self.state();
        if state.epoch == epoch {
            state.seen.put(fingerprint, Good { claims: claims.clone(), validity });
        }
        Ok(claims)
    }

    /// The issuer, as it is configured.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    fn allowed(&self, name: &str) -> Result<Algorithm, Denial> {
        let known = Settings::algorithm(name);
        known.filter(|algorithm| self.settings.algorithms.contains(algorithm)).ok_or_else(|| {
            let name: String = name.chars().take(20).collect();
            Denial::new(Why::Algorithm, format!("the token's algorithm {name:?} is not allowed here"))
        })
    }

    /// The key that a token names, after a fetch where it may be a new one.
    async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, Denial> {
        let since = match self.look(id, algorithm, None) {
            Look::Found(key) => return Ok(key),
            Look::Denied(denial) => return Err(denial),
            Look::Ask(since) => {
                self.wanted.notify_one();
                since
            }
            Look::Wait(since) => since,
        };
        // From here on no end of a fetch is missed: what ended before this line is seen by the look after it.
        let mut fetched = self.fetched.subscribe();
        let settled = async {
            loop {
                match self.look(id, algorithm, Some(since)) {
                    Look::Found(key) => return Some(Ok(key)),
                    Look::Denied(denial) => return Some(Err(denial)),
                    Look::Ask(_) | Look::Wait(_) => fetched.changed().await.ok()?,
                }
            }
        };
        // A fetch that runs already, and the one that was asked for.
        let settled = timeout(4 * self.settings.timeout, settled).await.ok().flatten();
        settled.unwrap_or_else(|| {
            let detail = format!("the keys of {} did not come in time", self.settings.issuer);
            Err(Denial::passing(Why::Unavailable, detail, self.settings.refresh_min))
        })
    }

    fn look(&self, id: Option<&str>, algorithm: Algorithm, since: Option<Instant>) -> Look {
        self.state().shelf.look((id, algorithm), Instant::now(), since, &self.settings)
    }

    /// One fetch, remembered and said; gives back how long the next one may wait.
    async fn refresh(&self, jitter: &mut Rng) -> Duration {
        let (began, client) = (Instant::now(), self.client());
        let outcome = fetch::keys(&client, &self.settings).await;
        let wait = match outcome {
            Ok(fetched) => self.keep_keys(fetched, began, jitter),
            Err(why) => self.fail(&why, began),
        };
        self.fetched.send_modify(|count| *count += 1);
        wait
    }

    fn keep_keys(&self, fetched: Fetched, began: Instant, jitter: &mut Rng) -> Duration {
        let issuer = &self.settings.issuer;
        let mut state = self.state();
        let change = state.shelf.put(fetched.keys, began);
        if change.gone {
            state.seen.clear();
            state.epoch += 1;
        }
        drop(state);
        if change.again {
            tracing::info!(issuer, "the issuer can be asked again");
        }
        if let Some(keys) = change.keys {
            tracing::info!(issuer, keys, "the issuer's keys are in force");
            for why in &fetched.left_out {
                tracing::info!(issuer, "of the issuer's keys one is left out: {why}");
            }
        }
        let off_s = fetched.clock_ahead_s;
        if off_s.unsigned_abs() > self.settings.leeway.as_secs().max(5) {
            let way = if off_s > 0 { "ahead of" } else { "behind" };
            tracing::warn!(
                issuer,
                "the clock here is {} s {way} the issuer's, so good tokens may be refused; set it (NTP)",
                off_s.unsigned_abs()
            );
        }
        self.settings.refresh_every.mul_f64(0.8 + 0.2 * jitter.f64())
    }

    fn fail(&self, why: &str, began: Instant) -> Duration {
        let issuer = &self.settings.issuer;
        let failure = self.state().shelf.fail(why, began, &self.settings);
        if !failure.is_new {
            tracing::debug!(issuer, "the issuer's keys could not be fetched again: {why}");
        } else if failure.has_keys {
            let most = self.settings.keys_age_max;
            tracing::warn!(issuer, "no new keys: {why}; those at hand serve until they are {most:?} old");
        } else {
            tracing::warn!(
                issuer,
                "no keys: {why}; it is tried again, and tokens are answered 503 until then"
            );
        }
        failure.wait
    }

    /// With the authorities of now, where they are in a file: it may be a new one.
    fn client(&self) -> Arc<Client> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if self.settings.ca_file.is_some() {
            match self.settings.client() {
                Ok(fresh) => *client = Arc::new(fresh),
                Err(error) => tracing::warn!(%error, "the authorities that were read before stay in force"),
            }
        }
        client.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
