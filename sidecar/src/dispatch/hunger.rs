//! Whether a target has enough that may run: what is brought in much earlier than it runs has left the caches by then.

use super::{State, Target};

impl Target {
    /// Whether twice as much is ready as may run at once: the places that become free are filled while more comes.
    pub(crate) fn is_sated(&self) -> bool {
        let mut state = self.state();
        state.sated = state.lanes.ready_len() >= state.settings.concurrency.saturating_mul(2);
        state.sated
    }

    /// Waits until no more is ready than may run at once, where it was [sated](Self::is_sated). Cancel safe.
    pub(crate) async fn hungry(&self) {
        loop {
            let hunger = self.hunger.notified();
            tokio::pin!(hunger);
            hunger.as_mut().enable(); // before looking, so that no change in between is missed
            if !self.state().sated {
                return;
            }
            hunger.await;
        }
    }

    /// Tells who waits for that, once an event was taken.
    pub(super) fn tell_of_hunger(&self, state: &mut State) {
        if state.sated && state.lanes.ready_len() <= state.settings.concurrency {
            state.sated = false;
            self.hunger.notify_waiters();
        }
    }
}
