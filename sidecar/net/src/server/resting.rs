//! Room for new connections where all are taken: one that rests between two requests, or never said a word, is the least
//! loss.

use std::{
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::Counts;
use crate::connection::Phase;

/// Who has rested less is left alone: its next request may be under way already.
const REST_LEAST: Duration = Duration::from_secs(1);
/// How long it may take until one has rested long enough.
pub(super) const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The connections of a listener, those that are gone among them until the next look.
#[derive(Default)]
pub(super) struct Resting(Vec<Weak<Phase>>);

impl Resting {
    /// A new connection beside `open` others.
    pub(super) fn watch(&mut self, open: usize) -> Arc<Phase> {
        if self.0.len() > 2 * open + 16 {
            self.0.retain(|phase| phase.strong_count() > 0);
        }
        let phase = Phase::new();
        self.0.push(Arc::downgrade(&phase));
        phase
    }

    /// Asks the one that has rested longest to go, as soon as there is one. It ends as at the end of the listener: a
    /// request that comes at this moment is answered still.
    pub(super) fn make_room(&mut self, counts: &Counts) {
        let now = Instant::now();
        let rested =
            self.0.iter().filter_map(Weak::upgrade).filter_map(|phase| Some((phase.rests_since()?, phase)));
        let longest = rested.min_by_key(|(since, _)| *since);
        let Some((since, phase)) = longest else { return };
        if now.saturating_duration_since(since) >= REST_LEAST {
            counts.displaced.fetch_add(1, Relaxed);
            phase.ask_to_go();
        }
    }
}
