//! The last timelines, for people who ask what became of an event. It ends with the process.

use crate::lock;
use outrigger_core::{
    Timeline,
    timeline::{Step, Subject},
};
use std::{collections::VecDeque, sync::Mutex, time::Instant};

/// What one place in the ring costs beside the timeline as it begins.
const AROUND_BYTES: usize = 64;
/// So many steps a timeline has room for as it begins: those of an event that is delivered at the first attempt.
const STEPS: usize = 5;
/// Once bytes are short because of what has grown, this part of them is kept free, so that it is not counted again at once.
const FREE_PART: usize = 8;

/// Timelines of events, bounded by their number and their bytes; the oldest make room.
#[derive(Debug)]
pub struct Ring {
    events_max: usize,
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    timelines: VecDeque<(Timeline, usize)>,
    bytes: usize,
    /// At most so many bytes were added to timelines since their bytes were counted.
    grown: usize,
}

impl Ring {
    /// An empty one.
    #[must_use]
    pub fn new(events_max: usize, bytes_max: usize) -> Self {
        Self { events_max, bytes_max, held: Mutex::default() }
    }

    /// Adds a timeline that has begun. Its bytes are counted as they are now; what its retries add, [`Ring::ended`] counts.
    pub fn push(&self, timeline: Timeline) {
        let bytes = timeline.size() + AROUND_BYTES;
        let mut gone = None;
        let mut held = lock(&self.held);
        held.bytes += bytes;
        held.timelines.push_back((timeline, bytes));
        while held.timelines.len() > self.events_max || held.bytes > self.bytes_max {
            let Some((oldest, bytes)) = held.timelines.pop_front() else { break };
            held.bytes -= bytes;
            gone = Some(oldest);
        }
        drop(held);
        drop(gone); // outside the lock
    }

    /// Counts what a timeline has become that has ended with so many steps. Most did not grow, and cost nothing here.
    pub fn ended(&self, steps: usize) {
        if steps <= STEPS {
            return;
        }
        let mut gone = Vec::new();
        let mut held = lock(&self.held);
        held.grown += 2 * steps * size_of::<(Step, u64)>(); // their room doubles as it grows
        if held.bytes + held.grown > self.bytes_max {
            held.count();
            if held.bytes > self.bytes_max {
                let most = self.bytes_max - self.bytes_max / FREE_PART;
                while held.bytes > most {
                    let Some((oldest, bytes)) = held.timelines.pop_front() else { break };
                    held.bytes -= bytes;
                    gone.push(oldest);
                }
            }
        }
        drop(held);
        drop(gone);
    }

    /// Those of events of this id, the oldest first.
    #[must_use]
    pub fn of(&self, id: &str) -> Vec<Timeline> {
        let is_of = |timeline: &Timeline| {
            timeline.about().is_some_and(|about| about.subject == Subject::Event && about.id() == id)
        };
        let held = lock(&self.held);
        held.timelines.iter().filter(|(timeline, _)| is_of(timeline)).map(|(it, _)| it.clone()).collect()
    }

    /// When the oldest began.
    #[must_use]
    pub fn since(&self) -> Option<Instant> {
        lock(&self.held).timelines.front().and_then(|(timeline, _)| timeline.began())
    }
}

impl Held {
    /// Counts all bytes again.
    fn count(&mut self) {
        self.grown = 0;
        self.bytes = 0;
        for (timeline, bytes) in &mut self.timelines {
            *bytes = timeline.size() + AROUND_BYTES;
            self.bytes += *bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::{About, Delivery, Event, Origin, Position, Receipt};

    fn timeline(id: &str) -> Timeline {
        let delivery = Delivery {
            item: Ok(Event::new(id, "/s", "t").unwrap()),
            key: None,
            origin: Origin { source: "kafka".into(), position: Position::none(), headers: Vec::new() },
            received_ms: 0,
            attempts: 0,
            once: None,
            timeline: Timeline::off(),
            receipt: Receipt::batch(1).0.remove(0),
        };
        Timeline::start(Instant::now(), About::event(&delivery))
    }

    #[test]
    fn the_oldest_make_room_by_number_and_by_bytes() {
        let ring = Ring::new(2, usize::MAX);
        for id in ["a", "b", "b", "c"] {
            ring.push(timeline(id));
        }
        assert_eq!(["a", "b", "c"].map(|id| ring.of(id).len()), [0, 1, 1]);
        let bytes = timeline("a").size() + AROUND_BYTES;
        let ring = Ring::new(100, 3 * bytes);
        for id in ["a", "b", "c", "d"] {
            ring.push(timeline(id));
        }
        assert_eq!(["a", "b", "c", "d"].map(|id| ring.of(id).len()), [0, 1, 1, 1]);
    }

    #[test]
    fn what_has_grown_counts_once_it_ends() {
        let born = timeline("a").size() + AROUND_BYTES;
        let ring = Ring::new(1_000, 100 * born);
        for id in 0..100 {
            let timeline = timeline(&id.to_string());
            ring.push(timeline.clone());
            for attempt in 1..=300 {
                timeline.note(Step::Attempted(attempt), Instant::now());
            }
            ring.ended(timeline.with_steps(<[_]>::len));
        }
        let held = lock(&ring.held);
        let bytes: usize = held.timelines.iter().map(|(it, _)| it.size() + AROUND_BYTES).sum();
        assert!(bytes <= 100 * born && !held.timelines.is_empty(), "{bytes} of {}", 100 * born);
    }

    #[test]
    fn what_did_not_grow_stays() {
        let ring = Ring::new(1_000, 10 * (timeline("a").size() + AROUND_BYTES));
        for id in 0..10 {
            ring.push(timeline(&id.to_string()));
            ring.ended(5);
        }
        assert_eq!(lock(&ring.held).timelines.len(), 10);
    }
}
