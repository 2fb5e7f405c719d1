//! What happened to one event, and when; and where in a distributed trace that was.

mod about;
mod fork;
mod trace;

pub use self::{
    about::{About, Subject},
    fork::Ended,
    trace::{Carry, Leg, Place, Trace},
};

use crate::{Code, Kind, TargetId};
use fork::Trunk;
use smallvec::SmallVec;
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// So many steps lie beside the record itself: those of an event that is delivered at the first attempt.
const STEPS: usize = 5;
/// So many steps are kept of one event. What comes later takes the place of those in the middle: its beginning and its end
/// are always there.
const STEPS_MAX: usize = 512;
/// So many of them are its beginning.
const FIRST: usize = STEPS_MAX / 2;

/// A step in an event's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// It came in.
    Received,
    /// It goes to so many targets, each with a timeline of its own; to none where a rule discards it.
    Routed(u32),
    /// Steps were left out here, so many attempts among them.
    Omitted(u32),
    /// So many replies that were begun are among them; it follows the former.
    OmittedReplies(u32),
    /// It entered its lane.
    Queued {
        /// What it waits for first.
        wait: Wait,
        /// How many events waited there already, of any key.
        ahead: u32,
    },
    /// The breaker opened while it waited.
    HeldUp,
    /// An attempt began; 1 is the first.
    Attempted(u32),
    /// A kept result answers the attempt: the function is not called.
    Recalled,
    /// The attempt ended.
    Answered(Answer),
    /// It waits for the next attempt.
    BackedOff,
    /// It holds its key until somebody releases it.
    Parked,
    /// The function has it; its reply is on its way to where replies go.
    Replying,
    /// The reply is there, or could not be written yet.
    Replied(bool),
    /// It is given up, and its dead letter is kept.
    Buried(Code),
    /// Its mark said that the target has it already.
    Duplicate,
    /// It is done without a call or a dead letter, for this reason.
    Dropped(Code),
    /// The journal keeps it until its target has room.
    Spilled,
    /// Its source was told the outcome.
    Settled(Ending),
}

/// Why an event could not run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// It could.
    Nothing,
    /// The function is not ready.
    NotReady,
    /// The breaker is open.
    Breaker,
    /// Another event of its key comes first.
    Key,
    /// As many calls as are allowed are under way.
    Concurrency,
    /// Others stand before it.
    Turn,
}

impl Wait {
    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::NotReady => "not-ready",
            Self::Breaker => "breaker",
            Self::Key => "key",
            Self::Concurrency => "concurrency",
            Self::Turn => "turn",
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Answer {
    /// The status; 0 where there is none.
    pub status: u16,
    /// What went wrong.
    pub failed: Option<Kind>,
}

/// What the source was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It is done.
    Acknowledged,
    /// Deliver it again.
    Released,
    /// It failed, for this reason.
    Rejected(Code),
}

/// A cloneable, append-only record of steps. Switched off it costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Timeline(Option<Arc<Record>>);

#[derive(Debug)]
struct Record {
    began: Instant,
    about: About,
    target: OnceLock<TargetId>,
    trace: OnceLock<Trace>,
    trunk: Option<Trunk>,
    steps: Mutex<SmallVec<[(Step, u64); STEPS]>>,
}

impl Timeline {
    /// A timeline that begins at `received`.
    #[must_use]
    pub fn start(received: Instant, about: About) -> Self {
        Self::with(received, about, None)
    }

