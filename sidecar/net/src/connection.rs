//! One connection's time: how long its client may take over headers and between requests.
//!
//! hyper's own header timeout sets a timer per request and also ends idle connections. Here a single
//! timer per connection is looked at only when it fires, so a request costs two stores and no timer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::limits::Limits;

/// What a connection is doing, and since when. Written by its own task only; the atomics are there
/// because the task may move between threads.
pub(crate) struct Phase {
    start: Instant,
    /// Milliseconds since `start`, times four, plus one of the constants below.
    packed: AtomicU64,
}

/// Between two requests.
const IDLE: u64 = 0;
/// The first byte of a request is here, its last header is not.
const HEAD: u64 = 1;
/// The handler has it.
const BUSY: u64 = 2;

impl Phase {
    /// A new connection: its client owes us headers.
    pub(crate) fn new() -> Arc<Phase> {
        Arc::new(Phase { start: Instant::now(), packed: AtomicU64::new(HEAD) })
    }

    /// Marks a request as handled until the guard is dropped.
    pub(crate) fn busy(self: &Arc<Phase>) -> Busy {
        self.packed.store(BUSY, Relaxed);
        Busy(Arc::clone(self))
    }

    /// When to look again, or `None` when the client's time is up.
    pub(crate) fn look_again_at(&self, limits: &Limits) -> Option<Instant> {
        let packed = self.packed.load(Relaxed);
        let since = self.start + Duration::from_millis(packed / 4);
        let now = Instant::now();
        // What it does may change at any time, and then the deadline is no sooner than this.
        let soonest = limits.header_timeout.min(limits.idle_timeout);
        let allowed = match packed % 4 {
            BUSY => return Some(now + soonest),
            HEAD => limits.header_timeout,
            _ => limits.idle_timeout,
        };
        let deadline = since + allowed;
        (deadline > now).then(|| deadline.min(now + soonest))
    }

    fn read(&self) {
        if self.packed.load(Relaxed) % 4 == IDLE {
            self.enter(HEAD);
        }
    }

    fn enter(&self, phase: u64) {
        let since_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX / 4);
        self.packed.store(since_ms * 4 + phase, Relaxed);
    }
}

/// The handler has a request; see [`Phase::busy`].
pub(crate) struct Busy(Arc<Phase>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.enter(IDLE);
    }
}

/// A stream that tells its [`Phase`] when bytes come.
pub(crate) struct Watched<T> {
    pub(crate) stream: T,
    pub(crate) phase: Arc<Phase>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.phase.read();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
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

    const LIMITS: Limits = Limits {
        connections_max: 1,
        headers_max: 1,
        header_bytes_max: 8192,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_mins(1),
    };

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    fn alive(phase: &Phase) -> bool {
        phase.look_again_at(&LIMITS).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_has_the_header_timeout_and_bytes_do_not_prolong_it() {
        let phase = Phase::new();
        pass(9).await;
        phase.read();
        assert!(alive(&phase));
        pass(1).await;
        assert!(!alive(&phase));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handled_request_has_no_deadline_here() {
        let phase = Phase::new();
        let _busy = phase.busy();
        pass(3600).await;
        phase.read();
        assert!(alive(&phase));
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_the_idle_timeout_holds_until_a_byte_comes() {
        let phase = Phase::new();
        pass(5).await;
        drop(phase.busy());
        pass(59).await;
        assert!(alive(&phase));
        phase.read();
        pass(9).await;
        assert!(alive(&phase));
        pass(1).await;
        assert!(!alive(&phase), "the header timeout counts from the first byte");

        drop(phase.busy());
        pass(60).await;
        assert!(!alive(&phase));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_often_enough_to_keep_the_sooner_deadline() {
        let soon = Duration::from_secs(3);
        for limits in [Limits { idle_timeout: soon, ..LIMITS }, Limits { header_timeout: soon, ..LIMITS }] {
            let phase = Phase::new();
            assert_eq!(phase.look_again_at(&limits), Some(Instant::now() + soon));
            let busy = phase.busy();
            assert_eq!(phase.look_again_at(&limits), Some(Instant::now() + soon));
            drop(busy);
            assert_eq!(phase.look_again_at(&limits), Some(Instant::now() + soon));
        }
    }
}
