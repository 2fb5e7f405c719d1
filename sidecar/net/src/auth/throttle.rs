//! So many lines a second and no more: who is refused decides how often, and must not be able to fill a disk. Pure.

use std::time::{Duration, Instant};

/// Lines a second.
const LINES_MAX: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);

/// Counts the lines of the current second.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Throttle {
    /// Whether a line may be written at `now`; with it, how many were left out since the last one.
    pub(super) fn allow(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= SECOND) {
            (self.began, self.lines) = (Some(now), 0);
        }
        if self.lines >= LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_the_next_line_says_by_how_much() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let written = (0..100).filter(|_| throttle.allow(start).is_some()).count();
        assert_eq!(written, 20);
        assert_eq!(throttle.allow(start + Duration::from_millis(999)), None);
        assert_eq!(throttle.allow(start + SECOND), Some(81));
        assert_eq!(throttle.allow(start + SECOND), Some(0));
    }
}
