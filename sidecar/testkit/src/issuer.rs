//! An issuer of tokens (`OpenID` Connect): discovery, keys, and tokens that it or somebody else signs.
//!
//! Signatures are made with the bare cryptography, not with the library that outrigger checks them with, so that any
//! token can be made: also one whose header lies.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
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

/// A key that tokens are signed with. Made anew each time.
pub struct SigningKey {
    /// Its name (`kid`), where it has one.
    pub id: Option<String>,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

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

impl SigningKey {
    /// RSA of 2,048 bits: RS256, and PS256 with [`SigningKey::pss`].
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn rsa(id: &str) -> Self {
        Self::of(id, Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key")))
    }

    /// ES256.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn p256(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::of(id, Pair::P256(pair.expect("a key on P-256")))
    }

    /// ES384.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn p384(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING);
        Self::of(id, Pair::P384(pair.expect("a key on P-384")))
    }

    /// `EdDSA`.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn ed25519(id: &str) -> Self {
        Self::of(id, Pair::Ed25519(Ed25519KeyPair::generate().expect("a key on Ed25519")))
    }

    fn of(id: &str, pair: Pair) -> Self {
        Self { id: (!id.is_empty()).then(|| id.to_owned()), pair }
    }

    /// The name of its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// Its public half, as a JWK (RFC 7517, RFC 8037) with `use` and without `alg`.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let point = |bytes: &[u8]| {
            let (x, y) = bytes[1..].split_at(bytes.len() / 2);
            (BASE64.encode(x), BASE64.encode(y))
        };
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let big = |number: &[u8]| BASE64.encode(number);
                json!({"kty": "RSA", "n": big(n.big_endian_without_leading_zero()), "e": big(e.big_endian_without_leading_zero())})
            }
            Pair::P256(pair) => {
                let (x, y) = point(pair.public_key().as_ref());
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            Pair::P384(pair) => {
                let (x, y) = point(pair.public_key().as_ref());
                json!({"kty": "EC", "crv": "P-384", "x": x, "y": y})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(pair.public_key().as_ref())})
            }
        };
        jwk["use"] = "sig".into();
        if let Some(id) = &self.id {
            jwk["kid"] = id.clone().into();
        }
        jwk
    }

    /// A token with these claims, and the header that fits.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let mut header = json!({"alg": self.algorithm(), "typ": "JWT"});
        if let Some(id) = &self.id {
            header["kid"] = id.clone().into();
        }
        self.token_with(&header, claims)
    }

    /// A token with any header, signed by this key whatever the header says.
    ///
    /// # Panics
    /// It cannot be signed.
    #[must_use]
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let (random, bytes) = (SystemRandom::new(), message.as_bytes());
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).expect("an RSA signature");
                signature
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, bytes).expect("a signature on a curve").as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", BASE64.encode(signature))
    }

    /// A token of an RSA key by PS256.
    ///
    /// # Panics
    /// It is another key, or it cannot be signed.
    #[must_use]
    pub fn pss(&self, claims: &Value) -> String {
        let Pair::Rsa(pair) = &self.pair else { panic!("only an RSA key signs by PS256") };
        let message = message(&json!({"alg": "PS256", "kid": self.id}), claims);
        let mut signature = vec![0; pair.public_modulus_len()];
        let signed = pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature);
        signed.expect("an RSA signature");
        format!("{message}.{}", BASE64.encode(signature))
    }
}

/// A token by HS256 with a secret: what an attacker makes from a public key.
#[must_use]
pub fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", BASE64.encode(tag))
}

/// A token with any signature.
#[must_use]
pub fn unsigned(header: &Value, claims: &Value, signature: &str) -> String {
    format!("{}.{signature}", message(header, claims))
}

/// A body's signature as GitHub writes it into `X-Hub-Signature-256`.
#[must_use]
pub fn github_signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
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
            let keys = format!("http://{}/keys", request.headers()["host"].to_str().unwrap_or_default());
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
