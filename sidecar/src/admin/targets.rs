//! The numbers of each target, where there are several.

use crate::{
    dispatch::{Spill, Status, Target},
    registry::Series,
};
use outrigger_core::{Source as _, decide::breaker};
use std::sync::Arc;

/// A number of a target: name, help, and how it is read.
type OfTarget = (&'static str, &'static str, fn(&Status) -> usize);

const NUMBERS: [OfTarget; 4] = [
    ("outrigger_target_queued_events", "Events in the target's lanes that do not run", |status| {
        status.queued
    }),
    ("outrigger_target_calls_in_flight", "Calls of the target at this moment", |status| status.running),
    (
        "outrigger_target_parked_keys",
        "Keys that are held by an event that is poison for the target",
        |status| status.parked,
    ),
    ("outrigger_target_breaker_open", "1 while the target is taken for down", |status| {
        usize::from(status.breaker != breaker::State::Closed)
    }),
];

/// The numbers of these targets, by their names.
pub(super) fn series<'t>(
    targets: impl Iterator<Item = &'t Arc<Target>>,
    spills: &[Arc<Spill>],
) -> Vec<Series> {
    let targets: Vec<_> = targets.map(|target| (target.id().to_string(), target.status())).collect();
    let of = |(name, help, of): &OfTarget| Series {
        name,
        help,
        labels: &["target"],
        is_counter: false,
        rows: targets.iter().map(|(target, status)| (vec![target.clone()], of(status) as u64)).collect(),
    };
    let overflow = Series {
        name: "outrigger_target_overflow_events",
        help: "Events that wait for the target in the journal, as its lanes have no room",
        labels: &["target"],
        is_counter: false,
        rows: spills.iter().map(|spill| (vec![spill.name().to_owned()], spill.waiting())).collect(),
    };
    NUMBERS.iter().map(of).chain((!spills.is_empty()).then_some(overflow)).collect()
}
