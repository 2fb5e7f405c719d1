//! Which events are in hand, how long their locks hold, and what is still to be told of them.
//!
//! Pure: events and a time go in, what to ask the service for comes out. An event is held from its receipt until the
//! service has taken its outcome, or until its lock is gone; what is decided of it after that counts for nothing, as
//! somebody else has it by then.

use crate::{config::Delay, decode::Fate};
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

/// The bounds; see [`crate::Config`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) lock: Duration,
    pub(crate) hold_max: Duration,
    pub(crate) hold_delay: Delay,
    pub(crate) release_delay: Delay,
    pub(crate) tell_every: Duration,
    pub(crate) tell_events_max: usize,
}

/// What the service is told of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Acknowledge,
    Reject,
    Release(Delay),
}

/// What the path decided of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Rejected,
    /// Again, after that time if one is given.
    Again(Option<Duration>),
}

/// Events with their lock tokens.
pub(crate) type Batch = Vec<(u64, Arc<str>)>;

/// What was counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Events that were received.
    pub received: u64,
    /// Of them, those that had been delivered before.
    pub redelivered: u64,
    /// Outcomes that the service took: acknowledged.
    pub acknowledged: u64,
    /// Given back.
    pub released: u64,
    /// Rejected.
    pub rejected: u64,
    /// Locks that were renewed.
    pub renewed: u64,
    /// Locks that ended before their outcome was taken: each is a duplicate to come.
    pub lost: u64,
    /// Outcomes that came after their lock was gone and counted for nothing.
    pub late: u64,
    /// Events that went back because they had been held as long as Event Grid allows.
    pub given_back: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Locks {
    rules: Rules,
    held: HashMap<u64, Held, BuildHasherDefault<Spread>>,
    next: u64,
    queues: Vec<(Verb, Queue)>,
    pub(crate) counts: Counts,
}

/// Hashes numbers that we count up ourselves: nobody outside can choose any that collide.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 by the golden ratio: neighbours come far apart, in the upper bits too.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[derive(Debug)]
struct Held {
    token: Arc<str>,
    /// When the lock ends, by our clock.
    until: Instant,
    /// When it was received.
    since: Instant,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In a lane or at the function.
    Ours,
    /// It is to go back: nobody is to begin with it.
    Leaving,
    /// Decided; the service has not taken it yet.
    Decided,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<u64>,
    /// When the oldest of them began to wait.
    since: Option<Instant>,
    /// Not before, after a failure.
    not_before: Option<Instant>,
}

