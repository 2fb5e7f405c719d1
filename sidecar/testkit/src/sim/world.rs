//! Everything outside the sidecars, and what the driver and their clients call. The driver sets the time.

use super::{
    Judge, Place, Plan,
    fetch::Fetch,
    function::{self, Act, Nature, Weather},
    group::{Committed, Group, Notice, index},
    judge::{Limits, Seen},
    log::{Log, Record},
    marks::Coverage,
    plan::Commits,
};
use fastrand::Rng;
use std::{collections::BTreeMap, task::Waker};

/// How long the coordinator waits for a member that is silent.
const SESSION_MS: u64 = 1_000;
/// How long the coordinator waits for an answer to a change.
const REBALANCE_MS: u64 = 4_000;
/// How long a question takes that nobody answers.
const ASK_MS: u64 = 200;
/// How often a client tells its numbers.
const STATS_MS: u64 = 500;

/// What a client finds when it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Something to tell.
    Notice(Notice),
    /// The numbers: the ends of its partitions, and whether brokers are connected.
    Stats {
        /// The offset after the last one, by partition.
        ends: Vec<(i32, i64)>,
        /// Whether a broker is connected.
        connected: bool,
        /// Whether it is in its group.
        joined: bool,
    },
    /// A record.
    Record(Place, Record),
    /// Nothing before this time, if then.
    Nothing(Option<u64>),
}

/// Where a partition begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub offset: i64,
    /// What was committed besides.
    pub metadata: String,
    /// Whether nothing was committed that still holds.
    pub fresh: bool,
    /// Records that were committed up to and are gone beyond.
    pub missing: i64,
}

