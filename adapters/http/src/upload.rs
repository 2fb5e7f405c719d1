//! A request's body that is passed on as it comes, where that takes time or must wait for a word.
//!
//! Two things are known of it outside: when a byte last moved, so that a long upload is not taken for a function
//! that does not answer; and whether the function has asked for it, where the request says `Expect: 100-continue`
//! (RFC 9110, section 10.1.1).

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header::EXPECT};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use outrigger_core::{Body, Error, Kind, Result};
use tokio::time::{Instant, Sleep, sleep};

/// How long a function may leave an expectation unanswered: some never answer it.
const EXPECT_TIMEOUT: Duration = Duration::from_secs(1);

/// When the last byte of an upload moved.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    last_ms: AtomicU64,
    /// We wait for its sender, not for the function to take more of it.
    waits: AtomicBool,
}

impl Progress {
    fn new() -> Arc<Progress> {
        Arc::new(Progress {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
            waits: AtomicBool::new(false),
        })
    }

    /// Whether the sender is late, and not the function.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    pub(crate) fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last_ms.load(Relaxed))
    }

    fn moved(&self) {
        let ms = self.start.elapsed().as_millis();
        self.last_ms.store(u64::try_from(ms).unwrap_or(u64::MAX), Relaxed);
    }
}

/// Whether the function wants the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Word {
    /// It has not said.
    #[default]
    None,
    Go,
    /// It has answered without it.
    Stop,
}

type Told = Mutex<(Word, Option<Waker>)>;

/// The function's word on the body; when the last of the answer's side drops, the body is not wanted any more.
#[derive(Debug)]
pub(crate) struct Gate(Arc<Told>);

impl Gate {
    /// Whether the body may go, so that the connection is free again some time.
    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 == Word::Go
    }

    fn say(gate: &Told, word: Word) {
        let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.0 == Word::None {
            gate.0 = word;
            if let Some(waker) = gate.1.take() {
                waker.wake();
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        Gate::say(&self.0, Word::Stop);
    }
}

/// Wraps a request's body, where that is needed; gives back what is known of it outside.
pub(crate) fn watch(request: Request<Body>) -> (Request<Body>, Option<Arc<Progress>>, Option<Gate>) {
    let progress = Progress::new();
    let expects = request
        .headers()
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let gate = (expects && !request.body().is_end_stream()).then(Arc::<Told>::default);
    let watched = Arc::clone(&progress);
    let held = gate.clone();
    let mut request =
        request.map(|body| Upload { body, progress: watched, gate: held, patience: None }.boxed_unsync());
    if let Some(gate) = gate.clone() {
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                Gate::say(&gate, Word::Go);
            }
        });
    }
    (request, Some(progress), gate.map(Gate))
}

struct Upload {
    body: Body,
    progress: Arc<Progress>,
    /// Gone once the body may go.
    gate: Option<Arc<Told>>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    /// Waits for the function's word.
    fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(gate) = &self.gate else { return Poll::Ready(Ok(())) };
        {
            let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            match gate.0 {
                Word::Go => {}
                Word::Stop => {
                    let what = "the function answered without the body".to_owned();
                    return Poll::Ready(Err(Error::new(Kind::Closed, what)));
                }
                Word::None => {
                    let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(EXPECT_TIMEOUT)));
                    if patience.as_mut().poll(cx).is_pending() {
                        gate.1 = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    gate.0 = Word::Go;
                }
            }
        }
        (self.gate, self.patience) = (None, None);
        Poll::Ready(Ok(()))
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        match self.poll_word(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(())) => {}
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.progress.waits.store(polled.is_pending(), Relaxed);
        if polled.is_ready() {
            self.progress.moved();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
