//! A server over HTTP and HTTPS as a client meets it, and every way in which it is no server for us.

mod proxy;

use super::*;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// What a server saw, and what it answers to each request in turn (the last one again and again).
pub(crate) struct Endpoint {
    /// The value of `Authorization`, and the body; of a GET its target.
    pub(crate) seen: Mutex<Vec<(String, String)>>,
    answers: Mutex<Vec<(u16, String)>>,
}

impl Endpoint {
    pub(crate) fn answering(answers: &[(u16, &str)]) -> Arc<Self> {
        let answers = answers.iter().rev().map(|(status, text)| (*status, (*text).to_owned())).collect();
        Arc::new(Self { seen: Mutex::default(), answers: Mutex::new(answers) })
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let authorization = header("authorization").unwrap_or_default();
        let said = if request.method() == Method::GET {
            request.uri().to_string()
        } else {
            assert_eq!(header("content-type").unwrap(), "application/x-www-form-urlencoded");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(body.to_vec()).unwrap()
        };
        self.seen.lock().unwrap().push((authorization, said));
        let mut answers = self.answers.lock().unwrap();
        let (status, text) = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() };
        let answer = Response::builder().status(status).header("location", "/elsewhere");
        Ok(answer.body(Full::from(text)).unwrap())
    }

    /// Serves on a free port, within TLS where there is a configuration for it.
    pub(crate) async fn serve(self: &Arc<Self>, tls: Option<ServerConfig>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = self.clone();
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(one(endpoint.clone(), acceptor.clone(), stream));
            }
        });
        address
    }
}

async fn one(endpoint: Arc<Endpoint>, acceptor: Option<TlsAcceptor>, stream: TcpStream) {
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

/// What is special about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    Expired,
    NotYet,
    OtherName,
}

/// Authorities so far: two of one name would be taken for one whose signature is wrong.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A server's certificate, and the file of the authority that signed it.
pub(crate) fn certified(folder: &Path, flaw: Flaw) -> (PathBuf, ServerConfig) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    params.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let name = if flaw == Flaw::OtherName { "elsewhere.example" } else { "localhost" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    match flaw {
        Flaw::Expired => params.not_after = rcgen::date_time_ymd(2020, 1, 1),
        Flaw::NotYet => params.not_before = rcgen::date_time_ymd(4000, 1, 1),
        Flaw::None | Flaw::OtherName => {}
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let file = folder.join(format!("{flaw:?}.pem"));
    std::fs::write(&file, authority.pem()).unwrap();
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

const PATIENCE: Duration = Duration::from_secs(10);

async fn post(trust: Trust<'_>, url: &str) -> Result<(u16, String), String> {
    let client = Client::new(trust, PATIENCE, 100).map_err(|error| error.to_string())?;
    let answered = client.post_form(&url.parse().unwrap(), None, "a=b".to_owned()).await;
    let (status, body) = answered.map_err(|error| error.to_string())?;
    Ok((status.as_u16(), String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn over_tls_the_certificate_is_checked_and_what_is_wrong_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let stranger = certified(folder.path(), Flaw::None).0;
    let other = folder.path().join("other.pem");
    std::fs::rename(stranger, &other).unwrap();
    for (flaw, expected) in [
        (Flaw::None, None),
        (Flaw::Expired, Some("localhost: its certificate has expired; renew it there")),
        (Flaw::NotYet, Some("localhost: its certificate is not valid yet; set the clocks")),
        (Flaw::OtherName, Some("localhost: its certificate is for another name")),
    ] {
        let (ca, tls) = certified(folder.path(), flaw);
        let address = Endpoint::answering(&[(200, "yes")]).serve(Some(tls)).await;
        let url = format!("https://localhost:{}/", address.port());
        let answer = post(Trust::File(&ca), &url).await;
        match expected {
            None => assert_eq!(answer, Ok((200, "yes".to_owned()))),
            Some(words) => {
                let why = answer.unwrap_err();
                assert!(why.starts_with(words), "{why}");
            }
        }
        if flaw != Flaw::None {
            continue;
        }
        for nobody in [Trust::Nobody, Trust::File(&other)] {
            let why = post(nobody, &url).await.unwrap_err();
            assert!(why.starts_with("localhost: its certificate is from an authority that is not"), "{why}");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_said_in_one_line() {
    let endpoint = Endpoint::answering(&[(302, ""), (200, &"x".repeat(101))]);
    let url = format!("http://{}/", endpoint.serve(None).await);
    assert_eq!(post(Trust::Nobody, &url).await, Ok((302, String::new())), "a redirect is an answer");
    let why = post(Trust::Nobody, &url).await.unwrap_err();
    assert_eq!(why, "127.0.0.1: the answer is longer than 100 bytes");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").await;
        }
    });
    let why = post(Trust::Nobody, &format!("http://{address}/")).await.unwrap_err();
    assert!(why.starts_with("127.0.0.1: the answer broke off"), "{why}");
    let why = post(Trust::Nobody, &format!("https://{address}/")).await.unwrap_err();
    assert!(why.starts_with("127.0.0.1: TLS: "), "{why}");

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let why = post(Trust::Nobody, &format!("http://{gone}/")).await.unwrap_err();
    assert!(why.starts_with("127.0.0.1: Connection refused"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_allowed() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let why = post(Trust::Nobody, &format!("http://{}/", silent.local_addr().unwrap())).await.unwrap_err();
    assert_eq!(why, "127.0.0.1: no answer within 10s");
}

#[tokio::test]
async fn authorities_that_are_none_are_told_by_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for (content, expected) in [
        (None, "the file cannot be read: No such file or directory (os error 2)"),
        (Some(""), "there is no certificate in it (PEM is wanted)"),
        (
            Some("-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"),
            "a certificate in it cannot be an authority's: ",
        ),
        (Some("-----BEGIN CERTIFICATE-----\nbm9u"), "this is no PEM"),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let why = post(Trust::File(&file), "https://localhost/").await.unwrap_err();
        assert!(why.starts_with(&format!("{}: {expected}", file.display())), "{why}");
    }
}
