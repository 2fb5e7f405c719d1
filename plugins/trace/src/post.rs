//! OTLP's requests by HTTP: over hyper, with the house's TLS.

use crate::{answer::Failure, config::Way};
use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use http::{HeaderMap, Request, Uri, header};
use http_body_util::Full;
use outrigger_net::client::{Connector, Kept, KeptError, Proxies};
use prost::Message;
use std::{io::Write as _, time::Duration};

/// The largest answer that is read, in bytes: a collector says in it how much it did not take.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Keeps its connections for the next request.
#[derive(Debug)]
pub(crate) struct Post {
    client: Kept,
    timeout: Duration,
    url: Uri,
    headers: HeaderMap,
    gzip: bool,
}

impl Post {
    pub(crate) fn new(way: &Way) -> Self {
        let connector = Connector::new(way.tls.client.clone(), way.timeout);
        let mut headers: HeaderMap = way.headers.iter().cloned().collect();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-protobuf"));
        if way.gzip {
            headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
        }
        let client = Kept::new(connector, Proxies::default());
        Self { client, timeout: way.timeout, url: way.url.clone(), headers, gzip: way.gzip }
    }

    /// A message as it is sent.
    pub(crate) fn packed(&self, message: &impl Message) -> Result<Bytes, Failure> {
        let body = message.encode_to_vec();
        if !self.gzip {
            return Ok(body.into());
        }
        let mut packed = GzEncoder::new(Vec::new(), Level::fast());
        let written = packed.write_all(&body).and_then(|()| packed.finish());
        written.map(Bytes::from).map_err(|error| Failure::Lost(error.to_string()))
    }

    /// Sends it once.
    pub(crate) async fn once<A: Message + Default>(&self, body: Bytes) -> Result<A, Failure> {
        let lost = |error: http::Error| Failure::Lost(error.to_string());
        let mut request = Request::post(self.url.clone()).body(Full::new(body)).map_err(lost)?;
        request.headers_mut().clone_from(&self.headers);
        let answer = self.client.ask_cut(request, self.timeout, ANSWER_BYTES_MAX).await;
        let answer = answer.map_err(|error| match error {
            // What it did with the request is not known; what it has twice, it knows by its ids.
            KeptError::Unreachable(why) | KeptError::Interrupted(why) => Failure::Later { after: None, why },
            error => Failure::Lost(error.to_string()),
        })?;
        if let Some(failure) = Failure::of_http(&answer) {
            return Err(failure);
        }
        // It has what it was sent, whatever else it says.
        Ok(answer.into_body().and_then(|body| A::decode(body).ok()).unwrap_or_default())
    }
}
