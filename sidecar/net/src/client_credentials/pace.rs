//! When a token is fetched again.

use fastrand::Rng;
use std::time::Duration;
use tokio::{sync::Notify, time::sleep};

/// Where in a token's life the next one is fetched: there is time left for failures, and Kafka's client, which asks
/// at four fifths, finds the new one.
const DUE: (f64, f64) = (0.70, 0.78);
/// The first wait after a failed fetch, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// From the outcome of a fetch to the time until the next one. Pure.
pub(super) struct Pace {
    jitter: Rng,
    failures: u32,
}

impl Pace {
    pub(super) fn new(jitter: Rng) -> Self {
        Self { jitter, failures: 0 }
    }

    /// The wait after a fetch whose token lives so long, or after one that failed.
    fn after(&mut self, fetched: Result<Duration, ()>) -> Duration {
        if let Ok(life) = fetched {
            self.failures = 0;
            return life.mul_f64(DUE.0 + self.jitter.f64() * (DUE.1 - DUE.0));
        }
        let wait = AGAIN.0.saturating_mul(2_u32.saturating_pow(self.failures)).min(AGAIN.1);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

/// Fetches again and again, each time when it is due, or at once when a token that was good has `expired`. Ends when
/// `fetch` says that nobody wants one.
pub(super) async fn keep<F: Future<Output = Option<Result<Duration, ()>>>>(
    fetch: impl Fn() -> F,
    expired: &Notify,
    mut pace: Pace,
) {
    while let Some(fetched) = fetch().await {
        let wait = pace.after(fetched);
        tokio::select! {
            () = sleep(wait) => {}
            () = expired.notified(), if fetched.is_ok() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tokio::time::Instant;

    /// When each fetch happened, in seconds, of outcomes that are given in turn.
    async fn times(outcomes: &[Result<u64, ()>], seed: u64) -> Vec<f64> {
        let (began, left) = (Instant::now(), RefCell::new(outcomes.iter()));
        let at = RefCell::new(Vec::new());
        let fetch = || async {
            let outcome = left.borrow_mut().next()?;
            at.borrow_mut().push(began.elapsed().as_secs_f64());
            Some(outcome.map(Duration::from_secs))
        };
        keep(fetch, &Notify::new(), Pace::new(Rng::with_seed(seed))).await;
        at.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_fetched_again_between_70_and_78_percent_of_its_life() {
        for seed in 0..20 {
            let at = times(&[Ok(1000), Ok(100)], seed).await;
            assert!((700.0..=780.1).contains(&at[1]), "{at:?}");
        }
        assert_ne!(times(&[Ok(1000), Ok(1)], 1).await, times(&[Ok(1000), Ok(1)], 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_tried_again_at_a_growing_distance_and_a_success_ends_that() {
        let fails = [Err(()); 7];
        let at = times(&[&fails[..], &[Ok(1000), Err(()), Err(())]].concat(), 7).await;
        let waits: Vec<f64> = at.windows(2).map(|pair| (pair[1] - pair[0]).round()).collect();
        assert_eq!(waits[..7], [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert!(waits[7] >= 700.0);
        assert_eq!(waits[8..], [1.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_found_expired_is_fetched_at_once_but_not_while_fetching_fails() {
        let expired = Notify::new();
        let outcomes = RefCell::new([Ok(1000), Err(())].into_iter());
        let at = RefCell::new(Vec::new());
        let began = Instant::now();
        let fetch = || async {
            at.borrow_mut().push(began.elapsed().as_secs());
            expired.notify_one();
            Some(outcomes.borrow_mut().next()?.map(Duration::from_secs))
        };
        keep(fetch, &expired, Pace::new(Rng::with_seed(1))).await;
        assert_eq!(at.into_inner(), [0, 0, 1]);
    }
}
