//! How much may be inside at once: the window of admitted events.

/// A count of events and bytes with a bound on each.
#[derive(Debug, Clone)]
pub struct Window {
    events_max: usize,
    bytes_max: usize,
    events: usize,
    bytes: usize,
}

impl Window {
    /// An empty window of at most `events_max` events and `bytes_max` bytes.
    #[must_use]
    pub fn new(events_max: usize, bytes_max: usize) -> Self {
        Self { events_max, bytes_max, events: 0, bytes: 0 }
    }

    /// Takes a place for an event of `bytes`; false when there is none.
    ///
    /// An empty window takes any event: one that is larger than the bound would otherwise wait for ever.
    /// The limits on bodies keep such an event out, unless somebody set the window smaller than they are.
    pub fn take(&mut self, bytes: usize) -> bool {
        let taken = self.has_room(bytes);
        if taken {
            self.events += 1;
            self.bytes += bytes;
        }
        taken
    }

    /// Gives back the place of an event of `bytes`.
    pub fn give(&mut self, bytes: usize) {
        self.events -= 1;
        self.bytes -= bytes;
    }

    /// Whether there is a place for an event of `bytes`.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let fits = self.events < self.events_max && self.bytes.saturating_add(bytes) <= self.bytes_max;
        fits || self.events == 0
    }

    /// Whether at most seven eighths of both bounds are taken.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.events <= self.events_max - self.events_max / 8 - usize::from(self.events_max < 8)
            && self.bytes <= self.bytes_max - self.bytes_max / 8
            || self.events == 0
    }

    /// What there is room for: events and bytes. An empty window has room for one event of any size.
    #[must_use]
    pub fn free(&self) -> (usize, usize) {
        (self.events_max.saturating_sub(self.events), self.bytes_max.saturating_sub(self.bytes))
    }

    /// What is inside: events and bytes.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.events, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_oversize_event_passes_alone_and_nothing_beside_it() {
        let mut window = Window::new(10, 100);
        assert!(window.take(1_000));
        assert!(!window.has_room(1) && !window.take(1));
        window.give(1_000);
        assert!(window.has_room(1));
    }

    proptest! {
        #[test]
        fn neither_bound_is_passed_by_events_that_fit(sizes in proptest::collection::vec(0_usize..100, 0..64)) {
            let mut window = Window::new(8, 250);
            let mut inside = Vec::new();
            for size in sizes {
                if window.take(size) { inside.push(size) } else if let Some(first) = inside.pop() { window.give(first) }
                prop_assert!(window.held().0 <= 8 && window.held().1 <= 250);
                prop_assert_eq!(window.held(), (inside.len(), inside.iter().sum()));
            }
        }
    }
}
