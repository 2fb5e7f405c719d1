//! One connection: TLS where the listener has it, then HTTP/1.1 or HTTP/2, within its client's time.

use std::{
    convert::Infallible,
    error::Error,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::RETRY_AFTER};
use http_body::Body;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::{Semaphore, watch},
    time::{sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Open, guarded,
    sniff::{Sniffed, sniff},
};
use crate::{
    connection::{Phase, Watched},
    limits::Limits,
    tls::{Peer, Refusal, ServerTls, server::H2},
};

/// What an HTTP/2 client may send ahead, of one request and of all: with it, reading is bounded per connection.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// What of one answer is kept for an HTTP/2 client that does not read it.
const SEND_BYTES_MAX: usize = 64 << 10;
/// Requests that were reset before anybody looked at them: beyond it the connection is closed with GOAWAY
/// (`ENHANCE_YOUR_CALM`). Those that the service had already are counted by [`Phase`].
const RESETS_MAX: usize = 20;
/// What is read of a client that was refused.
const PART_BYTES_MAX: u64 = 64 << 10;
/// How long a client has to take notice of the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// What one connection needs.
pub(super) struct Talk<S> {
    pub(super) limits: Limits,
    pub(super) open: Open,
    pub(super) service: S,
    /// Its sender's drop is the sign to finish.
    pub(super) ended: watch::Receiver<()>,
    /// As many as connections are allowed: over HTTP/2, too, no more requests than that are read at once, all
    /// connections together, so that a listener needs no more memory for them.
    pub(super) requests: Arc<Semaphore>,
}

impl<S, F, B> Talk<S>
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Speaks without TLS.
    pub(super) async fn plain<T>(mut self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let phase = Phase::new();
        if self.limits.http2_streams_max == 0 {
            return self.http1(Sniffed::untouched(stream), phase, None).await;
        }
        let sniffed = tokio::select! {
            biased;
            sniffed = sniff(stream) => sniffed,
            _ = self.ended.changed() => return,
            () = phase.expired(&self.limits) => return self.timed_out(),
        };
        match sniffed {
            // Boxed, so that a connection of HTTP/1.1 needs no room for it.
            Ok((stream, true)) => Box::pin(self.http2(stream, phase, None)).await,
            Ok((stream, false)) => self.http1(stream, phase, None).await,
            Err(_) => {} // it went away
        }
    }

    /// Speaks with TLS; a handshake that fails is counted and said.
    pub(super) async fn secured<T>(mut self, stream: T, tls: Arc<ServerTls>, client: Option<SocketAddr>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let phase = Phase::new();
        let refused = |refusal, words: &str| self.open.0.refused.note(refusal, words, tls.section(), client);
        let accepted = tokio::select! {
            biased;
            accepted = TlsAcceptor::from(tls.config()).accept(stream).into_fallible() => accepted,
            _ = self.ended.changed() => return,
            () = phase.expired(&self.limits) => {
                refused(Refusal::Late, "the client did not finish the handshake in time");
                return self.timed_out();
            }
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err((error, stream)) => {
                let (refusal, words) = Refusal::of(&error);
                refused(refusal, &words);
                return part(stream).await;
            }
        };
        drop(tls); // it keeps what it began with, and old material goes with its last connection
        let (peer, is_http2) = settled(&stream);
        let stream = Sniffed::untouched(stream);
        if is_http2 {
            Box::pin(self.http2(stream, phase, peer)).await;
        } else {
            self.http1(stream, phase, peer).await;
        }
    }

    async fn http1<T>(self, stream: Sniffed<T>, phase: Arc<Phase>, peer: Option<Arc<Peer>>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(Watched { stream, phase: Arc::clone(&phase) });
        let handle = service_fn(|mut request: Request<Incoming>| {
            let busy = phase.busy();
            let (service, counts) = (&self.service, &self.open.0);
            if let Some(peer) = &peer {
                request.extensions_mut().insert(Arc::clone(peer));
            }
            async move {
                let answer = guarded(service, request, counts).await;
                busy.end();
                Ok::<_, Infallible>(answer)
            }
        });
        let conn = http1::Builder::new()
            .max_headers(self.limits.headers_max)
            .max_header_size(self.limits.header_bytes_max.max(Limits::HEADER_BYTES_MAX_LEAST))
            .header_read_timeout(None)
            .serve_connection(io, handle);
        self.drive(pin!(conn), &phase).await;
    }

    async fn http2<T>(self, stream: Sniffed<T>, phase: Arc<Phase>, peer: Option<Arc<Peer>>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (limits, service, counts) = (self.limits, self.service.clone(), Arc::clone(&self.open.0));
        let (phases, requests) = (Arc::clone(&phase), Arc::clone(&self.requests));
        let handle = service_fn(move |mut request: Request<Incoming>| {
            let busy = phases.busy();
            let (service, counts, requests) = (service.clone(), Arc::clone(&counts), Arc::clone(&requests));
            if let Some(peer) = &peer {
                request.extensions_mut().insert(Arc::clone(peer));
            }
            async move {
                // The list's bytes are bounded by the protocol itself, its length is not.
                let answer = if request.headers().len() > limits.headers_max {
                    refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
                } else {
                    match timeout(limits.header_timeout, requests.acquire()).await {
                        Ok(_permit) => guarded(&service, request, &counts).await,
                        Err(_) => refusal(StatusCode::SERVICE_UNAVAILABLE),
                    }
                };
                busy.end();
                Ok::<_, Infallible>(answer)
            }
        });
        let header_bytes_max = limits.header_bytes_max.max(Limits::HEADER_BYTES_MAX_LEAST);
        let conn = http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(limits.http2_streams_max)
            .max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(RESETS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), handle);
        self.drive(pin!(conn), &phase).await;
    }

    /// Polls the connection to its end, by itself or by ours.
    async fn drive<C: Connection>(&self, mut conn: Pin<&mut C>, phase: &Phase) {
        let (mut ended, mut ending) = (self.ended.clone(), false);
        while let Some(at) = phase.look_again_at(&self.limits) {
            tokio::select! {
                biased;
                // Errors are the client's doing (a reset, bad syntax already answered): nothing to tell.
                _ = conn.as_mut() => return,
                _ = ended.changed(), if !ending => {
                    ending = true;
                    conn.as_mut().finish();
                }
                () = phase.flooded() => {
                    self.open.0.floods.fetch_add(1, Relaxed);
                    tracing::debug!("a client took back far more requests than it let end; its connection is closed");
                    return;
                }
                () = sleep_until(at) => {}
            }
        }
        if C::SAYS_FAREWELL {
            conn.as_mut().finish();
            let _ = timeout(FAREWELL, conn).await;
        }
        self.timed_out();
    }

    fn timed_out(&self) {
        self.open.0.timed_out.fetch_add(1, Relaxed);
    }
}

