//! What happened to one event, and when.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// A step in an event's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// It came in.
    Received,
    /// It entered its lane.
    Queued,
    /// An attempt began.
    Attempted,
    /// The attempt ended.
    Answered,
    /// It waits for the next attempt.
    BackedOff,
    /// Its source was told the outcome.
    Settled,
}

/// A cloneable, append-only record of steps. Switched off it costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Timeline(Option<Arc<Steps>>);

type Steps = Mutex<Vec<(Step, Instant)>>;

impl Timeline {
    /// A timeline that begins now.
    #[must_use]
    pub fn start(received: Instant) -> Self {
        Self(Some(Arc::new(Mutex::new(vec![(Step::Received, received)]))))
    }

    /// One that records nothing: nobody observes.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Adds a step.
    pub fn note(&self, step: Step, at: Instant) {
        if let Some(steps) = &self.0 {
            steps.lock().unwrap_or_else(PoisonError::into_inner).push((step, at));
        }
    }

    /// The steps so far, in the order in which they were noted.
    #[must_use]
    pub fn steps(&self) -> Vec<(Step, Instant)> {
        let steps = self.0.as_ref().map(|steps| steps.lock().unwrap_or_else(PoisonError::into_inner).clone());
        steps.unwrap_or_default()
    }
}
