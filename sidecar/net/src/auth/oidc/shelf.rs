//! The keys at hand, and when the issuer is asked for more. Pure: times come in, answers go out.

use super::Settings;
use crate::auth::{
    denial::{Denial, Why},
    jwks::{Found, Key, Keys},
};
use jsonwebtoken::Algorithm;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The first wait after a failed fetch, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How many names of keys that the issuer does not have are remembered, until the next fetch.
const ABSENT_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// With the start of the fetch that brought them.
    keys: Option<(Keys, Instant)>,
    /// When the last fetch began that ended.
    began: Option<Instant>,
    /// Why it failed, and how many did in a row.
    failed: Option<String>,
    failures: u32,
    /// When an unknown key last made us ask.
    asked: Option<Instant>,
    /// Keys that the issuer was asked for since, and does not have.
    absent: Vec<String>,
}

/// Where a token's key is.
#[derive(Debug)]
pub(super) enum Look {
    Found(Arc<Key>),
    Denied(Denial),
    /// Have the keys fetched, and look again with this time.
    Ask(Instant),
    /// They are being fetched: look again with this time when that ended.
    Wait(Instant),
}

/// What a fetch changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The fetch before had failed.
    pub(super) again: bool,
    /// How many keys there are, where they are not those of before.
    pub(super) keys: Option<usize>,
    /// One of before is no more.
    pub(super) gone: bool,
}

/// What a failed fetch means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The one before succeeded, or failed for another reason.
    pub(super) is_new: bool,
    pub(super) has_keys: bool,
    /// Until the next one.
    pub(super) wait: Duration,
}

impl Shelf {
    /// Whether the keys at hand may still be used.
    pub(super) fn in_force(&self, now: Instant, settings: &Settings) -> bool {
        let young = |(_, at): &(Keys, Instant)| now.saturating_duration_since(*at) <= settings.keys_age_max;
        self.keys.as_ref().is_some_and(young)
    }

    /// The key for a token. `since` is the time that the first look gave back, in the looks that follow it.
    pub(super) fn look(
        &mut self,
        (id, algorithm): (Option<&str>, Algorithm),
        now: Instant,
        since: Option<Instant>,
        settings: &Settings,
    ) -> Look {
        let Some((keys, _)) = &self.keys else {
            return match &self.failed {
                Some(why) => self.unavailable(&format!("there are no keys of the issuer: {why}")),
                None => Look::Wait(since.unwrap_or(now)),
            };
        };
        let found = keys.find(id, algorithm);
        if !self.in_force(now, settings) {
            return self.unavailable("the issuer's keys are too old, and new ones cannot be had");
        }
        match found {
            Found::Key(key) => Look::Found(key),
            Found::OtherAlgorithm => {
                denied(Why::Algorithm, "the token's algorithm does not fit the key that it names")
            }
            Found::Unnamed => denied(Why::Key, "the token names no key, and not exactly one could be meant"),
            Found::Absent => self.unknown(id.unwrap_or_default(), now, since, settings),
        }
    }

    fn unknown(&mut self, id: &str, now: Instant, since: Option<Instant>, settings: &Settings) -> Look {
        let absent = || denied(Why::Key, &format!("the issuer has no key {:?}", cut(id)));
        if let Some(why) = &self.failed {
            return self
                .unavailable(&format!("the key {:?} is not known, and no other can be had: {why}", cut(id)));
        }
        if self.asked.is_some_and(|asked| self.began.is_none_or(|began| began < asked)) {
            return Look::Wait(since.unwrap_or(now));
        }
        // Only a fetch that began after the token was here can tell that its key does not exist.
        if since.is_some_and(|since| self.began.is_some_and(|began| began >= since)) {
            if self.absent.len() < ABSENT_MAX {
                self.absent.push(id.to_owned());
            }
            return absent();
        }
        let rest = self.asked.map_or(Duration::ZERO, |asked| {
            settings.refresh_min.saturating_sub(now.saturating_duration_since(asked))
        });
        if rest.is_zero() {
            self.asked = Some(now);
            return Look::Ask(now);
        }
        if self.absent.iter().any(|known| known == id) {
            return absent();
        }
        let detail =
            format!("the key {:?} is not known, and the issuer was asked for keys just now", cut(id));
        Look::Denied(Denial::passing(Why::Unsettled, detail, rest))
    }

    /// Keys came, by a fetch that began then.
    pub(super) fn put(&mut self, keys: Keys, began: Instant) -> Change {
        let before = self.keys.as_ref().map(|(before, _)| before);
        let gone = before.is_some_and(|before| !before.are_in(&keys));
        let is_new = gone || before.is_none_or(|before| !keys.are_in(before));
        let change = Change { again: self.failed.is_some(), keys: is_new.then(|| keys.iter().count()), gone };
        self.keys = Some((keys, began));
        (self.began, self.failed, self.failures) = (Some(began), None, 0);
        self.absent.clear();
        change
    }

    /// No keys came, by a fetch that began then.
    pub(super) fn fail(&mut self, why: &str, began: Instant, settings: &Settings) -> Failure {
        let wait = AGAIN.0.saturating_mul(2_u32.saturating_pow(self.failures)).min(AGAIN.1);
        self.failures = self.failures.saturating_add(1);
        self.began = Some(began);
        let is_new = self.failed.as_deref() != Some(why);
        self.failed = Some(why.to_owned());
        Failure { is_new, has_keys: self.keys.is_some(), wait: wait.min(settings.refresh_every) }
    }

    fn unavailable(&self, detail: &str) -> Look {
        let wait = AGAIN.0.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1))).min(AGAIN.1);
        Look::Denied(Denial::passing(Why::Unavailable, detail, wait))
    }
}

fn denied(why: Why, detail: &str) -> Look {
    Look::Denied(Denial::new(why, detail))
}

/// The name of a key in a line of ours.
fn cut(id: &str) -> &str {
    id.char_indices().nth(64).map_or(id, |(end, _)| &id[..end])
}

#[cfg(test)]
mod tests;
