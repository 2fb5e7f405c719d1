//! What is owed to each of several targets, and what disks say of it.

use super::{Assignment, Judge};
use crate::sim::{
    Place,
    disk::{DISK_MS, Disk},
};

/// What became of a record at one target.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    pub(super) delivered: u32,
    pub(super) dead: bool,
    /// The disks that had a copy, a bit for each.
    pub(super) kept_on: u32,
}

impl Share {
    pub(super) fn is_over(self) -> bool {
        self.delivered > 0 || self.dead
    }

    pub(super) fn is_safe(self) -> bool {
        self.is_over() || self.kept_on != 0
    }

    /// Whether it waits on another disk than that one: there the order is another.
    pub(super) fn is_elsewhere(self, home: usize) -> bool {
        self.kept_on & !(1 << home) != 0
    }
}

impl Judge {
    /// A target has a record, called with it from that assignment; or it is on the disk for the target.
    pub(super) fn had(
        &mut self,
        incarnation: u32,
        (target, place): (usize, Place),
        assignment: u64,
        now: u64,
        disk: &Disk,
    ) {
        let Some(ours) = self.assignments.get_mut(&(incarnation, place.0)) else { return };
        if ours.number != assignment {
            return;
        }
        ours.done.insert((target, place.1));
        let Some(fate) = self.records.get(&place) else { return };
        let mut missing =
            fate.to.iter().filter(|target| !ours.done.contains(&(**target, place.1))).peekable();
        // Where a mark tells that a target has it, nobody sees when that was asked.
        let at = if missing.peek().is_none() { now } else { u64::MAX };
        if missing.all(|target| disk.marks.contains_key(&(*target, place))) {
            ours.handed.entry(place.1).or_insert(None).get_or_insert(at);
        }
    }

    /// Whether each target has a record, from this assignment or by its mark.
    pub(super) fn is_had(&self, ours: &Assignment, place: Place, disk: &Disk) -> bool {
        let has = |target: &usize| {
            ours.done.contains(&(*target, place.1)) || disk.marks.contains_key(&(*target, place))
        };
        self.records.get(&place).is_some_and(|fate| fate.to.iter().all(has))
    }

    /// Whether a record goes to several targets.
    #[must_use]
    pub fn is_shared(&self, place: Place) -> bool {
        self.records.get(&place).is_some_and(|fate| fate.to.len() > 1)
    }

    /// The mark of a target is on a disk.
    pub fn marked(&mut self, home: usize, target: usize, place: Place) {
        let (several, has) = self.records.get(&place).map_or((false, false), |fate| {
            let share = fate.shares[target];
            (fate.to.len() > 1, share.delivered > 0 || share.kept_on & 1 << home != 0)
        });
        self.claim(several, || format!("mark: {place:?} has one for {target} alone"));
        self.claim(has, || format!("mark: {place:?} has one for {target}, which does not have it"));
    }

    /// A copy is about to be written, where its target is `marked` since some time or not. Gives back the assignment.
    pub fn keeping(
        &mut self,
        incarnation: u32,
        target: usize,
        place: Place,
        marked: Option<u64>,
        now: u64,
    ) -> u64 {
        self.claim(marked.is_none_or(|at| at + 2 * DISK_MS >= now), || {
            format!("repeat: {incarnation} keeps {place:?} for {target}, which is marked since {marked:?}")
        });
        let is_to = self.records.get(&place).is_some_and(|fate| fate.to.contains(&target));
        self.claim(is_to, || format!("route: {place:?} is no event of {target}, and kept for it"));
        self.begun(incarnation, target, place)
    }

    /// A copy is on a disk.
    #[expect(clippy::too_many_arguments, reason = "a fact with all that belongs to it")]
    pub fn kept(
        &mut self,
        home: usize,
        incarnation: u32,
        target: usize,
        place: Place,
        assignment: u64,
        now: u64,
        disk: &Disk,
    ) {
        if let Some(fate) = self.records.get_mut(&place) {
            fate.shares[target].kept_on |= 1 << home;
        }
        self.had(incarnation, (target, place), assignment, now, disk);
    }
}
