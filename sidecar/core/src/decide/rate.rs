//! A bound on calls per second.
//!
//! A virtual-schedule leaky bucket (GCRA, ITU-T I.371): one instant is the whole state, and a call that is not
//! yet due learns when it is.

use std::time::{Duration, Instant};

/// At most so many calls per second, with a burst of a tenth of a second's worth (at least one).
#[derive(Debug, Clone)]
pub struct Rate {
    interval: Duration,
    tolerance: Duration,
    next: Option<Instant>,
}

impl Rate {
    /// A bound of `per_second` calls, more than 0.
    #[must_use]
    pub fn new(per_second: f64) -> Self {
        let interval = Duration::from_secs_f64(1.0 / per_second);
        Self { interval, tolerance: Duration::from_millis(100).saturating_sub(interval), next: None }
    }

    /// Allows `per_second` calls from here on, more than 0; those that went count as they did.
    pub fn set(&mut self, per_second: f64) {
        *self = Self { next: self.next, ..Self::new(per_second) };
    }

    /// Takes the place of one call, or says when there will be one.
    ///
    /// # Errors
    /// The instant from which a call is due.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let due = self.next.unwrap_or(now).max(now);
        let wait = due.duration_since(now);
        if wait > self.tolerance {
            return Err(now + wait.saturating_sub(self.tolerance));
        }
        self.next = Some(due + self.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slow_rate_lets_one_call_through_and_names_the_next_instant() {
        let (mut rate, start) = (Rate::new(2.0), Instant::now());
        assert_eq!(rate.take(start), Ok(()));
        assert_eq!(rate.take(start), Err(start + Duration::from_millis(500)));
        assert_eq!(rate.take(start + Duration::from_millis(500)), Ok(()));
    }

    #[test]
    fn another_rate_does_not_forget_the_calls_that_went() {
        let (mut rate, start) = (Rate::new(2.0), Instant::now());
        assert_eq!(rate.take(start), Ok(()));
        rate.set(1.0);
        assert_eq!(rate.take(start), Err(start + Duration::from_millis(500)), "of the call before");
        assert_eq!(rate.take(start + Duration::from_millis(500)), Ok(()));
        assert_eq!(rate.take(start + Duration::from_millis(500)), Err(start + Duration::from_millis(1_500)));
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_the_rate_and_its_burst(
            gaps_ms in proptest::collection::vec(0_u64..20, 1..2_000), per_second in 1_u32..500,
        ) {
            let mut rate = Rate::new(per_second.into());
            let (mut now, mut passed) = (Instant::now(), Vec::new());
            for gap in gaps_ms {
                now += Duration::from_millis(gap);
                if rate.take(now).is_ok() { passed.push(now) }
            }
            let allowed = f64::from(per_second) * 1.1 + 1.0;
            for (i, from) in passed.iter().enumerate() {
                let within = passed[i..].iter().take_while(|at| **at < *from + Duration::from_secs(1)).count();
                let within = u32::try_from(within).unwrap();
                prop_assert!(f64::from(within) <= allowed.ceil(), "{within} within a second at {per_second}/s");
            }
        }
    }
}
