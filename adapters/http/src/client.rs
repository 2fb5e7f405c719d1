//! One request over one connection, within one deadline: the [`Exchange`] to a function.
//!
//! The deadline covers connecting, sending, waiting and, for an event, the answer's body, which is why the body
//! that is handed out carries it on. Of a proxied request ([`CallCx::stream`]) it covers what comes before the
//! answer, and begins anew with each piece of an upload. Whether the request was sent is known at every moment, because that decides
//! whether a failure counts as an attempt.

use std::{pin::pin, sync::Arc};

use http::{
    HeaderValue, Request, Response,
    header::{EXPECT, HOST},
};
use http_body::Body as _;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use outrigger_core::{Body, BoxFuture, CallCx, Error, Exchange, Kind, Result};
use outrigger_net::tls::ClientTls;
use tokio::time::{Instant, timeout_at};

use crate::{
    answer::{End, Lent},
    config::{Config, Protocol},
    connect::{Address, Security},
    h2::Shared,
    pool::Pool,
    tuning::Tuning,
    upload::{self, Gate, Progress},
};

/// A request up to this size is on the wire before its answer can be, so its connection is free with the
/// answer's end. A larger one may still be under way when the function has already refused it.
const AT_ONCE_BYTES_MAX: u64 = 64 * 1024;

const ONCE: &str = "a request is there until it is sent";

/// Sends requests to one host and keeps its connections. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Client {
    address: Address,
    host: HeaderValue,
    pool: Arc<Pool>,
    /// Used instead of the pool where the function speaks HTTP/2.
    shared: Option<Shared>,
    tuning: Arc<Tuning>,
}

impl Client {
    /// A client of the host in `config.url`. Connects nowhere yet, and over https only once it is
    /// [`Client::secured`].
    #[must_use]
    pub fn new(config: &Config) -> Client {
        let host = config.url.host().unwrap_or_default();
        let port = config.url.port_u16();
        let is_https = config.url.scheme() == Some(&http::uri::Scheme::HTTPS);
        let (port_default, security) = if is_https { (443, Security::Unset) } else { (80, Security::Plain) };
        let named = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let tuning = Arc::new(Tuning::new(config));
        Client {
            address: Address {
                host: host.into(),
                port: port.unwrap_or(port_default),
                tuning: tuning.clone(),
                security,
            },
            host: HeaderValue::try_from(named).unwrap_or_else(|_| HeaderValue::from_static("localhost")),
            pool: Pool::new(tuning.clone()),
            shared: (config.protocol == Protocol::H2c).then(Shared::default),
            tuning,
        }
    }

    /// The same with `tls`, where the URL says https; another URL is called without it all the same.
    #[must_use]
    pub fn secured(mut self, tls: Arc<ClientTls>) -> Client {
        if let Security::Unset = self.address.security {
            self.address.security = Security::Tls(tls);
        }
        self
    }

    /// What of it may change from here on.
    #[must_use]
    pub fn tuning(&self) -> Arc<Tuning> {
        self.tuning.clone()
    }

    /// Takes `request` out of its place: by value it would be copied from one future into the next.
    async fn within_deadline(
        &self,
        request: &mut Option<Request<Body>>,
        at_once: bool,
        progress: Option<Arc<Progress>>,
        gate: Option<Gate>,
        cx: &CallCx,
    ) -> Result<Response<Body>> {
        let now = Instant::now();
        let mut deadline = self.deadline(cx, now);
        let mut sent = false;
        let answered = {
            let mut exchange = pin!(self.exchange(request, now, &mut sent));
            loop {
                let answered = timeout_at(deadline, exchange.as_mut()).await;
                let later = progress.as_ref().map(|progress| self.deadline(cx, progress.last()));
                match (answered, later) {
                    (Err(_), Some(later)) if later > deadline => deadline = later,
                    (answered, _) => break answered,
                }
            }
        };
        let late_sender = progress.as_ref().is_some_and(|progress| progress.waits());
        let end = match cx.stream {
            Some(rest) => End::Rest { rest, progress, last: None },
            None => End::At(deadline),
        };
        match answered {
            Ok(Ok((answer, sender))) => {
                Ok(Lent { pool: Arc::clone(&self.pool), at_once, gate, end }.answer(answer, sender))
            }
            Ok(Err(error)) => Err(error),
            Err(_) if late_sender => {
                Err(Error::status(408, None, "the request's body did not arrive in time"))
            }
            Err(_) if sent => {
                self.pool.clear();
                if let Some(shared) = &self.shared {
                    shared.clear();
                }
                Err(Error::new(Kind::TimedOut, format!("{}: no answer in time", self.address)))
            }
            Err(_) => Err(Error::new(Kind::Unreachable, format!("{}: no connection in time", self.address))),
        }
    }

    fn deadline(&self, cx: &CallCx, since: Instant) -> Instant {
        let own = since + self.tuning.timeout.get();
        cx.deadline.map_or(own, |callers| own.min(callers.into()))
    }

