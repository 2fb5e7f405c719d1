//! A token endpoint over HTTP and HTTPS, as a client meets it.

use super::*;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// What an endpoint saw, and what it answers to each request in turn (the last one again and again).
struct Endpoint {
    seen: Mutex<Vec<(String, String)>>,
    answers: Mutex<Vec<(u16, &'static str)>>,
    came: Notify,
}

impl Endpoint {
    fn answering(answers: &[(u16, &'static str)]) -> Arc<Self> {
        let answers = Mutex::new(answers.iter().rev().copied().collect());
        Arc::new(Self { seen: Mutex::default(), answers, came: Notify::new() })
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        self.seen.lock().unwrap().push((authorization, String::from_utf8(body.to_vec()).unwrap()));
        self.came.notify_one();
        let mut answers = self.answers.lock().unwrap();
        let (status, text) = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0] };
        Ok(Response::builder().status(status).body(Full::from(text)).unwrap())
    }

    /// Serves on a free port, within TLS where there is a configuration for it.
    async fn serve(self: &Arc<Self>, tls: Option<ServerConfig>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = self.clone();
        let acceptor = tls.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(one(endpoint.clone(), acceptor.clone(), stream));
            }
        });
        address
    }
}

async fn one(endpoint: Arc<Endpoint>, acceptor: Option<tokio_rustls::TlsAcceptor>, stream: TcpStream) {
    let service = service_fn(move |request| endpoint.clone().answer(request));
    let server = http1::Builder::new();
    match acceptor {
        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            }
        }
    }
}

fn settings(folder: &Path, url: &str) -> Settings {
    let client_secret_file = folder.join("secret");
    std::fs::write(&client_secret_file, "s3cret &\n").unwrap();
    Settings {
        url: url.parse().unwrap(),
        client_id: "me:you".to_owned(),
        client_secret_file,
        scope: Some("kafka".to_owned()),
        ca_file: None,
    }
}

const GOOD: (u16, &str) = (200, r#"{"access_token": "t1", "token_type": "Bearer", "expires_in": 100}"#);

#[tokio::test]
async fn a_token_is_asked_for_as_the_rfc_says() {
    let endpoint = Endpoint::answering(&[GOOD]);
    let folder = tempfile::tempdir().unwrap();
    let address = endpoint.serve(None).await;
    let credentials =
        ClientCredentials::new(settings(folder.path(), &format!("http://{address}/token"))).unwrap();
    assert_eq!(credentials.current(0), Err("it is not fetched yet".to_owned()));
    assert_eq!(credentials.fetch().await, Ok(Duration::from_secs(100)));
    let token = credentials.current(unix_ms()).unwrap();
    assert_eq!(token.value, "t1");
    assert!(credentials.current(token.expires_ms).is_err(), "it has ended");
    let seen = endpoint.seen.lock().unwrap().clone();
    let basic = general_purpose::STANDARD.encode("me%3Ayou:s3cret+%26");
    assert_eq!(seen, [(format!("Basic {basic}"), "grant_type=client_credentials&scope=kafka".to_owned())]);
    let shown = format!("{credentials:?} {token:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("t1"), "{shown}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_endpoints_words_and_the_secret_is_read_again() {
    let refusal = (401, r#"{"error": "invalid_client", "error_description": "wrong secret"}"#);
    let endpoint = Endpoint::answering(&[refusal, GOOD]);
    let folder = tempfile::tempdir().unwrap();
    let address = endpoint.serve(None).await;
    let settings = settings(folder.path(), &format!("http://{address}/token"));
    let file = settings.client_secret_file.clone();
    let credentials = ClientCredentials::new(settings).unwrap();
    let why = credentials.fetch().await.unwrap_err();
    assert_eq!(why, "the endpoint refuses with 401 Unauthorized: invalid_client: wrong secret");
    std::fs::write(&file, "other").unwrap();
    credentials.fetch().await.unwrap();
    let seen = endpoint.seen.lock().unwrap();
    assert_ne!(seen[0].0, seen[1].0);
}

#[tokio::test]
async fn a_token_is_fetched_again_before_it_ends_and_a_failure_keeps_the_old_one() {
    let short = (200, r#"{"access_token": "t1", "expires_in": 2}"#);
    let endpoint = Endpoint::answering(&[short, (503, ""), GOOD]);
    let folder = tempfile::tempdir().unwrap();
    let address = endpoint.serve(None).await;
    let credentials = ClientCredentials::new(settings(folder.path(), &format!("http://{address}/"))).unwrap();
    let keeping = tokio::spawn(ClientCredentials::keep(Arc::downgrade(&credentials)));
    while endpoint.seen.lock().unwrap().len() < 2 {
        endpoint.came.notified().await;
    }
    assert_eq!(credentials.state().token.as_ref().unwrap().value, "t1");
    while endpoint.seen.lock().unwrap().len() < 3 {
        endpoint.came.notified().await;
    }
    drop(credentials);
    keeping.abort();
}

/// A certificate for `name`, whose authority is itself, and its files.
fn certificate(folder: &Path, name: &str, expired: bool) -> (PathBuf, ServerConfig) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let certificate = params.self_signed(&key).unwrap();
    let file = folder.join(format!("{name}.pem"));
    std::fs::write(&file, certificate.pem()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (file, config)
}

#[tokio::test]
async fn over_tls_the_endpoints_certificate_is_checked_and_what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (name, expired, own_authority, expected) in [
        ("localhost", false, true, None),
        ("localhost", false, false, Some("UnknownIssuer")),
        ("localhost", true, true, Some("expired")),
        ("elsewhere.example", false, true, Some("not valid for name")),
    ] {
        let endpoint = Endpoint::answering(&[GOOD]);
        let (ca, tls) = certificate(folder.path(), name, expired);
        let address = endpoint.serve(Some(tls)).await;
        let mut settings = settings(folder.path(), &format!("https://localhost:{}/token", address.port()));
        settings.ca_file = own_authority.then_some(ca);
        let fetched = ClientCredentials::new(settings).unwrap().fetch().await;
        match expected {
            None => drop(fetched.unwrap()),
            Some(words) => {
                let why = fetched.unwrap_err();
                assert!(why.contains(words) && why.starts_with("localhost: "), "{why}");
            }
        }
    }
}
