//! The last timelines, for people who ask what became of an event. It ends with the process.

use crate::lock;
use outrigger_core::{Timeline, timeline::Subject};
use std::{collections::VecDeque, sync::Mutex, time::Instant};

/// What one place in the ring costs beside the timeline as it begins.
const AROUND_BYTES: usize = 64;

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
}

impl Ring {
    /// An empty one.
    #[must_use]
    pub fn new(events_max: usize, bytes_max: usize) -> Self {
        Self { events_max, bytes_max, held: Mutex::default() }
    }

    /// Adds a timeline that has begun. Its bytes are counted as they are now: what its retries add is bounded by itself.
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
}
