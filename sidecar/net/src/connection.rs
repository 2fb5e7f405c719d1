//! One connection's time: how long its client may take over headers and between requests.
//!
//! hyper's own header timeout sets a timer per request and also ends idle connections. Here a single
//! timer per connection is looked at only when it fires, so a request costs two stores and no timer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{head::HeadScan, limits::Limits};

/// How many more requests a client may take back than it lets end (HTTP/2 rapid reset, CVE-2023-44487).
const TAKEN_BACK_MAX: u32 = 100;

/// What a connection is doing, and since when. Written by its own task only; the atomics are there
/// because the task may move between threads.
pub(crate) struct Phase {
    start: Instant,
    /// Milliseconds since `start`, times four, plus one of the constants below.
    packed: AtomicU64,
    /// Milliseconds since `start`, plus one, from when on the client has taken no byte that waits for it; else 0.
    stuck: AtomicU64,
    /// Requests that are handled; with HTTP/2 several at once.
    handled: AtomicU32,
    /// Frames of HTTP/2 come at any time, so a byte does not mean that a request begins.
    frames: AtomicBool,
    /// The head that came last has a `Content-Length`.
    length: AtomicBool,
    /// Requests that were taken back before their answer, less those that were answered.
    taken_back: AtomicU32,
    asked_to_go: AtomicBool,
    cut_short: Notify,
}

/// Between two requests.
const IDLE: u64 = 0;
/// The first byte of a request is here, its last header is not.
const HEAD: u64 = 1;
/// The handler has it.
const BUSY: u64 = 2;
/// Nothing came yet: headers are owed since the start.
const SILENT: u64 = 3;

impl Phase {
    /// A new connection: its client owes us headers.
    pub(crate) fn new() -> Arc<Phase> {
        Arc::new(Phase {
            start: Instant::now(),
            packed: AtomicU64::new(SILENT),
            stuck: AtomicU64::new(0),
            handled: AtomicU32::new(0),
            frames: AtomicBool::new(false),
            length: AtomicBool::new(false),
            taken_back: AtomicU32::new(0),
            asked_to_go: AtomicBool::new(false),
            cut_short: Notify::new(),
        })
    }

    /// Marks a request as handled until the guard is dropped. `frames` says that it came over HTTP/2.
    pub(crate) fn busy(self: &Arc<Phase>, frames: bool) -> Busy {
        self.handled.fetch_add(1, Relaxed);
        self.packed.store(BUSY, Relaxed);
        if frames {
            self.frames.store(true, Relaxed);
        }
        Busy { phase: Arc::clone(self), answered: false }
    }

    /// Ends when the client's time is up. Cancel safe.
    pub(crate) async fn expired(&self, limits: &Limits) {
        while let Some(at) = self.look_again_at(limits) {
            sleep_until(at).await;
        }
    }

    /// Ends when the client took back far more requests than it let end, or when it [is asked to
    /// go](Phase::is_asked_to_go). Cancel safe.
    pub(crate) async fn cut_short(&self) {
        self.cut_short.notified().await;
    }

    /// Others need its place, and it is at rest.
    pub(crate) fn ask_to_go(&self) {
        self.asked_to_go.store(true, Relaxed);
        self.cut_short.notify_one();
    }

    pub(crate) fn is_asked_to_go(&self) -> bool {
        self.asked_to_go.load(Relaxed)
    }

    /// Since when it has been between two requests, or silent from the start; `None` while it is neither, or once it is
    /// asked to go.
    pub(crate) fn rests_since(&self) -> Option<Instant> {
        let packed = self.packed.load(Relaxed);
        let rests = matches!(packed % 4, IDLE | SILENT) && !self.is_asked_to_go();
        rests.then(|| self.start + Duration::from_millis(packed / 4))
    }

    /// Whether no byte of a request ever came.
    pub(crate) fn is_silent(&self) -> bool {
        self.packed.load(Relaxed) % 4 == SILENT
    }

    fn took_back(&self) {
        if self.taken_back.fetch_add(1, Relaxed) >= TAKEN_BACK_MAX {
            self.cut_short.notify_one();
        }
    }

    fn answered(&self) {
        // Two that are answered at once may count as one, which is no harm.
        let taken_back = self.taken_back.load(Relaxed);
        if taken_back > 0 {
            self.taken_back.store(taken_back - 1, Relaxed);
        }
    }