    async fn exchange(
        &self,
        request: &mut Option<Request<Body>>,
        now: Instant,
        sent: &mut bool,
    ) -> Result<(Response<Incoming>, Option<SendRequest<Body>>)> {
        if let Some(shared) = &self.shared {
            let sending = Box::pin(shared.send(&self.address, request.take().expect(ONCE), sent));
            return sending.await.map(|answer| (answer, None));
        }
        let mut idle = self.idle(now).await;
        loop {
            let reused = idle.is_some();
            let mut sender = match idle.take() {
                Some(sender) => sender,
                // Boxed, as it is seldom needed and large: what is polled for every request stays small.
                None => Box::pin(self.address.connect()).await?,
            };
            *sent = true;
            let sending = sender.try_send_request(request.take().expect(ONCE));
            match sending.await {
                Ok(answer) => return Ok((answer, Some(sender))),
                Err(mut failed) => match failed.take_message() {
                    // It was closed before it took the request: nothing was sent. The next one is new.
                    Some(unsent) if reused => (*request, *sent) = (Some(unsent), false),
                    Some(_) => return Err(self.told(Kind::Unreachable, failed.error())),
                    None => return Err(self.told(Kind::Interrupted, failed.error())),
                },
            }
        }
    }

    /// An idle connection that is ready for a request.
    async fn idle(&self, now: Instant) -> Option<SendRequest<Body>> {
        while let Some(mut sender) = self.pool.take(now) {
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
        None
    }

    /// A parse error is told like an interruption, not like an answer that is wrong for ever: a port that
    /// speaks something else is an outage, and an outage must not cost the events.
    fn told(&self, kind: Kind, error: &hyper::Error) -> Error {
        if let Some(error) = of_the_body(error) {
            return error;
        }
        let what = if error.is_parse() {
            format!("the answer is not HTTP/1.1 ({error})")
        } else if error.is_incomplete_message() {
            "the connection was closed without an answer".to_owned()
        } else {
            broken(error)
        };
        Error::new(kind, format!("{}: {what}", self.address))
    }
}

impl Exchange for Client {
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        let at_once = request.body().size_hint().exact().is_some_and(|bytes| bytes <= AT_ONCE_BYTES_MAX);
        let watched = cx.stream.is_some() && (!at_once || request.headers().contains_key(EXPECT));
        let (mut request, progress, gate) =
            if watched { upload::watch(request) } else { (request, None, None) };
        if self.shared.is_none() {
            request.headers_mut().entry(HOST).or_insert_with(|| self.host.clone());
        }
        let mut request = Some(request);
        Box::pin(async move { self.within_deadline(&mut request, at_once, progress, gate, cx).await })
    }
}

/// The error of the request's own body, which is not the function's.
pub(crate) fn of_the_body(error: &hyper::Error) -> Option<Error> {
    std::error::Error::source(error)?.downcast_ref::<Error>().cloned()
}

/// hyper's error with the system's behind it, which is the one that says something.
pub(crate) fn broken(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("the connection broke: {source}"),
        None => format!("the connection broke: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use http_body_util::{BodyExt, Full};
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use outrigger_core::{TargetId, Timeline};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn client(url: &str) -> Client {
        Client::new(&Config::new(url.parse().unwrap()).unwrap())
    }

    fn cx() -> CallCx {
        CallCx {
            target: TargetId("t".into()),
            attempt: 1,
            deadline: None,
            stream: None,
            timeline: Timeline::off(),
        }
    }

    fn request() -> Request<Body> {
        let body = Full::from("data").map_err(|never: std::convert::Infallible| match never {});
        Request::post("/").body(body.boxed_unsync()).unwrap()
    }

    #[tokio::test]
    async fn what_is_made_for_every_request_stays_in_the_allocators_fast_classes() {
        let (client, cx) = (client("http://127.0.0.1:9"), cx());
        let bytes = std::mem::size_of_val(&*client.send(request(), &cx));
        assert!(bytes <= 1024, "{bytes} bytes are allocated for every request");
    }

    #[tokio::test]
    async fn a_connection_that_closes_before_it_takes_the_request_costs_no_attempt() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(&format!("http://{}", listener.local_addr().unwrap()));
        let (ours, function) = tokio::io::duplex(1024);
        let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
        let driven = tokio::spawn(connection);
        sender.ready().await.unwrap();
        client.pool.put(sender);
        drop(function); // its task has had no turn since, so nobody knows

        let answer = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut received = vec![0; 1024];
            let n = stream.read(&mut received).await?;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            received.truncate(n);
            Ok::<_, io::Error>(received)
        });
        assert_eq!(client.send(request(), &cx()).await.unwrap().status(), 204);
        assert!(answer.await.unwrap().unwrap().ends_with(b"\r\n\r\ndata"), "the body came along");
        let _ = driven.await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_passes_before_there_is_a_connection_is_no_attempt() {
        let client = client("http://127.0.0.1:9");
        let (ours, _function) = tokio::io::duplex(1024);
        let (sender, connection) = http1::handshake::<_, Body>(TokioIo::new(ours)).await.unwrap();
        client.pool.put(sender); // never ready: nothing drives its connection
        let error = client.send(request(), &cx()).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Unreachable, false));
        drop(connection);
    }
}
