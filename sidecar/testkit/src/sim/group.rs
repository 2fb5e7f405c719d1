//! The consumer group: who is in it, who owns what, how that changes, and what was committed.
//!
//! A member is both what the coordinator knows of it and what its client knows: the two differ while it is lost.
//! Then its partitions belong to others already, and it goes on until it hears of it.

use super::{fetch::Fetch, marks::Coverage};
use fastrand::Rng;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    task::Waker,
};

/// How partitions change hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Only what moves is given up.
    Cooperative,
    /// Each change takes everything from everybody.
    Eager,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// These are its own, once it takes them.
    Assigned(Vec<i32>),
    /// These are to be given up.
    Revoked(Vec<i32>),
    /// No broker can be reached.
    Outage,
    /// The client can do no more.
    Fatal,
}

/// What a member was asked and has not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Nothing,
    Take(Vec<i32>),
    GiveUp(Vec<i32>),
}

/// One member.
#[derive(Debug)]
pub struct Member {
    /// The process that it belongs to.
    pub incarnation: u32,
    /// What was not told yet, and when it is.
    pub mail: VecDeque<(u64, Notice)>,
    /// Whoever waits for something to happen.
    pub waker: Option<Waker>,
    /// What it fetches.
    pub fetches: BTreeMap<i32, Fetch>,
    /// Pauses, which may outlive the assignment that they were meant for.
    pub paused: BTreeSet<i32>,
    /// Its assignment was taken away without asking, and it knows.
    pub lost: bool,
    /// No broker can be reached before then.
    pub cut_until: u64,
    /// It left, or its process is gone.
    pub gone: bool,
    /// Changes with each assignment: an older commit is refused.
    pub epoch: u64,
    /// When something last went wrong with its commits.
    pub trouble_at: Option<u64>,
    /// Since when it waits for the answer to a commit that never comes.
    pub unanswered_since: Option<u64>,
    /// When it was last told to give something up.
    pub revoked_at: u64,
    /// When the statistics are due.
    pub stats_at: u64,
    registered: bool,
    owned: BTreeSet<i32>,
    asked: Asked,
    asked_at: u64,
    last_heard: u64,
    lost_at: Option<u64>,
    rejoin_at: Option<u64>,
}

/// What was committed of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The offset to read first.
    pub offset: i64,
    /// What was said besides.
    pub metadata: String,
    /// What both mean.
    pub coverage: Coverage,
}

/// See the module.
#[derive(Debug)]
pub struct Group {
    protocol: Protocol,
    session_ms: u64,
    rebalance_ms: u64,
    /// Every member that there was.
    pub members: BTreeMap<u32, Member>,
    owners: Vec<Option<u32>>,
    /// What was committed, for each partition.
    pub commits: Vec<Option<Committed>>,
    /// Eager: everything must be given up first.
    dirty: bool,
}

impl Group {
    /// A group without members. A member that is not heard of for `session_ms`, or does not do what it was asked
    /// within `rebalance_ms`, is thrown out.
    #[must_use]
    pub fn new(protocol: Protocol, partitions: usize, session_ms: u64, rebalance_ms: u64) -> Self {
        Self {
            protocol,
            session_ms,
            rebalance_ms,
            members: BTreeMap::new(),
            owners: vec![None; partitions],
            commits: vec![None; partitions],
            dirty: false,
        }
    }

    /// A client begins, and will join.
    pub fn connect(&mut self, incarnation: u32, now: u64, rng: &mut Rng) -> u32 {
        let id = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let member = Member {
            incarnation,
            mail: VecDeque::new(),
            waker: None,
            fetches: BTreeMap::new(),
            paused: BTreeSet::new(),
            lost: false,
            cut_until: 0,
            gone: false,
            epoch: 0,
            trouble_at: None,
            unanswered_since: None,
            revoked_at: 0,
            stats_at: now + 100,
            registered: false,
            owned: BTreeSet::new(),
            asked: Asked::Nothing,
            asked_at: 0,
            last_heard: now,
            lost_at: None,
            rejoin_at: Some(now + rng.u64(5..100)),
        };
        self.members.insert(id, member);
        id
    }

    /// Who owns the partition, as the coordinator knows it.
    #[must_use]
    pub fn owner(&self, partition: i32) -> Option<u32> {
        self.owners[index(partition)]
    }

