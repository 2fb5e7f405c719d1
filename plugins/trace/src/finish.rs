//! The end of a timeline: whether its spans are kept.

use outrigger_core::{
    Timeline,
    timeline::{Ending, Step},
};
use std::time::Duration;

/// What is kept although it is not sampled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) errors: bool,
    pub(crate) slow: Option<Duration>,
}

impl Keep {
    /// Whether the spans of this timeline are kept, and how many steps it has.
    pub(crate) fn judge(self, timeline: &Timeline) -> (bool, usize) {
        let Some(trace) = timeline.trace() else { return (false, 0) };
        timeline.with_steps(|steps| {
            let is_slow = || {
                let took = steps.last().map_or(Duration::ZERO, |(_, at)| Duration::from_nanos(*at));
                self.slow.is_some_and(|slow| took > slow)
            };
            let failed = || self.errors && steps.iter().any(|(step, _)| failed(*step));
            (trace.own.sampled || failed() || is_slow(), steps.len())
        })
    }
}

/// Whether something went wrong there.
pub(crate) fn failed(step: Step) -> bool {
    match step {
        Step::Answered(answer) => answer.failed.is_some(),
        Step::Replied(kept) => !kept,
        Step::Parked | Step::Buried(_) | Step::Settled(Ending::Rejected(_)) => true,
        _ => false,
    }
}
