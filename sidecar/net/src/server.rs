//! The accept loop: HTTP over a TCP port, with or without TLS, or a Unix socket, within [`Limits`].
//!
//! One task per connection. The loop itself never ends by an error: running out of file descriptors makes
//! it wait, a handler that panics costs its request a 500. As many connections as are allowed are never all at rest: the
//! one that has rested longest makes room. A connection that its service upgrades leaves
//! the loop with the answer: what speaks over it then is the service's to bound. HTTP/1.1 and HTTP/2 are both
//! spoken: within TLS as ALPN settles it, without it (h2c) when a client begins with HTTP/2's preface. `speak`
//! has one connection. Routing, bodies and what an answer says are the service's.

mod framing;
mod resting;
mod speak;
mod trouble;

use std::{
    error::Error,
    future::poll_fn,
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

pub use self::speak::Stay;
use self::{resting::Resting, speak::Talk, trouble::Trouble};
use crate::{
    limits::Limits,
    listen::{Listener, OwnerSocket},
    tls::{Refusal, ServerTls},
};

/// What happened on a listener, for the metrics. Only ever counts up, but for [`Counts::open`].
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections open now.
    pub open: AtomicU64,
    /// Times that accepting paused because [`Limits::connections_max`] were open.
    pub paused: AtomicU64,
    /// Errors of accepting, such as too many open files.
    pub accept_errors: AtomicU64,
    /// Connections closed because their client was too slow with headers or idle for too long.
    pub timed_out: AtomicU64,
    /// Peers of a Unix socket that were neither its owner nor root.
    pub strangers: AtomicU64,
    /// Requests with both `Content-Length` and `Transfer-Encoding`, or chunked twice, each answered 400; and those with
    /// another `Transfer-Encoding` than `chunked`, each answered 501.
    pub misframed: AtomicU64,
    /// Handlers that panicked; each was answered 500.
    pub panics: AtomicU64,
    /// HTTP/2 connections closed because their client took back far more requests than it let end.
    pub floods: AtomicU64,
    /// Connections that rested and were closed to make room for others.
    pub displaced: AtomicU64,
    /// TLS handshakes that failed, by reason.
    pub refused: Refused,
}

/// TLS handshakes that failed, by [`Refusal::index`]. Each reason is said once a minute, but that a
/// client went away, which probes do.
#[derive(Debug, Default)]
pub struct Refused {
    counts: [AtomicU64; Refusal::ALL.len()],
    said: Mutex<[Option<Instant>; Refusal::ALL.len()]>,
}

/// A client that tries again and again must not fill the log.
const SAY_AGAIN_AFTER: Duration = Duration::from_mins(1);

impl Refused {
    /// How many failed for this reason.
    #[must_use]
    pub fn count(&self, refusal: Refusal) -> u64 {
        self.counts[refusal.index()].load(Relaxed)
    }

    fn note(&self, refusal: Refusal, words: &str, section: &str, client: Option<SocketAddr>) {
        self.counts[refusal.index()].fetch_add(1, Relaxed);
        let now = Instant::now();
        let client = client.map(|client| client.ip().to_string());
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut said[refusal.index()];
        let lately = last.is_some_and(|last| now.saturating_duration_since(last) < SAY_AGAIN_AFTER);
        // A probe of the port goes away without a word, and comes often.
        if lately || refusal == Refusal::Gone {
            tracing::debug!(client, reason = refusal.name(), "{section}: {words}");
        } else {
            *last = Some(now);
            tracing::warn!(
                client,
                reason = refusal.name(),
                "{section}: {words} (said once a minute, all are counted)"
            );
        }
    }
}

/// Serves `listener` until `until` resolves and the requests in flight then are answered.
///
/// After `until` nothing is accepted, the listener is closed, idle connections are closed and each
/// remaining answer says `Connection: close`. How long that may take is the caller's to bound: dropping
/// the future closes every connection.
///
/// `service` is called once per request; when the client goes away its future is dropped, wherever it is.
/// It must read the body within bounds ([`crate::body::collect`]). When it panics the client gets an empty
/// 500 and [`Counts::panics`] says so.
///
/// # Cancellation
/// Dropping the future drops the listener, every connection and every handler's future.
pub async fn serve<S, F, B>(
    listener: Listener,
    limits: Limits,
    counts: Arc<Counts>,
    service: S,
    until: impl Future<Output = ()>,
) where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Default + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_each(listener, limits, counts, move |_| service.clone(), until).await;
}

/// Who is at the other end of a connection, as the system says: nothing that it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// Its address; none of a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The user at the other end of a Unix socket.
    pub uid: Option<u32>,
}

/// The same as [`serve`], with a service for each connection that knows its [`Remote`].
pub async fn serve_each<M, S, F, B>(
    listener: Listener,
    limits: Limits,
    counts: Arc<Counts>,
    make: M,
    until: impl Future<Output = ()>,
) where
    M: Fn(Remote) -> S,
    S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Default + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match listener {
        Listener::Tcp(listener) => accept_all(listener, limits, counts, make, until).await,
        Listener::Unix(socket) => accept_all(socket, limits, counts, make, until).await,
        Listener::Tls(listener, tls) => {
            let keep = Arc::clone(&tls);
            let accepting = accept_all(Secured { listener, tls }, limits, counts, make, until);
            tokio::select! {
                () = accepting => {}
                () = keep.keep() => {}
            }
        }
    }
}

