//! The marks of a window of time, in memory and within a bound. Pure: the time comes from outside.
//!
//! Names are known by 128 bits of a SHA-256, so each mark takes the same, and the bound in bytes is one in marks. All of
//! it is reserved at once (the system gives pages as they are used), so that it never grows. Full, the oldest are
//! forgotten: that may cost a duplicate, never an event.

use outrigger_core::{Known, Payload};
use std::collections::{HashMap, VecDeque, hash_map::Entry};

/// A name, hashed.
pub(crate) type Name = [u8; 16];

/// Marks, the oldest first.
#[derive(Debug)]
pub(crate) struct Table {
    window_ms: u64,
    marks_max: usize,
    marks: HashMap<Name, Kept>,
    /// When each was written. One that was written again stands here twice, and counts twice until the first goes.
    order: VecDeque<(u64, Name)>,
    forgotten: u64,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    at_ms: u64,
    payload: Option<[u8; 16]>,
}

/// A place in the map with its byte of control, and one in the order.
const MAP_BYTES: usize = size_of::<(Name, Kept)>() + 1;
const ORDER_BYTES: usize = size_of::<(u64, Name)>();

/// How many marks fit: the map has a power of two of places, of which it uses seven in eight. Half of those are for what was
/// removed: with more marks than the other half it would grow instead of tidying up.
fn fitting(bytes_max: usize) -> usize {
    let fits = |places: usize| {
        let rest = bytes_max.checked_sub(places.checked_mul(MAP_BYTES)?)?;
        Some((places / 16 * 7).min(rest / ORDER_BYTES))
    };
    (4..usize::BITS - 1).map_while(|bits| fits(1 << bits)).max().unwrap_or(0)
}

impl Table {
    /// An empty one, for marks of the last `window_ms` in at most `bytes_max`.
    pub(crate) fn new(window_ms: u64, bytes_max: usize) -> Self {
        let marks_max = fitting(bytes_max);
        let (marks, order) = (HashMap::with_capacity(2 * marks_max), VecDeque::with_capacity(marks_max));
        Self { window_ms, marks_max, marks, order, forgotten: 0 }
    }

    /// What is known of a name at `now_ms`.
    pub(crate) fn known(&self, name: &Name, payload: Option<Payload>, now_ms: u64) -> Known {
        let kept = self.marks.get(name).filter(|kept| kept.at_ms.saturating_add(self.window_ms) > now_ms);
        match kept {
            None => Known::New,
            Some(kept) if kept.payload.zip(payload.map(bytes)).is_some_and(|(a, b)| a != b) => Known::Another,
            Some(_) => Known::Same,
        }
    }

    /// Keeps a mark that is written now.
    pub(crate) fn insert(&mut self, name: Name, payload: Option<Payload>, now_ms: u64) {
        while let Some((at_ms, _)) = self.order.front()
            && (self.order.len() >= self.marks_max || at_ms.saturating_add(self.window_ms) <= now_ms)
        {
            let is_young = at_ms.saturating_add(self.window_ms) > now_ms;
            self.forget_oldest(is_young);
        }
        if self.marks_max > 0 {
            self.marks.insert(name, Kept { at_ms: now_ms, payload: payload.map(bytes) });
            self.order.push_back((now_ms, name));
        }
    }

    /// Keeps a mark from before all that are here. Gives back whether there was room.
    pub(crate) fn insert_older(&mut self, name: Name, payload: Option<Payload>, at_ms: u64) -> bool {
        if self.order.len() >= self.marks_max {
            return false;
        }
        if let Entry::Vacant(place) = self.marks.entry(name) {
            place.insert(Kept { at_ms, payload: payload.map(bytes) });
            self.order.push_front((at_ms, name));
        }
        true
    }

    /// Marks, and those of them that had to go before their time.
    pub(crate) fn counts(&self) -> (usize, u64) {
        (self.marks.len(), self.forgotten)
    }

    /// What all of it takes at most, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let places = (2 * self.marks_max * 8).div_ceil(7).next_power_of_two();
        places * MAP_BYTES + self.marks_max * ORDER_BYTES
    }

    fn forget_oldest(&mut self, is_young: bool) {
        let Some((at_ms, name)) = self.order.pop_front() else { return };
        if self.marks.get(&name).is_some_and(|kept| kept.at_ms == at_ms) {
            self.marks.remove(&name);
            self.forgotten += u64::from(is_young);
        }
    }
}

