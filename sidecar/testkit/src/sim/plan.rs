//! From a seed to a scenario.

use super::{fetch::Pace, function::Weather, group::Protocol, routes::Routes};
use fastrand::Rng;

/// What the sidecars are set to.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The window of admitted events.
    pub window_events: usize,
    /// The most records of one partition in hand.
    pub partition_events_max: usize,
    /// The most bytes of a commit's metadata.
    pub metadata_bytes_max: usize,
    /// Calls at once.
    pub concurrency: usize,
    /// Attempts of one event.
    pub attempts_max: u32,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long one call may take.
    pub call_timeout_ms: u64,
    /// How often is committed.
    pub commit_every_ms: u64,
    /// How long what runs may take when its partition is given up.
    pub revoke_timeout_ms: u64,
    /// How long nothing may come although it should.
    pub stalled_after_ms: u64,
}

/// What is the matter with commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// They are refused.
    Refused,
    /// They are taken, and the answer is lost.
    AnswerLost,
    /// They take long.
    Slow,
    /// They are taken, and whoever waits for the answer waits for ever, as a synchronous call of librdkafka may.
    Unanswered,
}

/// Something that happens. `who` is a number to choose an instance or a partition by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// More records are written.
    Append(u32),
    /// An instance dies, and comes back after so many milliseconds.
    Crash(usize, u64),
    /// An instance drains, and comes back.
    Drain(usize, u64),
    /// One more instance.
    Join,
    /// No broker can be reached for so long.
    Outage(u64),
    /// An instance cannot reach the brokers for so long.
    Cut(usize, u64),
    /// The group throws an instance out.
    Expel(usize),
    /// The group changes hands for no reason.
    Shuffle,
    /// A client silently stops fetching.
    Silence(usize),
    /// A client can do no more.
    Fatal(usize),
    /// No client can be made for so long.
    NoClients(u64),
    /// The next partitions are not taken at once.
    RefuseAssign,
    /// Commits go wrong for so long.
    Commits(Commits, u64),
    /// The function is ill for so long.
    Function(Weather, u64),
    /// Another target is ill for so long; the first number chooses it.
    Target(usize, Weather, u64),
    /// The disk of an instance takes nothing for so long.
    Full(usize, u64),
    /// Dead letters find no home for so long.
    NoGraves(u64),
    /// The older half of what a partition has left is gone.
    Retain(usize),
    /// A partition is compacted.
    Compact(usize),
    /// An owner pauses a topic, and lets it go on after so long.
    Pause(usize, u64),
}

/// A scenario.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where it comes from.
    pub seed: u64,
    /// The partitions of the topic.
    pub partitions: usize,
    /// Keys in use.
    pub keys: u8,
    /// How partitions change hands.
    pub protocol: Protocol,
    /// Sidecars at the start.
    pub instances: usize,
    /// Records at the start.
    pub records: u32,
    /// How far the offsets of two records may lie apart.
    pub gap_max: i64,
    /// A key whose records the function always fails.
    pub poison: Option<u8>,
    /// The sidecars' settings.
    pub settings: Settings,
    /// How fast records come.
    pub pace: Pace,
    /// The slowest answer of a function that is well.
    pub answer_ms_max: u64,
    /// The slowest commit on a good day.
    pub commit_ms_max: u64,
    /// Which record goes where; none lets all go to the function, without a disk.
    pub routes: Option<Routes>,
    /// What happens when, in its order.
    pub faults: Vec<(u64, Fault)>,
}

