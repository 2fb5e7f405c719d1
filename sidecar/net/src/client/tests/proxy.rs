//! Through a proxy, and with a certificate of ours.

use super::*;
use crate::tls::{
    Pair,
    made::{self, Made},
};
use std::time::SystemTime;
use tokio::io::{AsyncBufReadExt as _, BufReader, copy_bidirectional};

/// A proxy that answers each CONNECT with `status`, and what it was asked: the first line and the login.
async fn proxy(status: &'static str) -> (SocketAddr, Arc<Mutex<Vec<(String, Option<String>)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<Mutex<Vec<_>>>::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut client = BufReader::new(stream);
            let (mut first, mut login) = (String::new(), None);
            client.read_line(&mut first).await.unwrap();
            loop {
                let mut line = String::new();
                client.read_line(&mut line).await.unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if let Some((name, value)) = line.split_once(": ")
                    && name.eq_ignore_ascii_case("proxy-authorization")
                {
                    login = Some(value.trim().to_owned());
                }
            }
            let to = first.split(' ').nth(1).unwrap().to_owned();
            seen.lock().unwrap().push((first.trim().to_owned(), login));
            client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
            if status.starts_with("200") {
                let mut server = TcpStream::connect(to).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            }
        }
    });
    (address, asked)
}

async fn post_through(ca: &Path, proxies: Proxies, url: &str) -> Result<u16, String> {
    let client = Client::new(Trust::File(ca), PATIENCE, 100).unwrap().through(proxies);
    let answered = client.post_form(&url.parse().unwrap(), None, "a=b".to_owned()).await;
    answered.map(|(status, _)| status.as_u16()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn https_goes_through_the_proxy_with_its_login_and_what_is_excepted_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, tls) = certified(folder.path(), Flaw::None);
    let port = Endpoint::answering(&[(200, "yes")]).serve(Some(tls)).await.port();
    let url = format!("https://localhost:{port}/");
    let (address, asked) = proxy("200 OK").await;
    let through = |no_proxy: &str| Proxies::new(&format!("http://me:geheim@{address}"), no_proxy).unwrap();

    assert_eq!(post_through(&ca, through(""), &url).await, Ok(200));
    let login = Some("Basic bWU6Z2VoZWlt".to_owned());
    assert_eq!(*asked.lock().unwrap(), [(format!("CONNECT localhost:{port} HTTP/1.1"), login)]);
    assert_eq!(post_through(&ca, through("localhost"), &url).await, Ok(200));
    assert_eq!(asked.lock().unwrap().len(), 1, "the second one went directly");
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_gone_is_told_apart_from_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, _) = certified(folder.path(), Flaw::None);
    let (address, _) = proxy("407 Proxy Authentication Required").await;
    let proxies = Proxies::new(&address.to_string(), "").unwrap();
    let why = post_through(&ca, proxies, "https://localhost:9/").await.unwrap_err();
    assert!(why.starts_with("localhost: through the proxy 127.0.0.1: "), "{why}");
    assert!(why.contains("authorization"), "{why}");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxies = Proxies::new(&gone.to_string(), "").unwrap();
    let why = post_through(&ca, proxies, "https://localhost:9/").await.unwrap_err();
    assert!(why.starts_with("localhost: through the proxy 127.0.0.1: Connection refused"), "{why}");
}

/// A server that wants a certificate of `made`'s authority.
async fn wanting(made: &Made) -> String {
    let mut settings = made::settings(made.pair("server", |_| {}));
    settings.clients = Some(made.clients(true, crate::tls::Rules::default()));
    let tls = crate::tls::ServerTls::open(settings, SystemTime::now()).unwrap();
    let mut config = (*tls.config()).clone();
    config.alpn_protocols.clear();
    let address = Endpoint::answering(&[(200, "yes")]).serve(Some(config)).await;
    format!("https://localhost:{}/", address.port())
}

fn showing(made: &Made, pair: Option<Pair>) -> Client {
    let settings = ClientSettings {
        section: "idp.tls".to_owned(),
        authorities: Authorities::File(made.path("ca.pem")),
        pair,
        version_min: Version::default(),
    };
    Client::over(Arc::new(ClientTls::open(settings).unwrap()), PATIENCE, 100)
}

async fn answer(client: &Client, url: &str) -> Result<u16, String> {
    let answered = client.post_form(&url.parse().unwrap(), None, "a=b".to_owned()).await;
    answered.map(|(status, _)| status.as_u16()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_ours_or_it_is_told_what_is_missing() {
    let made = Made::new();
    let url = wanting(&made).await;
    let pair = made.pair("me", |_| {});
    assert_eq!(answer(&showing(&made, Some(pair)), &url).await, Ok(200));
    let why = answer(&showing(&made, None), &url).await.unwrap_err();
    assert_eq!(why, "localhost: it wants a certificate of ours; name the files of one and its key");
}

#[tokio::test]
async fn a_renewed_certificate_of_ours_is_shown_without_a_restart() {
    let made = Made::new();
    let url = wanting(&made).await;
    let stranger = Made::new();
    let foreign = stranger.pair("me", |_| {});
    let ours = made.pair("me", |_| {});
    let kept = Pair { certificate: made.path("mine.pem"), key: made.path("mine.key") };
    let put = |from: &Pair| {
        std::fs::copy(&from.certificate, &kept.certificate).unwrap();
        std::fs::copy(&from.key, &kept.key).unwrap();
    };
    put(&foreign);
    let client = showing(&made, Some(kept.clone()));
    assert!(answer(&client, &url).await.is_err());
    put(&ours);
    // At most once a second the files are looked at.
    while answer(&client, &url).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
