//! What must hold, whatever the seed brings. The judge hears of everything from the broker's, the function's and
//! the dead letters' side, never from the sidecar.

mod shares;

use super::{Place, disk::Disk, marks::Coverage, routes::TARGETS};
use shares::Share;
use std::collections::{BTreeMap, BTreeSet};

/// What a call came to, as the sidecar could see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// An answer with this status.
    Status(u16),
    /// It was sent, and nothing came back.
    Cut,
    /// It was not sent.
    Unsent,
    /// Whoever called is gone.
    Abandoned,
}

/// What the judge holds the sidecar to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Attempts before an event may be given up as exhausted.
    pub attempts_max: u32,
    /// The most records in hand: those of the window, and as many for each partition.
    pub hand: (usize, usize),
    /// How long something may be settled and not committed, in milliseconds.
    pub commit_ms: u64,
    /// How long a mark may be on its way, in milliseconds: what ends meanwhile goes back, and is known when it comes again.
    pub mark_ms: u64,
    /// Which targets get copies from the disk.
    pub overflows: [bool; TARGETS],
}

/// One record and what became of it.
#[derive(Debug, Clone, Default)]
struct Fate {
    key: Option<u8>,
    malformed: bool,
    removed: bool,
    /// The targets that it is for.
    to: Vec<usize>,
    /// What became of it at each.
    shares: [Share; TARGETS],
}

impl Fate {
    /// Whether the source may forget it: each of its targets has it, or a disk has it for the target.
    fn is_safe(&self) -> bool {
        self.removed || self.to.iter().all(|target| self.shares[*target].is_safe())
    }

    /// Whether nothing more is to come of it.
    fn is_over(&self) -> bool {
        let is_over = |share: &Share| share.is_over() || (self.removed && share.kept_on == 0);
        self.to.iter().all(|target| is_over(&self.shares[*target]))
    }
}

/// One partition at one incarnation, from its start to its end.
#[derive(Debug, Clone)]
struct Assignment {
    number: u64,
    start: Coverage,
    /// Handed over, and when it was settled.
    handed: BTreeMap<i64, Option<u64>>,
    /// Which target had which record from here.
    done: BTreeSet<(usize, i64)>,
    leaves: bool,
}