    /// One that records nothing: nobody observes.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether it records.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    fn with(began: Instant, about: About, trunk: Option<Trunk>) -> Self {
        let mut steps = SmallVec::new();
        steps.push((Step::Received, 0));
        let (target, trace) = (OnceLock::new(), OnceLock::new());
        Self(Some(Arc::new(Record { began, about, target, trace, trunk, steps: Mutex::new(steps) })))
    }

    /// One for each of `count` targets that get the same event from `at` on: each has its own steps and a span of its own below this
    /// one's.
    #[must_use]
    pub fn branches(&self, count: usize, at: Instant) -> Vec<Self> {
        let Some(record) = &self.0 else { return vec![Self::off(); count] };
        self.note(Step::Routed(u32::try_from(count).unwrap_or(u32::MAX)), at);
        let trunks = Trunk::of(self, count);
        let branch = |(number, trunk)| {
            let branch = Self::with(record.began, record.about.clone(), Some(trunk));
            if let Some(trace) = record.trace.get() {
                branch.set_trace(trace.branch(number));
            }
            branch
        };
        (1..).zip(trunks).map(branch).collect()
    }

    /// That it has ended: what ended with it. To be asked once.
    #[must_use]
    pub fn end(&self) -> Ended {
        match self.0.as_ref().and_then(|record| record.trunk.as_ref()) {
            None => Ended::Alone,
            Some(trunk) => trunk.end(self),
        }
    }

    /// What it is about; none of one that records nothing.
    #[must_use]
    pub fn about(&self) -> Option<&About> {
        self.0.as_ref().map(|record| &record.about)
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Option<Instant> {
        self.0.as_ref().map(|record| record.began)
    }

    /// Its target, once it is known.
    #[must_use]
    pub fn target(&self) -> Option<&TargetId> {
        self.0.as_ref()?.target.get()
    }

    /// It is for this target. The first that is named stays.
    pub fn aim(&self, target: &TargetId) {
        if let Some(record) = &self.0 {
            let _ = record.target.set(target.clone());
        }
    }

    /// Where in a trace it is, once somebody has said so.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.0.as_ref()?.trace.get()
    }

    /// Says where in a trace it is. What is said first stays.
    pub fn set_trace(&self, trace: Trace) {
        if let Some(record) = &self.0 {
            let _ = record.trace.set(trace);
        }
    }

    /// Adds a step.
    pub fn note(&self, step: Step, at: Instant) {
        let Some(record) = &self.0 else { return };
        let at = u64::try_from(at.saturating_duration_since(record.began).as_nanos()).unwrap_or(u64::MAX);
        let mut steps = record.steps();
        if steps.len() >= STEPS_MAX {
            leave_out(&mut steps);
        }
        steps.push((step, at));
    }

    /// The steps so far in the order in which they were noted, each with the time since it began.
    #[must_use]
    pub fn steps(&self) -> Vec<(Step, Duration)> {
        let Some(record) = &self.0 else { return Vec::new() };
        record.steps().iter().map(|(step, at)| (*step, Duration::from_nanos(*at))).collect()
    }

    /// What `look` sees in the steps so far, each with the nanoseconds since it began; in none of one that records nothing.
    pub fn with_steps<T>(&self, look: impl FnOnce(&[(Step, u64)]) -> T) -> T {
        match &self.0 {
            Some(record) => look(&record.steps()),
            None => look(&[]),
        }
    }

    /// Whether a header of this name is one that tells of traces: what the next hop is told of this one stands in its place.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        self.trace().is_some_and(|trace| trace.carrier.owns(name))
    }

    /// Gives what tells the next hop of the trace to `put`: names and values of headers. Nothing where there is no trace.
    pub fn carry(&self, put: &mut dyn FnMut(&'static str, &str)) {
        if let Some((record, trace)) = self.0.as_ref().and_then(|record| Some((record, record.trace.get()?)))
        {
            let leg = record.leg();
            trace.carrier.carry(trace, leg, put);
        }
    }

    /// The bytes that it holds in memory, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let Some(record) = &self.0 else { return 0 };
        let steps = record.steps();
        let spilled = if steps.spilled() { steps.capacity() * size_of::<(Step, u64)>() } else { 0 };
        drop(steps);
        size_of::<Record>() + record.about.heap() + spilled + record.trace.get().map_or(0, Trace::heap)
    }
}

impl Record {
    fn steps(&self) -> MutexGuard<'_, SmallVec<[(Step, u64); STEPS]>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is now.
    fn leg(&self) -> Leg {
        let steps = self.steps();
        if let Some((Step::Replying, _)) = steps.last() {
            return Leg::Reply(steps.iter().map(|(step, _)| replies(*step)).sum());
        }
        // What is written after an attempt, such as a dead letter, comes of it. Some attempts do not count, so that the same
        // number may be there twice.
        match steps.iter().map(|(step, _)| tries(*step)).sum() {
            0 => Leg::Whole,
            tries => Leg::Attempt(tries),
        }
    }
}

/// The attempts that a step stands for.
fn tries(step: Step) -> u32 {
    match step {
        Step::Attempted(_) => 1,
        Step::Omitted(attempts) => attempts,
        _ => 0,
    }
}

/// The same of replies that were begun.
fn replies(step: Step) -> u32 {
    match step {
        Step::Replying => 1,
        Step::OmittedReplies(replies) => replies,
        _ => 0,
    }
}

/// Leaves one more step out behind the first ones; two steps say what is not there.
fn leave_out(steps: &mut SmallVec<[(Step, u64); STEPS]>) {
    let (out, _) = steps.remove(FIRST + 2);
    let [first, second] = [steps[FIRST].0, steps[FIRST + 1].0];
    let sum = |count: fn(Step) -> u32| count(first) + count(second) + count(out);
    steps[FIRST].0 = Step::Omitted(sum(tries));
    steps[FIRST + 1].0 = Step::OmittedReplies(sum(replies));
}

#[cfg(test)]
mod tests;
