//! A running outrigger, asked over its owner-only socket: HTTP/1.1, one connection per request.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use outrigger_core::{BoxFuture, Error, Kind, Result};
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time::timeout};

use crate::{
    cmd::Failure,
    dead_api::{Changed, Dead, Filter, Letter, Listed},
    events_api::{self, AuditPage, Audited, Events, Replay, Shown},
};

/// The largest answer: a letter of the largest event, in base64.
const ANSWER_BYTES_MAX: usize = 2 << 30;
/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The socket of a running outrigger.
pub(crate) struct Socket {
    path: PathBuf,
}

/// Whether somebody listens there. A socket that a dead process left behind does not count.
///
/// # Errors
/// When the socket is there and may not be used.
pub(crate) async fn answers(path: &Path) -> Result<bool, Failure> {
    match UnixStream::connect(path).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(false),
        Err(error) => Err(Failure::Problem(format!(
            "the socket {} cannot be used: {error}; call this as the user who runs outrigger",
            path.display()
        ))),
    }
}

impl Socket {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The answer to one request; none for a 404.
    ///
    /// # Errors
    /// What the other side says, or that it says nothing.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        uri: String,
        body: Vec<u8>,
    ) -> Result<Option<T>> {
        let failed = |why: String| {
            let socket = self.path.display();
            Error::new(Kind::Interrupted, format!("outrigger at {socket} did not answer: {why}"))
        };
        let asked = async {
            let stream = UnixStream::connect(&self.path).await.map_err(|error| failed(error.to_string()))?;
            let (mut send, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.to_string()))?;
            tokio::spawn(connection);
            let request = Request::builder().method(method).uri(uri).header(HOST, "localhost");
            let request =
                request.body(Full::new(Bytes::from(body))).map_err(|error| failed(error.to_string()))?;
            let response = send.send_request(request).await.map_err(|error| failed(error.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|error| failed(error.to_string()))?.to_bytes()))
        };
        let (status, body) =
            timeout(TIMEOUT, asked).await.map_err(|_| failed("no answer in a minute".to_owned()))??;
        let line = || String::from_utf8_lossy(&body).trim_end().to_owned();
        match status {
            StatusCode::OK => {
                serde_json::from_slice(&body).map(Some).map_err(|error| failed(error.to_string()))
            }
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::BAD_REQUEST => Err(Error::new(Kind::Invalid, line())),
            StatusCode::SERVICE_UNAVAILABLE => Err(Error::new(Kind::Full, line())),
            _ => Err(Error::new(Kind::Storage, line())),
        }
    }

    async fn change(&self, verb: &str, filter: Filter) -> Result<Changed> {
        let body = serde_json::json!(filter).to_string().into_bytes();
        self.ask(Method::POST, format!("/dead/{verb}"), body).await?.ok_or_else(|| self.no_journal())
    }

    fn no_events(&self) -> Error {
        let socket = self.path.display();
        Error::new(Kind::Invalid, format!("the outrigger at {socket} keeps no events: it has no journal"))
    }

    fn no_journal(&self) -> Error {
        Error::new(Kind::Invalid, format!("the outrigger at {} keeps no dead letters", self.path.display()))
    }
}

impl Dead for Socket {
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>> {
        Box::pin(async move {
            let uri = format!("/dead?{}", filter.query());
            self.ask(Method::GET, uri, Vec::new()).await?.ok_or_else(|| self.no_journal())
        })
    }

    fn get(&self, id: u64) -> BoxFuture<'_, Result<Option<Letter>>> {
        Box::pin(async move { self.ask(Method::GET, format!("/dead/{id}"), Vec::new()).await })
    }

    fn replay<'a>(&'a self, filter: Filter, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        Box::pin(async move { self.change("replay", filter).await })
    }

    fn drop<'a>(&'a self, filter: Filter, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        Box::pin(async move { self.change("drop", filter).await })
    }
}

impl Events for Socket {
    fn list(&self, filter: events_api::Filter) -> BoxFuture<'_, Result<events_api::Listed>> {
        Box::pin(async move {
            let uri = format!("/events?{}", events_api::query(&filter));
            self.ask(Method::GET, uri, Vec::new()).await?.ok_or_else(|| self.no_events())
        })
    }

    fn show<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<Option<Shown>>> {
        let uri = format!("/events/show?{}", events_api::query(&serde_json::json!({ "what": what })));
        Box::pin(async move { self.ask(Method::GET, uri, Vec::new()).await })
    }

    fn replay<'a>(&'a self, replay: Replay, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        let body = serde_json::json!(replay).to_string().into_bytes();
        Box::pin(async move {
            let changed = self.ask(Method::POST, "/events/replay".to_owned(), body).await?;
            changed.ok_or_else(|| self.no_events())
        })
    }

    fn audit(&self, page: AuditPage) -> BoxFuture<'_, Result<Audited>> {
        Box::pin(async move {
            let uri = format!("/events/audit?{}", events_api::query(&page));
            self.ask(Method::GET, uri, Vec::new()).await?.ok_or_else(|| self.no_events())
        })
    }
}

#[cfg(test)]
mod tests;
