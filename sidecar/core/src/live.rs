//! A time that may change while others go by it: read by one atomic load, set without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A time that may change; up to five hundred years, in nanoseconds.
#[derive(Debug)]
pub struct LiveSpan(AtomicU64);

impl LiveSpan {
    /// With `span` for now.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        Self(AtomicU64::new(nanos(span)))
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }

    /// Counts for whoever reads it from here on.
    pub fn set(&self, span: Duration) {
        self.0.store(nanos(span), Relaxed);
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_it_was_set_to_last() {
        let span = LiveSpan::new(Duration::from_millis(1));
        assert_eq!(span.get(), Duration::from_millis(1));
        span.set(Duration::from_hours(24));
        assert_eq!(span.get(), Duration::from_hours(24));
        span.set(Duration::MAX);
        assert!(span.get() > Duration::from_hours(24 * 365 * 500));
    }
}
