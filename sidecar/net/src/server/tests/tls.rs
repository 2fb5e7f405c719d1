//! Real handshakes with a listener, by rustls' client and by hyper's HTTP/2.

use super::*;
use crate::tls::{
    Authorities, ClientSettings, ClientTls, Clients, Pair, Rules, ServerSettings, Version,
    made::{Made, by_uri, numbered},
};
use rcgen::CertificateParams;
use std::time::SystemTime;
use tokio_rustls::client::TlsStream;

pub(super) struct Secured {
    made: Made,
    settings: ServerSettings,
    tls: Arc<ServerTls>,
    pub(super) listener: Fixture,
}

impl Secured {
    pub(super) async fn start(change: impl FnOnce(&Made, &mut ServerSettings)) -> Secured {
        Secured::within(Limits::default(), change).await
    }

    async fn within(limits: Limits, change: impl FnOnce(&Made, &mut ServerSettings)) -> Secured {
        let made = Made::new();
        let mut settings = crate::tls::made::settings(made.pair("server", |_| {}));
        change(&made, &mut settings);
        let tls = Arc::new(ServerTls::open(settings.clone(), SystemTime::now()).unwrap());
        let listener = Fixture::secured(limits, Some(Arc::clone(&tls))).await;
        Secured { made, settings, tls, listener }
    }

    fn client(&self, change: impl FnOnce(&mut ClientSettings)) -> ClientTls {
        let mut settings = ClientSettings {
            section: "tls".to_owned(),
            authorities: Authorities::File(self.made.path("ca.pem")),
            pair: None,
            version_min: Version::Tls12,
        };
        change(&mut settings);
        ClientTls::open(settings).unwrap()
    }

