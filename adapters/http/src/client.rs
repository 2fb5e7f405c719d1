//! One request over one connection, within one deadline: the [`Exchange`] to a function.
//!
//! The deadline covers connecting, sending, waiting and, for an event, the answer's body, which is why the body
//! that is handed out carries it on. Of a proxied request ([`CallCx::stream`]) it covers what comes before the
//! answer, and begins anew with each piece of an upload. Whether the request was sent is known at every moment, because that decides
//! whether a failure counts as an attempt.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use http::{
    HeaderValue, Request, Response,
    header::{EXPECT, HOST},
};
use http_body::Body as _;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use outrigger_core::{Body, BoxFuture, CallCx, Error, Exchange, Kind, Result};
use outrigger_net::tls::ClientTls;
use tokio::time::Instant;

use crate::{
    alarm::Alarm,
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

/// A request on its way, and its answer. Both stay in their place here: by value they would be copied from one future
/// into the next.
struct Asked {
    message: Message,
    /// On the wire before its answer can be.
    at_once: bool,
    progress: Option<Arc<Progress>>,
    gate: Option<Gate>,
    sent: bool,
}

enum Message {
    Request(Request<Body>),
    /// The connection has it.
    Away,
    /// With its connection, unless many share that.
    Answer(Response<Incoming>, Option<SendRequest<Body>>),
}

impl Asked {
    fn take_request(&mut self) -> Request<Body> {
        match std::mem::replace(&mut self.message, Message::Away) {
            Message::Request(request) => request,
            Message::Away | Message::Answer(..) => unreachable!("a request is there until it is sent"),
        }
    }
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

    async fn within_deadline(&self, asked: &mut Asked, cx: &CallCx) -> Result<Response<Body>> {
        let now = Instant::now();
        let mut deadline = self.deadline(cx, now);
        let progress = asked.progress.clone();
        let (idle, mut alarm) = match &self.shared {
            None => self.pool.take(now).map_or_else(Default::default, |kept| (Some(kept.sender), kept.alarm)),
            Some(_) => (None, Alarm::default()),
        };
        let answered = {
            let mut exchange = pin!(self.exchange(asked, idle, now));
            poll_fn(|task| {
                if let Poll::Ready(answered) = exchange.as_mut().poll(task) {
                    return Poll::Ready(Some(answered));
                }
                while alarm.poll_at(deadline, task).is_ready() {
                    // A long upload moves on.
                    match progress.as_ref().map(|progress| self.deadline(cx, progress.last())) {
                        Some(later) if later > deadline => deadline = later,
                        _ => return Poll::Ready(None),
                    }
                }
                Poll::Pending
            })
            .await
        };
        let end = match cx.stream {
            Some(rest) => End::Rest { rest, progress, last: None },
            None => End::At(deadline),
        };
        match (answered, std::mem::replace(&mut asked.message, Message::Away)) {
            (Some(Ok(())), Message::Answer(answer, sender)) => {
                let (pool, at_once, gate) = (Arc::clone(&self.pool), asked.at_once, asked.gate.take());
                Ok(Lent { pool, at_once, gate, end, alarm }.answer(answer, sender))
            }
            (Some(Err(error)), _) => Err(error),
            _ => Err(self.late(asked)),
        }
    }

    /// Why there is no answer in time.
    fn late(&self, asked: &Asked) -> Error {
        if asked.progress.as_ref().is_some_and(|progress| progress.waits()) {
            return Error::status(408, None, "the request's body did not arrive in time");
        }
        if !asked.sent {
            return Error::new(Kind::Unreachable, format!("{}: no connection in time", self.address));
        }
        self.pool.clear();
        if let Some(shared) = &self.shared {
            shared.clear();
        }
        Error::new(Kind::TimedOut, format!("{}: no answer in time", self.address))
    }

    fn deadline(&self, cx: &CallCx, since: Instant) -> Instant {
        let own = since + self.tuning.timeout.get();
        cx.deadline.map_or(own, |callers| own.min(callers.into()))
    }

    /// Leaves the answer in its place. `idle` is the connection that is tried first.
    async fn exchange(
        &self,
        asked: &mut Asked,
        mut idle: Option<SendRequest<Body>>,
        now: Instant,
    ) -> Result<()> {
        if let Some(shared) = &self.shared {
            let request = asked.take_request();
            let answer = Box::pin(shared.send(&self.address, request, &mut asked.sent)).await?;
            asked.message = Message::Answer(answer, None);
            return Ok(());
        }
        while let Some(sender) = &mut idle
            && sender.ready().await.is_err()
        {
            idle = self.pool.take(now).map(|kept| kept.sender);
        }
        loop {
            let reused = idle.is_some();
            let mut sender = match idle.take() {
                Some(sender) => sender,
                // Boxed, as it is seldom needed and large: what is polled for every request stays small.
                None => Box::pin(self.address.connect()).await?,
            };
            asked.sent = true;
            let sending = sender.try_send_request(asked.take_request());
            match sending.await {
                Ok(answer) => {
                    asked.message = Message::Answer(answer, Some(sender));
                    return Ok(());
                }
                Err(mut failed) => match failed.take_message() {
                    // It was closed before it took the request: nothing was sent. The next one is new.
                    Some(unsent) if reused => (asked.message, asked.sent) = (Message::Request(unsent), false),
                    Some(_) => return Err(self.told(Kind::Unreachable, failed.error())),
                    None => return Err(self.told(Kind::Interrupted, failed.error())),
                },
            }
        }
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
    fn send<'a>(
        &'a self,
        mut request: Request<Body>,
        cx: &'a CallCx,
    ) -> BoxFuture<'a, Result<Response<Body>>> {
        let at_once = request.body().size_hint().exact().is_some_and(|bytes| bytes <= AT_ONCE_BYTES_MAX);
        let watched = cx.stream.is_some() && (!at_once || request.headers().contains_key(EXPECT));
        if self.shared.is_none() {
            request.headers_mut().entry(HOST).or_insert_with(|| self.host.clone());
        }
        let (mut progress, mut gate) = (None, None);
        if watched {
            (request, progress, gate) = upload::watch(request);
        }
        let mut asked = Asked { message: Message::Request(request), at_once, progress, gate, sent: false };
        Box::pin(async move { self.within_deadline(&mut asked, cx).await })
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
    use outrigger_core::TargetId;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn client(url: &str) -> Client {
        Client::new(&Config::new(url.parse().unwrap()).unwrap())
    }

    fn cx() -> CallCx {
        CallCx::first(TargetId("t".into()))
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
        client.pool.put(sender, Alarm::default());
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
        client.pool.put(sender, Alarm::default()); // never ready: nothing drives its connection
        let error = client.send(request(), &cx()).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Unreachable, false));
        drop(connection);
    }
}
