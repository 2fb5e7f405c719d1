//! Deduplication, HTTP responses and results of pure functions, kept for Outrigger.
//!
//! | file | what |
//! |---|---|
//! | [`dedup`] | marks of what each target has, over a window of time |
//! | [`results`] | what a pure function answered to which input |
//! | [`responses`] | the function's answers to GET and HEAD that pass through, after RFC 9111 |
//! | [`invalidate`] | what is to be forgotten before its time |
//! | [`store`] | values by key within a bound in bytes, and what is evicted |
//! | [`simulate`] | its hit rates on a trace |
//!
//! On an event's way deduplication comes first, at its lane's head and before it takes a permit; then results, before the
//! call. So a duplicate is neither looked up among results nor counted there, and what a result answers is marked as
//! handled like what the function answered. Responses are of requests that pass through; events pass them by.
//!
//! Not here: configuration files, metrics, and the places where a plugin is called (`outrigger_core::plugin`).

pub mod dedup;
pub mod invalidate;
pub mod responses;
pub mod results;
pub mod simulate;
pub mod store;

pub use dedup::Dedup;
pub use invalidate::Invalidate;
pub use responses::Responses;
pub use results::Results;

use outrigger_core::{BoxFuture, Call, Drain, Exchange, Ledger, Plugin};
use std::sync::Arc;

/// The plugin. Each part that is not there costs nothing.
#[derive(Default)]
pub struct Cache {
    /// Events that come again.
    pub dedup: Option<Arc<Dedup>>,
    /// Results of a pure function.
    pub results: Option<Arc<Results>>,
    /// Answers to requests that pass through.
    pub responses: Option<Arc<Responses>>,
}

impl Cache {
    /// Whether it has any part.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.dedup.is_some() || self.results.is_some() || self.responses.is_some()
    }

    /// Forgets what is asked for, of results and responses; marks stay, as without them an event would be handled twice.
    /// Gives back how much that was.
    #[must_use]
    pub fn invalidate(&self, what: &Invalidate) -> u64 {
        let results = self.results.as_ref().map_or(0, |results| results.invalidate(what));
        results + self.responses.as_ref().map_or(0, |responses| responses.invalidate(what))
    }
}

impl Plugin for Cache {
    fn name(&self) -> &'static str {
        "cache"
    }

    fn ledger(&self, journal: Option<Arc<dyn Ledger>>) -> Option<Arc<dyn Ledger>> {
        self.dedup.as_ref().map(|dedup| dedup.ledger(journal))
    }

    fn around_call(&self, inner: Arc<dyn Call>) -> Arc<dyn Call> {
        match &self.results {
            Some(results) => results.clone().before(inner),
            None => inner,
        }
    }

    fn around_exchange(&self, inner: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
        match &self.responses {
            Some(responses) => responses.clone().watch(inner),
            None => inner,
        }
    }

    fn around_passage(&self, inner: Arc<dyn Exchange>) -> Option<Arc<dyn Exchange>> {
        self.responses.as_ref().map(|responses| responses.clone().before(inner))
    }

    fn background(&self, drain: Drain) -> Option<BoxFuture<'static, ()>> {
        self.dedup.as_ref()?.read(drain)
    }
}
