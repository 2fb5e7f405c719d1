//! The accept loop: HTTP/1.1 and HTTP/2 without TLS (by its preface) over a TCP port or a Unix socket,
//! within [`Limits`].
//!
//! One task per connection. The loop itself never ends by an error: running out of file descriptors makes
//! it wait, a handler that panics costs its request a 500. A connection that its service upgrades leaves
//! the loop with the answer: what speaks over it then is the service's to bound. Routing, bodies and what an answer says are the service's.

use std::{
    error::Error,
    future::poll_fn,
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, TRANSFER_ENCODING},
};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
    time::sleep_until,
};

use crate::{
    connection::{Busy, Phase, Watched},
    limits::Limits,
    listen::{Listener, OwnerSocket},
    protocol::{self, Polite},
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
    /// Requests with both `Content-Length` and `Transfer-Encoding`; each was answered 400.
    pub ambiguous: AtomicU64,
    /// Handlers that panicked; each was answered 500.
    pub panics: AtomicU64,
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
    }
}

type Accepted<T> = io::Result<Option<(T, Remote)>>;

/// Where connections come from.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

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
        Poll::Ready(Ok(Some((stream, Remote { address: Some(address) }))))
    }
}

impl Accept for OwnerSocket {
    type Stream = UnixStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<UnixStream>> {
        let (stream, _) = ready!(self.listener().poll_accept(cx))?;
        Poll::Ready(Ok(self.allows(&stream).then_some((stream, Remote { address: None }))))
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
    // Its sender's drop is the connections' sign to finish.
    let (ending, ended) = watch::channel(());
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= limits.connections_max.max(1) {
            trouble.at_cap(&limits, &counts);
            tokio::select! {
                biased;
                () = &mut until => break,
                _ = connections.join_next() => continue,
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
                connections.spawn(connection(stream, limits, open, make(remote), ended.clone()));
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

async fn connection<T, S, F, B>(stream: T, limits: Limits, open: Open, service: S, ended: watch::Receiver<()>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Default + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let phase = Phase::new();
    let shared = Arc::new((service, open));
    let handle = service_fn(|request: Request<Incoming>| {
        let busy = phase.busy(request.version() == Version::HTTP_2);
        let refused = request.headers().contains_key(TRANSFER_ENCODING) && phase.has_length();
        let shared = Arc::clone(&shared);
        // Used in its place: by value it would be copied from one future into the next.
        let mut request = Some(request);
        async move {
            let (service, open) = &*shared;
            let answer =
                if refused { two_lengths(&open.0) } else { guarded(service, &mut request, &open.0).await };
            Ok::<_, std::convert::Infallible>(answer.map(|body| Held { body, _busy: busy }))
        }
    });
    let mut stream = Watched::new(stream, &phase);
    let (counts, io) = (&shared.1.0, TokioIo::new);
    let in_time = match begin(&mut stream, &phase, &limits, ended.clone()).await {
        Begun::Http1 => {
            let conn = protocol::http1(&limits).serve_connection(io(stream), handle).with_upgrades();
            serve_one(pin!(conn), &phase, &limits, ended).await
        }
        Begun::Http2 => {
            let conn = protocol::http2(&limits).serve_connection(io(stream), handle);
            // Boxed, so that a connection of HTTP/1.1 needs no room for it.
            let mut conn = Box::pin(conn);
            serve_one(conn.as_mut(), &phase, &limits, ended).await
        }
        Begun::Gone => true,
        Begun::TimedOut => false,
    };
    if !in_time {
        counts.timed_out.fetch_add(1, Relaxed);
    }
}

/// What a client begins with.
enum Begun {
    Http1,
    Http2,
    /// It went, or the listener ends before it asked for anything.
    Gone,
    TimedOut,
}

async fn begin<T: AsyncRead + Unpin>(
    stream: &mut Watched<T>,
    phase: &Phase,
    limits: &Limits,
    mut ended: watch::Receiver<()>,
) -> Begun {
    let mut begun = pin!(protocol::is_http2(stream));
    while let Some(at) = phase.look_again_at(limits) {
        tokio::select! {
            biased;
            begun = begun.as_mut() => return match begun {
                Ok(true) => Begun::Http2,
                Ok(false) => Begun::Http1,
                Err(_) => Begun::Gone,
            },
            _ = ended.changed() => return Begun::Gone,
            () = sleep_until(at) => {}
        }
    }
    Begun::TimedOut
}

/// Serves until the connection ends, politely once `ended` says so. Whether its client was in time.
async fn serve_one<C: Polite>(
    mut conn: Pin<&mut C>,
    phase: &Phase,
    limits: &Limits,
    mut ended: watch::Receiver<()>,
) -> bool {
    let mut ending = false;
    while let Some(at) = phase.look_again_at(limits) {
        tokio::select! {
            biased;
            // Errors are the client's doing (a reset, bad syntax already answered): nothing to tell.
            _ = conn.as_mut() => return true,
            _ = ended.changed(), if !ending => {
                ending = true;
                conn.as_mut().finish();
            }
            () = sleep_until(at) => {}
        }
    }
    false
}

/// Both a length and chunks: whoever stood before us may have believed the other one, so the connection goes too.
fn two_lengths<B: Default>(counts: &Counts) -> Response<B> {
    counts.ambiguous.fetch_add(1, Relaxed);
    tracing::debug!("a request with both Content-Length and Transfer-Encoding was refused");
    let mut answer = Response::new(B::default());
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// An answer's body: its request counts as handled until the last byte is out.
struct Held<B> {
    body: B,
    _busy: Busy,
}

impl<B: Body + Unpin> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
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

/// What goes wrong with accepting: said once per streak, and waited out longer and longer.
#[derive(Default)]
struct Trouble {
    failures: u32,
    capped: bool,
}

impl Trouble {
    fn accepted(&mut self) {
        self.failures = 0;
    }

    fn below_cap(&mut self) {
        self.capped = false;
    }

    fn at_cap(&mut self, limits: &Limits, counts: &Counts) {
        if !std::mem::replace(&mut self.capped, true) {
            counts.paused.fetch_add(1, Relaxed);
            let open = limits.connections_max;
            tracing::warn!(open, "as many connections as allowed are open; new ones wait");
        }
    }

    /// How long to wait before accepting again. A connection that was reset before we took it costs
    /// nothing; anything else (EMFILE, ENFILE, ENOBUFS) needs others to finish first: 10 ms up to 1 s.
    fn after(&mut self, error: &io::Error) -> Duration {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return Duration::ZERO;
        }
        if self.failures == 0 {
            tracing::warn!(%error, "accepting connections fails; trying again until it works");
        }
        self.failures = (self.failures + 1).min(8);
        Duration::from_millis(10 << (self.failures - 1)).min(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests;
