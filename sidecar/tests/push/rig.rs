//! The rig: an issuer behind TLS, a site with both endpoints, and senders that speak as Google and Azure do.

use crate::common::{Site, authority::Authority};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response};
use outrigger_function::{Function, Program};
use outrigger_testkit::{Issuer, Process, Producer, SigningKey};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

pub(crate) const AUDIENCE: &str = "https://outrigger.example/";
pub(crate) const ACCOUNT: &str = "push@p.iam.gserviceaccount.com";
pub(crate) const APP_ID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";

/// Which endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Pubsub,
    EventGrid,
}

pub(crate) const BOTH: [At; 2] = [At::Pubsub, At::EventGrid];

impl At {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Pubsub => "/pubsub",
            Self::EventGrid => "/eventgrid",
        }
    }

    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pubsub => "pubsub_push",
            Self::EventGrid => "eventgrid_webhook",
        }
    }

    /// What says that an event is kept.
    pub(crate) fn taken(self) -> u16 {
        match self {
            Self::Pubsub => 204,
            Self::EventGrid => 200,
        }
    }
}

pub(crate) struct Rig {
    pub(crate) function: Function,
    pub(crate) issuer: Issuer,
    pub(crate) issuer_url: String,
    pub(crate) key: SigningKey,
    pub(crate) site: Site,
    pub(crate) process: Process,
}

impl Rig {
    /// Both endpoints, each for tokens of one issuer.
    pub(crate) async fn open(change: impl FnOnce(Site) -> Site) -> Self {
        Self::with(Program::default(), change).await
    }

    pub(crate) async fn with(program: Program, change: impl FnOnce(Site) -> Site) -> Self {
        let function = Function::start(program);
        let site = Site::of(&function);
        let authority = Authority::of(&site);
        authority.issue(&site, "server", |_| {});
        let key = SigningKey::rsa("first");
        let issuer = Issuer::start(&[&key]).await;
        let issuer_url = format!("https://localhost:{}", behind_tls(&site, issuer.address()).await.port());
        issuer.call_itself(&issuer_url);
        let site = change(with_tokens(site, &issuer_url));
        let process = site.start().await;
        Self { function, issuer, issuer_url, key, site, process }
    }

    /// What a good token says.
    pub(crate) fn claims(&self, at: At) -> Value {
        let mut claims = self.issuer.claims(AUDIENCE, "1234");
        claims["iss"] = self.issuer_url.clone().into();
        match at {
            At::Pubsub => {
                claims["email"] = ACCOUNT.into();
                claims["email_verified"] = true.into();
            }
            At::EventGrid => claims["appid"] = APP_ID.into(),
        }
        claims
    }

    pub(crate) fn token(&self, at: At) -> String {
        self.key.token(&self.claims(at))
    }

    /// Sends one event, with this token.
    pub(crate) async fn send(&self, at: At, token: Option<&str>, id: &str) -> Response<Bytes> {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![content_type(at)];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        post(&self.site, at.path(), &headers, one(at, id)).await
    }

    #[expect(clippy::cast_possible_truncation, reason = "a count of a few requests")]
    pub(crate) async fn refusals(&self, at: At, reason: &str) -> i64 {
        let name = format!("outrigger_auth_refused_total{{listener=\"{}\",reason=\"{reason}\"}}", at.name());
        self.site.metric(&name).await as i64
    }
}

fn with_tokens(site: Site, issuer: &str) -> Site {
    let site = site
        .set("ingress.pubsub_push.path", "/pubsub")
        .set("ingress.pubsub_push.topic", "projects/p/topics/t")
        .set("ingress.pubsub_push.audience", AUDIENCE)
        .set("ingress.pubsub_push.service_account", ACCOUNT)
        .set("ingress.eventgrid_webhook.path", "/eventgrid")
        .set("ingress.eventgrid_webhook.entra.audience", AUDIENCE);
    ["ingress.pubsub_push", "ingress.eventgrid_webhook.entra"].into_iter().fold(site, |site, section| {
        site.set(&format!("{section}.issuer"), issuer)
            .set(&format!("{section}.ca_file"), "ca.pem")
            .set(&format!("{section}.refresh_min"), "1s")
    })
}

/// Both endpoints, for anyone.
pub(crate) fn open_to_all(function: &Function) -> Site {
    Site::of(function)
        .set("ingress.pubsub_push", "{path: /pubsub, topic: projects/p/topics/t, auth: none}")
        .set("ingress.eventgrid_webhook", "{path: /eventgrid, auth: none}")
}

fn content_type(at: At) -> (&'static str, &'static str) {
    match at {
        At::Pubsub => ("content-type", "application/json"),
        At::EventGrid => ("content-type", "application/cloudevents+json; charset=utf-8"),
    }
}

/// The body that brings the event `id`.
pub(crate) fn one(at: At, id: &str) -> String {
    match at {
        At::Pubsub => {
            let message = json!({"data": "e30=", "messageId": id, "publishTime": "2021-02-26T19:13:55.749Z"});
            json!({"message": message, "subscription": "projects/p/subscriptions/s"}).to_string()
        }
        At::EventGrid => {
            json!({"specversion": "1.0", "id": id, "source": "/topic", "type": "t", "data": {}}).to_string()
        }
    }
}

/// Posts to a path of the listener.
pub(crate) async fn post(
    site: &Site,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    post_to(site.ingress, path, headers, body).await
}

/// Posts to a path of another address.
pub(crate) async fn post_to(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let url = format!("http://{address}{path}");
    Producer::new(&url).post(map, body).await.unwrap()
}

/// Posts to an endpoint that is open to all.
pub(crate) async fn push(site: &Site, at: At, body: impl Into<Bytes>) -> Response<Bytes> {
    post(site, at.path(), &[content_type(at)], body).await
}

/// TLS before an address, with the site's `server.pem`.
pub(crate) async fn behind_tls(site: &Site, plain: SocketAddr) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(site.path("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(site.path("server.key")).unwrap();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(plain).await.unwrap();
                let _ = copy_bidirectional(&mut outside, &mut inside).await; // its end is the client's
            });
        }
    });
    address
}
