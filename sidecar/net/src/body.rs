//! A whole body in memory, never more of it than allowed and never later than allowed.
//!
//! For requests of producers and answers of functions alike. What is too large is refused as soon as that
//! is known: by its `Content-Length` before the first byte is read, else at the byte that is one too many.

use std::{fmt::Display, pin::pin, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, EXPECT},
};
use http_body::Body;
use http_body_util::BodyExt;

use crate::unpack::{Coding, Unpack};

mod budget;

pub use self::budget::Budget;
use self::budget::Share;

/// How much of a refused body is read all the same, and for how long.
const LINGER_BYTES_MAX: usize = 16 << 20;
const LINGER_MAX: Duration = Duration::from_secs(2);

/// The compressions that [`collect`] unpacks, as `Accept-Encoding` names them.
pub const ACCEPT_ENCODING: &str = "gzip, deflate, zstd";

/// The bounds of one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes as they are sent, compressed or not.
    pub bytes_max: usize,
    /// Bytes after decompression; a plain body is held by [`BodyLimits::bytes_max`] alone.
    pub decompressed_bytes_max: usize,
    /// From the call of [`collect`] to the last byte.
    pub timeout: Duration,
}

/// Why there is no whole body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes on the wire than allowed, declared or sent.
    #[error("the body is larger than the {bytes_max} bytes that are allowed")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// It unpacks to more bytes than allowed.
    #[error("the body unpacks to more than the {bytes_max} bytes that are allowed")]
    TooLargeDecompressed {
        /// The limit.
        bytes_max: usize,
    },
    /// Not what `Content-Encoding` says, cut off, a wrong checksum, a zstd window over 8 MiB, or something after the end.
    #[error("the body is no valid {coding} stream: {detail}")]
    Corrupt {
        /// The compression.
        coding: &'static str,
        /// What the decoder says.
        detail: String,
    },
    /// Another compression than those of [`ACCEPT_ENCODING`], or several.
    #[error("the Content-Encoding {found:?} is not supported; send one of {ACCEPT_ENCODING}, or none")]
    UnsupportedEncoding {
        /// The start of the header's value.
        found: String,
    },
    /// The time was up before the last byte came.
    #[error("the body did not arrive within {} ms ({received} bytes had)", timeout.as_millis())]
    TimedOut {
        /// The limit.
        timeout: Duration,
        /// Bytes that had arrived.
        received: usize,
    },
    /// So much is on its way in already that this one finds no room.
    #[error("{bytes_max} bytes of bodies are being received already; try again")]
    NoRoom {
        /// The limit over all.
        bytes_max: usize,
    },
    /// The other side went away or broke the framing before the last byte.
    #[error("the body broke off after {received} bytes: {detail}")]
    Disconnected {
        /// Bytes that had arrived.
        received: usize,
        /// What the transport says.
        detail: String,
    },
}

impl BodyError {
    /// The HTTP status that tells a producer: 413, 415, 408, 503 where there is no room, or 400 for what is broken.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            BodyError::TooLarge { .. } | BodyError::TooLargeDecompressed { .. } => 413,
            BodyError::UnsupportedEncoding { .. } => 415,
            BodyError::TimedOut { .. } => 408,
            BodyError::NoRoom { .. } => 503,
            BodyError::Corrupt { .. } | BodyError::Disconnected { .. } => 400,
        }
    }
}

/// The whole body, unpacked where `Content-Encoding` says how it is packed.
///
/// The bytes are a copy, sized to the body: a slice of the connection's read buffer would keep that whole
/// buffer in memory for as long as the event waits. Trailers are dropped. Memory grows with what has
/// arrived, at most twice that, never with what a `Content-Length` claims.
///
/// # Errors
/// [`BodyError`], at the first byte that breaks a rule; the rest of the body is left unread.
///
/// # Cancellation
/// Dropping the future drops the body and what was read of it.
pub async fn collect<B>(headers: &HeaderMap, body: B, limits: &BodyLimits) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    gather(headers, body, limits, Share::of(None)).await
}