    /// The member; there is one for each number that [`Group::connect`] gave.
    ///
    /// # Panics
    /// When there is none.
    pub fn member(&mut self, id: u32) -> &mut Member {
        self.members.get_mut(&id).expect("a member that was connected")
    }

    /// Whether the client is in its group and nothing is about to change.
    #[must_use]
    pub fn is_joined(&self, id: u32) -> bool {
        self.members.get(&id).is_some_and(|member| member.registered && !member.lost)
    }

    /// The client took partitions; false where they are not its own any more and it knows that.
    pub fn took(&mut self, id: u32, partitions: &[i32], now: u64, rng: &mut Rng) {
        let member = self.member(id);
        member.asked = Asked::Nothing;
        member.owned.extend(partitions);
        self.balance(now, rng);
    }

    /// The client gave partitions up.
    pub fn gave_up(&mut self, id: u32, partitions: &[i32], now: u64, rng: &mut Rng) {
        let protocol = self.protocol;
        let member = self.member(id);
        let all: Vec<i32> = match protocol {
            Protocol::Cooperative => partitions.to_vec(),
            Protocol::Eager => member.owned.iter().copied().collect(),
        };
        for partition in &all {
            member.owned.remove(partition);
            member.fetches.remove(partition);
        }
        member.asked = Asked::Nothing;
        member.epoch += 1;
        if member.lost && member.owned.is_empty() {
            member.lost = false;
            member.rejoin_at = Some(now + rng.u64(10..200));
        } else if member.lost {
            return self.tell_lost(id, now);
        }
        self.free(id, &all);
        self.balance(now, rng);
    }

    /// The client leaves; or its process is gone and the coordinator will find out.
    pub fn gone(&mut self, id: u32, orderly: bool, now: u64, rng: &mut Rng) {
        let member = self.member(id);
        member.gone = true;
        (member.rejoin_at, member.waker) = (None, None);
        member.mail.clear();
        member.fetches.clear();
        if orderly {
            self.expel(id, now, rng);
        }
    }

    /// Throws the member out; its client hears of it later.
    pub fn expel(&mut self, id: u32, now: u64, rng: &mut Rng) {
        let member = self.member(id);
        if !std::mem::take(&mut member.registered) {
            return;
        }
        member.trouble_at = Some(now);
        let mail = member.mail.len();
        member.mail.retain(|(_, notice)| matches!(notice, Notice::Outage | Notice::Fatal));
        if member.mail.len() < mail {
            member.asked = Asked::Nothing; // taken back before the client heard of it
        }
        member.lost_at = Some(now + rng.u64(1..2_000));
        let all: Vec<i32> = (0_i32..).take(self.owners.len()).collect();
        self.free(id, &all);
        self.dirty = true;
        self.balance(now, rng);
    }

    /// Does what is due: sessions that end, members that come back, news that arrives.
    pub fn step(&mut self, now: u64, outage: bool, rng: &mut Rng) {
        let ids: Vec<u32> = self.members.keys().copied().collect();
        for id in ids {
            let (session_ms, rebalance_ms) = (self.session_ms, self.rebalance_ms);
            let member = self.member(id);
            let reachable = !outage && now >= member.cut_until;
            if reachable && !member.gone {
                member.last_heard = now;
            }
            let silent = now - member.last_heard >= session_ms;
            let lazy = member.asked != Asked::Nothing && now - member.asked_at >= rebalance_ms;
            if member.registered && (silent || lazy) {
                self.expel(id, now, rng);
            }
            let member = self.member(id);
            let told = !matches!(member.asked, Asked::Take(_));
            if member.lost_at.is_some_and(|at| at <= now) && told && !member.gone {
                member.lost_at = None;
                if member.asked == Asked::Nothing {
                    self.tell_lost(id, now);
                } else {
                    member.lost = true; // what it gives up already; the rest follows
                }
            }
            let member = self.member(id);
            if member.rejoin_at.is_some_and(|at| at <= now) && reachable && !member.gone {
                (member.rejoin_at, member.registered) = (None, true);
                member.epoch += 1;
                self.dirty = true;
                self.balance(now, rng);
            }
        }
    }

    fn tell_lost(&mut self, id: u32, now: u64) {
        let member = self.member(id);
        member.lost = true;
        let owned: Vec<i32> = member.owned.iter().copied().collect();
        if owned.is_empty() {
            member.lost = false;
            member.rejoin_at = Some(now + 20);
            return;
        }
        member.mail.push_back((now, Notice::Revoked(owned.clone())));
        (member.asked, member.asked_at) = (Asked::GiveUp(owned), now);
    }