impl Locks {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, held: HashMap::default(), next: 0, queues: Vec::new(), counts: Counts::default() }
    }

    /// Events in hand, with those whose outcome is not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Takes an event on that was received at `now`.
    pub(crate) fn take(&mut self, token: Arc<str>, deliveries: u32, now: Instant) -> u64 {
        let id = self.next;
        self.next += 1;
        self.counts.received += 1;
        self.counts.redelivered += u64::from(deliveries > 1);
        let until = now + self.rules.lock;
        self.held.insert(id, Held { token, until, since: now, phase: Phase::Ours });
        id
    }

    /// Whether the event may be begun with.
    pub(crate) fn is_wanted(&self, id: u64) -> bool {
        self.held.get(&id).is_some_and(|held| held.phase == Phase::Ours)
    }

    /// Notes what was decided at `now`. True when somebody who waits to tell should look again.
    pub(crate) fn decide(&mut self, id: u64, outcome: Outcome, now: Instant) -> bool {
        let Some(held) = self.held.get_mut(&id) else {
            self.counts.late += 1;
            return false;
        };
        let leaving = mem::replace(&mut held.phase, Phase::Decided) == Phase::Leaving;
        let verb = match outcome {
            Outcome::Done => Verb::Acknowledge,
            Outcome::Rejected => Verb::Reject,
            Outcome::Again(_) if leaving => Verb::Release(self.rules.hold_delay),
            Outcome::Again(Some(wait)) => Verb::Release(Delay::at_least(wait).max(self.rules.release_delay)),
            Outcome::Again(None) => Verb::Release(self.rules.release_delay),
        };
        let tell_events_max = self.rules.tell_events_max;
        let queue = self.queue(verb);
        queue.waiting.push_back(id);
        queue.since.get_or_insert(now);
        queue.waiting.len() == 1 || queue.waiting.len() == tell_events_max
    }

    /// The next outcomes to tell at `now`: a full batch, or one that has waited its time; at a close, whatever waits.
    pub(crate) fn batch(&mut self, now: Instant, closing: bool) -> Option<(Verb, Batch)> {
        let Rules { tell_every, tell_events_max, .. } = self.rules;
        loop {
            let ready = |(_, queue): &&mut (Verb, Queue)| {
                queue.due(tell_every, tell_events_max, closing).is_some_and(|due| due <= now)
            };
            let (verb, queue) = self.queues.iter_mut().find(ready)?;
            let count = queue.waiting.len().min(tell_events_max);
            let batch: Batch = queue
                .waiting
                .drain(..count)
                .filter_map(|id| Some((id, self.held.get(&id)?.token.clone())))
                .collect();
            queue.since = (!queue.waiting.is_empty()).then_some(now);
            if !batch.is_empty() {
                return Some((*verb, batch));
            }
        }
    }

    /// When the next batch is ready; `None` while nothing waits.
    pub(crate) fn batch_due(&self, closing: bool) -> Option<Instant> {
        let Rules { tell_every, tell_events_max, .. } = self.rules;
        self.queues.iter().filter_map(|(_, queue)| queue.due(tell_every, tell_events_max, closing)).min()
    }

    /// The service has answered: what it took is done with, what it lost is lost, the rest is told again.
    pub(crate) fn told(&mut self, verb: Verb, batch: Batch, fates: Vec<Fate>, again_at: Instant) {
        let mut again = Vec::new();
        for ((id, token), fate) in batch.into_iter().zip(fates) {
            match fate {
                Fate::Done => {
                    if self.held.remove(&id).is_some() {
                        *self.counts.of(verb) += 1;
                    }
                }
                Fate::Lost(_) => self.lose(id),
                Fate::Again => again.push((id, token)),
            }
        }
        if !again.is_empty() {
            self.put_back(verb, again, again_at);
        }
    }

    /// The service could not be told: the same again, and nothing else of that kind before `again_at`.
    pub(crate) fn put_back(&mut self, verb: Verb, batch: Batch, again_at: Instant) {
        let queue = self.queue(verb);
        for (id, _) in batch.into_iter().rev() {
            queue.waiting.push_front(id);
        }
        queue.since.get_or_insert(again_at);
        queue.not_before = Some(again_at);
    }

    /// The locks to be renewed at `now`: those of which half is over.
    pub(crate) fn renewals(&self, now: Instant) -> Batch {
        let half = self.rules.lock / 2;
        let due = |held: &Held| held.until <= now + half && held.until > now;
        self.held.iter().filter(|(_, held)| due(held)).map(|(id, held)| (*id, held.token.clone())).collect()
    }

    /// What became of renewals that were asked for at `asked`: the new lock holds from then at the least.
    pub(crate) fn renewed(&mut self, batch: Batch, fates: Vec<Fate>, asked: Instant) {
        for ((id, _), fate) in batch.into_iter().zip(fates) {
            match (fate, self.held.get_mut(&id)) {
                (Fate::Done, Some(held)) => {
                    held.until = held.until.max(asked + self.rules.lock);
                    self.counts.renewed += 1;
                }
                (Fate::Lost(_), Some(_)) => self.lose(id),
                _ => {} // tried again while the lock holds, or its outcome was taken meanwhile
            }
        }
    }

    /// Gives up locks that have ended at `now`, and marks what was held too long. True when there is something in the
    /// lanes that is not wanted any more.
    pub(crate) fn look(&mut self, now: Instant) -> bool {
        let ended: Vec<u64> =
            self.held.iter().filter(|(_, held)| held.until <= now).map(|(id, _)| *id).collect();
        for id in &ended {
            self.lose(*id);
        }
        let mut leaving = 0;
        for held in self.held.values_mut() {
            if held.phase == Phase::Ours && held.since + self.rules.hold_max <= now {
                held.phase = Phase::Leaving;
                leaving += 1;
            }
        }
        self.counts.given_back += leaving;
        leaving > 0 || !ended.is_empty()
    }

    /// The lock is gone: the event comes again, and what is decided of it here counts for nothing.
    fn lose(&mut self, id: u64) {
        if self.held.remove(&id).is_some() {
            self.counts.lost += 1;
        }
    }

    /// There are seven kinds at the most.
    fn queue(&mut self, verb: Verb) -> &mut Queue {
        let at = self.queues.iter().position(|(other, _)| *other == verb).unwrap_or_else(|| {
            self.queues.push((verb, Queue::default()));
            self.queues.len() - 1
        });
        &mut self.queues[at].1
    }
}

impl Queue {
    /// When it is to be told; `None` while it is empty.
    fn due(&self, tell_every: Duration, tell_events_max: usize, closing: bool) -> Option<Instant> {
        let since = self.since.filter(|_| !self.waiting.is_empty())?;
        let at_once = closing || self.waiting.len() >= tell_events_max;
        let due = if at_once { since } else { since + tell_every };
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }
}

impl Counts {
    fn of(&mut self, verb: Verb) -> &mut u64 {
        match verb {
            Verb::Acknowledge => &mut self.acknowledged,
            Verb::Reject => &mut self.rejected,
            Verb::Release(_) => &mut self.released,
        }
    }
}

#[cfg(test)]
mod tests;
