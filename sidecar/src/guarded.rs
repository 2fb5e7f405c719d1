//! What plugins wrap around the path, so that none of them can end what is on it: a panic in one is caught and counted,
//! and the event goes on without it.

// What is guarded is everything: a method that is added to one of these traits and not forwarded here would fall back to the
// trait's own, and switch itself off for every plugin.
#![deny(clippy::missing_trait_methods)]

mod calls;

use crate::telemetry::Metrics;
use futures_util::future::FutureExt as _;
use outrigger_core::{
    Annotate, BoxFuture, Call, Drain, Error, Event, Exchange, Kept, Kind, Known, Ledger, Mark, Observe,
    OnAnother, Payload, Plugin, Result, Settlement, Timeline,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The same plugins, each guarded.
#[must_use]
pub fn all(plugins: Vec<Arc<dyn Plugin>>, metrics: &Arc<Metrics>) -> Vec<Arc<dyn Plugin>> {
    plugins.into_iter().map(|plugin| Arc::new(Guarded::new(plugin, metrics.clone())) as _).collect()
}

/// A plugin whose panics end with it.
struct Guarded {
    plugin: Arc<dyn Plugin>,
    watch: Arc<Watch>,
}

/// Counts and tells panics.
struct Watch {
    name: String,
    metrics: Arc<Metrics>,
    /// It has panicked once: what is tried again goes on without it.
    failed: AtomicBool,
}

impl Guarded {
    fn new(plugin: Arc<dyn Plugin>, metrics: Arc<Metrics>) -> Self {
        let name = plugin.name().to_owned();
        metrics.plugin_guarded(&name);
        Self { plugin, watch: Arc::new(Watch { name, metrics, failed: AtomicBool::new(false) }) }
    }
}

impl Watch {
    /// What `work` gives back; none where it panicked.
    fn caught<T>(&self, place: &'static str, work: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|_| self.panicked(place)).ok()
    }

    /// The same of work that takes time.
    async fn caught_in<T>(&self, place: &'static str, work: impl Future<Output = T>) -> Option<T> {
        AssertUnwindSafe(work).catch_unwind().await.map_err(|_| self.panicked(place)).ok()
    }

    fn panicked(&self, place: &'static str) {
        self.metrics.plugin_panicked(&self.name);
        if !self.failed.swap(true, Ordering::Relaxed) {
            // The panic's own words are on standard error; one line more for each would only fill the log.
            tracing::error!(
                plugin = self.name,
                place,
                "a plugin panicked: events go on without it; please report it"
            );
        }
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Plugin for Guarded {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    fn annotate(&self) -> Option<Arc<dyn Annotate>> {
        let inner = self.watch.caught("annotate", || self.plugin.annotate()).flatten()?;
        Some(Arc::new(Spot { inner, watch: self.watch.clone() }))
    }

    /// A plugin without a ledger of its own gives back none, whatever stands below it.
    fn ledger(&self, journal: Option<Arc<dyn Ledger>>) -> Option<Arc<dyn Ledger>> {
        let inner = self.watch.caught("ledger", || self.plugin.ledger(journal)).flatten()?;
        Some(Arc::new(Spot { inner, watch: self.watch.clone() }))
    }

    fn around_call(&self, inner: Arc<dyn Call>) -> Arc<dyn Call> {
        calls::call(&*self.plugin, inner, &self.watch)
    }

    fn around_exchange(&self, inner: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
        calls::exchange(&*self.plugin, inner, &self.watch)
    }

    fn around_passage(&self, inner: Arc<dyn Exchange>) -> Option<Arc<dyn Exchange>> {
        calls::passage(&*self.plugin, inner, &self.watch)
    }

    fn observe(&self) -> Option<Arc<dyn Observe>> {
        let inner = self.watch.caught("observe", || self.plugin.observe()).flatten()?;
        Some(Arc::new(Spot { inner, watch: self.watch.clone() }))
    }

    fn background(&self, drain: Drain) -> Option<BoxFuture<'static, ()>> {
        let work = self.watch.caught("background", || self.plugin.background(drain)).flatten()?;
        let watch = self.watch.clone();
        Some(Box::pin(async move {
            let _ = watch.caught_in("background", work).await;
        }))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let _ = self.watch.caught_in("close", async { self.plugin.close().await }).await;
        })
    }
}

/// One place of a plugin on the path.
struct Spot<T: ?Sized> {
    watch: Arc<Watch>,
    inner: Arc<T>,
}

impl Annotate for Spot<dyn Annotate> {
    fn annotate(&self, event: &mut Event) {
        self.watch.caught("annotate", || self.inner.annotate(event));
    }
}

impl Observe for Spot<dyn Observe> {
    fn began(&self, event: Option<&mut Event>, headers: &[(String, String)], timeline: &Timeline) {
        self.watch.caught("began", || self.inner.began(event, headers, timeline));
    }

    fn branched(&self, timelines: &[Timeline]) {
        self.watch.caught("branched", || self.inner.branched(timelines));
    }

    fn answered(&self, timeline: &Timeline) {
        self.watch.caught("answered", || self.inner.answered(timeline));
    }

    fn finished(&self, event: Option<&Event>, settlement: &Settlement, timeline: &Timeline) {
        self.watch.caught("finished", || self.inner.finished(event, settlement, timeline));
    }
}

impl Ledger for Spot<dyn Ledger> {
    fn ask<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<Known>> {
        Box::pin(async move {
            let asked = self.watch.caught_in("ask", async { self.inner.ask(mark, payload).await }).await;
            asked.unwrap_or_else(|| Err(self.lost()))
        })
    }

    fn mark<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let marked = self.watch.caught_in("mark", async { self.inner.mark(mark, payload).await }).await;
            marked.unwrap_or_else(|| Err(self.lost()))
        })
    }

    fn glance(&self, mark: &Mark, payload: Option<Payload>) -> Option<Known> {
        self.watch.caught("glance", || self.inner.glance(mark, payload)).flatten()
    }

    fn payload(&self, event: &Event) -> Option<Payload> {
        self.watch.caught("payload", || self.inner.payload(event)).flatten()
    }

    fn on_another(&self) -> OnAnother {
        self.watch.caught("on_another", || self.inner.on_another()).unwrap_or(OnAnother::Deliver)
    }

    fn before(&self, n: Option<u64>) -> BoxFuture<'_, Result<Vec<Kept>>> {
        Box::pin(async move {
            let kept = self.watch.caught_in("before", async { self.inner.before(n).await }).await;
            kept.unwrap_or_else(|| Err(self.lost()))
        })
    }
}

impl Spot<dyn Ledger> {
    /// A ledger that fails is passed over: it may cost a duplicate, never an event.
    fn lost(&self) -> Error {
        Error::new(Kind::Closed, format!("the plugin {} panicked", self.watch.name))
    }
}

#[cfg(test)]
#[allow(clippy::missing_trait_methods, reason = "what is guarded has only the methods that a test is about")]
mod tests;
