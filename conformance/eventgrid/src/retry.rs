//! What becomes of an event that a webhook did not take: the service's documented statuses and schedule. Pure.

use std::time::Duration;

/// How long the service waits for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The steps of the schedule; after the last one it is repeated every [`LAST_STEP`].
const STEPS_S: [u64; 9] = [10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600];

/// The step after all others.
const LAST_STEP: Duration = Duration::from_hours(12);

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The webhook answered with this status.
    Status(u16),
    /// It did not answer within [`TIMEOUT`].
    TimedOut,
    /// It could not be reached, or broke off.
    SocketError,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has it.
    Delivered,
    /// It is tried again, after at least this.
    Retry(Duration),
    /// It will never take it: dead letter, or dropped.
    Refused,
}

/// What follows from an outcome.
#[must_use]
pub fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Status(200..=204) => Verdict::Delivered,
        Outcome::Status(400 | 401 | 403 | 413) => Verdict::Refused,
        Outcome::Status(408) => Verdict::Retry(Duration::from_mins(2)),
        Outcome::Status(503) => Verdict::Retry(Duration::from_secs(30)),
        _ => Verdict::Retry(Duration::from_secs(10)),
    }
}

/// How long after its `attempts`-th failed attempt an event is tried again. The service adds a small random part,
/// which is left out here.
#[must_use]
pub fn step(attempts: u32) -> Duration {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    STEPS_S.get(index).map_or(LAST_STEP, |seconds| Duration::from_secs(*seconds))
}

/// The outcome's name in a dead letter.
#[must_use]
pub fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Status(400) => "BadRequest",
        Outcome::Status(401) => "Unauthorized",
        Outcome::Status(403) => "Forbidden",
        Outcome::Status(404) => "NotFound",
        Outcome::Status(408) | Outcome::TimedOut => "TimedOut",
        Outcome::Status(413) => "PayloadTooLarge",
        Outcome::Status(429 | 503) => "Busy",
        Outcome::Status(_) => "GenericError",
        Outcome::SocketError => "SocketError",
    }
}

/// The reason in a dead letter that was refused.
#[must_use]
pub fn reason(outcome: Outcome) -> String {
    format!("UndeliverableDueToHttp{}", name(outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_documented_one_and_goes_on_every_twelve_hours() {
        let minutes: Vec<_> = (1..=11).map(|attempts| step(attempts).as_secs()).collect();
        let hour = 3600;
        let last = [12 * hour, 12 * hour];
        assert_eq!(minutes[..9], [10, 30, 60, 300, 600, 1800, hour, 3 * hour, 6 * hour]);
        assert_eq!(minutes[9..], last);
    }

    #[test]
    fn only_200_to_204_are_success_and_four_statuses_end_an_event() {
        for status in 100..600 {
            let verdict = verdict(Outcome::Status(status));
            assert_eq!(verdict == Verdict::Delivered, (200..=204).contains(&status), "{status}");
            assert_eq!(verdict == Verdict::Refused, [400, 401, 403, 413].contains(&status), "{status}");
        }
    }
}
