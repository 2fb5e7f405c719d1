//! The disk of a place where one sidecar runs after another: marks of what targets have, and copies that wait for slow
//! ones. What is on it outlives each of them, and no other reads it.

use super::{Place, World};
use std::collections::{BTreeMap, BTreeSet};

/// The most copies that are read at once.
pub const PAGE: usize = 4;
/// How long what is settled may not be on the disk yet, in milliseconds.
const COMMIT_MS: u64 = 100;
/// The longest question or write.
pub const DISK_MS: u64 = 3;

/// One disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// Who runs there.
    pub user: Option<u32>,
    /// It takes nothing before then.
    pub full_until: u64,
    /// Which target has which record, and since when.
    pub marks: BTreeMap<(usize, Place), u64>,
    /// Copies, by their numbers.
    pub rows: BTreeMap<u64, Row>,
    last: u64,
    /// Copies that its user has read and not settled.
    in_hand: BTreeMap<usize, BTreeSet<u64>>,
}

/// A copy that waits.
#[derive(Debug, Clone)]
pub struct Row {
    /// For which target.
    pub target: usize,
    /// Of which record.
    pub place: Place,
    /// Its user has delivered or buried it.
    pub is_answered: bool,
    /// When its user settled it; on the disk it is there for a while yet.
    settled_at: Option<u64>,
}

impl Disk {
    /// What its user may call `target` with, or has called it with, of `place`.
    pub fn open_rows(&mut self, target: usize, place: Place) -> impl Iterator<Item = &mut Row> {
        let is_it =
            move |row: &&mut Row| row.target == target && row.place == place && row.settled_at.is_none();
        self.rows.values_mut().filter(is_it)
    }

    /// Settles a copy; false where its target does not have it. Of several copies of one record nobody sees which one a
    /// call was for.
    fn settle(&mut self, number: u64, now: u64) -> bool {
        let Some(Row { target, place, is_answered, .. }) = self.rows.get(&number).cloned() else {
            return false;
        };
        self.in_hand.entry(target).or_default().remove(&number);
        let other = self.open_rows(target, place).find(|row| row.is_answered && !is_answered);
        let is_others = other.map(|row| row.is_answered = false).is_some();
        if let Some(row) = self.rows.get_mut(&number) {
            (row.is_answered, row.settled_at) = (is_answered || is_others, Some(now));
        }
        is_answered || is_others
    }

    fn commit(&mut self, before: u64) {
        self.rows.retain(|_, row| row.settled_at.is_none_or(|at| at > before));
    }

    /// Its user is gone: in order, or with all that was not on the disk.
    pub fn left(&mut self, in_order: bool, now: u64) {
        self.commit(if in_order { u64::MAX } else { now.saturating_sub(COMMIT_MS) });
        for row in self.rows.values_mut() {
            (row.is_answered, row.settled_at) = (false, None);
        }
        self.in_hand.clear();
        self.user = None;
    }
}

impl World {
    /// A disk for one that begins: `wanted`, or a new one. `None` while somebody still runs there.
    pub fn take_disk(&mut self, wanted: Option<usize>, incarnation: u32) -> Option<usize> {
        let number = wanted.unwrap_or(self.disks.len());
        if number == self.disks.len() {
            self.disks.push(Disk::default());
        }
        let disk = &mut self.disks[number];
        if disk.user.is_some() {
            return None;
        }
        disk.user = Some(incarnation);
        self.homes.insert(incarnation, number);
        self.note(|| format!("{incarnation} has the disk {number}"));
        Some(number)
    }

    /// Nobody runs there any more.
    pub fn leave_disk(&mut self, incarnation: u32, in_order: bool) {
        let now = self.now;
        self.disk_of(incarnation).left(in_order, now);
    }

    /// It takes nothing before then.
    pub fn fill_disk(&mut self, incarnation: u32, until: u64) {
        self.disk_of(incarnation).full_until = until;
    }

    /// How many copies wait for a target on the disk of an incarnation.
    pub fn waiting(&mut self, incarnation: u32, target: usize) -> u64 {
        self.disk_of(incarnation).rows.values().filter(|row| row.target == target).count() as u64
    }

    pub(super) fn disk_of(&mut self, incarnation: u32) -> &mut Disk {
        let number = self.homes.get(&incarnation).copied().unwrap_or_default();
        &mut self.disks[number]
    }

    /// How long the next question or write takes, in two parts: until it counts, and until its answer.
    pub fn disk_ms(&mut self) -> (u64, u64) {
        (self.rng.u64(..=DISK_MS), self.rng.u64(..=DISK_MS))
    }

    /// Whether the target has the record, as its disk knows.
    pub fn is_marked(&mut self, incarnation: u32, target: usize, place: Place) -> bool {
        let marked = self.disk_of(incarnation).marks.contains_key(&(target, place));
        self.note(|| format!("{incarnation} asks for the mark of {place:?} at {target}: {marked}"));
        marked
    }

    /// The target's mark is written; false when it cannot be.
    pub fn mark(&mut self, incarnation: u32, target: usize, place: Place) -> bool {
        let now = self.now;
        let disk = self.homes.get(&incarnation).copied().unwrap_or_default();
        let is_kept = now >= self.disks[disk].full_until;
        if is_kept {
            self.disks[disk].marks.entry((target, place)).or_insert(now);
            self.judge.marked(disk, target, place);
        }
        self.note(|| format!("{incarnation} marks {place:?} at {target}: {is_kept}"));
        is_kept
    }

    /// A target has a record, or its copy is kept: where others get it as well, its mark follows at once.
    pub(super) fn owe_mark(&mut self, incarnation: u32, target: usize, place: Place) {
        if self.judge.is_shared(place) {
            self.marks_owed.push((self.now + 4 * DISK_MS, incarnation, target, place));
        }
    }