impl Plan {
    /// The scenario of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let one_of = |rng: &mut Rng, values: &[usize]| values[rng.usize(..values.len())];
        let settings = Settings {
            window_events: one_of(&mut rng, &[3, 8, 16, 32]),
            partition_events_max: one_of(&mut rng, &[1, 3, 8, 64]),
            metadata_bytes_max: one_of(&mut rng, &[64, 96, 4096]),
            concurrency: one_of(&mut rng, &[1, 2, 4, 8]),
            attempts_max: rng.u32(2..6),
            breaker_failures: rng.u32(2..8),
            call_timeout_ms: 400,
            commit_every_ms: 100,
            revoke_timeout_ms: 300,
            stalled_after_ms: 3_000,
        };
        let calm = rng.u8(..) < 40;
        let mut plan = Self {
            seed,
            partitions: rng.usize(1..=4),
            keys: rng.u8(3..=10),
            protocol: if rng.bool() { Protocol::Cooperative } else { Protocol::Eager },
            instances: rng.usize(1..=3),
            records: rng.u32(20..50),
            gap_max: if rng.bool() { 0 } else { rng.i64(1..40) },
            poison: (rng.u8(..) < 40).then_some(0),
            settings,
            pace: Pace { ahead: rng.usize(1..=12), latency_ms: rng.u64(2..60) },
            answer_ms_max: rng.u64(1..80),
            commit_ms_max: rng.u64(1..40),
            routes: None,
            faults: vec![(rng.u64(200..800), Fault::Append(15)), (rng.u64(800..1_600), Fault::Append(10))],
        };
        if !calm {
            for _ in 0..rng.u32(1..6) {
                let at = rng.u64(20..2_000);
                plan.faults.push((at, fault(&mut rng)));
            }
        }
        if seed % 2 == 1 {
            plan.route(&mut Rng::with_seed(seed ^ 0x0707));
        }
        let last = plan.faults.iter().map(|(at, _)| *at).max().unwrap_or_default();
        plan.faults.push((last + 100, Fault::Append(3))); // what is fresh after the last fault
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// The same with rules, and with what may go wrong with their targets and disks.
    fn route(&mut self, rng: &mut Rng) {
        let routes = Routes::new(rng);
        let targets = routes.others.len();
        self.routes = Some(routes);
        for _ in 0..rng.u32(..4) {
            let (at, long) = (rng.u64(20..2_000), rng.u64(50..2_500));
            let fault = match rng.u8(..4) {
                0 | 1 => Fault::Target(rng.usize(1..=targets), weather(rng), long),
                2 => Fault::Full(rng.usize(..8), long),
                _ => Fault::Crash(rng.usize(..8), long.min(800)),
            };
            self.faults.push((at, fault));
        }
    }

    /// The most copies for a target that wait in memory, where it overflows.
    #[must_use]
    pub fn lane_max(&self, target: usize) -> usize {
        let other = self.routes.as_ref().and_then(|routes| routes.others.get(target.checked_sub(1)?));
        other.and_then(|other| other.lane_max).unwrap_or_default()
    }

    /// The most calls of a target at once.
    #[must_use]
    pub fn concurrency(&self, target: usize) -> usize {
        let other = self.routes.as_ref().and_then(|routes| routes.others.get(target.checked_sub(1)?));
        other.map_or(self.settings.concurrency, |other| other.concurrency)
    }
}

fn weather(rng: &mut Rng) -> Weather {
    let kinds = [Weather::Refusing, Weather::Unavailable, Weather::Resetting, Weather::Hanging];
    kinds[rng.usize(..kinds.len())]
}

fn fault(rng: &mut Rng) -> Fault {
    let who = rng.usize(..8);
    let long = rng.u64(50..1_500);
    match rng.u8(..32) {
        0..4 => Fault::Crash(who, long),
        4..7 => Fault::Drain(who, long),
        7..9 => Fault::Join,
        9 => Fault::Outage(long * 2),
        10..12 => Fault::Cut(who, long * 2),
        12..15 => Fault::Expel(who),
        15..17 => Fault::Shuffle,
        17 => Fault::Silence(who),
        18 => Fault::Fatal(who),
        19 => Fault::NoClients(long),
        20 => Fault::RefuseAssign,
        21 => Fault::Commits(Commits::Refused, long),
        22 => Fault::Commits(Commits::AnswerLost, long),
        23 => Fault::Commits(if long.is_multiple_of(2) { Commits::Slow } else { Commits::Unanswered }, long),
        24..28 => Fault::Function(weather(rng), long),
        28 => Fault::NoGraves(long),
        29 => Fault::Retain(who),
        30 => Fault::Compact(who),
        _ => Fault::Pause(who, long),
    }
}
