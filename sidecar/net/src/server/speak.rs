//! One connection: TLS where the listener has it, then HTTP/1.1 or HTTP/2, within its client's time.

use std::{
    convert::Infallible,
    error::Error,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, RETRY_AFTER},
};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::{Semaphore, watch},
    time::{sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Counts, Open, Remote, framing::Misframed, guarded};
use crate::{
    aside::Aside,
    connection::{Busy, Phase, Watched},
    limits::Limits,
    protocol::{self, Polite},
    tls::{Peer, Refusal, ServerTls, server::H2},
};

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
    S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Default + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Speaks without TLS.
    pub(super) async fn plain<T>(self: Arc<Self>, stream: T, phase: Arc<Phase>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stream = Watched::new(stream, &phase);
        let is_http2 = if self.limits.http2_streams_max == 0 {
            Ok(false)
        } else {
            tokio::select! {
                biased;
                is_http2 = protocol::is_http2(&mut stream) => is_http2,
                () = self.over() => return,
                () = phase.cut_short() => return, // others need its place
                () = phase.expired(&self.limits) => return timed_out(&self.open.0),
            }
        };
        if let Ok(is_http2) = is_http2 {
            self.converse(stream, phase, None, None, is_http2).await; // else it went away
        }
    }

    /// Speaks with TLS; a handshake that fails is counted and said.
    pub(super) async fn secured<T>(
        self: Arc<Self>,
        stream: T,
        phase: Arc<Phase>,
        tls: Arc<ServerTls>,
        remote: Remote,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refused =
            |refusal, words: &str| self.open.0.refused.note(refusal, words, tls.section(), remote.address);
        // Before what is in force is looked at: no change after it is missed.
        let trust = tls.trust();
        let accepted = tokio::select! {
            biased;
            accepted = TlsAcceptor::from(tls.config()).accept(stream).into_fallible() => accepted,
            () = self.over() => return,
            () = phase.cut_short() => return, // others need its place
            () = phase.expired(&self.limits) => {
                refused(Refusal::Late, "the client did not finish the handshake in time");
                return timed_out(&self.open.0);
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
        let (shown, is_http2) = settled(&stream);
        // It was read before, when the rules were asked.
        let peer = shown.first().and_then(|certificate| Peer::of(certificate).ok()).map(Arc::new);
        let client = peer.is_some().then(|| Box::pin(Trusted { tls, trust, shown }.turned_away()) as Ending);
        let stream = Watched::new(stream, &phase);
        self.converse(stream, phase, peer, client, is_http2).await;
    }

    /// Ends when the listener does. Cancel safe.
    async fn over(&self) {
        let _ = self.ended.clone().changed().await;
    }

    async fn converse<T>(
        self: Arc<Self>,
        stream: Watched<T>,
        phase: Arc<Phase>,
        peer: Option<Arc<Peer>>,
        client: Option<Ending>,
        is_http2: bool,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handle = service_fn(|request: Request<Incoming>| {
            let busy = phase.busy(request.version() == Version::HTTP_2);
            let misframed = Misframed::of(request.headers(), &phase);
            let (talk, peer) = (Arc::clone(&self), peer.clone());
            // Used in its place: by value it would be copied from one future into the next.
            let mut request = Some(request);
            if let Some(request) =
                request.as_mut().filter(|request| is_http2 && request.method() == Method::CONNECT)
            {
                request.extensions_mut().insert(Arc::new(Stay { _busy: phase.busy(true).answered() }));
            }
            async move {
                let Talk { limits, open, service, requests, .. } = &*talk;
                let answer = match at_the_door(&mut request, peer, misframed, limits, &open.0) {
                    Some(answer) => answer,
                    None if !is_http2 => guarded(service, &mut request, &open.0).await,
                    None => match timeout(limits.header_timeout, requests.acquire()).await {
                        Ok(_permit) => guarded(service, &mut request, &open.0).await,
                        Err(_) => refusal(StatusCode::SERVICE_UNAVAILABLE),
                    },
                };
                let busy = busy.answered();
                Ok::<_, Infallible>(answer.map(|body| Held { body, _busy: busy }))
            }
        });
        let (limits, counts) = (&self.limits, &self.open.0);
        let sign = (self.ended.clone(), client);
        let in_time = if is_http2 {
            let conn = protocol::http2(limits).serve_connection(TokioIo::new(stream), handle);
            // Boxed, so that a connection of HTTP/1.1 needs no room for it.
            let mut conn = Box::pin(conn);
            serve_one(conn.as_mut(), &phase, limits, sign, counts).await
        } else {
            let conn = protocol::http1(limits).serve_connection(TokioIo::new(stream), handle).with_upgrades();
            serve_one(pin!(conn), &phase, limits, sign, counts).await
        };
        if !in_time {
            timed_out(counts);
        }
    }
}

/// A connection of HTTP/2 counts as used until this is dropped: what a CONNECT leads to outlives its answer. A request by
/// CONNECT carries it as `Arc<Stay>` among its extensions.
pub struct Stay {
    _busy: Busy,
}

/// What is answered without the service; else the request has its client's name.
fn at_the_door<B: Default>(
    request: &mut Option<Request<Incoming>>,
    peer: Option<Arc<Peer>>,
    misframed: Option<Misframed>,
    limits: &Limits,
    counts: &Counts,
) -> Option<Response<B>> {
    if let Some(misframed) = misframed {
        // Whoever stood before us may have seen another end of it, so the connection goes too.
        counts.misframed.fetch_add(1, Relaxed);
        tracing::debug!(?misframed, "a request was refused whose body's end or coding is in doubt");
        let mut answer = refusal(misframed.status());
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return Some(answer);
    }
    let request = request.as_mut()?;
    // Over HTTP/2 the list's bytes are bounded by the protocol itself, its length is not.
    if request.headers().len() > limits.headers_max {
        return Some(refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    None
}

/// Why a connection is looked at beside its requests.
enum Sign {
    /// The listener ends, or its client is not let in any more.
    Finish,
    /// See [`Phase::cut_short`].
    CutShort,
    /// The time has come to look whether its client's is up.
    Look,
}

/// Polls the connection to its end, by itself or by ours. Whether its client was in time.
async fn serve_one<C: Polite>(
    mut conn: Pin<&mut C>,
    phase: &Phase,
    limits: &Limits,
    (mut ended, mut client): (watch::Receiver<()>, Option<Ending>),
    counts: &Counts,
) -> bool {
    let (mut ending, mut asked) = (false, false);
    while let Some(at) = phase.look_again_at(limits) {
        let sign = {
            let aside = pin!(async {
                tokio::select! {
                    biased;
                    _ = ended.changed(), if !ending => Sign::Finish,
                    () = poll_fn(|cx| client.as_mut().map_or(Poll::Pending, |out| out.as_mut().poll(cx))),
                        if !ending => Sign::Finish,
                    () = phase.cut_short() => Sign::CutShort,
                    () = sleep_until(at) => Sign::Look,
                }
            });
            tokio::select! {
                biased;
                // Errors are the client's doing (a reset, bad syntax already answered): nothing to tell.
                _ = conn.as_mut() => return true,
                sign = Aside::new(aside) => sign,
            }
        };
        match sign {
            Sign::Finish => {
                ending = true;
                conn.as_mut().finish();
            }
            Sign::CutShort if phase.is_asked_to_go() && !asked => {
                if phase.is_silent() {
                    return true;
                }
                (ending, asked) = (true, true);
                conn.as_mut().finish();
            }
            Sign::CutShort => {
                counts.floods.fetch_add(1, Relaxed);
                tracing::debug!(
                    "a client took back far more requests than it let end; its connection is closed"
                );
                return true;
            }
            Sign::Look => {}
        }
    }
    if C::SAYS_FAREWELL {
        conn.as_mut().finish();
        let _ = timeout(FAREWELL, conn).await;
    }
    false
}

fn timed_out(counts: &Counts) {
    counts.timed_out.fetch_add(1, Relaxed);
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

/// What the handshake settled: what the client showed, and whether it speaks HTTP/2.
fn settled<T>(stream: &TlsStream<T>) -> (Vec<CertificateDer<'static>>, bool) {
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().unwrap_or_default();
    (
        shown.iter().map(|certificate| certificate.clone().into_owned()).collect(),
        session.alpn_protocol() == Some(H2),
    )
}

/// Resolves when a connection is to end after the requests that are under way; boxed, as few connections have one.
type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A client that was let in by its certificates.
struct Trusted {
    tls: Arc<ServerTls>,
    trust: watch::Receiver<()>,
    shown: Vec<CertificateDer<'static>>,
}

impl Trusted {
    /// Ends when authorities, lists or rules have changed so that the client would be turned away.
    async fn turned_away(mut self) {
        while self.trust.changed().await.is_ok() {
            if !self.tls.takes(&self.shown) {
                tracing::info!(
                    "{}: the certificate of a client that is connected is not taken any more; its connection ends",
                    self.tls.section()
                );
                return;
            }
        }
        std::future::pending::<()>().await;
    }
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