    /// Marks are there in time, but for those of processes that ended meanwhile, and of disks that took nothing.
    pub(super) fn check_owed_marks(&mut self) {
        let now = self.now;
        for (due, incarnation, target, place) in std::mem::take(&mut self.marks_owed) {
            if now <= due {
                self.marks_owed.push((due, incarnation, target, place));
                continue;
            }
            let ends = self.draining.contains(&incarnation);
            let disk = self.disk_of(incarnation);
            let excused = ends || disk.user != Some(incarnation) || disk.full_until + 4 * DISK_MS >= due;
            let is_there = disk.marks.contains_key(&(target, place));
            self.judge.claim(is_there || excused, || {
                format!(
                    "mark: {target} has {place:?} from {incarnation} since before {due}, and there is none"
                )
            });
        }
    }

    /// Copies are about to be written: from here on they are their source's no more. Gives back what
    /// [`World::keep`] wants of them.
    pub fn keeping(&mut self, incarnation: u32, target: usize, places: &[Place]) -> Vec<u64> {
        let marks = &self.disks[self.homes.get(&incarnation).copied().unwrap_or_default()].marks;
        let known = places.iter().map(|place| marks.get(&(target, *place)).copied());
        let known: Vec<_> = known.collect();
        let now = self.now;
        places
            .iter()
            .zip(known)
            .map(|(place, known)| self.judge.keeping(incarnation, target, *place, known, now))
            .collect()
    }

    /// They are on the disk, by these numbers; `None` when it takes nothing.
    pub fn keep(
        &mut self,
        incarnation: u32,
        target: usize,
        places: &[Place],
        assignments: &[u64],
    ) -> Option<Vec<u64>> {
        let (now, number) = (self.now, self.homes.get(&incarnation).copied().unwrap_or_default());
        let copies_max = self.plan.routes.as_ref().map_or(0, |routes| routes.copies_max);
        let disk = &mut self.disks[number];
        disk.commit(now.saturating_sub(COMMIT_MS));
        let is_full = now < disk.full_until || disk.rows.len() + places.len() > copies_max;
        self.note(|| format!("{incarnation} keeps {places:?} for {target}: {}", !is_full));
        if is_full {
            return None;
        }
        let mut numbers = Vec::new();
        for (place, assignment) in places.iter().zip(assignments) {
            let disk = &mut self.disks[number];
            disk.last += 1;
            let row = Row { target, place: *place, is_answered: false, settled_at: None };
            disk.rows.insert(disk.last, row);
            numbers.push(disk.last);
            self.judge.kept(number, incarnation, target, *place, *assignment, now, &self.disks[number]);
            self.owe_mark(incarnation, target, *place);
        }
        Some(numbers)
    }

    /// The next copies behind a number.
    pub fn read(&mut self, incarnation: u32, target: usize, after: u64) -> Vec<u64> {
        let now = self.now;
        let lane_max = self.plan.lane_max(target);
        let disk = self.disk_of(incarnation);
        disk.commit(now.saturating_sub(COMMIT_MS));
        let next = disk.rows.range(after + 1..).filter(|(_, row)| row.target == target);
        let page: Vec<u64> = next.map(|(number, _)| *number).take(PAGE).collect();
        let hand = disk.in_hand.entry(target).or_default();
        hand.extend(&page);
        let (hand, most) = (hand.len(), lane_max + self.plan.concurrency(target) + 2 * PAGE);
        self.judge.claim(hand <= most, || {
            format!("memory: {hand} copies for {target} in hand of {incarnation}, at most {most} may be")
        });
        self.note(|| format!("{incarnation} reads {page:?} for {target}"));
        page
    }

    /// A target that overflows is called: with what waits for it on the disk, and not again with what it has.
    pub(super) fn check_copy(&mut self, incarnation: u32, target: usize, place: Place) {
        if self.plan.lane_max(target) == 0 {
            return self.check_mark(incarnation, target, place);
        }
        let (mut is_there, mut is_open) = (false, false);
        for row in self.disk_of(incarnation).open_rows(target, place) {
            is_there = true;
            is_open |= !row.is_answered;
        }
        self.judge.claim(is_there, || {
            format!("spill: {incarnation} calls {target} with {place:?}, which does not wait on its disk")
        });
        self.judge.claim(is_open || !is_there, || {
            format!("repeat: {incarnation} calls {target} with {place:?}, which it has already")
        });
    }

    /// What is marked is not called with again, but for a mark that was written while it was asked for.
    fn check_mark(&mut self, incarnation: u32, target: usize, place: Place) {
        let now = self.now;
        let marked = self.disk_of(incarnation).marks.get(&(target, place)).copied();
        self.judge.claim(marked.is_none_or(|at| at + 2 * DISK_MS >= now), || {
            format!("repeat: {incarnation} calls {target} with {place:?}, which is marked since {marked:?}")
        });
    }

    /// A target that overflows has a copy, or it is a dead letter.
    pub(super) fn copy_answered(&mut self, incarnation: u32, target: usize, place: Place) {
        let mut rows = self.disk_of(incarnation).open_rows(target, place);
        if let Some(row) = rows.find(|row| !row.is_answered) {
            row.is_answered = true;
        }
    }

    /// A copy is settled.
    pub fn row_settled(&mut self, incarnation: u32, number: u64) {
        let now = self.now;
        let is_answered = self.disk_of(incarnation).settle(number, now);
        self.note(|| format!("{incarnation} settles the copy {number}"));
        self.judge.claim(is_answered, || {
            format!("spill: {incarnation} settled the copy {number}, which its target does not have")
        });
    }
}
