//! Everything outside the sidecars, and what the driver and their clients call. The driver sets the time.

use super::{
    Judge, Place, Plan,
    broker::Start,
    disk::{DISK_MS, Disk},
    function::{self, Act, Nature, Weather},
    group::Group,
    judge::{Limits, Seen},
    log::{Log, Record},
    plan::Commits,
    routes::TARGETS,
};
use fastrand::Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    task::Waker,
};

/// How long the coordinator waits for a member that is silent.
const SESSION_MS: u64 = 1_000;
/// How long the coordinator waits for an answer to a change.
const REBALANCE_MS: u64 = 4_000;

/// What is the matter, and until when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    /// No broker can be reached.
    pub outage: u64,
    /// No client can be made.
    pub no_clients: u64,
    /// No dead letter is taken.
    pub no_graves: u64,
    /// Assignments that will be refused.
    pub refuse_assign: u32,
    /// Commits go wrong.
    pub commits: Option<(Commits, u64)>,
    /// Targets are ill: the function, and others by their numbers.
    pub targets: [Option<(Weather, u64)>; TARGETS],
}

/// See the module.
#[derive(Debug)]
pub struct World {
    /// The scenario.
    pub plan: Plan,
    /// The time.
    pub now: u64,
    /// What is the matter.
    pub trouble: Trouble,
    /// What must hold.
    pub judge: Judge,
    /// The consumer group.
    pub group: Group,
    /// The dice of the world; the sidecars have their own.
    pub rng: Rng,
    pub(super) logs: Vec<Log>,
    natures: BTreeMap<Place, Nature>,
    /// What outlives processes, and which of them has which.
    pub(super) disks: Vec<Disk>,
    pub(super) homes: BTreeMap<u32, usize>,
    /// Marks that are to be there, and by when.
    pub(super) marks_owed: Vec<(u64, u32, usize, Place)>,
    /// Processes that drain.
    pub draining: BTreeSet<u32>,
    /// When their lanes had their time: what still ran then went back.
    pub lanes_ended: BTreeMap<u32, u64>,
    /// What members were told of where partitions begin.
    pub(super) told: BTreeMap<(u32, i32), Start>,
    calls: u64,
    trace: Option<Vec<String>>,
}

impl World {
    /// The world at the beginning, with its first records. `recording` keeps a trace.
    #[must_use]
    pub fn new(plan: Plan, recording: bool) -> Self {
        let Plan { settings, pace, .. } = &plan;
        let limits = Limits {
            attempts_max: settings.attempts_max,
            hand: (settings.window_events + 1, 2 * pace.ahead),
            commit_ms: settings.commit_every_ms + 3 * plan.commit_ms_max + 30 + 4 * DISK_MS,
            mark_ms: if plan.routes.is_some() { 4 * DISK_MS } else { 0 },
            overflows: std::array::from_fn(|target| plan.lane_max(target) > 0),
        };
        let mut world = Self {
            now: 0,
            trouble: Trouble::default(),
            judge: Judge::new(limits),
            group: Group::new(plan.protocol, plan.partitions, SESSION_MS, REBALANCE_MS),
            rng: Rng::with_seed(plan.seed ^ 0x5EED),
            logs: (0..plan.partitions).map(|_| Log::default()).collect(),
            natures: BTreeMap::new(),
            disks: Vec::new(),
            homes: BTreeMap::new(),
            marks_owed: Vec::new(),
            draining: BTreeSet::new(),
            lanes_ended: BTreeMap::new(),
            told: BTreeMap::new(),
            calls: 0,
            trace: recording.then(Vec::new),
            plan,
        };
        world.append(world.plan.records);
        world
    }

    /// The same where each event has a mark, which may be on its way for some time.
    #[must_use]
    pub fn marked(mut self) -> Self {
        self.judge.limits.mark_ms = 4 * DISK_MS;
        self
    }

