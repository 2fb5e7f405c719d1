//! OTLP's requests by HTTP: over hyper, with the house's TLS.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use opentelemetry_http::{HttpClient, HttpError};
use outrigger_net::{
    client::{Connector, Kept, Proxies},
    tls::ClientTls,
};
use std::{fmt, sync::Arc, time::Duration};

/// The largest answer that is read, in bytes: a collector says in it how much it did not take.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Keeps its connections for the next request.
#[derive(Clone)]
pub(crate) struct Post {
    client: Kept,
    timeout: Duration,
}

impl Post {
    pub(crate) fn new(tls: Arc<ClientTls>, timeout: Duration) -> Self {
        Self { client: Kept::new(Connector::new(tls, timeout), Proxies::default()), timeout }
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.ask(request.map(Full::new), self.timeout, ANSWER_BYTES_MAX).await;
        answer.map_err(Into::into)
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