type Accepted<T> = io::Result<Option<(T, Remote)>>;

/// Where connections come from.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// How TLS is spoken over the stream, where it is.
    fn tls(&self) -> Option<&Arc<ServerTls>> {
        None
    }

    /// The next connection; `Ok(None)` is one that was turned away.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<Self::Stream>>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<TcpStream>> {
        let (stream, address) = ready!(TcpListener::poll_accept(self, cx))?;
        // Small answers must not wait for an acknowledgement (Nagle); a socket that is gone already
        // refuses the option, and its connection will find out.
        let _ = stream.set_nodelay(true);
        Poll::Ready(Ok(Some((stream, Remote { address: Some(address), tls: false, uid: None }))))
    }
}

/// A TCP port on which TLS is spoken.
struct Secured {
    listener: TcpListener,
    tls: Arc<ServerTls>,
}

impl Accept for Secured {
    type Stream = TcpStream;

    fn tls(&self) -> Option<&Arc<ServerTls>> {
        Some(&self.tls)
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<TcpStream>> {
        let accepted = ready!(Accept::poll_accept(&self.listener, cx))?;
        Poll::Ready(Ok(accepted.map(|(stream, remote)| (stream, Remote { tls: true, ..remote }))))
    }
}

impl Accept for OwnerSocket {
    type Stream = UnixStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<UnixStream>> {
        let (stream, _) = ready!(self.listener().poll_accept(cx))?;
        let uid = self.allowed(&stream);
        Poll::Ready(Ok(uid.map(|uid| (stream, Remote { address: None, tls: false, uid: Some(uid) }))))
    }
}

async fn accept_all<L, M, S, F, B>(
    listener: L,
    limits: Limits,
    counts: Arc<Counts>,
    make: M,
    until: impl Future<Output = ()>,
) where
    L: Accept,
    M: Fn(Remote) -> S,
    S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Default + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut until = pin!(until);
    let mut connections = JoinSet::new();
    let mut trouble = Trouble::default();
    let mut resting = Resting::default();
    // Its sender's drop is the connections' sign to finish.
    let (ending, ended) = watch::channel(());
    let requests = Arc::new(Semaphore::new(limits.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= limits.connections_max.max(1) {
            trouble.at_cap(&limits, &counts);
            resting.make_room(&counts);
            tokio::select! {
                biased;
                () = &mut until => break,
                _ = connections.join_next() => continue,
                () = tokio::time::sleep(resting::LOOK_AGAIN_AFTER) => continue,
            }
        }
        trouble.below_cap();
        let accepted = tokio::select! {
            biased;
            () = &mut until => break,
            accepted = poll_fn(|cx| listener.poll_accept(cx)) => accepted,
            // Reaped as they end, so that a quiet listener holds nothing of a busy hour.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok(Some((stream, remote))) => {
                trouble.accepted();
                counts.accepted.fetch_add(1, Relaxed);
                let open = Open::new(&counts);
                let (ended, requests) = (ended.clone(), Arc::clone(&requests));
                let talk = Arc::new(Talk { limits, open, service: make(remote), ended, requests });
                let phase = resting.watch(connections.len());
                match listener.tls() {
                    None => connections.spawn(talk.plain(stream, phase)),
                    Some(tls) => connections.spawn(talk.secured(stream, phase, Arc::clone(tls), remote)),
                };
            }
            Ok(None) => {
                counts.strangers.fetch_add(1, Relaxed);
            }
            Err(error) => {
                counts.accept_errors.fetch_add(1, Relaxed);
                let pause = trouble.after(&error);
                tokio::select! {
                    biased;
                    () = &mut until => break,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
    drop(listener);
    drop((ending, ended));
    while connections.join_next().await.is_some() {}
}

/// The service's answer, or a 500 when it panics. The panic's message is printed by the panic hook.
async fn guarded<S, F, B>(
    service: &S,
    request: &mut Option<Request<Incoming>>,
    counts: &Counts,
) -> Response<B>
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Default,
{
    // In one expression, so that it has one place: what a request needs is in every connection's memory.
    let mut answer = pin!(catch_unwind(AssertUnwindSafe(|| request.take().map(service))).unwrap_or_default());
    let outcome = poll_fn(|cx| {
        let Some(answer) = answer.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| answer.poll(cx))) {
            Ok(Poll::Ready(answer)) => Poll::Ready(Some(answer)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    });
    let outcome = outcome.await;
    outcome.unwrap_or_else(|| {
        counts.panics.fetch_add(1, Relaxed);
        tracing::error!("a request's handler panicked; the client got a 500, the others are not affected");
        let mut answer = Response::new(B::default());
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    })
}

/// An open connection, counted as long as it lives.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Open {
        counts.open.fetch_add(1, Relaxed);
        Open(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
