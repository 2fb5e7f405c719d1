//! One place of Event Grid over HTTP: who we are, how long we wait, and what its answers mean.

use crate::{
    config::Endpoint,
    credential::Place,
    trouble::{self, Asked, Refusal},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use outrigger_core::{Error, Kind, Result};
use outrigger_net::client::{Connector, Kept, KeptError};
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// The longest wait that an answer may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks one place.
#[derive(Debug)]
pub(crate) struct Service {
    endpoint: Endpoint,
    client: Kept,
    /// What a signature is for.
    resource: String,
}

/// One request.
pub(crate) struct Call<'a> {
    /// The path and its query, without the version.
    pub(crate) path: String,
    /// The type of the body, where there is one.
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
    /// How long the service may think about it, beside what any request may take.
    pub(crate) wait: Duration,
    /// The largest answer.
    pub(crate) bytes_max: usize,
    pub(crate) asked: Asked<'a>,
}

impl Service {
    /// A client of the place. Connects nowhere yet.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let connector = Connector::new(endpoint.tls.clone(), CONNECT_TIMEOUT.min(endpoint.timeout));
        let client = Kept::new(connector, endpoint.proxies.clone());
        let url = endpoint.url.to_string();
        let resource = match endpoint.place {
            // As Microsoft's clients sign it.
            Place::Topic => format!("{url}?apiVersion={}", endpoint.api_version),
            Place::Namespace => url.trim_end_matches('/').to_owned(),
        };
        Self { endpoint, client, resource }
    }

    /// The place's own path: a custom topic's.
    pub(crate) fn path(&self) -> &str {
        self.endpoint.url.path()
    }

    /// POSTs, and gives back the body of a success.
    ///
    /// # Errors
    /// `Unreachable` (also without a token), `Interrupted` and `TimedOut`; `Storage` for a secret, a right or a place
    /// that somebody must mend; `BadAnswer` where the answer is longer than allowed; a `Status` that may pass; `Invalid`
    /// for a request that is refused.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection, which ends a long poll at once.
    pub(crate) async fn post(&self, call: Call<'_>) -> Result<Bytes> {
        let told = |kind, why: &dyn fmt::Display| {
            Error::new(kind, format!("eventgrid: {}: {why}; it is tried again", call.asked.what))
        };
        let now = SystemTime::now();
        let request = self.request(&call, now).map_err(|why| told(Kind::Unreachable, &why))?;
        let answer = self.client.ask(request, self.endpoint.timeout + call.wait, call.bytes_max).await;
        let answer = answer.map_err(|error| {
            let kind = match &error {
                KeptError::Unreachable(_) => Kind::Unreachable,
                KeptError::Interrupted(_) => Kind::Interrupted,
                KeptError::TimedOut(_) => Kind::TimedOut,
                KeptError::TooLong(_) => Kind::BadAnswer,
            };
            let host = self.endpoint.url.authority().map_or("", |authority| authority.as_str());
            match kind {
                Kind::Unreachable => {
                    let section = self.endpoint.section;
                    told(kind, &format!("no connection to {host} ({error}); check {section} and the network"))
                }
                _ => told(kind, &format!("{host}: {error}")),
            }
        })?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        Err(refused(&answer, &call.asked))
    }

    fn request(&self, call: &Call<'_>, now: SystemTime) -> Result<Request<Full<Bytes>>, String> {
        let Endpoint { url, credential, place, api_version, .. } = &self.endpoint;
        let path = &call.path;
        let separator = if path.contains('?') { '&' } else { '?' };
        let target = format!("{path}{separator}api-version={api_version}");
        let mut parts = url.clone().into_parts();
        parts.path_and_query = Some(target.parse().map_err(|_| format!("{target:?} is no path of a URL"))?);
        let uri = Uri::from_parts(parts).map_err(|_| format!("{url} is no URL"))?;
        let (name, value) = credential.header(*place, &self.resource, now)?;
        let length = call.body.len();
        let mut request = Request::new(Full::new(call.body.clone()));
        (*request.method_mut(), *request.uri_mut()) = (Method::POST, uri);
        let headers = request.headers_mut();
        headers.insert(name, value);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("outrigger/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(ty) = call.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ty));
        }
        Ok(request)
    }
}

fn refused(answer: &Response<Bytes>, asked: &Asked<'_>) -> Error {
    let text = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let refusal = Refusal {
        status: answer.status().as_u16(),
        retry_after: retry_after(answer.headers()),
        body: answer.body(),
        date: text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok()),
    };
    trouble::error(&refusal, asked, SystemTime::now())
}

/// In seconds; Event Grid writes no date there.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
