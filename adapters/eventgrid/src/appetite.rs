//! How many events are asked for at once: as many as there is room for. Pure.

/// Learns how large events are, so that an answer fits in the room that it is asked for.
#[derive(Debug)]
pub(crate) struct Appetite {
    events_max: usize,
    /// The most that are asked for now: an answer was too large.
    cap: usize,
    /// A moving mean of an event's bytes in memory.
    mean_bytes: usize,
}

/// What an event is taken for before any has come.
const MEAN_BYTES_FIRST: usize = 2 << 10;

impl Appetite {
    pub(crate) fn new(events_max: usize) -> Self {
        Self { events_max, cap: events_max, mean_bytes: MEAN_BYTES_FIRST }
    }

    /// How many to ask for where there is room for so many events and bytes; at least one.
    pub(crate) fn ask(&self, room_events: usize, room_bytes: usize) -> usize {
        let by_bytes = room_bytes / self.mean_bytes.max(1);
        self.cap.min(room_events).min(by_bytes).max(1)
    }

    /// So many events came, of so many bytes in memory together.
    pub(crate) fn got(&mut self, events: usize, bytes: usize) {
        if let Some(mean) = bytes.checked_div(events) {
            self.mean_bytes = (self.mean_bytes * 3 + mean) / 4;
            self.cap = (self.cap * 2).min(self.events_max);
        }
    }

    /// An answer to a request for so many was longer than allowed. False when it was for one: that event can never be
    /// received.
    pub(crate) fn too_much(&mut self, asked: usize) -> bool {
        self.cap = (asked / 2).max(1);
        asked > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_asked_for_than_there_is_room_for() {
        let mut appetite = Appetite::new(100);
        assert_eq!(appetite.ask(1024, 32 << 20), 100);
        assert_eq!(appetite.ask(7, 32 << 20), 7);
        assert_eq!(appetite.ask(1024, 20 << 10), 10);
        assert_eq!(appetite.ask(0, 0), 1, "whoever asks has seen that there is room for one");
        for _ in 0..20 {
            appetite.got(10, 10 << 20);
        }
        assert_eq!(appetite.ask(1024, 8 << 20), 8);
        appetite.got(0, 0);
        assert_eq!(appetite.ask(1024, 8 << 20), 8);
    }

    #[test]
    fn an_answer_that_was_too_large_is_asked_for_in_halves_and_the_appetite_comes_back() {
        let mut appetite = Appetite::new(100);
        assert!(appetite.too_much(100));
        assert_eq!(appetite.ask(1024, 32 << 20), 50);
        assert!(appetite.too_much(2));
        assert_eq!(appetite.ask(1024, 32 << 20), 1);
        assert!(!appetite.too_much(1));
        for _ in 0..7 {
            appetite.got(1, 100);
        }
        assert_eq!(appetite.ask(1024, 32 << 20), 100);
    }
}