/// A call that runs.
#[derive(Debug, Clone, Copy)]
struct Call {
    incarnation: u32,
    target: usize,
    place: Place,
    assignment: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Judge {
    pub(super) limits: Limits,
    records: BTreeMap<Place, Fate>,
    assignments: BTreeMap<(u32, i32), Assignment>,
    numbers: u64,
    calls: BTreeMap<u64, Call>,
    /// Counted failures and refusals of a record at an incarnation.
    failures: BTreeMap<(u32, usize, Place), (u32, u32)>,
    /// The assignment that a record was last called from, at an incarnation.
    called: BTreeMap<(u32, usize, Place), u64>,
    committed: BTreeMap<i32, Coverage>,
    /// What did not hold.
    pub violations: Vec<String>,
    /// Deliveries beyond the first of a record.
    pub repeats: u64,
    /// Calls begun, and dead letters.
    pub counts: (u64, u64),
}

impl Judge {
    /// A judge by these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            records: BTreeMap::new(),
            assignments: BTreeMap::new(),
            numbers: 0,
            calls: BTreeMap::new(),
            failures: BTreeMap::new(),
            called: BTreeMap::new(),
            committed: BTreeMap::new(),
            violations: Vec::new(),
            repeats: 0,
            counts: (0, 0),
        }
    }

    pub(super) fn claim(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(otherwise());
        }
    }

    /// A record was written: from now on it is owed to these targets.
    pub fn written(&mut self, place: Place, key: Option<u8>, malformed: bool, to: Vec<usize>) {
        self.records.insert(place, Fate { key, malformed, to, ..Fate::default() });
    }

    /// The broker removed a record.
    pub fn removed(&mut self, place: Place) {
        if let Some(fate) = self.records.get_mut(&place) {
            fate.removed = true;
        }
    }

    /// A partition begins at an incarnation.
    pub fn assigned(&mut self, incarnation: u32, partition: i32, start: Coverage) {
        self.numbers += 1;
        let assignment = Assignment {
            number: self.numbers,
            start,
            handed: BTreeMap::new(),
            done: BTreeSet::new(),
            leaves: false,
        };
        self.assignments.insert((incarnation, partition), assignment);
    }

    /// A partition ends at an incarnation. Where it ended in `order`, all that it settled must be committed.
    pub fn ended(&mut self, incarnation: u32, partition: i32, in_order: bool, now: u64) {
        let Some(assignment) = self.assignments.remove(&(incarnation, partition)) else { return };
        if in_order {
            let before = if self.limits.mark_ms > 0 { now - self.limits.mark_ms } else { u64::MAX };
            self.must_be_committed(partition, &assignment, before, "although it was given up in order");
        }
    }

    /// An incarnation is watched at the time `now`, or has died then: what it settled must be committed, but for
    /// the last moments, if nothing was wrong with commits.
    pub fn timely(&mut self, incarnation: u32, partition: i32, now: u64) {
        let Some(assignment) = self.assignments.get(&(incarnation, partition)).cloned() else { return };
        let before = now.saturating_sub(self.limits.commit_ms);
        self.must_be_committed(partition, &assignment, before, "although there was time");
    }

    fn must_be_committed(&mut self, partition: i32, assignment: &Assignment, before: u64, why: &str) {
        let committed = self.committed.get(&partition).cloned().unwrap_or_default();
        let settled = assignment.handed.iter().filter(|(_, at)| at.is_some_and(|at| at < before));
        let late: Vec<i64> = settled.map(|(offset, _)| *offset).filter(|o| !committed.covers(*o)).collect();
        self.claim(late.is_empty(), || {
            format!("commit: {partition}/{late:?} settled and not committed {why}")
        });
    }

    /// The client handed a record over.
    pub fn handed(&mut self, incarnation: u32, (partition, offset): Place, disk: &Disk) {
        let Some(assignment) = self.assignments.get_mut(&(incarnation, partition)) else { return };
        if !assignment.start.covers(offset) && !assignment.leaves {
            assignment.handed.entry(offset).or_insert(None);
        }
        let ours = self.assignments.range((incarnation, i32::MIN)..=(incarnation, i32::MAX));
        let (mut hand, mut partitions) = (0, 0);
        for ((_, partition), assignment) in ours {
            let open = assignment.handed.iter().filter(|(_, settled)| settled.is_none());
            hand += open.filter(|(offset, _)| !self.is_had(assignment, (*partition, **offset), disk)).count();
            partitions += 1;
        }
        let most = self.limits.hand.0 + partitions * self.limits.hand.1;
        self.claim(hand <= most, || {
            format!("memory: {hand} records in hand of {incarnation}, at most {most} may be")
        });
    }

    /// A partition is to be given up: what does not run of it is let go of.
    pub fn leaving(&mut self, incarnation: u32, partition: i32) {
        if let Some(assignment) = self.assignments.get_mut(&(incarnation, partition)) {
            assignment.handed.retain(|_, settled| settled.is_some());
            assignment.leaves = true;
        }
    }

    /// A call of a target begins. `number` names it.
    pub fn began(&mut self, number: u64, incarnation: u32, target: usize, place: Place) {
        self.counts.0 += 1;
        let partition = place.0;
        let key = |place: &Place| self.records.get(place).and_then(|fate| fate.key);
        let twin = self.calls.values().find(|call| {
            let same = call.incarnation == incarnation && call.target == target && call.place.0 == partition;
            same && key(&place).is_some() && key(&call.place) == key(&place)
        });
        let twin = twin.map(|call| call.place);
        self.claim(twin.is_none(), || {
            format!("order: {place:?} and {twin:?} of one key run at once at {incarnation}")
        });
        let is_to = self.records.get(&place).is_some_and(|fate| fate.to.contains(&target));
        self.claim(is_to, || format!("route: {place:?} is no event of {target}, which is called with it"));
        let assignment =
            if self.limits.overflows[target] { 0 } else { self.begun(incarnation, target, place) };
        self.called.insert((incarnation, target, place), assignment);
        self.calls.insert(number, Call { incarnation, target, place, assignment });
    }

    /// Something begins with a record that its source still has; gives back the assignment's number.
    fn begun(&mut self, incarnation: u32, target: usize, place: Place) -> u64 {
        let assignment = self.assignments.get(&(incarnation, place.0));
        let (owned, covered, again) = assignment.map_or((false, false, false), |assignment| {
            (true, assignment.start.covers(place.1), assignment.done.contains(&(target, place.1)))
        });
        let number = assignment.map_or(0, |assignment| assignment.number);
        self.claim(owned, || {
            format!("fence: {place:?} is begun at {incarnation}, which does not have the partition")
        });
        self.claim(!covered, || {
            format!("repeat: {place:?} is begun at {incarnation} though its start calls it finished")
        });
        self.claim(!again, || {
            format!("repeat: {place:?} is begun again at {incarnation}, from which {target} had it")
        });
        number
    }

    /// A call ends.
    pub fn answered(&mut self, number: u64, seen: Seen, now: u64, (home, disk): (usize, &Disk)) {
        let Some(Call { incarnation, target, place, assignment }) = self.calls.remove(&number) else {
            return;
        };
        let of_it = (incarnation, target, place);
        match seen {
            Seen::Status(200..=299) => {
                self.delivered(home, target, place);
                self.had(incarnation, (target, place), assignment, now, disk);
            }
            Seen::Status(status) => {
                let (failed, refused) = self.failures.entry(of_it).or_default();
                *failed += 1;
                *refused += u32::from(status == 400);
            }
            Seen::Cut => self.failures.entry(of_it).or_default().0 += 1,
            Seen::Unsent | Seen::Abandoned => {}
        }
    }

    fn delivered(&mut self, home: usize, target: usize, place: Place) {
        let Some(fate) = self.records.get_mut(&place) else {
            return self.violations.push(format!("data: {place:?} was delivered and never written"));
        };
        let share = &mut fate.shares[target];
        share.delivered += 1;
        let (first, key) = (share.delivered == 1 && !share.dead, fate.key);
        self.repeats += u64::from(share.delivered > 1);
        if first && key.is_some() {
            let waits = |fate: &Fate| {
                let share = &fate.shares[target];
                let is_owed = fate.to.contains(&target) && !fate.removed && !share.is_over();
                fate.key == key && is_owed && !share.is_elsewhere(home)
            };
            let mut before = self.records.range((place.0, i64::MIN)..place);
            let passed = before.find(|(_, fate)| waits(fate)).map(|(place, _)| *place);
            self.claim(passed.is_none(), || {
                format!("order: {place:?} was delivered to {target} before {passed:?} of its key")
            });
        }
    }

    /// An event was settled by what is known of its name, which must be true. Which assignment that was cannot be seen, so
    /// its time does not count.
    pub fn known(&mut self, incarnation: u32, place: Place) {
        let is_over = self.records.get(&place).is_some_and(Fate::is_over);
        self.claim(is_over, || format!("mark: {incarnation} settled {place:?}, which nobody has"));
        if let Some(ours) = self.assignments.get_mut(&(incarnation, place.0))
            && is_over
        {
            ours.handed.entry(place.1).or_insert(None).get_or_insert(u64::MAX);
        }
    }

    /// A dead letter is durable.
    pub fn buried(
        &mut self,
        (incarnation, target, place): (u32, usize, Place),
        (code, attempts): (&str, u32),
        now: u64,
        disk: &Disk,
    ) {
        self.counts.1 += 1;
        let of_it = (incarnation, target, place);
        let (failed, refused) = self.failures.get(&of_it).copied().unwrap_or_default();
        let Some(fate) = self.records.get_mut(&place) else {
            return self
                .violations
                .push(format!("data: {place:?} became a dead letter and was never written"));
        };
        fate.shares[target].dead = true;
        let is_to = fate.to.contains(&target);
        let malformed = fate.malformed;
        let by_the_function = attempts <= failed
            && match code {
                "malformed" => malformed,
                "refused" => refused > 0,
                "exhausted" => attempts >= self.limits.attempts_max,
                "deadline" => attempts > 0,
                _ => false,
            };
        self.claim(is_to, || format!("route: {place:?} is no event of {target}, but a dead letter of it"));
        self.claim(by_the_function, || {
            format!(
                "grave: {place:?} is dead ({code}, {attempts} attempts), {target} failed it {failed} times"
            )
        });
        // What is no event is not called with: which assignment buries it cannot be seen, so its time does not count.
        let called = self.called.get(&of_it).copied();
        let current = self.assignments.get(&(incarnation, place.0)).map_or(0, |ours| ours.number);
        let at = if called.is_some() { now } else { u64::MAX };
        self.had(incarnation, (target, place), called.unwrap_or(current), at, disk);
    }

    /// The broker took a commit of an incarnation; `owns` says whether the partition was its own.
    pub fn committed(
        &mut self,
        incarnation: u32,
        partition: i32,
        (offset, metadata): (i64, &str),
        owns: bool,
        disk: &Disk,
    ) {
        self.claim(owns, || format!("fence: {incarnation} committed {partition}, which is not its own"));
        let commit = match Coverage::of(offset, metadata) {
            Ok(commit) => commit,
            Err(why) => return self.violations.push(format!("commit: {why}")),
        };
        let before = self.committed.get(&partition).cloned().unwrap_or_default();
        self.claim(offset >= before.offset, || {
            format!("commit: {partition} moves back from {} to {offset}", before.offset)
        });
        let assignment = self.assignments.get(&(incarnation, partition));
        let ours = |offset: &i64| {
            assignment.is_some_and(|ours| {
                ours.start.covers(*offset)
                    || ours.handed.get(offset).is_some_and(Option::is_some)
                    || self.is_had(ours, (partition, *offset), disk)
            })
        };
        let of_partition = self.records.range((partition, i64::MIN)..=(partition, i64::MAX));
        let (mut open, mut foreign, mut shrunk) = (Vec::new(), Vec::new(), Vec::new());
        for (place, fate) in of_partition.filter(|(_, fate)| !fate.removed) {
            match commit.covers(place.1) {
                true if !fate.is_safe() => open.push(place.1),
                true if !ours(&place.1) => foreign.push(place.1),
                false if before.covers(place.1) => shrunk.push(place.1),
                _ => {}
            }
        }
        self.claim(open.is_empty(), || format!("commit: {partition}/{open:?} are committed and not settled"));
        self.claim(foreign.is_empty(), || {
            format!("fence: {incarnation} committed {partition}/{foreign:?}, which it did not settle since it got them")
        });
        self.claim(shrunk.is_empty(), || {
            format!("commit: {partition}/{shrunk:?} were called finished, and no longer are")
        });
        self.committed.insert(partition, commit);
    }

    /// What is still owed: neither delivered, nor dead, nor removed, or not committed.
    #[must_use]
    pub fn owed(&self) -> Vec<Place> {
        let open = |(place, fate): (&Place, &Fate)| {
            let committed = self.committed.get(&place.0).is_some_and(|commit| commit.covers(place.1));
            let is_done = fate.is_over() && (fate.removed || committed);
            (!is_done).then_some(*place)
        };
        self.records.iter().filter_map(open).collect()
    }

    /// The end of a run: nothing may be owed.
    pub fn finish(&mut self, when: &str) {
        let owed = self.owed();
        self.claim(owed.is_empty(), || {
            format!("lost: {owed:?} neither delivered, dead nor removed, or uncommitted, {when}")
        });
    }
}
