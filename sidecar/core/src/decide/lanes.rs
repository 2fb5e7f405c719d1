//! Order per key: one event of a key at a time, in the order of admission, also while the first one backs off.
//!
//! A lane is the queue of one key; an event without a key has a lane of its own. Lanes that may run stand in line
//! in the order in which they became ready, so that no key waits for another. How much may be inside at once is
//! the [`super::window`]'s to say.

use crate::{Key, delivery::KeyHasher};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    hash::BuildHasherDefault,
    time::Instant,
};

/// Names the event that runs in a lane, from [`Lanes::next`] until [`Lanes::done`], [`Lanes::again`] or
/// [`Lanes::park`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(usize);

/// The lanes of one target.
#[derive(Debug)]
pub struct Lanes<T> {
    slots: Vec<Lane<T>>,
    free: Vec<usize>,
    by_key: HashMap<Key, usize, BuildHasherDefault<KeyHasher>>,
    ready: VecDeque<usize>,
    waiting: BinaryHeap<Reverse<(Instant, usize)>>,
    parked: usize,
    queued: usize,
}

#[derive(Debug)]
struct Lane<T> {
    key: Option<Key>,
    state: State,
    queue: VecDeque<T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Running,
    Waiting,
    Parked,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::default(),
            ready: VecDeque::new(),
            waiting: BinaryHeap::new(),
            parked: 0,
            queued: 0,
        }
    }
}

impl<T> Lanes<T> {
    /// Adds `item` at the end of its key's lane.
    pub fn push(&mut self, key: Option<Key>, item: T) {
        self.queued += 1;
        let known = key.as_ref().and_then(|key| self.by_key.get(key)).copied();
        let lane = known.unwrap_or_else(|| self.open(key));
        self.slots[lane].queue.push_back(item);
    }

    /// Whether an event of this key is queued or runs.
    #[must_use]
    pub fn is_taken(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// The event that runs next, or `None` when every lane is empty, at work, waiting or parked.
    pub fn next(&mut self, now: Instant) -> Option<(Ticket, T)> {
        self.wake(now);
        let lane = self.ready.pop_front()?;
        let item = self.slots[lane].queue.pop_front()?; // there is one: an empty lane is never ready
        self.slots[lane].state = State::Running;
        self.queued -= 1;
        Some((Ticket(lane), item))
    }

    /// The same, where `wanted` picks it; else it stays where it is.
    pub fn next_if(&mut self, now: Instant, wanted: impl FnOnce(&T) -> bool) -> Option<(Ticket, T)> {
        self.wake(now);
        let head = self.slots[*self.ready.front()?].queue.front()?;
        if wanted(head) { self.next(now) } else { None }
    }

    /// What was taken comes next again, as if it had not been.
    pub fn back(&mut self, Ticket(lane): Ticket, item: T) {
        self.slots[lane].queue.push_front(item);
        self.queued += 1;
        self.slots[lane].state = State::Ready;
        self.ready.push_front(lane);
    }

    /// The event is settled; its lane goes on with the next one.
    pub fn done(&mut self, Ticket(lane): Ticket) {
        if self.slots[lane].queue.is_empty() {
            self.close(lane);
        } else {
            self.make_ready(lane);
        }
    }

    /// The event is tried again from `at` on; nothing of its key passes it.
    pub fn again(&mut self, Ticket(lane): Ticket, item: T, at: Instant) {
        self.slots[lane].queue.push_front(item);
        self.queued += 1;
        self.slots[lane].state = State::Waiting;
        self.waiting.push(Reverse((at, lane)));
    }

    /// The event holds its key until [`Lanes::unpark`].
    pub fn park(&mut self, Ticket(lane): Ticket, item: T) {
        self.slots[lane].queue.push_front(item);
        self.queued += 1;
        self.slots[lane].state = State::Parked;
        self.parked += 1;
    }

    /// The events that hold their keys, with the number of events behind each.
    pub fn parked(&self) -> impl Iterator<Item = (&T, usize)> {
        let parked = self.slots.iter().filter(|lane| lane.state == State::Parked);
        parked.filter_map(|lane| lane.queue.front().map(|head| (head, lane.queue.len() - 1)))
    }

    /// How many keys are held.
    #[must_use]
    pub fn parked_len(&self) -> usize {
        self.parked
    }

    /// Lets those parked events run again that `choose` picks, which may change them. Returns how many.
    pub fn unpark(&mut self, mut choose: impl FnMut(&mut T) -> bool) -> usize {
        let mut count = 0;
        for lane in 0..self.slots.len() {
            let chosen = self.slots[lane].state == State::Parked
                && self.slots[lane].queue.front_mut().is_some_and(&mut choose);
            if chosen {
                self.parked -= 1;
                self.make_ready(lane);
                count += 1;
            }
        }
        count
    }

    /// When the first waiting lane is due.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether an event may run at `now`.
    #[must_use]
    pub fn is_ready(&self, now: Instant) -> bool {
        !self.ready.is_empty() || self.wake_at().is_some_and(|at| at <= now)
    }

    /// Events that may run as soon as there is a place: the first of each lane that stands in line.
    #[must_use]
    pub fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Whether nothing is ready or waits for its time: what is queued then stands behind something that runs or
    /// is parked.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.ready.is_empty() && self.waiting.is_empty()
    }

