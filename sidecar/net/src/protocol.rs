//! HTTP/1.1 or HTTP/2 on one connection, as its client begins, and hyper's connection for either.
//!
//! hyper-util's connection does the same, but cannot bound the bytes of a head.

use std::{error::Error, io, pin::Pin};

use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::HttpService,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::{connection::Watched, limits::Limits};

type BoxError = Box<dyn Error + Send + Sync>;

/// What every HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of an answer over HTTP/2 that wait for their client, each.
const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// What an HTTP/2 client may send ahead, of one request and of all: with it, reading is bounded per connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// Requests that were reset before anybody looked at them: beyond it the connection is closed with GOAWAY
/// (`ENHANCE_YOUR_CALM`). Those that the service had already are counted by [`crate::connection::Phase`].
const RESETS_MAX: usize = 20;

/// Whether the client speaks HTTP/2. The bytes that told are read again by whoever reads next.
///
/// # Errors
/// Those of the stream, among them its end.
///
/// # Cancellation
/// What was read is lost; the connection is of no use then.
pub(crate) async fn is_http2<T: AsyncRead + Unpin>(stream: &mut Watched<T>) -> io::Result<bool> {
    let (mut had, mut length) = ([0; PREFACE.len()], 0);
    loop {
        let came = stream.read(&mut had[length..]).await?;
        length += came;
        let begins = PREFACE.starts_with(&had[..length]);
        if came == 0 || !begins || length == PREFACE.len() {
            stream.again(&had[..length]);
            return Ok(begins && length == PREFACE.len());
        }
    }
}

/// A connection that can be asked to end.
pub(crate) trait Polite: Future {
    /// Whether the other side can be told that the connection ends while it is idle.
    const SAYS_FAREWELL: bool;

    /// Ends after the requests that are under way, and tells the client so.
    fn finish(self: Pin<&mut Self>);
}

impl<T, S, B> Polite for http1::UpgradeableConnection<TokioIo<Watched<T>>, S>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    const SAYS_FAREWELL: bool = false;

    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<T, S, B> Polite for http2::Connection<TokioIo<Watched<T>>, S, TokioExecutor>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    const SAYS_FAREWELL: bool = true;

    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// HTTP/1.1 within the limits. hyper's own header timeout is not used: see [`crate::connection`].
pub(crate) fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(limits.headers_max)
        .max_header_size(header_bytes_max(limits))
        .header_read_timeout(None);
    builder
}

/// HTTP/2 within the limits. What resets streams or sends heads without end is closed by h2's own bounds.
pub(crate) fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .max_concurrent_streams(limits.http2_streams_max)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(u32::try_from(header_bytes_max(limits)).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX);
    if limits.http2_connect {
        builder.enable_connect_protocol();
    }
    builder
}

fn header_bytes_max(limits: &Limits) -> usize {
    limits.header_bytes_max.max(Limits::HEADER_BYTES_MAX_LEAST)
}