    fn free(&mut self, id: u32, partitions: &[i32]) {
        for partition in partitions {
            let owner = &mut self.owners[index(*partition)];
            if *owner == Some(id) {
                *owner = None;
            }
        }
    }

    /// A change for no reason: somebody else's partitions, another round of the protocol.
    pub fn shuffle(&mut self, now: u64, rng: &mut Rng) {
        self.dirty = true;
        self.balance(now, rng);
    }

    fn balance(&mut self, now: u64, rng: &mut Rng) {
        let ids: Vec<u32> = self.members.iter().filter(|(_, m)| m.registered).map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return;
        }
        let target = self.target(&ids, rng);
        let eager = self.protocol == Protocol::Eager;
        if eager && self.dirty {
            let mut at_rest = true;
            for id in &ids {
                let member = self.member(*id);
                let owned: Vec<i32> = member.owned.iter().copied().collect();
                at_rest &= owned.is_empty() && member.asked == Asked::Nothing;
                if member.asked == Asked::Nothing && !owned.is_empty() {
                    self.ask(*id, Asked::GiveUp(owned), now, rng);
                }
            }
            if !at_rest {
                return;
            }
        }
        let dirty = std::mem::take(&mut self.dirty);
        for id in ids {
            if self.member(id).asked != Asked::Nothing {
                self.dirty |= dirty && !eager;
                continue;
            }
            let owned = self.member(id).owned.clone();
            let give: Vec<i32> = owned.iter().copied().filter(|p| target[index(*p)] != id).collect();
            if !give.is_empty() && !eager {
                self.ask(id, Asked::GiveUp(give), now, rng);
                continue;
            }
            let free = |p: &i32| target[index(*p)] == id && self.owners[index(*p)].is_none();
            let take: Vec<i32> = (0_i32..).take(target.len()).filter(free).collect();
            if take.is_empty() && !(dirty && rng.u8(..) < 64) {
                continue; // librdkafka also tells of a change that changed nothing
            }
            for partition in &take {
                self.owners[index(*partition)] = Some(id);
            }
            self.member(id).epoch += 1;
            self.ask(id, Asked::Take(take), now, rng);
        }
    }

    fn ask(&mut self, id: u32, asked: Asked, now: u64, rng: &mut Rng) {
        let member = self.member(id);
        let at = now + rng.u64(1..30);
        let notice = match &asked {
            Asked::GiveUp(partitions) => Notice::Revoked(partitions.clone()),
            Asked::Take(partitions) => Notice::Assigned(partitions.clone()),
            Asked::Nothing => return,
        };
        member.mail.push_back((at, notice));
        (member.asked, member.asked_at) = (asked, now);
    }

    /// Who shall own what: as it is, as far as that is fair.
    fn target(&self, ids: &[u32], rng: &mut Rng) -> Vec<u32> {
        let count = self.owners.len();
        let most = count.div_ceil(ids.len());
        let mut shares: BTreeMap<u32, usize> = ids.iter().map(|id| (*id, 0)).collect();
        let mut target = vec![None; count];
        let stay = self.protocol == Protocol::Cooperative && !(self.dirty && rng.u8(..) < 80);
        for (place, owner) in self.owners.iter().enumerate().filter(|_| stay) {
            if let Some(owner) = owner
                && let Some(share) = shares.get_mut(owner).filter(|share| **share < most)
            {
                *share += 1;
                target[place] = Some(*owner);
            }
        }
        let least = |shares: &BTreeMap<u32, usize>| {
            let fewest = shares.values().min().copied().unwrap_or_default();
            shares.iter().filter(|(_, n)| **n == fewest).map(|(id, _)| *id).collect::<Vec<u32>>()
        };
        for place in &mut target {
            if place.is_none() {
                let candidates = least(&shares);
                let chosen = candidates[rng.usize(..candidates.len())];
                *shares.entry(chosen).or_default() += 1;
                *place = Some(chosen);
            }
        }
        target.into_iter().flatten().collect()
    }
}

/// The place of a partition in a list of them.
#[must_use]
pub fn index(partition: i32) -> usize {
    usize::try_from(partition).unwrap_or_default()
}
