//! How long a lane waits before the next attempt.
//!
//! Full jitter: uniform between zero and a ceiling that doubles with every failure, so that a thousand failed
//! calls do not come back together (M. Brooker, "Exponential Backoff And Jitter", 2015). When the function names
//! a time itself (`Retry-After`), the longer of the two waits holds, up to the maximum.

use std::time::Duration;

/// The bounds of the wait; see [`Backoff::wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Ceiling of the wait after the first failure.
    pub initial: Duration,
    /// Ceiling of every wait, a `Retry-After` included.
    pub max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 is the first). `dice` is uniform in `[0, 1)`.
    #[must_use]
    pub fn wait(&self, failures: u32, retry_after: Option<Duration>, dice: f64) -> Duration {
        let jittered = self.ceiling(failures).mul_f64(dice);
        jittered.max(retry_after.unwrap_or_default()).min(self.max)
    }

    fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff { initial: Duration::from_millis(200), max: Duration::from_mins(1) };

    #[test]
    fn the_ceiling_doubles_with_every_failure_up_to_the_maximum() {
        let ceilings: Vec<_> = [1, 2, 3, 9, 10, u32::MAX].map(|n| BACKOFF.ceiling(n).as_millis()).into();
        assert_eq!(ceilings, [200, 400, 800, 51_200, 60_000, 60_000]);
    }

    #[test]
    fn a_longer_retry_after_wins_and_is_capped() {
        let wait = |seconds| BACKOFF.wait(1, Some(Duration::from_secs(seconds)), 0.999);
        assert_eq!((wait(2), wait(3_600)), (Duration::from_secs(2), BACKOFF.max));
        assert!(BACKOFF.wait(9, Some(Duration::from_secs(2)), 0.999) > Duration::from_secs(50));
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_the_maximum(failures: u32, retry_after_ms: Option<u32>, dice in 0.0..1.0) {
            let retry_after = retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
            prop_assert!(BACKOFF.wait(failures, retry_after, dice) <= BACKOFF.max);
        }
    }
}
