//! One small answer over HTTP or HTTPS: for token endpoints, key sets and the like, not for the function.
//!
//! TLS is rustls on aws-lc-rs, with the system's authorities or those of a file. What goes out of the cluster goes
//! through a proxy where there is one. Redirects are not followed.

mod connector;
mod kept;
mod proxies;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::{client::legacy::Client as Legacy, rt::TokioExecutor};
use std::{error::Error as StdError, io, path::Path, sync::Arc, time::Duration};

pub use self::{
    connector::Connector,
    kept::{Kept, KeptError},
    proxies::{Proxies, ProxyError},
};
use crate::tls::{Authorities, ClientSettings, ClientTls, TlsError, Version, refusal::of_server};

/// Asks other servers.
pub struct Client {
    connector: Connector,
    timeout: Duration,
    answer_bytes_max: usize,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust<'a> {
    /// Nobody's: there is no TLS.
    Nobody,
    /// Those of the system's authorities.
    System,
    /// Those of the authorities in this file (PEM), and of no others. It is read again when it changes.
    File(&'a Path),
}

/// Why there is no answer, in one line that names the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

impl Client {
    /// A client that waits at most `timeout` for the whole of an answer of at most `answer_bytes_max` bytes, and
    /// connects without a proxy; [`Client::through`] sets one.
    ///
    /// # Errors
    /// When the authorities cannot be read, or there are none.
    pub fn new(trust: Trust<'_>, timeout: Duration, answer_bytes_max: usize) -> Result<Self, ClientError> {
        let authorities = match trust {
            Trust::Nobody => Authorities::Nobody,
            Trust::System => Authorities::System,
            Trust::File(file) => Authorities::File(file.to_owned()),
        };
        let version_min = Version::default();
        let settings = ClientSettings { section: "tls".to_owned(), authorities, pair: None, version_min };
        let told = |error: TlsError| {
            // Whoever asks knows which setting of theirs names the file.
            let what = error.problems.into_iter().map(|(_, what)| what).collect::<Vec<_>>();
            ClientError(what.join("; "))
        };
        let tls = ClientTls::open(settings).map_err(told)?;
        Ok(Self::over(Arc::new(tls), timeout, answer_bytes_max))
    }

    /// The same with TLS as it is set up, for mutual TLS among others.
    #[must_use]
    pub fn over(tls: Arc<ClientTls>, timeout: Duration, answer_bytes_max: usize) -> Self {
        Self { connector: Connector::new(tls, timeout), timeout, answer_bytes_max }
    }

    /// The same through `proxies`.
    #[must_use]
    pub fn through(mut self, proxies: Proxies) -> Self {
        self.connector.proxies = proxies;
        self
    }

    /// POSTs a form. Cancel safe in that nothing is left behind here; the other side may have acted.
    ///
    /// # Errors
    /// When there is no whole answer in time. A status that is no success is an answer.
    pub async fn post_form(
        &self,
        url: &Uri,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let mut request = Request::new(Full::new(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization);
        }
        let answer = self.ask(request).await?;
        Ok((answer.status(), answer.into_body()))
    }

    /// GETs a document. Cancel safe.
    ///
    /// # Errors
    /// When there is no whole answer in time. A status that is no success is an answer.
    pub async fn get(&self, url: &Uri) -> Result<Response<Bytes>, ClientError> {
        self.get_with(url, HeaderMap::new()).await
    }

    /// The same with further headers. Cancel safe.
    ///
    /// # Errors
    /// When there is no whole answer in time. A status that is no success is an answer.
    pub async fn get_with(&self, url: &Uri, headers: HeaderMap) -> Result<Response<Bytes>, ClientError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;
        self.ask(request).await
    }

    async fn ask(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, ClientError> {
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let host = request.uri().host().unwrap_or_default().to_owned();
        let failed = |why: String| ClientError(format!("{host}: {why}"));
        let asked = async {
            // Asked now and then: no connection is kept for the next time.
            let client =
                Legacy::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(self.connector.clone());
            let response = client.request(request).await.map_err(|e| failed(reason(&e)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, self.answer_bytes_max).collect().await;
            let body = body.map_err(|e| {
                failed(if e.is::<LengthLimitError>() {
                    format!("the answer is longer than {} bytes", self.answer_bytes_max)
                } else {
                    format!("the answer broke off: {e}")
                })
            })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        let late = || failed(format!("no answer within {:?}", self.timeout));
        tokio::time::timeout(self.timeout, asked).await.map_err(|_| late())?
    }
}

/// What is wrong with the server's certificate and what to do, else the innermost cause: the outer ones only say that
/// a client failed.
#[must_use]
pub fn reason(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        if let Some(what) = of_server(inner) {
            return what;
        }
        cause = inner.to_string();
        // What an I/O error wraps is not its source but itself.
        let wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static)).or_else(|| inner.source());
    }
    cause
}

#[cfg(test)]
pub(crate) mod tests;
