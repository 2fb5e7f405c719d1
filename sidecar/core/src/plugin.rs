//! What may be wrapped around the path. A plugin sees events, never a receipt, so that none can acknowledge wrongly.
//!
//! **The order is fixed**, and each event passes it from top to bottom:
//!
//! | place | what stands there |
//! |---|---|
//! | before the lanes | [`Plugin::annotate`], in the order of the plugins |
//! | at the lane's head, before a permit | [`Plugin::ledger`]: what is handled already is settled here, without a call |
//! | around the call | [`Plugin::around_call`]: results of pure functions |
//! | inside the call | several events become one request, and the events are written |
//! | around the exchange | [`Plugin::around_exchange`]: whoever must see each request as it goes out |
//! | before the turn of a request that passes through | [`Plugin::around_passage`]: kept responses |
//! | after the settlement | [`Plugin::observe`], in the order of the plugins |
//!
//! The plugins stand in a list in this order, the cache before the trace: of two that wrap the same place the first is the
//! outer one. So an event that is settled by its mark makes no attempt and is not looked up among results; what a kept
//! result answers is an attempt without a request, and is marked like what the function answered; and a kept response
//! takes no turn, so that nothing of it is observed.

use crate::{BoxFuture, Call, Drain, Event, Exchange, Ledger, Settlement, Timeline};
use std::sync::Arc;

/// One plugin. Each method is a place on the path; a plugin that is not configured is not built, and costs nothing.
///
/// The guard that catches panics stands before every plugin: it forwards each method, and the lint
/// `clippy::missing_trait_methods` refuses it as soon as one is missing there.
pub trait Plugin: Send + Sync + 'static {
    /// Its configured name.
    fn name(&self) -> &str;

    /// Sees each event before the lanes.
    fn annotate(&self) -> Option<Arc<dyn Annotate>> {
        None
    }

    /// The store of marks, where this plugin turns deduplication on; without one no mark is asked or written.
    /// `journal` survives a restart; a plugin may wrap it, or bring a store that replicas share.
    fn ledger(&self, journal: Option<Arc<dyn Ledger>>) -> Option<Arc<dyn Ledger>> {
        let _ = journal;
        None
    }

    /// Wraps each call of the function with events.
    fn around_call(&self, inner: Arc<dyn Call>) -> Arc<dyn Call> {
        inner
    }

    /// Wraps each HTTP exchange with the function, events and proxied requests alike.
    fn around_exchange(&self, inner: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
        inner
    }

    /// Stands before the turns of requests that pass through to the function: of GET and HEAD, without a body and
    /// without an upgrade. `inner` waits for a turn, so what is answered without it needs neither a place nor a
    /// function that is ready. Such a request tells who asks by its [`Caller`](crate::Caller), where somebody must say
    /// so. `None` where it has nothing to do there.
    fn around_passage(&self, inner: Arc<dyn Exchange>) -> Option<Arc<dyn Exchange>> {
        let _ = inner;
        None
    }

    /// Sees each finished event.
    fn observe(&self) -> Option<Arc<dyn Observe>> {
        None
    }

    /// Work of its own beside the path, until `drain` starts.
    fn background(&self, drain: Drain) -> Option<BoxFuture<'static, ()>> {
        let _ = drain;
        None
    }

    /// Brings to its end what it still has in hand, once the last event is settled. Bounded by itself; cancel safe.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Adds attributes to an event before it is queued. It cannot fail.
pub trait Annotate: Send + Sync {
    /// Adds what it knows.
    fn annotate(&self, event: &mut Event);
}

/// Sees events that come in and those that are finished. It runs on the path, so it only notes and returns.
pub trait Observe: Send + Sync {
    /// An event was let in; or what turned out to be none, or a request that passes through, of which there is no event.
    /// `headers` are those of its hop
    /// that somebody wants to see; the timeline may be told where in a trace it is.
    fn began(&self, event: Option<&mut Event>, headers: &[(String, String)], timeline: &Timeline) {
        let _ = (event, headers, timeline);
    }

    /// An event that was let in goes to several targets, each with one of these timelines.
    fn branched(&self, timelines: &[Timeline]) {
        let _ = timelines;
    }

    /// A request that passed through was answered, or not.
    fn answered(&self, timeline: &Timeline) {
        let _ = timeline;
    }

    /// `event` was settled; none is what was no event.
    fn finished(&self, event: Option<&Event>, settlement: &Settlement, timeline: &Timeline);
}
