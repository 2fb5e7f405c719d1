//! Which HTTP a client speaks where nothing settled it before: it begins with HTTP/2's preface, or does not.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were read ahead.
pub(super) struct Sniffed<T> {
    stream: T,
    ahead: [u8; PREFACE.len()],
    /// Which of them are still to be read.
    from: usize,
    to: usize,
}

impl<T> Sniffed<T> {
    /// A stream of which nothing was read.
    pub(super) fn untouched(stream: T) -> Sniffed<T> {
        Sniffed { stream, ahead: [0; PREFACE.len()], from: 0, to: 0 }
    }
}

/// Reads until it is clear whether the client speaks HTTP/2: for another one mostly a single byte.
///
/// # Errors
/// The stream's.
///
/// # Cancellation
/// Dropping the future closes the stream.
pub(super) async fn sniff<T: AsyncRead + Unpin>(stream: T) -> io::Result<(Sniffed<T>, bool)> {
    let mut sniffed = Sniffed::untouched(stream);
    loop {
        let read = sniffed.stream.read(&mut sniffed.ahead[sniffed.to..]).await?;
        sniffed.to += read;
        let is_http2 = sniffed.ahead[..sniffed.to] == PREFACE[..sniffed.to];
        if read == 0 || !is_http2 || sniffed.to == PREFACE.len() {
            return Ok((sniffed, is_http2 && read > 0));
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Sniffed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.from == self.to {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let end = self.to.min(self.from + buf.remaining());
        buf.put_slice(&self.ahead[self.from..end]);
        self.from = end;
        // What came behind it in the same read: a reader that gets a few bytes first makes room for another buffer.
        // There are bytes in any case, so an error or the end is told by the next read.
        if self.from == self.to && buf.remaining() > 0 {
            let _ = Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Sniffed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    /// What is found, and everything that is read afterwards.
    async fn sniffed(pieces: &[&[u8]]) -> (bool, Vec<u8>) {
        let (mut client, ours) = tokio::io::duplex(1024);
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        tokio::spawn(async move {
            for piece in pieces {
                client.write_all(&piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let (mut stream, is_http2) = sniff(ours).await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        (is_http2, all)
    }

    #[tokio::test]
    async fn the_preface_is_known_in_any_pieces_and_nothing_is_lost() {
        let whole = [PREFACE.as_slice(), b"frames"].concat();
        for cut in 0..PREFACE.len() {
            assert_eq!(sniffed(&[&whole[..cut], &whole[cut..]]).await, (true, whole.clone()), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn everything_else_is_http_1_and_nothing_is_lost() {
        for text in [&b""[..], b"P", b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1.1\r\n\r\n", &PREFACE[..23]] {
            assert_eq!(sniffed(&[text]).await, (false, text.to_vec()), "{text:?}");
        }
    }
}
