//! Keys that a poisoned event holds, as their owner sees and frees them.

use super::{Job, OnPoison, Target, job::nanos, now};
use std::sync::Arc;

impl Target {
    /// The parked events: id, key, attempts, and how many wait behind each.
    #[must_use]
    pub fn parked(&self) -> Vec<(String, String, u32, usize)> {
        let state = self.state();
        let line = |job: &Job, behind| {
            let key = job.key.as_ref().map(|key| key.name().into_owned());
            (job.event_id().to_owned(), key.unwrap_or_default(), job.attempts, behind)
        };
        state.lanes.parked().map(|(job, behind)| line(job, behind)).collect()
    }

    /// Lets a parked event (or all) go: `Skip` buries it and frees its key, `Park` tries it again from the first
    /// attempt. Gives back how many.
    pub fn unpark(self: &Arc<Self>, id: Option<&str>, then: OnPoison) -> usize {
        let (now, mut state) = (now(), self.state());
        let open_before_ns = nanos(state.breaker.open_total(now));
        let count = state.lanes.unpark(|job| {
            let chosen = id.is_none_or(|id| job.event_id() == id);
            if chosen && then == OnPoison::Park {
                (job.left, job.attempts, job.carried, job.failures) = (None, 0, 0, 0);
                (job.admitted, job.open_before_ns) = (now, open_before_ns);
            }
            chosen
        });
        self.start_worker(&mut state);
        count
    }
}
