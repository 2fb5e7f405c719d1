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
    /// Whether the spans of this timeline are kept.
    pub(crate) fn keeps(self, timeline: &Timeline) -> bool {
        let Some(trace) = timeline.trace() else { return false };
        if trace.own.sampled {
            return true;
        }
        timeline.with_steps(|steps| {
            let is_slow = || {
                let took = steps.last().map_or(Duration::ZERO, |(_, at)| Duration::from_nanos(*at));
                self.slow.is_some_and(|slow| took > slow)
            };
            self.errors && steps.iter().any(|(step, _)| failed(*step)) || is_slow()
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
