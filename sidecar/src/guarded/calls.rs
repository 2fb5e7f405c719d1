//! Calls and exchanges that a plugin wraps. Below the plugin stands a witness that knows whether the function was asked and
//! what it answered, so that after a panic the event is neither lost nor the function asked twice.

use super::Watch;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use outrigger_core::{Body, BoxFuture, Call, CallCx, Error, Event, Exchange, Kind, Plugin, Reply, Result};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

tokio::task_local! {
    /// What the witness saw of the call that is under way.
    static SEEN: Seen;
}

/// What the witness saw.
#[derive(Default)]
struct Seen {
    asked: AtomicBool,
    answer: Mutex<Option<Result<Vec<Reply>>>>,
}

/// What `plugin` wraps around `inner`, guarded; the same where it wraps nothing.
pub(super) fn call(plugin: &dyn Plugin, inner: Arc<dyn Call>, watch: &Arc<Watch>) -> Arc<dyn Call> {
    let witness: Arc<dyn Call> = Arc::new(Witness(inner.clone()));
    match watch.caught("around_call", || plugin.around_call(witness.clone())) {
        Some(wrapped) if !Arc::ptr_eq(&wrapped, &witness) => {
            Arc::new(Around { wrapped, inner, watch: watch.clone() })
        }
        _ => inner,
    }
}

/// The same of an exchange.
pub(super) fn exchange(
    plugin: &dyn Plugin,
    inner: Arc<dyn Exchange>,
    watch: &Arc<Watch>,
) -> Arc<dyn Exchange> {
    let witness: Arc<dyn Exchange> = Arc::new(Witness(inner.clone()));
    match watch.caught("around_exchange", || plugin.around_exchange(witness.clone())) {
        Some(wrapped) if !Arc::ptr_eq(&wrapped, &witness) => {
            Arc::new(Around { wrapped, inner, watch: watch.clone() })
        }
        _ => inner,
    }
}

/// The same of what stands before the turns of requests; none where it puts nothing there.
pub(super) fn passage(
    plugin: &dyn Plugin,
    inner: Arc<dyn Exchange>,
    watch: &Arc<Watch>,
) -> Option<Arc<dyn Exchange>> {
    let witness: Arc<dyn Exchange> = Arc::new(Witness(inner.clone()));
    let wrapped = watch.caught("around_passage", || plugin.around_passage(witness)).flatten()?;
    Some(Arc::new(Around { wrapped, inner, watch: watch.clone() }))
}

struct Witness<T: ?Sized>(Arc<T>);

impl Call for Witness<dyn Call> {
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            let _ = SEEN.try_with(|seen| seen.asked.store(true, Ordering::Relaxed));
            let answer = self.0.call(events, cx).await;
            let _ = SEEN.try_with(|seen| {
                *seen.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.clone());
            });
            answer
        })
    }
}

impl Exchange for Witness<dyn Exchange> {
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        let _ = SEEN.try_with(|seen| seen.asked.store(true, Ordering::Relaxed));
        self.0.send(request, cx)
    }
}

struct Around<T: ?Sized> {
    watch: Arc<Watch>,
    wrapped: Arc<T>,
    inner: Arc<T>,
}

impl<T: ?Sized> Around<T> {
    /// What is tried again after a panic goes by another way.
    fn passes_by(&self, cx: &CallCx) -> bool {
        cx.attempt > 1 && self.watch.has_failed()
    }

    fn cut_off(&self) -> Error {
        let what = format!("the plugin {} panicked while the function answered", self.watch.name);
        Error::new(Kind::Interrupted, what)
    }
}

impl Call for Around<dyn Call> {
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        if self.passes_by(cx) {
            return self.inner.call(events, cx);
        }
        Box::pin(SEEN.scope(Seen::default(), async move {
            let called = self.watch.caught_in("call", async { self.wrapped.call(events, cx).await }).await;
            if let Some(answer) = called {
                return answer;
            }
            let (asked, answer) = SEEN.with(|seen| {
                let answer = seen.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
                (seen.asked.load(Ordering::Relaxed), answer)
            });
            match answer {
                Some(answer) => answer,
                None if asked => Err(self.cut_off()),
                None => self.inner.call(events, cx).await,
            }
        }))
    }
}

impl Exchange for Around<dyn Exchange> {
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        if self.passes_by(cx) {
            return self.inner.send(request, cx);
        }
        Box::pin(SEEN.scope(Seen::default(), async move {
            let (request, spare) = spare(request, cx).await?;
            let sent = self.watch.caught_in("exchange", async { self.wrapped.send(request, cx).await }).await;
            if let Some(answer) = sent {
                return answer;
            }
            match spare {
                Some(spare) if !SEEN.with(|seen| seen.asked.load(Ordering::Relaxed)) => {
                    self.inner.send(spare, cx).await
                }
                _ => Err(self.cut_off()),
            }
        }))
    }
}

/// A second copy of a request whose body is there already: of an event, or without one. One that streams has none.
async fn spare(request: Request<Body>, cx: &CallCx) -> Result<(Request<Body>, Option<Request<Body>>)> {
    if cx.stream.is_some() && !request.body().is_end_stream() {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let data = body.collect().await?.to_bytes();
    let spare = Request::from_parts(parts.clone(), whole(data.clone()));
    Ok((Request::from_parts(parts, whole(data)), Some(spare)))
}

fn whole(data: Bytes) -> Body {
    Full::new(data).map_err(|never: Infallible| match never {}).boxed_unsync()
}