fn bytes(Payload(hash): Payload) -> [u8; 16] {
    hash.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(n: u8) -> Name {
        [n; 16]
    }

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn a_mark_counts_for_its_window_and_no_longer() {
        let mut table = Table::new(HOUR_MS, 1 << 16);
        table.insert(name(1), Some(Payload(1)), 10);
        assert_eq!(table.known(&name(1), Some(Payload(1)), 10 + HOUR_MS - 1), Known::Same);
        assert_eq!(table.known(&name(1), Some(Payload(2)), 10 + HOUR_MS - 1), Known::Another);
        assert_eq!(table.known(&name(1), None, 11), Known::Same);
        assert_eq!(table.known(&name(1), Some(Payload(1)), 10 + HOUR_MS), Known::New);
        assert_eq!(table.known(&name(2), None, 10), Known::New);
        table.insert(name(2), None, 10 + HOUR_MS);
        assert_eq!(table.counts(), (1, 0), "the first is too old to be counted as forgotten");
    }

    #[test]
    fn row_27_a_full_table_forgets_the_oldest_and_stays_within_its_bytes() {
        let mut table = Table::new(HOUR_MS, 4_096);
        let max = table.marks_max;
        assert!(table.bytes() <= 4_096 && max >= 20, "{max} marks in {} bytes", table.bytes());
        let capacity = (table.marks.capacity(), table.order.capacity());
        for n in 0..=u8::MAX {
            table.insert(name(n), None, u64::from(n));
        }
        // Places of removed names that the map has not tidied up yet are not in its capacity: it can be less, never more.
        assert!(table.marks.capacity() <= capacity.0, "it never grows: {}", table.marks.capacity());
        assert_eq!(table.order.capacity(), capacity.1, "it never grows");
        assert_eq!(table.counts(), (max, 256 - max as u64));
        assert_eq!(table.known(&name(u8::MAX), None, 300), Known::Same);
        assert_eq!(table.known(&name(0), None, 300), Known::New, "what was forgotten is delivered again");
    }

    #[test]
    fn what_is_written_again_stays_as_long_as_its_last_mark() {
        let mut table = Table::new(100, 4_096);
        table.insert(name(1), Some(Payload(1)), 0);
        table.insert(name(1), Some(Payload(2)), 90);
        table.insert(name(2), None, 150);
        assert_eq!(table.known(&name(1), Some(Payload(2)), 150), Known::Same);
    }

    #[test]
    fn older_marks_are_taken_up_before_newer_ones_as_far_as_there_is_room() {
        let mut table = Table::new(HOUR_MS, 4_096);
        table.insert(name(9), Some(Payload(9)), 1_000);
        assert!(table.insert_older(name(9), Some(Payload(1)), 900), "the newer one stays");
        assert_eq!(table.known(&name(9), Some(Payload(9)), 1_000), Known::Same);
        let taken =
            (10..=u8::MAX).filter(|n| table.insert_older(name(*n), None, 800 - u64::from(*n))).count();
        assert_eq!(taken, table.marks_max - 1);
        table.insert(name(1), None, 1_001);
        assert_eq!(table.known(&name(9), None, 1_001), Known::Same, "the oldest goes first");
    }

    #[test]
    fn no_room_is_no_marks() {
        let mut table = Table::new(HOUR_MS, 100);
        table.insert(name(1), None, 1);
        assert_eq!((table.known(&name(1), None, 1), table.counts()), (Known::New, (0, 0)));
    }

    proptest! {
        /// It never says of a name that it is known that was not written within the window: that would lose an event.
        #[test]
        fn what_it_knows_was_written(steps in proptest::collection::vec((0..40_u8, 0..50_u64, any::<bool>()), 1..400)) {
            let (mut table, mut now) = (Table::new(300, 2_048), 1_000);
            let mut last: HashMap<u8, u64> = HashMap::new();
            for (n, wait, is_write) in steps {
                now += wait;
                if is_write {
                    table.insert(name(n), None, now);
                    last.insert(n, now);
                }
                for other in 0..40 {
                    let is_known = table.known(&name(other), None, now) == Known::Same;
                    let may_be = last.get(&other).is_some_and(|at| at + 300 > now);
                    prop_assert!(may_be || !is_known);
                }
                prop_assert!(table.order.len() <= table.marks_max && table.marks.len() <= table.order.len());
            }
        }
    }
}