    /// What happened so far, a line each; empty when it is not recorded.
    #[must_use]
    pub fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>6} {}", self.now, line()));
        }
    }

    /// Writes `count` records, to any partitions.
    pub fn append(&mut self, count: u32) {
        for _ in 0..count {
            let partition = self.rng.usize(..self.plan.partitions);
            let key = (self.rng.u8(..) > 12).then(|| self.rng.u8(..self.plan.keys));
            let malformed = self.rng.u8(..) < 6;
            let gap = if self.rng.u8(..) < 50 { self.rng.i64(0..=self.plan.gap_max) } else { 0 };
            let offset = self.logs[partition].append(gap, Record { key, malformed });
            let place = (i32::try_from(partition).unwrap_or_default(), offset);
            let nature = match self.rng.u8(..100) {
                _ if key.is_some() && key == self.plan.poison => Nature::Failing,
                drawn => Nature::of(drawn),
            };
            self.natures.insert(place, nature);
            let to = match &self.plan.routes {
                Some(routes) if !malformed => routes.to(place, key),
                _ => vec![0], // what is no event is a dead letter of the function's
            };
            self.note(|| {
                format!("written {place:?} key {key:?} {nature:?} malformed {malformed} for {to:?}")
            });
            self.judge.written(place, key, malformed, to);
        }
        self.wake_all();
    }

    /// Ends every partition with offsets that hold no record, as a transaction does.
    pub fn end_with_gaps(&mut self) {
        for log in &mut self.logs {
            log.end_with_gap(self.rng.i64(0..=self.plan.gap_max));
        }
    }

    /// The older half of a partition is gone.
    pub fn retain(&mut self, who: usize) {
        let partition = who % self.logs.len();
        let log = &mut self.logs[partition];
        let low = log.low().midpoint(log.end());
        let gone = log.retain_from(low);
        self.removed(partition, &gone, "retention");
    }

    /// Of older records only the last of each key stays.
    pub fn compact(&mut self, who: usize) {
        let partition = who % self.logs.len();
        let gone = self.logs[partition].compact(5);
        self.removed(partition, &gone, "compaction");
    }

    fn removed(&mut self, partition: usize, gone: &[i64], by: &str) {
        let partition = i32::try_from(partition).unwrap_or_default();
        for offset in gone {
            self.judge.removed((partition, *offset));
        }
        self.note(|| format!("{by} removes {partition}/{gone:?}"));
    }

    /// Does what is due in the group.
    pub fn step(&mut self) {
        let outage = self.now < self.trouble.outage;
        let (now, rng) = (self.now, &mut self.rng);
        self.group.step(now, outage, rng);
        self.wake_all();
    }

    /// The group throws a member out.
    pub fn expel(&mut self, id: u32) {
        let (now, rng) = (self.now, &mut self.rng);
        self.group.expel(id, now, rng);
    }

    /// The group changes hands for no reason.
    pub fn shuffle(&mut self) {
        let (now, rng) = (self.now, &mut self.rng);
        self.group.shuffle(now, rng);
    }

    /// Whoever waits looks again.
    pub fn wake_all(&mut self) {
        self.group.members.values_mut().filter_map(|member| member.waker.take()).for_each(Waker::wake);
    }

    /// A process is gone, with everything that it did not tell anybody.
    pub fn crash(&mut self, incarnation: u32) {
        self.note(|| format!("{incarnation} dies"));
        let of_it = |member: &&u32| self.group.members[member].incarnation == incarnation;
        let ids: Vec<u32> = self.group.members.keys().filter(of_it).copied().collect();
        for id in ids {
            self.be_timely(id);
            let (now, rng) = (self.now, &mut self.rng);
            self.group.gone(id, false, now, rng);
        }
        self.wake_all();
    }

    /// Whether everything that settled some time ago is committed, of each member that is well.
    pub fn watch(&mut self) {
        let ids: Vec<u32> = self.group.members.keys().copied().collect();
        for id in ids {
            self.be_timely(id);
        }
        self.check_owed_marks();
    }

    pub(super) fn be_timely(&mut self, id: u32) {
        if self.group.member(id).gone || self.ails(id) || self.group.member(id).lost {
            return;
        }
        let (now, member) = (self.now, self.group.member(id));
        let (incarnation, partitions) = (member.incarnation, member.fetches.keys().copied());
        let partitions: Vec<i32> = partitions.collect();
        for partition in partitions {
            self.judge.timely(incarnation, partition, now);
        }
    }

    /// A call of a target begins: its number, how long it takes, and what it comes to.
    pub fn call(&mut self, incarnation: u32, target: usize, place: Place) -> (u64, u64, Act) {
        self.calls += 1;
        let now = self.now;
        let weather = self.trouble.targets[target].filter(|(_, until)| now < *until);
        let weather = weather.map_or(Weather::Fine, |(weather, _)| weather);
        let (nature, answer_ms_max) = self.temper(target, place);
        let (latency, act) = function::act(nature, weather, answer_ms_max, &mut self.rng);
        self.judge.began(self.calls, incarnation, target, place);
        self.check_copy(incarnation, target, place);
        self.note(|| format!("{incarnation} calls {target} with {place:?}: {act:?} in {latency}"));
        (self.calls, latency, act)
    }

    /// What a target makes of a record, and how long it takes at most.
    fn temper(&self, target: usize, place: Place) -> (Nature, u64) {
        let others = self.plan.routes.iter().flat_map(|routes| &routes.others);
        let Some(other) = target.checked_sub(1).and_then(|n| others.clone().nth(n)) else {
            return (self.natures.get(&place).copied().unwrap_or(Nature::Good), self.plan.answer_ms_max);
        };
        let (partition, offset) = (u64::from(place.0.unsigned_abs()), place.1.unsigned_abs());
        let seed = self.plan.seed ^ (target as u64) << 48 ^ partition << 40 ^ offset;
        (Nature::of(Rng::with_seed(seed).u8(..100)), other.answer_ms_max)
    }

    /// A call ends.
    pub fn answered(&mut self, number: u64, (incarnation, target, place): (u32, usize, Place), seen: Seen) {
        if matches!(seen, Seen::Status(200..=299)) {
            self.copy_answered(incarnation, target, place);
        }
        let home = self.homes.get(&incarnation).copied().unwrap_or_default();
        self.judge.answered(number, seen, self.now, (home, &self.disks[home]));
        if matches!(seen, Seen::Status(200..=299)) && self.plan.lane_max(target) == 0 {
            self.owe_mark(incarnation, target, place);
        }
        self.note(|| format!("{place:?} ends as {seen:?} at {target}"));
    }

    /// An event is settled by what is known of its name, without a call.
    pub fn known(&mut self, incarnation: u32, place: Place) {
        self.judge.known(incarnation, place);
        self.note(|| format!("{incarnation} knows {place:?}"));
    }

    /// A dead letter of a target comes in; false when it cannot be kept.
    pub fn bury(
        &mut self,
        (incarnation, target, place): (u32, usize, Place),
        (code, attempts): (&str, u32),
    ) -> bool {
        let kept = self.now >= self.trouble.no_graves;
        if kept {
            self.copy_answered(incarnation, target, place);
            let disk = &self.disks[self.homes.get(&incarnation).copied().unwrap_or_default()];
            self.judge.buried((incarnation, target, place), (code, attempts), self.now, disk);
        }
        self.note(|| format!("{incarnation} buries {place:?} of {target} ({code}, {attempts}): {kept}"));
        kept
    }
}
