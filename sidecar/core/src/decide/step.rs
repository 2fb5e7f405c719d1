//! What follows from one attempt: settle, try again, or give up.

use super::{backoff::Backoff, verdict::Verdict};
use crate::Code;
use std::time::Duration;

/// What the configuration says about giving up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Attempts that an event is given, at least 1.
    pub attempts_max: u32,
    /// The total time that an event is given from its admission; it stands still while the breaker is open.
    pub deadline: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
}

/// One attempt, as it ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    /// What the answer means.
    pub verdict: Verdict,
    /// Whether it counts: the request was sent, and it was not the breaker's probe.
    pub counts: bool,
    /// Attempts that counted, this one included.
    pub attempts: u32,
    /// Those of them that are a broker's deliveries, of which nobody knows whether the function failed them.
    pub carried: u32,
    /// Failures in a row since the event was admitted, counted or not: they space the waits.
    pub failures: u32,
    /// The time since its admission, without the time that the breaker was open.
    pub elapsed: Duration,
    /// What the function asked for.
    pub retry_after: Option<Duration>,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The function has it.
    Settle,
    /// Try again after this wait, in the same lane.
    Again(Duration),
    /// Give it up.
    GiveUp(Code),
}

/// Decides. `dice` is uniform in `[0, 1)`.
///
/// Only an event that the function itself failed is given up: with no counted attempt it waits on, however long
/// the function cannot be reached.
#[must_use]
pub fn next(policy: &Policy, attempt: &Attempt, dice: f64) -> Next {
    match attempt.verdict {
        Verdict::Delivered => Next::Settle,
        Verdict::Refused if attempt.counts => Next::GiveUp(Code::Refused),
        Verdict::Refused | Verdict::Retry => {
            if attempt.counts && attempt.attempts >= policy.attempts_max {
                Next::GiveUp(Code::Exhausted)
            } else if attempt.attempts > attempt.carried && attempt.elapsed >= policy.deadline {
                Next::GiveUp(Code::Deadline)
            } else {
                Next::Again(policy.backoff.wait(attempt.failures, attempt.retry_after, dice))
            }
        }
    }
}

/// How many of the deliveries that a broker has counted before this one are taken for attempts.
///
/// It counts what went back untried as well: at a drain, as the tail of a key, after a crash. So an event is tried twice
/// here at the least, where the configuration allows two attempts, before one failure of the function makes it poison.
#[must_use]
pub fn carried(deliveries: u32, attempts_max: u32) -> u32 {
    deliveries.min(attempts_max.saturating_sub(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        attempts_max: 3,
        deadline: Duration::from_mins(1),
        backoff: Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(10) },
    };
    const FAILED: Attempt = Attempt {
        verdict: Verdict::Retry,
        counts: true,
        attempts: 1,
        carried: 0,
        failures: 1,
        elapsed: Duration::ZERO,
        retry_after: None,
    };

    #[test]
    fn a_failure_waits_and_the_last_one_gives_up() {
        assert_eq!(next(&POLICY, &FAILED, 0.5), Next::Again(Duration::from_millis(50)));
        assert_eq!(next(&POLICY, &Attempt { attempts: 3, ..FAILED }, 0.5), Next::GiveUp(Code::Exhausted));
    }

    #[test]
    fn an_outage_never_gives_an_event_up() {
        let unreachable = Attempt { counts: false, attempts: 0, failures: 1_000, ..FAILED };
        let hours_later = Attempt { elapsed: Duration::from_hours(9), ..unreachable };
        assert!(matches!(next(&POLICY, &hours_later, 0.0), Next::Again(_)));
        let carried = Attempt { attempts: 2, carried: 2, ..hours_later };
        assert!(
            matches!(next(&POLICY, &carried, 0.0), Next::Again(_)),
            "others may have given it back untried"
        );
        let probe_refused = Attempt { verdict: Verdict::Refused, ..hours_later };
        assert!(matches!(next(&POLICY, &probe_refused, 0.0), Next::Again(_)));
    }

    #[test]
    fn the_deadline_ends_an_event_that_the_function_failed() {
        let late = Attempt { elapsed: POLICY.deadline, ..FAILED };
        assert_eq!(next(&POLICY, &late, 0.0), Next::GiveUp(Code::Deadline));
    }

    #[test]
    fn deliveries_elsewhere_leave_an_event_two_attempts_here() {
        for (deliveries, attempts_max, expected) in
            [(0, 5, 0), (1, 5, 1), (3, 5, 3), (4, 5, 3), (900, 5, 3), (9, 3, 1), (9, 2, 0), (9, 1, 0)]
        {
            assert_eq!(carried(deliveries, attempts_max), expected, "{deliveries} of {attempts_max}");
        }
    }

    #[test]
    fn a_refusal_gives_up_at_once_and_a_delivery_settles() {
        assert_eq!(
            next(&POLICY, &Attempt { verdict: Verdict::Refused, ..FAILED }, 0.0),
            Next::GiveUp(Code::Refused)
        );
        assert_eq!(next(&POLICY, &Attempt { verdict: Verdict::Delivered, ..FAILED }, 0.0), Next::Settle);
    }

    #[test]
    fn what_the_function_asks_for_is_kept_to_within_the_maximum() {
        let asked = |seconds| Attempt { retry_after: Some(Duration::from_secs(seconds)), ..FAILED };
        assert_eq!(next(&POLICY, &asked(5), 0.0), Next::Again(Duration::from_secs(5)));
        assert_eq!(next(&POLICY, &asked(500), 0.0), Next::Again(POLICY.backoff.max));
    }
}