    /// Whether the head that came last has a `Content-Length`, though hyper may not show it. Of requests that
    /// were sent before the last one was answered only the first one's head is looked at.
    pub(crate) fn has_length(&self) -> bool {
        self.length.load(Relaxed)
    }

    /// When to look again, or `None` when the client's time is up.
    pub(crate) fn look_again_at(&self, limits: &Limits) -> Option<Instant> {
        let packed = self.packed.load(Relaxed);
        let since = self.start + Duration::from_millis(packed / 4);
        let now = Instant::now();
        // What it does may change at any time, and then the deadline is no sooner than this.
        let soonest = limits.header_timeout.min(limits.idle_timeout);
        let allowed = match packed % 4 {
            BUSY if self.is_stuck(limits) => return None,
            BUSY => return Some(now + soonest),
            HEAD | SILENT => limits.header_timeout,
            _ => limits.idle_timeout,
        };
        let deadline = since + allowed;
        (deadline > now).then(|| deadline.min(now + soonest))
    }

    /// Bytes came. A head's are looked through.
    fn read(&self, bytes: &[u8], scan: &mut HeadScan) {
        match self.packed.load(Relaxed) % 4 {
            BUSY => return,
            SILENT => self.packed.store(HEAD, Relaxed), // since the start, however slowly its bytes come
            IDLE if self.frames.load(Relaxed) => return,
            IDLE => {
                *scan = HeadScan::default();
                self.length.store(false, Relaxed);
                self.enter(HEAD);
            }
            _ => {}
        }
        if scan.take(bytes) {
            self.length.store(true, Relaxed);
        }
    }

    /// Bytes were written, or must wait until the client takes some.
    fn wrote<T>(&self, polled: Poll<T>) -> Poll<T> {
        let stuck = self.stuck.load(Relaxed) != 0;
        if polled.is_pending() && !stuck {
            self.stuck.store(self.elapsed_ms() + 1, Relaxed);
        } else if polled.is_ready() && stuck {
            self.stuck.store(0, Relaxed);
        }
        polled
    }

    fn is_stuck(&self, limits: &Limits) -> bool {
        let since_ms = self.stuck.load(Relaxed);
        since_ms != 0 && Duration::from_millis(self.elapsed_ms() + 1 - since_ms) >= limits.idle_timeout
    }

    fn enter(&self, phase: u64) {
        self.packed.store(self.elapsed_ms() * 4 + phase, Relaxed);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX / 4)
    }
}

/// The handler has a request; see [`Phase::busy`].
pub(crate) struct Busy {
    phase: Arc<Phase>,
    answered: bool,
}

impl Busy {
    /// The handler answered; until then the client takes the request back by going away from it.
    pub(crate) fn answered(mut self) -> Busy {
        self.answered = true;
        self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.phase.handled.fetch_sub(1, Relaxed) == 1 {
            self.phase.enter(IDLE);
        }
        if self.answered { self.phase.answered() } else { self.phase.took_back() }
    }
}

/// A stream that tells its [`Phase`] when bytes come.
pub(crate) struct Watched<T> {
    stream: T,
    phase: Arc<Phase>,
    scan: HeadScan,
    /// Bytes that were read to look at them, and are to be read once more.
    ahead: Vec<u8>,
}

impl<T> Watched<T> {
    pub(crate) fn new(stream: T, phase: &Arc<Phase>) -> Watched<T> {
        Watched { stream, phase: Arc::clone(phase), scan: HeadScan::default(), ahead: Vec::new() }
    }

    /// Gives `bytes` to the next reader, before all others.
    pub(crate) fn again(&mut self, bytes: &[u8]) {
        self.ahead = bytes.to_vec();
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let had = buf.filled().len();
        if !this.ahead.is_empty() {
            let count = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..count]);
            this.ahead.drain(..count);
            if !this.ahead.is_empty() || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            this.ahead = Vec::new(); // an idle connection keeps no buffer
            // What came behind it in the same read: a reader that gets a few bytes first makes room for another
            // buffer. There are bytes in any case, so an error or the end is told by the next read.
            let before = buf.filled().len();
            let _ = Pin::new(&mut this.stream).poll_read(cx, buf);
            if buf.filled().len() > before {
                this.phase.read(&buf.filled()[before..], &mut this.scan);
            }
        }
        let before = buf.filled().len();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // In the same call: a reader that finds only a few bytes in its buffer asks for twice the room.
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.phase.read(&buf.filled()[before..], &mut this.scan);
        }
        if before > had { Poll::Ready(Ok(())) } else { polled }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.phase.wrote(polled)
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
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.phase.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
