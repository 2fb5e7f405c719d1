//! One request over one connection, within one deadline: the [`Exchange`] to a function.
//!
//! The deadline covers connecting, sending, waiting and the answer's body, which is why the body that is
//! handed out carries it on. Whether the request was sent is known at every moment, because that decides
//! whether a failure counts as an attempt.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::HOST};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use outrigger_core::{Body, BoxFuture, CallCx, Error, Exchange, Kind, Result};
use outrigger_net::tls::ClientTls;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::{
    config::Config,
    connect::{Address, Security},
    pool::Pool,
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
    timeout: Duration,
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
        Client {
            address: Address {
                host: host.into(),
                port: port.unwrap_or(port_default),
                timeout: config.connect_timeout,
                security,
            },
            host: HeaderValue::try_from(named).unwrap_or_else(|_| HeaderValue::from_static("localhost")),
            pool: Pool::new(config.idle_connections_max, config.idle_timeout),
            timeout: config.timeout,
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

    async fn within_deadline(&self, request: Request<Body>, cx: &CallCx) -> Result<Response<Body>> {
        let own = Instant::now() + self.timeout;
        let deadline = cx.deadline.map_or(own, |callers| own.min(callers.into()));
        let lent = Lent {
            pool: Arc::clone(&self.pool),
            at_once: request.body().size_hint().exact().is_some_and(|bytes| bytes <= AT_ONCE_BYTES_MAX),
            deadline,
        };
        let mut sent = false;
        match timeout_at(deadline, self.exchange(request, &mut sent)).await {
            Ok(exchanged) => exchanged.map(|(answer, sender)| lent.answer(answer, sender)),
            Err(_) if sent => {
                self.pool.clear();
                Err(Error::new(Kind::TimedOut, format!("{}: no answer in time", self.address)))
            }
            Err(_) => Err(Error::new(Kind::Unreachable, format!("{}: no connection in time", self.address))),
        }
    }

    async fn exchange(
        &self,
        mut request: Request<Body>,
        sent: &mut bool,
    ) -> Result<(Response<Incoming>, SendRequest<Body>)> {
        request.headers_mut().entry(HOST).or_insert_with(|| self.host.clone());
        let mut idle = self.idle().await;
        loop {
            let reused = idle.is_some();
            let mut sender = match idle.take() {
                Some(sender) => sender,
                None => self.address.connect().await?,
            };
            *sent = true;
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, sender)),
                Err(mut failed) => match failed.take_message() {
                    // It was closed before it took the request: nothing was sent. The next one is new.
                    Some(unsent) if reused => (request, *sent) = (unsent, false),
                    Some(_) => return Err(self.told(Kind::Unreachable, failed.error())),
                    None => return Err(self.told(Kind::Interrupted, failed.error())),
                },
            }
        }
    }

    /// An idle connection that is ready for a request.
    async fn idle(&self) -> Option<SendRequest<Body>> {
        while let Some(mut sender) = self.pool.take() {
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
        None
    }

    /// A parse error is told like an interruption, not like an answer that is wrong for ever: a port that
    /// speaks something else is an outage, and an outage must not cost the events.
    fn told(&self, kind: Kind, error: &hyper::Error) -> Error {
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
        Box::pin(self.within_deadline(request, cx))
    }
}

/// hyper's error with the system's behind it, which is the one that says something.
fn broken(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("the connection broke: {source}"),
        None => format!("the connection broke: {error}"),
    }
}

/// What an answer's body must know to give its connection back.
struct Lent {
    pool: Arc<Pool>,
    at_once: bool,
    deadline: Instant,
}

impl Lent {
    fn answer(self, answer: Response<Incoming>, sender: SendRequest<Body>) -> Response<Body> {
        let (parts, incoming) = answer.into_parts();
        let mut answer = Answer { incoming, sender: Some(sender), lent: self, alarm: None };
        let body = if answer.incoming.is_end_stream() {
            answer.give_back();
            Body::default()
        } else {
            answer.boxed_unsync()
        };
        Response::from_parts(parts, body)
    }
}

/// An answer's body on its way. Read to its end, its connection goes back to the pool; otherwise, or after
/// an error, the connection is closed.
struct Answer {
    incoming: Incoming,
    sender: Option<SendRequest<Body>>,
    lent: Lent,
    /// Set only once the body makes us wait, which a small answer seldom does.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    fn give_back(&mut self) {
        let Some(mut sender) = self.sender.take() else { return };
        if self.lent.at_once {
            self.lent.pool.put(sender);
            return;
        }
        let (pool, deadline) = (Arc::clone(&self.lent.pool), self.lent.deadline);
        tokio::spawn(async move {
            if let Ok(Ok(())) = timeout_at(deadline, sender.ready()).await {
                pool.put(sender);
            }
        });
    }

    /// Ends the body with an error, and its connection with it.
    fn fail(&mut self, kind: Kind, what: String) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.sender = None;
        Poll::Ready(Some(Err(Error::new(kind, what))))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if self.incoming.is_end_stream() {
                    self.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.fail(Kind::Interrupted, format!("the answer was cut off: {}", broken(&error)))
            }
            Poll::Pending => {
                let deadline = self.lent.deadline;
                let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                if alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.lent.pool.clear();
                self.fail(Kind::TimedOut, "the answer began and did not end in time".to_owned())
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use http_body_util::Full;
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use outrigger_core::{TargetId, Timeline};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn client(url: &str) -> Client {
        Client::new(&Config::new(url.parse().unwrap()).unwrap())
    }

    fn cx() -> CallCx {
        CallCx { target: TargetId("t".into()), attempt: 1, deadline: None, timeline: Timeline::off() }
    }

    fn request() -> Request<Body> {
        let body = Full::from("data").map_err(|never: std::convert::Infallible| match never {});
        Request::post("/").body(body.boxed_unsync()).unwrap()
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
