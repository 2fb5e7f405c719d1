//! One small answer over HTTP or HTTPS: for token endpoints, key sets and the like, not for the function.
//!
//! TLS is rustls on aws-lc-rs, with the system's authorities or those of a file. Redirects are not followed.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Legacy, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{error::Error as StdError, io, path::Path, time::Duration};

/// Asks other servers.
pub struct Client {
    inner: Legacy<HttpsConnector<HttpConnector>, Full<Bytes>>,
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
    /// Those of the authorities in this file (PEM), and of no others.
    File(&'a Path),
}

/// Why there is no answer, in one line that names the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

impl Client {
    /// A client that waits at most `timeout` for the whole of an answer of at most `answer_bytes_max` bytes.
    ///
    /// # Errors
    /// When the authorities cannot be read, or there are none.
    pub fn new(trust: Trust<'_>, timeout: Duration, answer_bytes_max: usize) -> Result<Self, ClientError> {
        let wrong = |why: String| ClientError(format!("TLS cannot be set up: {why}"));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong(e.to_string()))?;
        let config = match trust {
            Trust::Nobody => config.with_root_certificates(RootCertStore::empty()),
            Trust::System => config.with_native_roots().map_err(|e| {
                wrong(format!("this system has no authorities ({e}); install them, or name a file"))
            })?,
            Trust::File(file) => config.with_root_certificates(authorities(file)?),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        // Asked now and then: a connection is not kept for the next time.
        let inner = Legacy::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { inner, timeout, answer_bytes_max })
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
        let mut request = Request::new(Full::default());
        *request.uri_mut() = url.clone();
        self.ask(request).await
    }

    async fn ask(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, ClientError> {
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let host = request.uri().host().unwrap_or_default().to_owned();
        let failed = |why: String| ClientError(format!("{host}: {why}"));
        let asked = async {
            let response = self.inner.request(request).await.map_err(|e| failed(reason(&e)))?;
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

fn authorities(file: &Path) -> Result<RootCertStore, ClientError> {
    let wrong = |why: String| ClientError(format!("{}: {why}", file.display()));
    let mut store = RootCertStore::empty();
    let text = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|e| wrong(format!("this is no PEM: {e:?}")))?;
        store.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(wrong("there is no certificate in it (PEM is wanted)".to_owned()));
    }
    Ok(store)
}

/// What is wrong with the server's certificate and what to do, else the innermost cause: the outer ones only say that
/// a client failed.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        if let Some(what) = of_tls(inner) {
            return what;
        }
        cause = inner.to_string();
        // What an I/O error wraps is not its source but itself.
        let wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static)).or_else(|| inner.source());
    }
    cause
}

fn of_tls(error: &(dyn StdError + 'static)) -> Option<String> {
    let error = error.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(wrong) = error else { return Some(format!("TLS: {error}")) };
    let what = match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it there, or set the clock here"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; set the clocks"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name; use the name that it is for"
        }
        CertificateError::UnknownIssuer => {
            "its certificate is from an authority that is not trusted here; name the authority's file"
        }
        _ => "its certificate is wrong",
    };
    Some(format!("{what} ({wrong})"))
}

#[cfg(test)]
pub(crate) mod tests;
