//! HTTP/2 without TLS, by prior knowledge (RFC 9113, section 3.3): one connection for all requests.

use http::{
    HeaderName, HeaderValue, Request, Response, Uri, Version,
    header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use outrigger_core::{Body, Error, Kind, Result};
use tokio::sync::Mutex;

use crate::{
    client::{broken, of_the_body},
    connect::Address,
};

/// What belongs to one connection of HTTP/1.1 and is malformed in HTTP/2 (RFC 9113, section 8.2.2).
const OF_HTTP1: [HeaderName; 5] =
    [HOST, CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")];

/// The connection, made when it is first needed and again when it has ended.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<Option<SendRequest<Body>>>);

impl Shared {
    /// Sends `request`; `sent` says whether the function may have seen it.
    ///
    /// # Errors
    /// `Unreachable` before it was sent, `Interrupted` after.
    pub(crate) async fn send(
        &self,
        address: &Address,
        request: Request<Body>,
        sent: &mut bool,
    ) -> Result<Response<Incoming>> {
        let mut request = in_http2(request, address)?;
        loop {
            let (mut sender, reused) = self.sender(address).await?;
            *sent = true;
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok(answer),
                Err(mut failed) => match failed.take_message() {
                    // It was going away before it took the request. The next one is new.
                    Some(unsent) if reused => {
                        (request, *sent) = (unsent, false);
                        self.0.lock().await.take();
                    }
                    Some(_) => return Err(told(Kind::Unreachable, address, failed.error())),
                    None => return Err(told(Kind::Interrupted, address, failed.error())),
                },
            }
        }
    }

    /// Ends the connection for the requests to come: it turned out to be dead without a sign.
    pub(crate) fn clear(&self) {
        if let Ok(mut shared) = self.0.try_lock() {
            shared.take();
        }
    }

    /// Whoever comes while it is being made waits for it, so that a burst makes one.
    async fn sender(&self, address: &Address) -> Result<(SendRequest<Body>, bool)> {
        let mut shared = self.0.lock().await;
        if let Some(sender) = shared.as_mut()
            && sender.ready().await.is_ok()
        {
            return Ok((sender.clone(), true));
        }
        let sender = address.connect_http2().await?;
        *shared = Some(sender.clone());
        Ok((sender, false))
    }
}

fn in_http2(mut request: Request<Body>, address: &Address) -> Result<Request<Body>> {
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let authority = host.and_then(|host| Authority::try_from(host).ok());
    let authority = authority.map_or_else(|| Authority::try_from(address.to_string()), Ok);
    let path = request.uri().path_and_query().cloned();
    let uri = authority.map_err(http::Error::from).and_then(|authority| {
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build()
    });
    let uri = uri.map_err(|error| Error::new(Kind::Invalid, format!("{address}: {error}")))?;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    for name in &OF_HTTP1 {
        request.headers_mut().remove(name);
    }
    Ok(request)
}

fn told(kind: Kind, address: &Address, error: &hyper::Error) -> Error {
    of_the_body(error).unwrap_or_else(|| Error::new(kind, format!("{address}: {}", broken(error))))
}
