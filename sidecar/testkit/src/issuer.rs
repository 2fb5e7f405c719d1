//! An issuer of tokens (`OpenID` Connect): discovery, keys, and tokens that it or somebody else signs.
//!
//! Signatures are made with the bare cryptography, not with the library that outrigger checks them with, so that any
//! token can be made: also one whose header lies.

mod key;

pub use key::{SigningKey, github_signature, hs256, unsigned};

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A running issuer; it ends when it is dropped. Within a runtime.
pub struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    discovery_asked: AtomicUsize,
    keys_asked: watch::Sender<usize>,
}

struct State {
    issuer: String,
    keys: Value,
    trouble: Trouble,
    clock_ahead: Duration,
}

/// How an issuer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// As it should.
    None,
    /// With this status to everything.
    Status(u16),
    /// With this text in place of its keys.
    Keys(String),
    /// With this text in place of its discovery document.
    Discovery(String),
    /// Not at all: connections are taken, and nothing is said.
    Silence,
}

/// The time of the machine, in Unix seconds.
#[must_use]
pub fn unix_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Issuer {
    /// Starts one on a free port, with these keys.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port for the issuer");
        Self::serve(listener, keys)
    }

    /// The same at an address where an issuer was before, or is expected.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn start_at(address: SocketAddr, keys: &[&SigningKey]) -> Self {
        Self::serve(TcpListener::bind(address).await.expect("the issuer's port"), keys)
    }

    fn serve(listener: TcpListener, keys: &[&SigningKey]) -> Self {
        let address = listener.local_addr().expect("the issuer's address");
        let state = State {
            issuer: format!("http://{address}"),
            keys: set(keys),
            trouble: Trouble::None,
            clock_ahead: Duration::ZERO,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            discovery_asked: AtomicUsize::new(0),
            keys_asked: watch::Sender::new(0),
        });
        let server = tokio::spawn(accept(listener, shared.clone()));
        Self { address, shared, server }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name: what `iss` must be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends, and gives its address back.
    pub async fn end(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await; // it was aborted, which is what it tells
    }

    /// Names itself so in its discovery document.
    pub fn call_itself(&self, name: &str) {
        name.clone_into(&mut self.state().issuer);
    }

    /// Has these keys from now on, and no others.
    pub fn set_keys(&self, keys: &[&SigningKey]) {
        self.state().keys = set(keys);
    }

    /// Answers so from now on.
    pub fn trouble(&self, trouble: Trouble) {
        self.state().trouble = trouble;
    }

    /// Has a clock that is so far ahead.
    pub fn set_clock_ahead(&self, ahead: Duration) {
        self.state().clock_ahead = ahead;
    }

    /// How often its keys were asked for.
    #[must_use]
    pub fn keys_asked(&self) -> usize {
        *self.shared.keys_asked.borrow()
    }

    /// Waits until its keys were asked for so often.
    pub async fn until_asked(&self, count: usize) {
        // The sender lives as long as we do.
        let _ = self.shared.keys_asked.subscribe().wait_for(|asked| *asked >= count).await;
    }

    /// How often its discovery document was asked for.
    #[must_use]
    pub fn discovery_asked(&self) -> usize {
        self.shared.discovery_asked.load(Relaxed)
    }

    /// Claims that are good for five minutes: of this issuer, for `audience`, about `sub`.
    #[must_use]
    pub fn claims(&self, audience: &str, sub: &str) -> Value {
        let now_s = unix_s();
        json!({"iss": self.url(), "aud": audience, "sub": sub, "iat": now_s, "exp": now_s + 300})
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn set(keys: &[&SigningKey]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(one(stream, shared.clone()));
    }
}

async fn one(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, shared.clone()));
    // A client that goes away is its own business.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_discovery = request.uri().path() == "/.well-known/openid-configuration";
    let is_keys = request.uri().path() == "/keys";
    if is_discovery {
        shared.discovery_asked.fetch_add(1, Relaxed);
    }
    let (status, text, date) = {
        let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let discovery = || {
            // What stands before it may speak TLS, and then it calls itself so.
            let scheme = state.issuer.split_once("://").map_or("http", |(scheme, _)| scheme);
            let keys = format!("{scheme}://{}/keys", request.headers()["host"].to_str().unwrap_or_default());
            json!({"issuer": state.issuer, "jwks_uri": keys}).to_string()
        };
        let (status, text) = match &state.trouble {
            Trouble::Silence => (0, String::new()),
            Trouble::Status(status) => (*status, "{}".to_owned()),
            Trouble::Keys(text) if is_keys => (200, text.clone()),
            Trouble::Discovery(text) if is_discovery => (200, text.clone()),
            _ if is_discovery => (200, discovery()),
            _ if is_keys => (200, state.keys.to_string()),
            _ => (404, String::new()),
        };
        (status, text, SystemTime::now() + state.clock_ahead)
    };
    if is_keys {
        shared.keys_asked.send_modify(|count| *count += 1);
    }
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let answer = Response::builder().status(status).header("date", httpdate::fmt_http_date(date));
    Ok(answer.header("location", "/elsewhere").body(Full::from(text)).expect("an answer"))
}