/// A commit on its way.
#[derive(Debug, Clone)]
pub struct Sent {
    member: u32,
    epoch: u64,
    commits: Vec<(i32, i64, String)>,
    /// Whether it arrives even when its sender dies meanwhile.
    survives: bool,
    fate: Option<Commits>,
    /// When the broker has it.
    pub arrives_at: u64,
    /// When the client hears of it.
    pub answered_at: u64,
}

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
    /// The function is ill.
    pub function: Option<(Weather, u64)>,
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
    logs: Vec<Log>,
    natures: BTreeMap<Place, Nature>,
    /// What members were told of where partitions begin.
    told: BTreeMap<(u32, i32), (i64, String)>,
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
            hand: (settings.window_events + 1, pace.ahead),
            commit_ms: settings.commit_every_ms + 2 * plan.commit_ms_max + 30,
        };
        let mut world = Self {
            now: 0,
            trouble: Trouble::default(),
            judge: Judge::new(limits),
            group: Group::new(plan.protocol, plan.partitions, SESSION_MS, REBALANCE_MS),
            rng: Rng::with_seed(plan.seed ^ 0x5EED),
            logs: (0..plan.partitions).map(|_| Log::default()).collect(),
            natures: BTreeMap::new(),
            told: BTreeMap::new(),
            calls: 0,
            trace: recording.then(Vec::new),
            plan,
        };
        world.append(world.plan.records);
        world
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
                0..84 => Nature::Good,
                84..92 => Nature::Flaky,
                92..96 => Nature::Refused,
                _ => Nature::Failing,
            };
            self.natures.insert(place, nature);
            self.judge.written(place, key, malformed);
            self.note(|| format!("written {place:?} key {key:?} {nature:?} malformed {malformed}"));
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
        gone.iter().for_each(|offset| self.judge.removed((partition, *offset)));
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

    /// A client begins; `None` while none can.
    pub fn connect(&mut self, incarnation: u32) -> Option<u32> {
        if self.now < self.trouble.no_clients {
            self.note(|| format!("{incarnation} gets no client"));
            return None;
        }
        let member = self.group.connect(incarnation, self.now, &mut self.rng);
        self.note(|| format!("{incarnation} connects as m{member}"));
        Some(member)
    }

    fn reachable(&mut self, member: u32) -> bool {
        self.now >= self.trouble.outage && self.now >= self.group.member(member).cut_until
    }

    /// What a client finds.
    pub fn look(&mut self, id: u32) -> Found {
        let (now, reachable) = (self.now, self.reachable(id));
        let member = self.group.member(id);
        if member.gone {
            return Found::Nothing(None);
        }
        let first = member.mail.front().map(|(at, notice)| (*at, notice.clone()));
        if let Some((at, notice)) = first
            && at <= now
            && (reachable || member.lost || matches!(notice, Notice::Outage | Notice::Fatal))
        {
            member.mail.pop_front();
            if matches!(notice, Notice::Revoked(_)) {
                member.revoked_at = now;
            }
            self.note(|| format!("m{id} is told {notice:?}"));
            return Found::Notice(notice);
        }
        if member.stats_at <= now {
            member.stats_at = now + STATS_MS;
            let ends: Vec<(i32, i64)> = member
                .fetches
                .keys()
                .map(|partition| (*partition, self.logs[index(*partition)].end()))
                .collect();
            return Found::Stats { ends, connected: reachable, joined: self.group.is_joined(id) };
        }
        let (pace, incarnation) = (self.plan.pace, member.incarnation);
        let mut due = vec![member.stats_at];
        due.extend(member.mail.front().map(|(at, _)| *at));
        let mut found = None;
        let spin = usize::try_from(now).unwrap_or_default() % self.logs.len();
        for place in 0..self.logs.len() {
            let partition = (place + spin) % self.logs.len();
            let number = i32::try_from(partition).unwrap_or_default();
            let Some(fetch) = member.fetches.get_mut(&number) else { continue };
            let log = &self.logs[partition];
            fetch.pump(now, log, pace, reachable, &mut self.rng);
            let taken = if found.is_none() { fetch.take() } else { None };
            if let Some(record) = taken.and_then(|offset| log.get(offset)) {
                found = taken.map(|offset| ((number, offset), record.clone()));
            }
            due.extend(fetch.due(log).map(|at| at.max(now + 1)));
        }
        let Some((place, record)) = found else {
            return Found::Nothing(due.into_iter().min().map(|at| at.max(now + 1)));
        };
        self.judge.handed(incarnation, place);
        self.note(|| format!("m{id} hands over {place:?}"));
        Found::Record(place, record)
    }

    /// Where partitions begin; asked by a client of the brokers. `None` where they cannot be reached.
    pub fn starts(&mut self, id: u32, partitions: &[i32]) -> Option<Vec<Start>> {
        if !self.reachable(id) {
            return None;
        }
        let starts: Vec<Start> = partitions.iter().map(|partition| self.start(*partition)).collect();
        for start in &starts {
            self.told.insert((id, start.partition), (start.offset, start.metadata.clone()));
        }
        self.note(|| format!("m{id} begins at {starts:?}"));
        Some(starts)
    }

    fn start(&self, partition: i32) -> Start {
        let log = &self.logs[index(partition)];
        let (low, high) = (log.low(), log.end());
        let Some(commit) = &self.group.commits[index(partition)] else {
            return Start { partition, offset: low, metadata: String::new(), fresh: true, missing: 0 };
        };
        let is_there = (low..=high).contains(&commit.offset);
        Start {
            partition,
            offset: if is_there { commit.offset } else { low },
            metadata: if is_there { commit.metadata.clone() } else { String::new() },
            fresh: !is_there,
            missing: (low - commit.offset).max(0),
        }
    }

    /// How long a question to the brokers takes.
    pub fn ask_ms(&mut self, id: u32) -> u64 {
        if self.reachable(id) { self.rng.u64(1..40) } else { ASK_MS }
    }

    /// A client takes partitions; false when it is refused this time.
    pub fn assign(&mut self, id: u32, starts: &[(i32, i64)]) -> bool {
        if self.trouble.refuse_assign > 0 && !starts.is_empty() {
            self.trouble.refuse_assign -= 1;
            return false;
        }
        let (now, rng) = (self.now, &mut self.rng);
        let member = self.group.member(id);
        let incarnation = member.incarnation;
        for (partition, offset) in starts {
            member.fetches.insert(*partition, Fetch::new(*offset, now + rng.u64(1..20)));
            let (offset, metadata) = self.told.remove(&(id, *partition)).unwrap_or_default();
            self.judge.assigned(incarnation, *partition, offset, &metadata);
        }
        member.fetches.values_mut().for_each(|fetch| fetch.paused = false); // a change may forget pauses
        let partitions: Vec<i32> = starts.iter().map(|(partition, _)| *partition).collect();
        self.group.took(id, &partitions, now, rng);
        self.note(|| format!("m{id} takes {partitions:?}"));
        self.wake_all();
        true
    }

    /// A client gives partitions up.
    pub fn unassign(&mut self, id: u32, partitions: &[i32]) {
        let late = self.plan.settings.revoke_timeout_ms;
        let member = self.group.member(id);
        let in_order = !member.lost && !self.ails(id) && self.now < self.group.member(id).revoked_at + late;
        let incarnation = self.group.member(id).incarnation;
        self.note(|| format!("m{id} gives up {partitions:?} in order: {in_order}"));
        partitions.iter().for_each(|partition| self.judge.ended(incarnation, *partition, in_order));
        let (now, rng) = (self.now, &mut self.rng);
        self.group.gave_up(id, partitions, now, rng);
        self.wake_all();
    }

    /// Whether something was lately wrong with a member's commits.
    fn ails(&mut self, id: u32) -> bool {
        let now = self.now;
        !self.reachable(id)
            || !self.group.is_joined(id)
            || self.trouble.commits.is_some_and(|(_, until)| now < until + 1_500)
            || self.group.member(id).trouble_at.is_some_and(|at| now < at + 1_500)
    }

    /// A client pauses partitions, or lets them go on.
    pub fn pause(&mut self, id: u32, partitions: &[i32], paused: bool) {
        let member = self.group.member(id);
        for partition in partitions {
            if let Some(fetch) = member.fetches.get_mut(partition) {
                fetch.paused = paused;
            }
        }
        self.note(|| format!("m{id} pauses {partitions:?}: {paused}"));
        self.wake_all();
    }

    /// A client fetches from `offset` on.
    pub fn seek(&mut self, id: u32, partition: i32, offset: i64) {
        let at = self.now + self.rng.u64(0..20);
        if let Some(fetch) = self.group.member(id).fetches.get_mut(&partition) {
            fetch.seek(at, offset);
        }
        self.note(|| format!("m{id} seeks {partition}/{offset}"));
        self.wake_all();
    }

    /// A commit is sent.
    pub fn send(&mut self, id: u32, commits: Vec<(i32, i64, String)>) -> Sent {
        let fate = self.trouble.commits.filter(|(_, until)| self.now < *until).map(|(kind, _)| kind);
        let there = 1 + self.rng.u64(0..self.plan.commit_ms_max);
        let back = self.rng.u64(0..=self.plan.commit_ms_max);
        let slow = if fate == Some(Commits::Slow) { self.rng.u64(100..900) } else { 0 };
        let reachable = self.reachable(id);
        let member = self.group.member(id);
        if fate.is_some() || !reachable {
            member.trouble_at = Some(self.now);
        }
        let epoch = member.epoch;
        let arrives_at = self.now + there + slow;
        let survives = self.rng.bool();
        self.note(|| format!("m{id} commits {commits:?}"));
        Sent { member: id, epoch, commits, survives, fate, arrives_at, answered_at: arrives_at + back }
    }

    /// The commit arrives. Gives back why it was not taken, as its client will hear it.
    ///
    /// # Errors
    /// Why not.
    pub fn arrive(&mut self, sent: &Sent) -> Result<(), &'static str> {
        let Sent { member: id, epoch, .. } = *sent;
        let reachable = self.reachable(id);
        let now = self.now;
        let taken = match sent.fate {
            _ if !reachable => Err("nobody can be reached"),
            _ if self.group.member(id).gone && !sent.survives => Err("its sender is gone"),
            Some(Commits::Refused) => Err("the broker refuses it"),
            _ if !self.group.is_joined(id) => Err("the member is not known"),
            _ if self.group.member(id).epoch != epoch => Err("the generation is over"),
            _ => Ok(()),
        };
        self.note(|| format!("m{id}'s commit {:?}: {taken:?}", sent.commits));
        if taken.is_ok() {
            let incarnation = self.group.member(id).incarnation;
            for (partition, offset, metadata) in &sent.commits {
                let owns = self.group.owner(*partition) == Some(id);
                self.judge.committed(incarnation, *partition, *offset, metadata, owns);
                let coverage = Coverage::of(*offset, metadata).unwrap_or_default();
                let commit = Committed { offset: *offset, metadata: metadata.clone(), coverage };
                self.group.commits[index(*partition)] = Some(commit);
            }
        }
        let heard = if sent.fate == Some(Commits::AnswerLost) { Err("no answer") } else { taken };
        if heard.is_err() {
            self.group.member(id).trouble_at = Some(now);
        }
        heard
    }

    /// A client leaves its group.
    pub fn leave(&mut self, id: u32) {
        let in_order = !self.ails(id) && !self.group.member(id).lost;
        let member = self.group.member(id);
        let incarnation = member.incarnation;
        let partitions: Vec<i32> = member.fetches.keys().copied().collect();
        self.note(|| format!("m{id} leaves {partitions:?}"));
        partitions.iter().for_each(|partition| self.judge.ended(incarnation, *partition, in_order));
        let reachable = self.reachable(id);
        let (now, rng) = (self.now, &mut self.rng);
        self.group.gone(id, reachable, now, rng);
        self.wake_all();
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
        ids.into_iter().for_each(|id| self.be_timely(id));
    }

    fn be_timely(&mut self, id: u32) {
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

    /// A call of the function begins: its number, how long it takes, and what it comes to.
    pub fn call(&mut self, incarnation: u32, place: Place) -> (u64, u64, Act) {
        self.calls += 1;
        let now = self.now;
        let weather = self.trouble.function.filter(|(_, until)| now < *until);
        let weather = weather.map_or(Weather::Fine, |(weather, _)| weather);
        let nature = self.natures.get(&place).copied().unwrap_or(Nature::Good);
        let (latency, act) = function::act(nature, weather, self.plan.answer_ms_max, &mut self.rng);
        self.judge.began(self.calls, incarnation, place);
        self.note(|| format!("{incarnation} calls with {place:?}: {act:?} in {latency}"));
        (self.calls, latency, act)
    }

    /// A call ends.
    pub fn answered(&mut self, number: u64, place: Place, seen: Seen) {
        self.judge.answered(number, seen, self.now);
        self.note(|| format!("{place:?} ends as {seen:?}"));
    }

    /// A dead letter comes in; false when it cannot be kept.
    pub fn bury(&mut self, incarnation: u32, place: Place, code: &str, attempts: u32) -> bool {
        let kept = self.now >= self.trouble.no_graves;
        if kept {
            self.judge.buried(incarnation, place, code, attempts, self.now);
        }
        self.note(|| format!("{incarnation} buries {place:?} ({code}, {attempts}): {kept}"));
        kept
    }
}