    /// Events that are queued, waiting or parked; those that run are not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queued
    }

    /// Whether nothing is queued, waiting or parked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Takes out what does not run and `gone` picks: it is wanted no more. Lanes keep their order without it.
    pub fn evict(&mut self, mut gone: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        let mut stale = false;
        for lane in 0..self.slots.len() {
            let slot = &mut self.slots[lane];
            let (held, head_goes) = (slot.queue.len(), slot.queue.front().is_some_and(&mut gone));
            if held == 0 {
                continue;
            }
            let mut kept = VecDeque::with_capacity(held);
            for (at, item) in slot.queue.drain(..).enumerate() {
                let goes = if at == 0 { head_goes } else { gone(&item) };
                if goes { taken.push(item) } else { kept.push_back(item) }
            }
            slot.queue = kept;
            if slot.state == State::Running || !head_goes {
                continue; // whoever runs there goes on; the same head waits, is parked or stands in line
            }
            if slot.state == State::Parked {
                self.parked -= 1;
            }
            stale = true;
            slot.state = State::Ready;
            if slot.queue.is_empty() {
                self.close(lane);
            } else {
                self.ready.push_back(lane);
            }
        }
        self.queued -= taken.len();
        if stale {
            self.restand();
        }
        taken
    }

    /// Stands each ready lane in line once, and forgets waits that ended otherwise.
    fn restand(&mut self) {
        let mut seen = vec![false; self.slots.len()];
        let slots = &self.slots;
        self.ready.retain(|lane| {
            let stands = slots[*lane].state == State::Ready && !slots[*lane].queue.is_empty();
            stands && !std::mem::replace(&mut seen[*lane], true)
        });
        self.waiting.retain(|Reverse((_, lane))| slots[*lane].state == State::Waiting);
    }

    /// Takes everything out that does not run. Lanes at work stay, and are empty behind it.
    pub fn clear(&mut self) -> Vec<T> {
        self.ready.clear();
        self.waiting.clear();
        self.parked = 0;
        self.queued = 0;
        let mut taken = Vec::new();
        for lane in 0..self.slots.len() {
            let held = !self.slots[lane].queue.is_empty();
            taken.extend(self.slots[lane].queue.drain(..));
            if held && self.slots[lane].state != State::Running {
                self.close(lane);
            }
        }
        taken
    }

    fn open(&mut self, key: Option<Key>) -> usize {
        let lane = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Lane { key: None, state: State::Ready, queue: VecDeque::new() });
            self.slots.len() - 1
        });
        if let Some(key) = &key {
            self.by_key.insert(key.clone(), lane);
        }
        self.slots[lane].key = key;
        self.make_ready(lane);
        lane
    }

    fn close(&mut self, lane: usize) {
        if let Some(key) = self.slots[lane].key.take() {
            self.by_key.remove(&key);
        }
        self.free.push(lane);
    }

    fn make_ready(&mut self, lane: usize) {
        self.slots[lane].state = State::Ready;
        self.ready.push_back(lane);
    }

    fn wake(&mut self, now: Instant) {
        while let Some(Reverse((at, lane))) = self.waiting.peek().copied() {
            if at > now {
                return;
            }
            self.waiting.pop();
            self.make_ready(lane);
        }
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
