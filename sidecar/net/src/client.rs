//! One small answer over HTTP or HTTPS: for token endpoints and the like, not for the function.
//!
//! TLS is rustls on aws-lc-rs, with the system's authorities or those of a file. Redirects are not followed.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Legacy, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{error::Error as _, path::Path, time::Duration};

/// Asks other servers.
pub struct Client {
    inner: Legacy<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    answer_bytes_max: usize,
}

/// Why there is no answer, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

impl Client {
    /// A client that waits at most `timeout` for the whole of an answer of at most `answer_bytes_max` bytes.
    ///
    /// # Errors
    /// When the authorities of `ca_file` (PEM), or the system's where there is none, cannot be read.
    pub fn new(
        ca_file: Option<&Path>,
        timeout: Duration,
        answer_bytes_max: usize,
    ) -> Result<Self, ClientError> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let wrong = |why: String| ClientError(format!("TLS cannot be set up: {why}"));
        let builder = match ca_file {
            None => builder.with_provider_and_native_roots(provider).map_err(|e| wrong(e.to_string()))?,
            Some(file) => {
                let config = ClientConfig::builder_with_provider(provider.into())
                    .with_safe_default_protocol_versions()
                    .map_err(|e| wrong(e.to_string()))?
                    .with_root_certificates(authorities(file)?)
                    .with_no_client_auth();
                builder.with_tls_config(config)
            }
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(timeout));
        let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
        // Asked now and then: a connection is not kept for the next time.
        let inner = Legacy::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { inner, timeout, answer_bytes_max })
    }

    /// POSTs a form. Cancel safe in that nothing is left behind here; the other side may have acted.
    ///
    /// # Errors
    /// When there is no whole answer in time; a status that is no success is none.
    pub async fn post_form(
        &self,
        url: &Uri,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let host = url.host().unwrap_or_default().to_owned();
        let mut request = Request::new(Full::new(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization);
        }
        let asked = async {
            let response = self.inner.request(request).await.map_err(|e| ClientError(reason(&host, &e)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), self.answer_bytes_max).collect().await;
            let body = body.map_err(|e| ClientError(format!("{host}: the answer broke off: {e}")))?;
            Ok((status, body.to_bytes()))
        };
        let late = || ClientError(format!("{host}: no answer within {} s", self.timeout.as_secs()));
        tokio::time::timeout(self.timeout, asked).await.map_err(|_| late())?
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, ClientError> {
    let wrong = |why: String| ClientError(format!("{}: {why}", file.display()));
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| wrong(e.to_string()))? {
        let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
        store.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(wrong("there is no certificate in it (PEM is wanted)".to_owned()));
    }
    Ok(store)
}

/// The innermost cause: the outer ones only say that a client failed.
fn reason(host: &str, error: &hyper_util::client::legacy::Error) -> String {
    let mut cause = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        cause = inner.to_string();
        next = inner.source();
    }
    format!("{host}: {cause}")
}
