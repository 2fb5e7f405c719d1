//! Which messages of an ordering key may run, and which are handed back. Pure: the time is handed in.
//!
//! Pub/Sub delivers a key's messages in order, and after a nack of one (or the end of its lease) that one and every
//! later one again, acknowledged ones too. So when one goes back, those of its key that wait behind it here are stale
//! copies: they go back as well, and so does what of the key was on its way meanwhile, until the one that failed is
//! here again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// How long messages of a key are handed back that come after one of it went back, if that one does not come again: it
/// may have gone to another subscriber or to a dead-letter topic. What was on its way is here long before.
pub(crate) const TAIL_MAX: Duration = Duration::from_secs(5);

/// An ordering key of a subscription.
pub(crate) type KeyName = Arc<(usize, String)>;

/// The keys of which something is in hand or went back of late.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<KeyName, Lane>);

#[derive(Debug, Default)]
struct Lane {
    /// The tokens in hand, in the order of their coming, and whether each is stale.
    in_hand: VecDeque<(u64, bool)>,
    /// What went back and is waited for.
    gone: Option<Gone>,
}

#[derive(Debug)]
struct Gone {
    id: Arc<str>,
    token: u64,
    until: Instant,
}

impl Keys {
    /// A message has come: whether it may run, or is handed back at once.
    pub(crate) fn come(&mut self, key: &KeyName, token: u64, id: &str, now: Instant) -> bool {
        let lane = self.0.entry(key.clone()).or_default();
        if lane.gone.take_if(|gone| *gone.id == *id || now >= gone.until).is_none() && lane.gone.is_some() {
            return false;
        }
        lane.in_hand.push_back((token, false));
        true
    }

    /// Whether a message in hand may still run.
    pub(crate) fn wanted(&self, key: &KeyName, token: u64) -> bool {
        self.0.get(key).is_none_or(|lane| !lane.in_hand.contains(&(token, true)))
    }

    /// A message is done.
    pub(crate) fn done(&mut self, key: &KeyName, token: u64) {
        let Some(lane) = self.0.get_mut(key) else { return };
        lane.forget(token);
        if lane.is_idle() {
            self.0.remove(key);
        }
    }

    /// A message goes back. Gives back whether others of its key in hand have become stale by that.
    pub(crate) fn gone(&mut self, key: &KeyName, token: u64, id: &Arc<str>, now: Instant) -> bool {
        let Some(lane) = self.0.get_mut(key) else { return false };
        if lane.forget(token) {
            return false; // it goes back because an earlier one did
        }
        // The earliest one is waited for: the others come again behind it.
        let waits = lane.gone.as_ref().is_some_and(|gone| gone.token < token && now < gone.until);
        if !waits {
            lane.gone = Some(Gone { id: id.clone(), token, until: now + TAIL_MAX });
        }
        let mut found = false;
        for (_, stale) in lane.in_hand.iter_mut().filter(|(later, stale)| *later > token && !stale) {
            *stale = true;
            found = true;
        }
        found
    }

    /// Forgets keys of which nothing is in hand and nothing is waited for any more.
    pub(crate) fn tidy(&mut self, now: Instant) {
        self.0.retain(|_, lane| {
            lane.gone.take_if(|gone| now >= gone.until);
            !lane.is_idle()
        });
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Lane {
    /// Takes the token out; whether it was stale.
    fn forget(&mut self, token: u64) -> bool {
        let place = self.in_hand.iter().position(|(it, _)| *it == token);
        place.and_then(|place| self.in_hand.remove(place)).is_some_and(|(_, stale)| stale)
    }

    fn is_idle(&self) -> bool {
        self.in_hand.is_empty() && self.gone.is_none()
    }
}

#[cfg(test)]
mod tests;
