//! A connection to where a URL points: through a proxy or not, within TLS or not.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

use super::proxies::Proxies;
use crate::tls::ClientTls;

/// Connects for hyper-util's client, over http and https. Without a proxy; [`super::Client::through`] sets one.
#[derive(Clone)]
pub struct Connector {
    http: HttpConnector,
    tls: Arc<ClientTls>,
    pub(super) proxies: Proxies,
}

impl Connector {
    /// One that believes and shows what `tls` says, and takes at most `timeout` for a TCP connection.
    #[must_use]
    pub fn new(tls: Arc<ClientTls>, timeout: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(timeout));
        Self { http, tls, proxies: Proxies::default() }
    }
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Tunnelled = MaybeHttpsStream<Stream>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Tunnelled;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Tunnelled, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let tls = self.tls.config();
        let mut direct = HttpsConnector::from((self.http.clone(), Arc::clone(&tls)));
        let Some(proxy) = self.proxies.of(&to) else {
            return Box::pin(async move { direct.call(to).await.map(MaybeHttpsStream::Http) });
        };
        // The proxy itself may be spoken to over TLS as well.
        let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
        if let Some(login) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(login.clone());
        }
        let mut through = HttpsConnector::from((tunnel, tls));
        Box::pin(async move {
            let at = proxy.uri().host().unwrap_or_default().to_owned();
            through
                .call(to)
                .await
                .map_err(|error| format!("through the proxy {at}: {}", super::reason(&*error)).into())
        })
    }
}
