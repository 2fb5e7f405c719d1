//! One connection's time: how long its client may take over headers and between requests.
//!
//! hyper's own header timeout sets a timer per request and also ends idle connections. Here a single
//! timer per connection is looked at only when it fires, so a request costs two counts and no timer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::limits::Limits;

/// How many more requests a client may take back than it lets end (HTTP/2 rapid reset, CVE-2023-44487).
const TAKEN_BACK_MAX: u32 = 100;

/// What a connection is doing, and since when. HTTP/2's requests run on tasks of their own, hence the atomics.
pub(crate) struct Phase {
    start: Instant,
    /// Milliseconds since `start`, times two, plus one of the constants below; while nothing is in flight.
    packed: AtomicU64,
    /// Requests that the handler has; over HTTP/1.1 one at most.
    in_flight: AtomicU32,
    /// Requests that were taken back, less those that ended.
    taken_back: AtomicU32,
    too_many_taken_back: Notify,
}

/// Between two requests.
const IDLE: u64 = 0;
/// The first byte of a request is here, its last header is not.
const HEAD: u64 = 1;

impl Phase {
    /// A new connection: its client owes us headers.
    pub(crate) fn new() -> Arc<Phase> {
        Arc::new(Phase {
            start: Instant::now(),
            packed: AtomicU64::new(HEAD),
            in_flight: AtomicU32::new(0),
            taken_back: AtomicU32::new(0),
            too_many_taken_back: Notify::new(),
        })
    }

    /// Marks a request as handled until the guard is dropped.
    pub(crate) fn busy(self: &Arc<Phase>) -> Busy {
        self.in_flight.fetch_add(1, Relaxed);
        Busy { phase: Arc::clone(self), ended: false }
    }

    /// When to look again, or `None` when the client's time is up.
    pub(crate) fn look_again_at(&self, limits: &Limits) -> Option<Instant> {
        let now = Instant::now();
        // What it does may change at any time, and then the deadline is no sooner than this.
        let soonest = limits.header_timeout.min(limits.idle_timeout);
        let packed = self.packed.load(Relaxed);
        if self.in_flight.load(Relaxed) > 0 {
            return Some(now + soonest);
        }
        let allowed = if packed % 2 == HEAD { limits.header_timeout } else { limits.idle_timeout };
        let deadline = self.start + Duration::from_millis(packed / 2) + allowed;
        (deadline > now).then(|| deadline.min(now + soonest))
    }

    /// Ends when the client's time is up. Cancel safe.
    pub(crate) async fn expired(&self, limits: &Limits) {
        while let Some(at) = self.look_again_at(limits) {
            sleep_until(at).await;
        }
    }

    /// Ends when the client took back far more requests than it let end. Cancel safe.
    pub(crate) async fn flooded(&self) {
        self.too_many_taken_back.notified().await;
    }

    fn read(&self) {
        if self.packed.load(Relaxed) % 2 == IDLE {
            self.enter(HEAD);
        }
    }

    fn enter(&self, phase: u64) {
        let since_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX / 2);
        self.packed.store(since_ms * 2 + phase, Relaxed);
    }

    fn took_back(&self) {
        if self.taken_back.fetch_add(1, Relaxed) >= TAKEN_BACK_MAX {
            self.too_many_taken_back.notify_one();
        }
    }

    fn let_end(&self) {
        // Two that end at once may count as one, which is no harm.
        let taken_back = self.taken_back.load(Relaxed);
        if taken_back > 0 {
            self.taken_back.store(taken_back - 1, Relaxed);
        }
    }
}

/// The handler has a request; see [`Phase::busy`]. Dropped before [`Busy::end`], the client took it back.
pub(crate) struct Busy {
    phase: Arc<Phase>,
    ended: bool,
}

impl Busy {
    /// The handler answered.
    pub(crate) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // In this order: what is not in flight has its new time already.
        self.phase.enter(IDLE);
        self.phase.in_flight.fetch_sub(1, Relaxed);
        if self.ended { self.phase.let_end() } else { self.phase.took_back() }
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
        http2_streams_max: 1,
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

    #[tokio::test(start_paused = true)]
    async fn while_one_of_several_requests_is_handled_nothing_is_up() {
        let phase = Phase::new();
        let (first, second) = (phase.busy(), phase.busy());
        first.end();
        pass(3600).await;
        assert!(alive(&phase));
        second.end();
        pass(59).await;
        assert!(alive(&phase), "idle since the last one ended");
        pass(1).await;
        assert!(!alive(&phase));
    }

    #[tokio::test]
    async fn requests_that_are_taken_back_are_a_flood_only_when_they_outnumber_the_others() {
        let phase = Phase::new();
        let flooded = || futures_util::FutureExt::now_or_never(phase.flooded()).is_some();
        for _ in 0..1000 {
            drop(phase.busy());
            phase.busy().end();
        }
        assert!(!flooded());
        for _ in 0..TAKEN_BACK_MAX {
            drop(phase.busy());
        }
        assert!(!flooded());
        drop(phase.busy());
        assert!(flooded());
    }
}
