//! The fake's own time: it runs, runs faster, or stands still, and a test may move it ahead.
//!
//! Whatever the service does by time (locks, delays, the retry schedule, the windows of a handshake, the end of a
//! long poll) goes by this clock, so that a test needs not wait for it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::watch;

/// A moment, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// So many milliseconds after 1970.
    #[must_use]
    pub const fn from_ms(unix_ms: u64) -> Self {
        Self(unix_ms)
    }

    /// Milliseconds after 1970.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// The moment `later`.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        f.write_str(&at.format(&Rfc3339).unwrap_or_default())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a clock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// So many seconds pass in one; 1 is real time.
    Running(u32),
    /// It stands, and moves only by [`Clock::advance`].
    Standing,
}

/// The clock. All methods are cheap.
#[derive(Debug)]
pub struct Clock {
    pace: Pace,
    started: Instant,
    started_at: Moment,
    ahead: Mutex<Duration>,
    moved: watch::Sender<()>,
}

impl Clock {
    /// One that begins at the machine's time.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            pace,
            started: Instant::now(),
            started_at: Moment(0).plus(unix),
            ahead: Mutex::default(),
            moved: watch::Sender::new(()),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        let passed = match self.pace {
            Pace::Running(speed) => self.started.elapsed().saturating_mul(speed),
            Pace::Standing => Duration::ZERO,
        };
        self.started_at.plus(passed + *self.ahead())
    }

    /// Moves it ahead, at once. Whoever sleeps is woken.
    pub fn advance(&self, by: Duration) {
        *self.ahead() += by;
        self.moved.send_modify(|()| {});
    }

    /// Moves it to `moment`, if that is ahead.
    pub fn advance_to(&self, moment: Moment) {
        let by = moment.since(self.now());
        self.advance(by);
    }

    /// Waits until `moment`. Cancel safe.
    pub async fn sleep_until(&self, moment: Moment) {
        let mut moved = self.moved.subscribe();
        loop {
            let left = moment.since(self.now());
            if left.is_zero() {
                return;
            }
            // A clock that is gone cannot be awaited, so `changed` has no error here.
            match self.pace {
                Pace::Standing => drop(moved.changed().await),
                Pace::Running(speed) => tokio::select! {
                    () = tokio::time::sleep((left / speed.max(1)).max(Duration::from_millis(1))) => {}
                    _ = moved.changed() => {}
                },
            }
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Duration> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_standing_clock_wakes_a_sleeper_when_it_has_been_moved_far_enough() {
        let clock = std::sync::Arc::new(Clock::new(Pace::Standing));
        let start = clock.now();
        let until = start.plus(Duration::from_secs(10));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(until).await }
        });
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance_to(until);
        sleeper.await.unwrap();
        assert_eq!(clock.now(), until);
    }

    #[test]
    fn a_moment_is_written_as_the_service_writes_it() {
        assert_eq!(Moment::from_ms(1_698_870_831_452).to_string(), "2023-11-01T20:33:51.452Z");
    }
}
