//! Of an event that goes to several targets: a timeline for each, and one of all that ends with the last of them.

use super::{Ending, Step, Timeline};
use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What ended with a timeline.
#[derive(Debug, Clone)]
pub enum Ended {
    /// It alone: it goes to one target.
    Alone,
    /// Nothing yet: of the event's targets others are not done.
    Open,
    /// All of the event: what goes to its targets in the order of their ends, and last what they branched from.
    All(Vec<Timeline>),
}

/// What a branch knows of the timeline that it branched from.
#[derive(Debug)]
pub(super) struct Trunk {
    timeline: Timeline,
    fork: Arc<Fork>,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Fork {
    open: AtomicUsize,
    ended: Mutex<Vec<Timeline>>,
}

impl Trunk {
    /// One for each of `count` branches of `timeline`.
    pub(super) fn of(timeline: &Timeline, count: usize) -> impl Iterator<Item = Self> {
        let fork = Arc::new(Fork { open: AtomicUsize::new(count), ended: Mutex::default() });
        let trunk =
            move |_| Self { timeline: timeline.clone(), fork: fork.clone(), ended: AtomicBool::new(false) };
        (0..count).map(trunk)
    }

    /// `branch`, which is of this, has ended.
    pub(super) fn end(&self, branch: &Timeline) -> Ended {
        if self.ended.swap(true, Ordering::AcqRel) {
            return Ended::Open; // never: it ends once
        }
        let mut ended = self.fork.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push(branch.clone());
        if self.fork.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ended::Open;
        }
        let mut all = mem::take(&mut *ended);
        drop(ended);
        self.settle(&all);
        all.push(self.timeline.clone());
        Ended::All(all)
    }

    /// All together ended as the one that fared worst, with the last of them.
    fn settle(&self, branches: &[Timeline]) {
        let Some(began) = self.timeline.began() else { return };
        let (mut buried, mut ending, mut last) = (None, Ending::Acknowledged, 0);
        for branch in branches {
            branch.with_steps(|steps| {
                for (step, at) in steps {
                    match step {
                        Step::Buried(_) => buried = Some(*step),
                        Step::Settled(Ending::Rejected(code)) => ending = Ending::Rejected(*code),
                        Step::Settled(Ending::Released) if ending == Ending::Acknowledged => {
                            ending = Ending::Released;
                        }
                        _ => {}
                    }
                    last = last.max(*at);
                }
            });
        }
        let at = began + Duration::from_nanos(last);
        for step in buried.into_iter().chain([Step::Settled(ending)]) {
            self.timeline.note(step, at);
        }
    }
}

impl Drop for Trunk {
    /// One that ends without a word: those that wait for it are let go, as they hold each other.
    fn drop(&mut self) {
        if !*self.ended.get_mut() && self.fork.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiting = mem::take(&mut *self.fork.ended.lock().unwrap_or_else(PoisonError::into_inner));
            drop(waiting);
        }
    }
}
