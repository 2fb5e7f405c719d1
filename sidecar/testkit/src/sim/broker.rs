//! The brokers as a client meets them: what it finds, where partitions begin, what becomes of its commits.

use super::{
    Place, World,
    fetch::Fetch,
    group::{Committed, Member, Notice, index},
    log::Record,
    marks::Coverage,
    plan::Commits,
};

/// How long a question takes that nobody answers.
const ASK_MS: u64 = 200;
/// How often a client tells its numbers.
const STATS_MS: u64 = 500;
/// Longer than any run: when the answer to a commit comes that is never answered.
const NEVER_MS: u64 = 3_600_000;
/// How long something wrong with commits counts as their excuse.
const AILS_MS: u64 = 1_500;

/// What a client finds when it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Something to tell.
    Notice(Notice),
    /// The numbers: the ends of its partitions, and whether brokers are connected.
    Stats {
        /// The offset after the last one, by partition, and whether everything was fetched up to there.
        ends: Vec<(i32, i64, bool)>,
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

impl World {
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

    pub(super) fn reachable(&mut self, member: u32) -> bool {
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
            if notice == Notice::Fatal {
                member.trouble_at = Some(now); // it can commit no more
            }
            if let Notice::Revoked(partitions) = &notice {
                let incarnation = member.incarnation;
                for partition in partitions {
                    self.judge.leaving(incarnation, *partition);
                }
            }
            self.note(|| format!("m{id} is told {notice:?}"));
            return Found::Notice(notice);
        }
        if member.stats_at <= now {
            member.stats_at = now + STATS_MS;
            let end = |(partition, fetch): (&i32, &Fetch)| {
                let log = &self.logs[index(*partition)];
                (*partition, log.end(), fetch.is_read(log))
            };
            let ends = member.fetches.iter().map(end).collect();
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
        let Some((at, record)) = found else {
            return Found::Nothing(due.into_iter().min().map(|at| at.max(now + 1)));
        };
        let disk = &self.disks[self.homes.get(&incarnation).copied().unwrap_or_default()];
        self.judge.handed(incarnation, at, disk);
        self.note(|| format!("m{id} hands over {at:?}"));
        Found::Record(at, record)
    }

    /// Where partitions begin; asked by a client of the brokers. `None` where they cannot be reached.
    pub fn starts(&mut self, id: u32, partitions: &[i32]) -> Option<Vec<Start>> {
        if !self.reachable(id) {
            return None;
        }
        let starts: Vec<Start> = partitions.iter().map(|partition| self.start(*partition)).collect();
        for start in &starts {
            self.told.insert((id, start.partition), start.clone());
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
            metadata: if commit.offset <= high { commit.metadata.clone() } else { String::new() },
            fresh: !is_there,
            missing: (low - commit.offset).max(0),
        }
    }

    /// Whether a partition has no record from one offset to the other; not known where nobody can be reached.
    pub fn is_empty(&mut self, id: u32, partition: i32, from: i64, end: i64) -> bool {
        let is_empty =
            self.reachable(id) && self.logs[index(partition)].from(from).is_none_or(|at| at >= end);
        self.note(|| format!("m{id} asks for records of {partition} from {from} to {end}: empty {is_empty}"));
        is_empty
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
            if let Some(told) = self.told.remove(&(id, *partition)) {
                let mut start = Coverage::of(told.offset - told.missing, &told.metadata).unwrap_or_default();
                start.offset = told.offset;
                self.judge.assigned(incarnation, *partition, start);
            }
        }
        // A change may forget the pauses that hold, or bring back one of an assignment that has ended.
        if rng.bool() {
            member.paused.clear();
        }
        for (partition, fetch) in &mut member.fetches {
            fetch.paused = member.paused.contains(partition);
        }
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
        for partition in partitions {
            self.judge.ended(incarnation, *partition, in_order, self.now);
        }
        let (now, rng) = (self.now, &mut self.rng);
        self.group.gave_up(id, partitions, now, rng);
        self.wake_all();
    }

    /// Whether something was lately wrong with a member's commits.
    pub(super) fn ails(&mut self, id: u32) -> bool {
        let now = self.now;
        !self.reachable(id)
            || !self.group.is_joined(id)
            || self.group.member(id).unanswered_since.is_some()
            || self.trouble.commits.is_some_and(|(_, until)| now < until + AILS_MS)
            || self.group.member(id).trouble_at.is_some_and(|at| now < at + AILS_MS)
    }

    /// Whether there are `count` clients, and each is well: in its group, and nothing of late was in its way.
    pub fn is_well(&mut self, count: usize) -> bool {
        let here = |(id, member): (&u32, &Member)| (!member.gone).then_some(*id);
        let ids: Vec<u32> = self.group.members.iter().filter_map(here).collect();
        ids.len() == count && ids.into_iter().all(|id| !self.ails(id))
    }

    /// A client pauses partitions, or lets them go on.
    pub fn pause(&mut self, id: u32, partitions: &[i32], paused: bool) {
        let member = self.group.member(id);
        for partition in partitions {
            if paused {
                member.paused.insert(*partition)
            } else {
                member.paused.remove(partition)
            };
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
        let is_unanswered = fate == Some(Commits::Unanswered);
        let back = self.rng.u64(0..=self.plan.commit_ms_max) + if is_unanswered { NEVER_MS } else { 0 };
        let slow = if fate == Some(Commits::Slow) { self.rng.u64(100..900) } else { 0 };
        let reachable = self.reachable(id);
        let member = self.group.member(id);
        if fate.is_some() || !reachable {
            member.trouble_at = Some(self.now);
        }
        if is_unanswered {
            member.unanswered_since = Some(self.now);
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
                let disk = &self.disks[self.homes.get(&incarnation).copied().unwrap_or_default()];
                self.judge.committed(incarnation, *partition, (*offset, metadata), owns, disk);
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

    /// A client leaves its group: in order where its process drains.
    pub fn leave(&mut self, id: u32) {
        self.be_timely(id);
        let incarnation = self.group.member(id).incarnation;
        let drains = self.draining.contains(&incarnation);
        let in_order = drains && !self.ails(id) && !self.group.member(id).lost;
        let member = self.group.member(id);
        let partitions: Vec<i32> = member.fetches.keys().copied().collect();
        let lanes_ended = self.lanes_ended.get(&incarnation).copied().unwrap_or(self.now);
        self.note(|| format!("m{id} leaves {partitions:?}"));
        for partition in &partitions {
            self.judge.ended(incarnation, *partition, in_order, lanes_ended);
        }
        let reachable = self.reachable(id);
        let (now, rng) = (self.now, &mut self.rng);
        self.group.gone(id, reachable, now, rng);
        self.wake_all();
    }
}