    fn shows(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> ClientTls {
        let pair = self.made.pair(name, change);
        self.client(|settings| settings.pair = Some(pair))
    }

    async fn connect(&self, client: &ClientTls) -> Result<TlsStream<TcpStream>, String> {
        client.connect("localhost", self.listener.connect().await).await
    }

    /// A connection over which HTTP/2 is to be spoken.
    pub(super) async fn http2(&self) -> TlsStream<TcpStream> {
        let mut config = (*self.client(|_| {}).config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect("localhost".try_into().unwrap(), self.listener.connect().await).await.unwrap()
    }

    /// Who the listener thinks that the client is, or why there is no answer.
    async fn named(&self, client: &ClientTls) -> Result<String, String> {
        let mut stream = self.connect(client).await?;
        let request = b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
        Ok(answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
    }

    /// Waits until so many handshakes failed for this reason, and asserts that none did for another.
    async fn refused(&self, refusal: Refusal, count: u64) {
        let counts = &self.listener.counts.refused;
        while counts.count(refusal) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let all: u64 = Refusal::ALL.into_iter().map(|refusal| counts.count(refusal)).sum();
        assert_eq!((counts.count(refusal), all), (count, count), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_served_where_none_is_asked_for() {
    let s = Secured::start(|_, _| {}).await;
    assert_eq!(s.named(&s.client(|_| {})).await.as_deref(), Ok("nobody"));
    assert_eq!(s.named(&s.shows("me", |_| {})).await.as_deref(), Ok("nobody"), "it was not asked");
}

#[tokio::test]
async fn a_client_is_named_by_its_certificate_and_turned_away_without() {
    let s =
        Secured::start(|made, settings| settings.clients = Some(made.clients(true, Rules::default()))).await;
    assert_eq!(s.named(&s.shows("me", |_| {})).await.as_deref(), Ok("CN=me"));
    let id = "spiffe://example.org/me";
    assert_eq!(s.named(&s.shows("svid", by_uri(id))).await.as_deref(), Ok(id));
    let why = s.named(&s.client(|_| {})).await.unwrap_err();
    assert!(why.contains("CertificateRequired"), "the alert arrives: {why}");
    s.refused(Refusal::NoCertificate, 1).await;
}

#[tokio::test]
async fn where_a_certificate_is_optional_a_client_without_is_nobody_and_a_wrong_one_is_refused() {
    let s =
        Secured::start(|made, settings| settings.clients = Some(made.clients(false, Rules::default()))).await;
    assert_eq!(s.named(&s.shows("me", |_| {})).await.as_deref(), Ok("CN=me"));
    assert_eq!(s.named(&s.client(|_| {})).await.as_deref(), Ok("nobody"));
    let foreign = Made::new();
    let pair = foreign.pair("me", |_| {});
    assert!(s.named(&s.client(|settings| settings.pair = Some(pair))).await.is_err());
    s.refused(Refusal::Certificate, 1).await;
    assert!(s.named(&s.shows("old", crate::tls::made::expired)).await.is_err());
    s.refused(Refusal::Certificate, 2).await;
}

#[tokio::test]
async fn only_those_whom_a_rule_names_may_connect() {
    let rules = Rules {
        subjects: vec!["CN=billing".to_owned()],
        spiffe_ids: vec!["spiffe://example.org/ns/prod/*".to_owned()],
    };
    let s = Secured::start(|made, settings| settings.clients = Some(made.clients(true, rules))).await;
    assert_eq!(s.named(&s.shows("billing", |_| {})).await.as_deref(), Ok("CN=billing"));
    let id = "spiffe://example.org/ns/prod/x";
    assert_eq!(s.named(&s.shows("x", by_uri(id))).await.as_deref(), Ok(id));
    assert!(s.named(&s.shows("y", by_uri("spiffe://example.org/ns/test/x"))).await.is_err());
    s.refused(Refusal::NotAllowed, 1).await;
    assert!(s.named(&s.shows("shipping", |_| {})).await.is_err());
    s.refused(Refusal::NotAllowed, 2).await;
}

#[tokio::test]
async fn plain_http_and_a_client_that_does_not_trust_us_are_told_apart() {
    let s = Secured::start(|_, _| {}).await;
    let answer = s.listener.get("/").await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer:?}");
    s.refused(Refusal::NotTls, 1).await;
    let s = Secured::start(|_, _| {}).await;
    let other = Made::new();
    let distrusts = s.client(|settings| settings.authorities = Authorities::File(other.path("ca.pem")));
    let why = s.named(&distrusts).await.unwrap_err();
    assert!(why.starts_with("its certificate is from an authority that is not trusted here"), "{why}");
    s.refused(Refusal::Rejected, 1).await;
}

#[tokio::test]
async fn a_client_that_goes_away_or_breaks_the_protocol_is_counted() {
    let s = Secured::start(|_, _| {}).await;
    drop(s.listener.connect().await);
    s.refused(Refusal::Gone, 1).await;
    let s = Secured::start(|_, _| {}).await;
    // A record of application data, before any handshake.
    s.listener.connect().await.write_all(&[0x17, 3, 3, 0, 1, 0]).await.unwrap();
    s.refused(Refusal::Broken, 1).await;
}

#[tokio::test]
async fn versions_older_than_the_minimum_are_not_spoken() {
    let s = Secured::start(|_, settings| settings.version_min = Version::Tls13).await;
    assert!(s.named(&s.client(|_| {})).await.is_ok());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let authorities = crate::tls::made::authorities(&s.made.path("ca.pem"));
    let old = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(authorities)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connected =
        tokio_rustls::TlsConnector::from(Arc::new(old)).connect(name, s.listener.connect().await).await;
    assert!(connected.is_err());
    s.refused(Refusal::Version, 1).await;
}

#[tokio::test]
async fn row_31_a_handshake_that_is_not_finished_is_cut_off() {
    let limits =
        Limits { header_timeout: Duration::from_millis(200), connections_max: 2, ..Limits::default() };
    let s = Secured::within(limits, |_, _| {}).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = s.listener.connect().await;
        stream.write_all(&[0x16, 3, 1]).await.unwrap(); // a handshake's record begins
        slow.push(stream);
    }
    assert!(s.named(&s.client(|_| {})).await.is_ok(), "a healthy client is served at the cap");
    for stream in &mut slow {
        assert!(is_closed(stream).await);
    }
    s.refused(Refusal::Late, 4).await;
    assert_eq!(s.listener.counts.timed_out.load(SeqCst), 4);
}

#[tokio::test]
async fn a_connection_keeps_its_certificate_and_a_new_one_gets_the_new() {
    let s = Secured::start(|_, _| {}).await;
    let client = s.client(|_| {});
    let shown = |stream: &TlsStream<TcpStream>| {
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        crate::tls::Peer::of(&chain[0]).unwrap().serial
    };
    let mut old = s.connect(&client).await.unwrap();
    let Pair { certificate, key } = s.made.pair("renewed", |_| {});
    std::fs::rename(certificate, &s.settings.pair.certificate).unwrap();
    std::fs::rename(key, &s.settings.pair.key).unwrap();
    // The listener looks once a second by itself.
    while s.tls.reloads().0 == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let new = s.connect(&client).await.unwrap();
    assert_ne!(shown(&new), shown(&old));
    old.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    old.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_authority_that_takes_over_decides_who_connects_from_then_on() {
    let s =
        Secured::start(|made, settings| settings.clients = Some(made.clients(true, Rules::default()))).await;
    let (next, path) = (Made::new(), s.made.path("ca.pem"));
    let (ours, theirs) = (s.shows("old", |_| {}), next.pair("new", |_| {}));
    let theirs = s.client(|settings| settings.pair = Some(theirs));
    assert_eq!(s.named(&ours).await.as_deref(), Ok("CN=old"));
    assert!(s.named(&theirs).await.is_err());
    std::fs::copy(&path, s.made.path("server-ca.pem")).unwrap();
    std::fs::copy(next.path("ca.pem"), &path).unwrap();
    while s.tls.reloads().0 == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The clients still believe the authority of the server's certificate, which did not change.
    let authority = Authorities::File(s.made.path("server-ca.pem"));
    let showing = |pair: Pair| {
        let authorities = authority.clone();
        s.client(|settings| (settings.pair, settings.authorities) = (Some(pair), authorities))
    };
    assert!(s.named(&showing(s.made.pair("old", |_| {}))).await.is_err());
    assert_eq!(s.named(&showing(next.pair("new", |_| {}))).await.as_deref(), Ok("CN=new"));
}

/// Asks over a connection that stays open.
async fn asks(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 512];
    let came = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..came]).into_owned()
}

async fn renewed(s: &Secured) {
    let before = s.tls.reloads().0;
    while s.tls.reloads().0 == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_taken_back_is_refused_and_its_open_connection_ends() {
    let s = Secured::start(|made, settings| {
        let crl = Some(made.revokes(&[1], 4000));
        settings.clients = Some(Clients { crl, ..made.clients(true, Rules::default()) });
    })
    .await;
    assert!(s.named(&s.shows("first", numbered(1))).await.is_err());
    s.refused(Refusal::Revoked, 1).await;
    let (second, third) = (s.shows("second", numbered(2)), s.shows("third", numbered(3)));
    let (mut revoked, mut kept) = (s.connect(&second).await.unwrap(), s.connect(&third).await.unwrap());
    assert!(asks(&mut revoked).await.ends_with("CN=second"));
    assert!(asks(&mut kept).await.ends_with("CN=third"));

    // The second is in the middle of a request as its certificate is taken back: that is answered still.
    revoked.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    s.listener.waiting.notified().await;
    s.made.revokes(&[1, 2], 4000);
    renewed(&s).await;
    s.listener.release.notify_one();
    let mut answer = String::new();
    revoked.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert!(s.named(&second).await.is_err());
    s.refused(Refusal::Revoked, 2).await;
    assert!(asks(&mut kept).await.ends_with("CN=third"), "another's connection goes on");
}

#[tokio::test]
async fn a_connection_ends_when_another_authority_takes_over_and_not_when_the_listeners_own_certificate_changes()
 {
    let s =
        Secured::start(|made, settings| settings.clients = Some(made.clients(true, Rules::default()))).await;
    let mut open = s.connect(&s.shows("old", |_| {})).await.unwrap();
    assert!(asks(&mut open).await.ends_with("CN=old"));
    let Pair { certificate, key } = s.made.pair("renewed", |_| {});
    std::fs::rename(certificate, &s.settings.pair.certificate).unwrap();
    std::fs::rename(key, &s.settings.pair.key).unwrap();
    renewed(&s).await;
    assert!(asks(&mut open).await.ends_with("CN=old"));
    std::fs::copy(Made::new().path("ca.pem"), s.made.path("ca.pem")).unwrap();
    renewed(&s).await;
    assert_eq!(open.read(&mut [0; 16]).await.unwrap(), 0, "it was idle, and is closed");
}

#[tokio::test]
async fn http_2_is_spoken_where_both_sides_offer_it() {
    for offered in [true, false] {
        let s = Secured::start(|made, settings| {
            settings.clients = Some(made.clients(true, Rules::default()));
            settings.http2 = offered;
        })
        .await;
        let mut config = (*s.shows("me", |_| {}).config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = "localhost".try_into().unwrap();
        let stream = connector.connect(name, s.listener.connect().await).await.unwrap();
        let settled = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        if !offered {
            assert_eq!(settled.as_deref(), Some(&b"http/1.1"[..]));
            continue;
        }
        assert_eq!(settled.as_deref(), Some(&b"h2"[..]));
        let executor = hyper_util::rt::TokioExecutor::new();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("https://localhost/peer").body(Full::<Bytes>::default()).unwrap();
        let answer = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "CN=me");
    }
}
