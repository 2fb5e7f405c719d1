//! A line of the log that would be written for every event that waits: said at once, then now and again. Pure.

use std::time::{Duration, Instant};

/// How long it is not said again.
const SILENCE: Duration = Duration::from_secs(10);

/// One thing to complain of.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    said: Option<Instant>,
    left_out: u64,
}

impl Complaint {
    /// Whether it is to be said at `now`; with it, how often it was not since the last time.
    pub(crate) fn allow(&mut self, now: Instant) -> Option<u64> {
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < SILENCE) {
            self.left_out += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_after_each_silence_with_how_often_it_was_not() {
        let (mut complaint, start) = (Complaint::default(), Instant::now());
        assert_eq!(complaint.allow(start), Some(0));
        assert_eq!((0..1_000).filter(|_| complaint.allow(start + SILENCE / 2).is_some()).count(), 0);
        assert_eq!(complaint.allow(start + SILENCE), Some(1_000));
        assert_eq!(complaint.allow(start + SILENCE * 2), Some(0));
    }
}