/// An answer without the service.
fn refusal<B: Default>(status: StatusCode) -> Response<B> {
    let mut answer = Response::new(B::default());
    *answer.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// Lets the client read why it was refused: with its request unread, closing would reset the connection, and the
/// alert be lost on the way.
async fn part<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T) {
    let rest = async {
        let _ = stream.shutdown().await;
        let mut left = stream.take(PART_BYTES_MAX);
        let _ = tokio::io::copy(&mut left, &mut tokio::io::sink()).await;
    };
    let _ = timeout(FAREWELL, rest).await;
}

/// What the handshake settled: who the client is, and whether it speaks HTTP/2.
fn settled<T>(stream: &TlsStream<T>) -> (Option<Arc<Peer>>, bool) {
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    // It was read before, when the rules were asked.
    let peer = shown.and_then(|certificate| Peer::of(certificate).ok()).map(Arc::new);
    (peer, session.alpn_protocol() == Some(H2))
}

/// What hyper's two kinds of connection have in common.
trait Connection: Future {
    /// Whether the other side can be told that the connection ends while it is idle.
    const SAYS_FAREWELL: bool;

    /// Takes no further requests.
    fn finish(self: Pin<&mut Self>);
}

impl<I, S, B> Connection for http1::Connection<I, S>
where
    S: HttpService<Incoming, ResBody = B, Error = Infallible>,
    I: Read + Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    const SAYS_FAREWELL: bool = false;

    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> Connection for http2::Connection<I, S, E>
where
    S: HttpService<Incoming, ResBody = B, Error = Infallible>,
    I: Read + Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    const SAYS_FAREWELL: bool = true;

    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
