//! A circuit breaker toward a function that is down.
//!
//! Closed, it counts failures in a row. Open, it lets nothing through; half-open, one probe, whose failure opens
//! it again for twice as long (M. Nygard, "Release It!", 2nd ed., 5.2). What it holds back is no attempt, and
//! a failed probe is none either. It also keeps the time it was open, for deadlines that stand still meanwhile.

use std::time::{Duration, Instant};

/// When it opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it first stays open.
    pub open: Duration,
    /// The longest that it stays open between two probes.
    pub open_max: Duration,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Call.
    Call,
    /// Call, as the one probe that decides.
    Probe,
    /// Do not call before this instant.
    Until(Instant),
    /// Do not call before the probe is back.
    ProbeIsOut,
}

/// The breaker's state, as metrics show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed,
    /// Nothing passes.
    Open,
    /// One probe passes.
    HalfOpen,
}

/// The state machine; see the module.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: Settings,
    failures: u32,
    down: Option<Down>,
    open_before: Duration,
}

#[derive(Debug, Clone)]
struct Down {
    since: Instant,
    probe_at: Instant,
    open_for: Duration,
    probe_is_out: bool,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, failures: 0, down: None, open_before: Duration::ZERO }
    }

    /// Goes by other settings from its next failure on; whether it is open stays as it is.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Whether a call may go. [`Permission::Probe`] must be answered by [`Breaker::succeeded`],
    /// [`Breaker::failed`] or [`Breaker::abandoned`].
    pub fn ask(&mut self, now: Instant) -> Permission {
        match &mut self.down {
            None => Permission::Call,
            Some(down) if down.probe_is_out => Permission::ProbeIsOut,
            Some(down) if now < down.probe_at => Permission::Until(down.probe_at),
            Some(down) => {
                down.probe_is_out = true;
                Permission::Probe
            }
        }
    }

    /// The function answered as something alive.
    pub fn succeeded(&mut self, now: Instant) {
        self.failures = 0;
        if let Some(down) = self.down.take() {
            self.open_before += now.saturating_duration_since(down.since);
        }
    }

    /// The function did not answer, or answered that it is down. `probe` says whether this was the probe; failures
    /// of calls that were under way when it opened change nothing.
    pub fn failed(&mut self, now: Instant, probe: bool) {
        match &mut self.down {
            Some(down) if probe => {
                down.open_for = (down.open_for * 2).min(self.settings.open_max);
                down.probe_at = now + down.open_for;
                down.probe_is_out = false;
            }
            Some(_) => {}
            None => {
                self.failures += 1;
                if self.failures >= self.settings.failures {
                    let open_for = self.settings.open;
                    let probe_at = now + open_for;
                    self.down = Some(Down { since: now, probe_at, open_for, probe_is_out: false });
                }
            }
        }
    }

    /// The probe ended without an answer of either kind: its caller went away.
    pub fn abandoned(&mut self) {
        if let Some(down) = &mut self.down {
            down.probe_is_out = false;
        }
    }

    /// All the time that it has been open or half-open: deadlines stand still in it.
    #[must_use]
    pub fn open_total(&self, now: Instant) -> Duration {
        let current = self.down.as_ref().map(|down| now.saturating_duration_since(down.since));
        self.open_before + current.unwrap_or_default()
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match &self.down {
            None => State::Closed,
            Some(down) if !down.probe_is_out && now < down.probe_at => State::Open,
            Some(_) => State::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn opened() -> (Breaker, Instant) {
        let mut breaker = Breaker::new(Settings { failures: 3, open: SECOND, open_max: 4 * SECOND });
        let now = Instant::now();
        (0..3).for_each(|_| breaker.failed(now, false));
        (breaker, now)
    }

    #[test]
    fn failures_open_it_only_in_a_row() {
        let (mut breaker, now) = (opened().0, Instant::now());
        breaker.succeeded(now);
        for _ in 0..5 {
            breaker.failed(now, false);
            breaker.failed(now, false);
            breaker.succeeded(now);
        }
        assert_eq!(breaker.state(now), State::Closed);
    }

    #[test]
    fn open_lets_nothing_through_and_half_open_one_probe() {
        let (mut breaker, now) = opened();
        assert_eq!(breaker.ask(now), Permission::Until(now + SECOND));
        assert_eq!(breaker.ask(now + SECOND), Permission::Probe);
        assert_eq!(breaker.ask(now + SECOND), Permission::ProbeIsOut);
        breaker.succeeded(now + SECOND);
        assert_eq!(breaker.ask(now + SECOND), Permission::Call);
    }

    #[test]
    fn each_failed_probe_doubles_the_wait_up_to_the_maximum() {
        let (mut breaker, mut now) = opened();
        let mut waits = Vec::new();
        for _ in 0..4 {
            let Permission::Until(at) = breaker.ask(now) else { panic!("it is open") };
            waits.push((at - now).as_secs());
            now = at;
            assert_eq!(breaker.ask(now), Permission::Probe);
            breaker.failed(now, true);
        }
        assert_eq!(waits, [1, 2, 4, 4]);
    }

    #[test]
    fn other_settings_count_from_the_next_failure_on() {
        let (mut breaker, now) = opened();
        breaker.set(Settings { failures: 1, open: SECOND, open_max: SECOND });
        assert_eq!(breaker.ask(now), Permission::Until(now + SECOND), "it is as open as it was");
        assert_eq!(breaker.ask(now + SECOND), Permission::Probe);
        breaker.failed(now + SECOND, true);
        assert_eq!(
            breaker.ask(now + SECOND),
            Permission::Until(now + 2 * SECOND),
            "no longer than allowed now"
        );
        breaker.succeeded(now + 2 * SECOND);
        breaker.failed(now + 2 * SECOND, false);
        assert_eq!(breaker.state(now + 2 * SECOND), State::Open);
    }

    #[test]
    fn a_late_failure_of_an_older_call_does_not_prolong_it() {
        let (mut breaker, now) = opened();
        breaker.failed(now + SECOND / 2, false);
        assert_eq!(breaker.ask(now + SECOND), Permission::Probe);
    }

    #[test]
    fn an_abandoned_probe_gives_its_place_to_another() {
        let (mut breaker, now) = opened();
        assert_eq!(breaker.ask(now + SECOND), Permission::Probe);
        breaker.abandoned();
        assert_eq!(breaker.ask(now + SECOND), Permission::Probe);
    }

    #[test]
    fn open_time_adds_up_over_outages() {
        let (mut breaker, now) = opened();
        assert_eq!(breaker.open_total(now + 5 * SECOND), 5 * SECOND);
        breaker.succeeded(now + 6 * SECOND);
        assert_eq!(breaker.open_total(now + 60 * SECOND), 6 * SECOND);
    }
}
