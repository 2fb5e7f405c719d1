//! What is to be forgotten before its time.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many are remembered for what is being worked out meanwhile; what began before them counts as forgotten.
const RECENT_MAX: usize = 64;

/// What a person, a program or a control event wants forgotten. What it says is read by each store in its own terms:
/// of responses the key is path and query, and tags are what the function writes into the configured headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidate {
    /// What is kept under exactly this key.
    Key(String),
    /// What bears this tag.
    Tag(String),
    /// What is kept under keys that begin so.
    Prefix(String),
    /// Everything.
    All,
}

impl Invalidate {
    /// Whether it means what has this key and bears these tags.
    pub(crate) fn means(&self, key: &str, mut tags: impl Iterator<Item: AsRef<str>>) -> bool {
        match self {
            Self::Key(other) => key == other,
            Self::Prefix(start) => key.starts_with(start.as_str()),
            Self::Tag(tag) => tags.any(|other| other.as_ref() == tag),
            Self::All => true,
        }
    }
}

/// What was forgotten lately, so that what began before is kept only if none of it was meant.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Log>);

/// While it is held nothing is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Log {
    last: VecDeque<Invalidate>,
    count: u64,
}

impl Recent {
    /// Held by whoever forgets or keeps, until it is done.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// How often something was forgotten; whoever begins remembers it.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// This is forgotten.
    pub(crate) fn note(&mut self, what: Invalidate) {
        self.count += 1;
        self.last.push_back(what);
        if self.last.len() > RECENT_MAX {
            self.last.pop_front();
        }
    }

    /// Whether something was forgotten since then that `is_meant`, or more than is remembered.
    pub(crate) fn has(&self, since: u64, is_meant: impl FnMut(&Invalidate) -> bool) -> bool {
        let later = usize::try_from(self.count - since).unwrap_or(usize::MAX);
        later > self.last.len() || self.last.iter().rev().take(later).any(is_meant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str) -> Invalidate {
        Invalidate::Tag(name.to_owned())
    }

    #[test]
    fn what_was_forgotten_later_is_known_and_of_more_than_is_remembered_all_of_it() {
        let recent = Recent::default();
        let mut log = recent.log();
        log.note(tag("before"));
        let since = log.count();
        assert!(!log.has(since, |_| true));
        for _ in 0..RECENT_MAX {
            log.note(tag("other"));
        }
        assert!(log.has(since, |what| *what == tag("other")));
        assert!(!log.has(since, |what| *what == tag("before")));
        log.note(tag("other"));
        assert!(log.has(since, |_| false), "it began before what is remembered");
    }

    #[test]
    fn each_way_means_what_it_says() {
        let means = |what: Invalidate| what.means("/a/b", ["x", "y"].iter());
        assert!(means(Invalidate::Key("/a/b".into())) && !means(Invalidate::Key("/a".into())));
        assert!(means(Invalidate::Prefix("/a".into())) && !means(Invalidate::Prefix("/b".into())));
        assert!(means(tag("y")) && !means(tag("z")) && means(Invalidate::All));
    }
}
