//! Marks that replicas share: keys of Redis or Valkey that go by themselves after the window.
//!
//! It fails open. A question or a mark that is not answered in time counts as "new" and as not written, and then the store
//! is left alone for a while, so that an outage costs each event nothing but the chance of a duplicate.
//!
//! Two replicas that have the same event in hand at the same time both call the function: a mark is written once it is
//! handled, and there are no claims, as one of a replica that died would hold the event back.

use super::{hashed, invalid, millis};
use outrigger_core::{Known, Mark, Payload, Result};
use redis::{
    Client, ConnectionInfo, IntoConnectionInfo as _, RedisError, TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use std::{
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// What stands for a mark of an event whose payload is not compared.
const WITHOUT: &str = "-";
/// The first and the longest time that a store which failed is left alone.
const REST: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(10);

/// Where it is, and how long it may take.
#[derive(Clone)]
pub struct Settings {
    /// Its URL: `redis://HOST:PORT/DATABASE`, or `rediss://` with TLS. No password.
    pub url: String,
    /// As whom we log in; none is the store's default user.
    pub username: Option<String>,
    /// With which password.
    pub password: Option<String>,
    /// The authorities of TLS in PEM; none are the system's.
    pub authorities: Option<Vec<u8>>,
    /// How long a question or a mark may take.
    pub timeout: Duration,
    /// What every key begins with.
    pub prefix: String,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The store, connected when it is first asked.
pub(super) struct Shared {
    client: Client,
    manager: Mutex<Option<ConnectionManager>>,
    timeout: Duration,
    prefix: String,
    window_ms: u64,
    rest: Mutex<Rest>,
    failures: AtomicU64,
}

/// Since when and how long it is left alone. Pure.
#[derive(Debug, Default)]
struct Rest {
    until: Option<Instant>,
    span: Duration,
}

impl Rest {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// Gives back whether it was well before.
    fn failed(&mut self, now: Instant) -> bool {
        let was_well = self.until.is_none();
        if self.is_over(now) {
            self.span = (self.span * 2).clamp(REST, REST_MAX);
            self.until = Some(now + self.span);
        }
        was_well
    }

    /// Gives back whether it had failed before.
    fn answered(&mut self) -> bool {
        self.span = Duration::ZERO;
        self.until.take().is_some()
    }
}

impl Shared {
    pub(super) fn open(settings: Settings, window: Duration) -> Result<Self> {
        let Settings { url, username, password, authorities, timeout, prefix } = settings;
        let wrong = |error: RedisError| invalid(format!("cache.dedup.redis.url: {error}"));
        let info = url.as_str().into_connection_info().map_err(wrong)?;
        if info.redis_settings().password().is_some() {
            let advice = "a password in it would be shown wherever the URL is; write it into password_file";
            return Err(invalid(format!("cache.dedup.redis.url: {advice}")));
        }
        let info = login(info, username, password);
        let certificates = TlsCertificates { client_tls: None, root_cert: authorities };
        let client = match info.addr() {
            redis::ConnectionAddr::TcpTls { .. } => Client::build_with_tls(info, certificates),
            _ => Client::open(info),
        };
        Ok(Self {
            client: client.map_err(|error| invalid(format!("cache.dedup.redis: {error}")))?,
            manager: Mutex::default(),
            timeout,
            prefix,
            window_ms: millis(window),
            rest: Mutex::default(),
            failures: AtomicU64::new(0),
        })
    }

    /// What it knows; "new" where it does not answer.
    pub(super) async fn ask(&self, mark: &Mark, payload: Option<Payload>) -> Known {
        let mut get = redis::cmd("GET");
        get.arg(self.key(mark));
        let kept: Option<Option<String>> = self.answer(&get).await;
        match kept.flatten() {
            None => Known::New,
            Some(kept) => {
                let found = u128::from_str_radix(&kept, 16).ok().map(Payload);
                if found.is_none() && kept != WITHOUT {
                    tracing::warn!(
                        key = self.key(mark),
                        "what stands there is no mark of ours; it is taken for none"
                    );
                    return Known::New;
                }
                let kept = found;
                let differs = kept.zip(payload).is_some_and(|(kept, found)| kept != found);
                if differs { Known::Another } else { Known::Same }
            }
        }
    }

    /// Writes the mark, if it is taken.
    pub(super) async fn mark(&self, mark: &Mark, payload: Option<Payload>) {
        let value = payload.map_or_else(|| WITHOUT.to_owned(), |Payload(hash)| format!("{hash:032x}"));
        let mut set = redis::cmd("SET");
        set.arg(self.key(mark)).arg(value).arg("PX").arg(self.window_ms.max(1));
        let _: Option<()> = self.answer(&set).await;
    }

    /// What it did not answer, or was not asked as it rested.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn is_down(&self) -> bool {
        self.rest().until.is_some()
    }

    async fn answer<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        let is_asked = self.rest().is_over(Instant::now());
        let answered = if is_asked { self.send(command).await } else { Err(None) };
        match answered {
            Ok(value) => {
                if self.rest().answered() {
                    tracing::info!("the store that replicas share answers again");
                }
                Some(value)
            }
            Err(why) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if let Some(why) = why
                    && self.rest().failed(Instant::now())
                {
                    let then = "events are delivered without asking it, perhaps again";
                    tracing::warn!(%why, "the store that replicas share does not answer: {then}");
                }
                None
            }
        }
    }

    /// # Errors
    /// Why it did not answer.
    async fn send<T: redis::FromRedisValue>(
        &self,
        command: &redis::Cmd,
    ) -> std::result::Result<T, Option<String>> {
        let told = |error: RedisError| Some(error.to_string());
        let mut manager = self.manager().map_err(told)?;
        match tokio::time::timeout(self.timeout, command.query_async(&mut manager)).await {
            Ok(answer) => answer.map_err(told),
            Err(_) => Err(Some(format!("no answer within {:?}", self.timeout))),
        }
    }

    /// The one connection, which carries all questions at once and is made again where it broke.
    fn manager(&self) -> std::result::Result<ConnectionManager, RedisError> {
        let mut made = self.manager.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(manager) = &*made {
            return Ok(manager.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let manager = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        *made = Some(manager.clone());
        Ok(manager)
    }

    fn key(&self, mark: &Mark) -> String {
        let mut key = self.prefix.clone();
        for byte in hashed(mark) {
            let _ = write!(key, "{byte:02x}"); // writing to a string cannot fail
        }
        key
    }

    fn rest(&self) -> std::sync::MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn login(info: ConnectionInfo, username: Option<String>, password: Option<String>) -> ConnectionInfo {
    let mut redis = info.redis_settings().clone();
    if let Some(username) = username {
        redis = redis.set_username(username);
    }
    if let Some(password) = password {
        redis = redis.set_password(password);
    }
    info.set_redis_settings(redis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_failed_rests_longer_each_time_until_it_answers() {
        let (mut rest, start) = (Rest::default(), Instant::now());
        assert!(rest.is_over(start) && rest.failed(start));
        assert!(!rest.is_over(start + REST / 2) && rest.is_over(start + REST));
        assert!(!rest.failed(start + REST / 2), "one that was asked before counts once");
        assert!(rest.is_over(start + REST));
        assert!(!rest.failed(start + REST), "it was told already");
        assert!(!rest.is_over(start + REST * 2) && rest.is_over(start + REST * 3));
        assert!(rest.answered() && rest.is_over(start) && !rest.answered());
    }

    #[test]
    fn a_url_with_a_password_is_refused_and_settings_do_not_show_theirs() {
        let settings = |url: &str| Settings {
            url: url.to_owned(),
            username: None,
            password: Some("hush".to_owned()),
            authorities: None,
            timeout: Duration::from_millis(10),
            prefix: String::new(),
        };
        let open = |url| Shared::open(settings(url), Duration::from_secs(1)).map(drop);
        open("redis://127.0.0.1:6379/3").unwrap();
        let error = open("redis://:secret@127.0.0.1").unwrap_err().to_string();
        assert!(error.contains("password_file") && !error.contains("secret"), "{error}");
        assert!(open("http://127.0.0.1").unwrap_err().to_string().contains("cache.dedup.redis.url"));
        assert!(!format!("{:?}", settings("redis://h")).contains("hush"));
    }
}
