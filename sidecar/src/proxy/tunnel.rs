//! Two upgraded connections made one: bytes pass both ways until either side ends, or rests too long.

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

/// Passes bytes on in a task of its own, which keeps `held` as long, a drain among it: what is spoken here is not ours
/// to end politely, so it has until the drain's deadline.
pub(super) fn open(client: OnUpgrade, function: OnUpgrade, rest_max: Duration, held: impl Send + 'static) {
    tokio::spawn(async move {
        let _held = held;
        let both = async { tokio::try_join!(client, function) };
        let Ok(Ok((client, function))) = tokio::time::timeout(rest_max, both).await else { return };
        let moved = Arc::new(AtomicBool::new(false));
        let mut client = Watched { io: TokioIo::new(client), moved: moved.clone() };
        let mut function = Watched { io: TokioIo::new(function), moved: moved.clone() };
        tokio::select! {
            // How it ends is theirs to know; a reset of either is an end like any other here.
            _ = copy_bidirectional(&mut client, &mut function) => {}
            () = rested(&moved, rest_max) => tracing::debug!("an upgraded connection rested too long"),
        }
    });
}

/// Ends when nothing has moved for between one and two times `rest_max`.
async fn rested(moved: &AtomicBool, rest_max: Duration) {
    loop {
        tokio::time::sleep(rest_max).await;
        if !moved.swap(false, Relaxed) {
            return;
        }
    }
}

/// A side that tells when it read something.
struct Watched {
    io: TokioIo<Upgraded>,
    moved: Arc<AtomicBool>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            self.moved.store(true, Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
