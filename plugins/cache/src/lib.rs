//! Deduplication, HTTP responses and results of pure functions, kept for Outrigger.
//!
//! | file | what |
//! |---|---|
//! | [`invalidate`] | what is to be forgotten before its time |
//! | [`responses`] | the function's answers to GET and HEAD that pass through, after RFC 9111 |
//! | [`store`] | what is kept, bounded in bytes |
//!
//! Not here: configuration files, metrics, and the places where a plugin is called (`outrigger_core::plugin`).

pub mod invalidate;
pub mod responses;
pub mod store;

pub use invalidate::Invalidate;
pub use responses::Responses;

use outrigger_core::{Exchange, Plugin};
use std::sync::Arc;

/// The plugin. Each part that is not there costs nothing.
#[derive(Default)]
pub struct Cache {
    /// Answers to requests that pass through.
    pub responses: Option<Arc<Responses>>,
}

impl Cache {
    /// Forgets what is asked for. Gives back how much that was.
    pub fn invalidate(&self, what: &Invalidate) -> u64 {
        self.responses.as_ref().map_or(0, |responses| responses.invalidate(what))
    }
}

impl Plugin for Cache {
    fn name(&self) -> &'static str {
        "cache"
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
}
