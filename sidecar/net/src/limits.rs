//! The bounds of one listener.

use std::time::Duration;

/// What one listener bears from its clients. All of it is enforced by [`crate::server::serve`].
///
/// Bodies have bounds of their own, [`crate::body::BodyLimits`], because they belong to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once. Further ones wait in the kernel's backlog, unaccepted. As many requests over HTTP/2
    /// are read at once, all connections together; one that waits for [`Limits::header_timeout`] is answered 503.
    pub connections_max: usize,
    /// Header fields of one request; more of them are answered 431. Up to 100 cost no allocation.
    pub headers_max: usize,
    /// Bytes of the request line and headers together; more of them are answered 431. At least
    /// [`Limits::HEADER_BYTES_MAX_LEAST`], below which no ordinary client would get through. Over HTTP/2, headers
    /// that go on far beyond it (a CONTINUATION flood) end their connection.
    pub header_bytes_max: usize,
    /// How long a client may take over a request's headers, from its first byte (from the connection's
    /// start for the first request). Then the connection is closed without an answer.
    pub header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Duration,
    /// Requests at once on one HTTP/2 connection; further ones wait with their client. 0 speaks HTTP/1.1 alone.
    pub http2_streams_max: u32,
    /// Whether HTTP/2 clients may ask for another protocol by an extended CONNECT (RFC 8441).
    pub http2_connect: bool,
}

impl Limits {
    /// The smallest [`Limits::header_bytes_max`] that takes effect; the HTTP parser needs as much.
    pub const HEADER_BYTES_MAX_LEAST: usize = 8 * 1024;
}

impl Default for Limits {
    /// 1,024 connections, 100 headers in 32 KiB within 10 s, 75 s idle, 100 streams, no extended CONNECT.
    fn default() -> Limits {
        Limits {
            connections_max: 1024,
            headers_max: 100,
            header_bytes_max: 32 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            http2_streams_max: 100,
            http2_connect: false,
        }
    }
}
