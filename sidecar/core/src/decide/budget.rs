//! How many retries the function is asked to bear, over all events.
//!
//! A token bucket (as in Finagle's `RetryBudget`): every first attempt puts in a fraction of a token, time puts in
//! a few more, every retry takes one. When it is empty, retries are spread out to the rate at which time refills
//! it, instead of doubling the load on a function that already fails. A delayed retry is no attempt.

use std::time::{Duration, Instant};

/// The retries that may go now, and when the others may.
#[derive(Debug, Clone)]
pub struct Budget {
    ratio: f64,
    per_second: f64,
    burst: f64,
    tokens: f64,
    refilled: Option<Instant>,
}

impl Budget {
    /// A full budget: `ratio` of a token for each first attempt, `per_second` (more than 0) by time, at most `burst`.
    #[must_use]
    pub fn new(ratio: f64, per_second: f64, burst: f64) -> Self {
        Self { ratio, per_second, burst: burst.max(1.0), tokens: burst.max(1.0), refilled: None }
    }

    /// Goes by other bounds from here on, with what is saved up by now as far as `burst` allows it.
    pub fn set(&mut self, ratio: f64, per_second: f64, burst: f64) {
        let burst = burst.max(1.0);
        (self.ratio, self.per_second, self.burst) = (ratio, per_second, burst);
        self.tokens = self.tokens.min(burst);
    }

    /// A first attempt was made.
    pub fn deposit(&mut self) {
        self.tokens = (self.tokens + self.ratio).min(self.burst);
    }

    /// Reserves one retry: how long it has to wait for its token, zero when there is one.
    pub fn reserve(&mut self, now: Instant) -> Duration {
        let since = self.refilled.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.refilled = Some(now);
        self.tokens = (self.tokens + since.as_secs_f64() * self.per_second).min(self.burst) - 1.0;
        if self.tokens >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(-self.tokens / self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_budget_spreads_retries_out_to_its_rate() {
        let (mut budget, now) = (Budget::new(0.2, 10.0, 2.0), Instant::now());
        let waits: Vec<_> = (0..5).map(|_| budget.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200, 300]);
    }

    #[test]
    fn first_attempts_pay_for_retries_up_to_the_burst() {
        let (mut budget, now) = (Budget::new(0.5, 1.0, 3.0), Instant::now());
        (0..3).for_each(|_| assert!(budget.reserve(now).is_zero()));
        (0..100).for_each(|_| budget.deposit());
        (0..3).for_each(|_| assert!(budget.reserve(now).is_zero()));
        assert!(!budget.reserve(now).is_zero());
    }

    #[test]
    fn other_bounds_keep_what_is_saved_up_as_far_as_they_allow_it() {
        let (mut budget, now) = (Budget::new(0.0, 1.0, 100.0), Instant::now());
        budget.set(0.0, 10.0, 2.0);
        let waits: Vec<_> = (0..4).map(|_| budget.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200]);
    }

    #[test]
    fn time_refills_it() {
        let (mut budget, now) = (Budget::new(0.0, 10.0, 1.0), Instant::now());
        assert!(budget.reserve(now).is_zero());
        assert!(budget.reserve(now + Duration::from_millis(100)).is_zero());
    }
}
