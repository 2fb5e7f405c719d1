//! Which plugins there are, in the order of the path.

use super::Series;
use crate::{admin::Admin, cache_api::Forget, config};
use outrigger_core::{Plugin, Result, Timeline};
use std::{sync::Arc, time::Instant};

/// The plugins that the configuration turns on.
#[derive(Default)]
pub struct Plugins {
    /// In the order of the path, from the lanes to the function.
    pub all: Vec<Arc<dyn Plugin>>,
    /// What is kept of what was done, where anything is.
    pub kept: Option<Arc<dyn Kept>>,
    /// The timelines of events, where they are kept.
    pub traces: Option<Arc<dyn Traces>>,
}

/// What is kept of what was done, as its owner sees it.
pub trait Kept: Send + Sync + 'static {
    /// Its numbers.
    fn series(&self) -> Vec<Series>;

    /// The same for people: one member for each part.
    fn stats(&self) -> serde_json::Value;

    /// Forgets what is asked for. Gives back how much that was.
    fn forget(&self, what: &Forget) -> u64;
}

/// Timelines of events, and what becomes of their spans.
pub trait Traces: Send + Sync + 'static {
    /// Those of events of this id that are still known, the oldest first.
    fn timelines(&self, id: &str) -> Vec<Timeline>;

    /// When the oldest that is still known began.
    fn known_since(&self) -> Option<Instant>;

    /// Its numbers.
    fn series(&self) -> Vec<Series>;

    /// Sends what `admin` counts along, as long as it is there.
    fn report(&self, admin: &Arc<Admin>);
}

/// Makes those plugins. Connects to nobody, but reads the files that are named.
///
/// # Errors
/// When a setting is not what a plugin takes, a file cannot be read, or the plugin is not compiled in.
pub fn plugins(config: &config::Config) -> Result<Plugins> {
    let mut plugins = Plugins::default();
    cache(config, &mut plugins)?;
    trace(config, &mut plugins)?;
    Ok(plugins)
}

#[cfg(feature = "cache")]
fn cache(config: &config::Config, plugins: &mut Plugins) -> Result<()> {
    if let Some(cache) = super::cache::open(config)? {
        plugins.all.push(cache.clone());
        plugins.kept = Some(cache);
    }
    Ok(())
}

#[cfg(not(feature = "cache"))]
fn cache(config: &config::Config, _plugins: &mut Plugins) -> Result<()> {
    let is_asked = config.dedup.is_some() || config.results.is_some() || config.responses.is_some();
    if is_asked { Err(super::left_out("cache", "nothing that was done can be kept")) } else { Ok(()) }
}

#[cfg(feature = "trace")]
fn trace(config: &config::Config, plugins: &mut Plugins) -> Result<()> {
    if let Some(trace) = super::trace::open(config)? {
        plugins.all.push(Arc::new(trace.clone()));
        plugins.traces = Some(Arc::new(trace));
    }
    Ok(())
}

#[cfg(not(feature = "trace"))]
fn trace(config: &config::Config, _plugins: &mut Plugins) -> Result<()> {
    if config.trace.is_some() { Err(super::left_out("trace", "leave trace.export out")) } else { Ok(()) }
}

/// What is wrong with traces that only their files tell; nothing is started.
///
/// # Errors
/// As [`plugins`].
#[cfg(feature = "trace")]
pub fn check_trace(config: &config::Config) -> Result<()> {
    super::trace::check(config)
}

/// The same of a program that has none.
///
/// # Errors
/// Where the configuration asks for them.
#[cfg(not(feature = "trace"))]
pub fn check_trace(config: &config::Config) -> Result<()> {
    trace(config, &mut Plugins::default())
}

/// The headers of a hop that adapters keep beside an event: none where nobody reads them.
#[must_use]
pub fn hop(config: &config::Config) -> &'static [&'static str] {
    #[cfg(feature = "trace")]
    if let Some(trace) = &config.trace {
        let is_baggage_read = !trace.baggage.is_empty() && trace.propagators.iter().any(|it| it == "baggage");
        return if is_baggage_read {
            outrigger_trace::context::HEADERS
        } else {
            outrigger_trace::context::WITHOUT_BAGGAGE
        };
    }
    let _ = config;
    &[]
}

/// Those of a request, each as often as it is there: what may be there once only, a plugin judges.
#[must_use]
pub fn hop_of(names: &[&str], headers: &http::HeaderMap) -> Vec<(String, String)> {
    let all = names.iter().flat_map(|name| headers.get_all(*name).iter().map(move |value| (name, value)));
    all.filter_map(|(name, value)| Some(((*name).to_owned(), value.to_str().ok()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_there_twice_is_kept_twice() {
        let mut headers = http::HeaderMap::new();
        for value in ["a=1", "b=2"] {
            headers.append("tracestate", value.parse().unwrap());
        }
        let kept = hop_of(&["traceparent", "tracestate"], &headers);
        let values: Vec<_> = kept.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(values, [("tracestate", "a=1"), ("tracestate", "b=2")]);
    }
}
