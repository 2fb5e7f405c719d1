//! Whether something was forgotten while an answer to it was on its way: then that answer may be from before.

use super::ask;
use crate::{
    Invalidate,
    invalidate::{Log, Recent},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// What is on its way; no more than there are requests. The caller sees to it that nothing is forgotten between a look and
/// the keeping.
#[derive(Debug, Default)]
pub(super) struct Underway {
    /// What was forgotten by others than by one key.
    recent: Recent,
    urls: Mutex<HashMap<String, Fetches>>,
}

/// The requests to the function for one URL of a tenant, whichever way they came.
#[derive(Debug, Default)]
struct Fetches {
    count: usize,
    /// How often it was forgotten since the first of them.
    forgotten: u64,
}

/// One of them, until its answer is whole.
#[derive(Debug)]
pub(super) struct Fetching {
    underway: Arc<Underway>,
    key: String,
    /// The same for all ways by which requests come.
    url: String,
    since: (u64, u64),
    began: Instant,
}

impl Underway {
    /// The function is asked for `key` now.
    pub(super) fn start(self: &Arc<Self>, key: &str) -> Fetching {
        let recent = self.recent.log().count();
        let url = ask::by(key, "");
        let mut urls = self.urls();
        let fetches = urls.entry(url.clone()).or_default();
        fetches.count += 1;
        let since = (recent, fetches.forgotten);
        Fetching { underway: self.clone(), key: key.to_owned(), url, since, began: Instant::now() }
    }

    /// The URL of `key` is forgotten.
    pub(super) fn forgets(&self, key: &str) {
        if let Some(fetches) = self.urls().get_mut(&ask::by(key, "")) {
            fetches.forgotten += 1;
        }
    }

    /// What this means is forgotten, whatever keys have it.
    pub(super) fn forgets_all_of(&self, what: &Invalidate) {
        self.recent.log().note(what.clone());
    }

    fn urls(&self) -> MutexGuard<'_, HashMap<String, Fetches>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetching {
    /// What is asked for.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// When the function was asked.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Whether nothing was forgotten that its answer, which bears these tags, may be from before.
    pub(super) fn is_current(&self, tags: &[Box<str>]) -> bool {
        let forgotten = self.underway.urls().get(&self.url).map_or(0, |fetches| fetches.forgotten);
        let log: &Log = &self.underway.recent.log();
        let is_meant = |what: &Invalidate| what.means(ask::path(&self.key), tags.iter());
        self.since.1 == forgotten && !log.has(self.since.0, is_meant)
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let mut urls = self.underway.urls();
        if let Some(fetches) = urls.get_mut(&self.url) {
            fetches.count -= 1;
            if fetches.count == 0 {
                urls.remove(&self.url);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_known_of_its_key_and_of_what_others_mean() {
        let underway: Arc<Underway> = Arc::default();
        let (a, b) = (underway.start("x\n/a\n\n"), underway.start("x\n/b\n\n"));
        underway.forgets("x\n/a\n\n");
        let later = underway.start("x\n/a\n\n");
        assert!(!a.is_current(&[]) && b.is_current(&[]) && later.is_current(&[]));
        underway.forgets_all_of(&Invalidate::Tag("t".into()));
        underway.forgets_all_of(&Invalidate::Prefix("/c".into()));
        assert!(b.is_current(&["u".into()]) && !b.is_current(&["u".into(), "t".into()]));
        underway.forgets_all_of(&Invalidate::Key("/b".into()));
        assert!(!b.is_current(&[]) && later.is_current(&[]));
        underway.forgets_all_of(&Invalidate::All);
        assert!(!later.is_current(&[]));
        drop((a, b, later));
        assert!(underway.urls().is_empty());
    }
}
