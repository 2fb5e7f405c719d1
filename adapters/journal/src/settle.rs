//! The journal is told what became of its events.

use crate::Journal;
use outrigger_core::{Fate, Settlement, Settler};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long an event waits that was rejected, which no journal can take care of.
const REJECTED_WAIT: Duration = Duration::from_secs(1);

impl Settler for Journal {
    /// `Ack` deletes the event with the next commit. `Release` leaves it where it is: it is pushed again after
    /// its time, or after a restart. `Reject` is a mistake of the caller, who is to keep a dead letter and ack.
    fn settle(&self, token: u64, settlement: Settlement) {
        match settlement {
            Settlement::Ack(_) => self.shared.inbox.settled(token),
            Settlement::Release { after } => {
                self.shared.handoff.release(token, after.map(|after| Instant::now() + after));
            }
            Settlement::Reject(reason) => {
                tracing::error!(seq = token, %reason, "an event of the journal was rejected; it will come again");
                self.shared.handoff.release(token, Some(Instant::now() + REJECTED_WAIT));
            }
        }
    }

    /// The count is on disk with a commit within [`crate::Config::commit_every`]. A lower number takes one back.
    fn attempted(&self, token: u64, attempts: u32) {
        self.shared.inbox.attempted(token, attempts);
    }

    fn became(&self, token: u64, place: &Arc<str>, fate: Fate, attempts: u32) {
        self.shared.inbox.became(token, place, fate, attempts);
    }
}

/// The same for events that are brought once more on purpose: it does not count who has them already.
pub(crate) struct Again(pub(crate) Arc<Journal>);

impl Settler for Again {
    fn settle(&self, token: u64, settlement: Settlement) {
        self.0.settle(token, settlement);
    }

    fn attempted(&self, token: u64, attempts: u32) {
        self.0.attempted(token, attempts);
    }

    fn became(&self, token: u64, place: &Arc<str>, fate: Fate, attempts: u32) {
        self.0.became(token, place, fate, attempts);
    }

    fn is_replay(&self) -> bool {
        true
    }
}