/// The same, while all bodies that share `budget` hold no more than that until they are whole.
///
/// # Errors
/// As [`collect`]; also [`BodyError::NoRoom`].
///
/// # Cancellation
/// As [`collect`]; what it held is given back.
pub async fn collect_within<B>(
    headers: &HeaderMap,
    body: B,
    limits: &BodyLimits,
    budget: &Budget,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    gather(headers, body, limits, Share::of(Some(budget))).await
}

async fn gather<B>(
    headers: &HeaderMap,
    body: B,
    limits: &BodyLimits,
    mut share: Share<'_>,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let bytes_max = limits.bytes_max;
    let hint = body.size_hint();
    if hint.lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge { bytes_max });
    }
    let declared = hint.exact().and_then(|n| usize::try_from(n).ok()).unwrap_or(bytes_max);
    let mut sink = match coding(headers)? {
        Some(coding) => Sink::Packed(coding.unpack(limits.decompressed_bytes_max)),
        None => Sink::Plain { bytes: Vec::new(), declared },
    };
    let mut received = 0;
    let read = read(body, bytes_max, &mut sink, &mut share, &mut received);
    match tokio::time::timeout(limits.timeout, read).await {
        Ok(read) => read?,
        Err(_) => return Err(BodyError::TimedOut { timeout: limits.timeout, received }),
    }
    sink.finish()
}

/// Reads what is left of a refused body and drops it, in a task of its own, at most 16 MiB and 2 s.
///
/// A connection that is closed with bytes unread is reset, and a sender who was still sending then finds the
/// reset in place of the answer. One who waits for `100 Continue` is not told to go on.
pub fn linger<B>(headers: &HeaderMap, mut body: B)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let drop_rest = async move {
        let mut left = LINGER_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    tokio::spawn(tokio::time::timeout(LINGER_MAX, drop_rest));
}

/// How the body is packed. `identity` and an empty value say nothing; more than one compression is not supported,
/// because nobody sends it but to multiply a bomb.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, BodyError> {
    let mut packed = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii) {
            if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            let known = Coding::of(name).filter(|_| packed.is_none());
            packed = Some(known.ok_or_else(|| {
                let found = String::from_utf8_lossy(value.as_bytes()).chars().take(32).collect();
                BodyError::UnsupportedEncoding { found }
            })?);
        }
    }
    Ok(packed)
}

async fn read<B>(
    body: B,
    bytes_max: usize,
    sink: &mut Sink,
    share: &mut Share<'_>,
    received: &mut usize,
) -> Result<(), BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| BodyError::Disconnected { received: *received, detail: error.to_string() })?;
        let Ok(piece) = frame.into_data() else { continue };
        if piece.len() > bytes_max - *received {
            return Err(BodyError::TooLarge { bytes_max });
        }
        *received += piece.len();
        sink.push(&piece)?;
        share.grow_to(sink.held())?;
    }
    Ok(())
}

enum Sink {
    Plain { bytes: Vec<u8>, declared: usize },
    Packed(Box<dyn Unpack>),
}

impl Sink {
    fn push(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        match self {
            Sink::Packed(packed) => packed.push(piece),
            Sink::Plain { bytes, declared } => {
                let needed = bytes.len() + piece.len();
                if needed > bytes.capacity() {
                    let target = (needed * 2).min(*declared).max(needed);
                    bytes.reserve_exact(target - bytes.len());
                }
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Bytes in memory, at most as many as the body may have.
    fn held(&self) -> usize {
        match self {
            Sink::Packed(packed) => packed.held(),
            Sink::Plain { bytes, .. } => bytes.capacity(),
        }
    }

    fn finish(self) -> Result<Bytes, BodyError> {
        match self {
            Sink::Packed(packed) => packed.finish(),
            Sink::Plain { mut bytes, .. } => {
                bytes.shrink_to_fit();
                Ok(bytes.into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
