//! A target stands still and overflows: its copies go to the disk, the other target is not held up, the source is told, and
//! memory stays bounded. Killed then, the target gets all of them from the disk, in order, and the other none again.

use outrigger_function::{Action, Program};

use crate::suite::{
    Stage,
    routes::{FUNCTION, typed},
    scenario::Need,
    stage::events,
};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

const WINDOW: usize = 16;
/// Published; many windows.
const EVENTS: usize = 120;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(mut stage: Stage) {
    stage.setup.window = WINDOW;
    let audit = stage.target("audit", Some(4));
    stage.rule("both", "both.", &[FUNCTION, "audit"]);
    stage.others[audit].function.set_program(Program::always(Action::hold("gate")));
    let mut process = stage.start().await;
    stage.publish(&typed("both.a", events("e", EVENTS, 12))).await;
    stage.until("the function has all", |stats| stats.ended == EVENTS as u64).await;
    stage.until_unsettled(0).await;
    let stats = stage.others[audit].function.stats();
    assert_eq!(stats.statuses.values().sum::<u64>(), 0, "it stands still: {stats:?}");

    stage.kill(&mut process).await;
    stage.others[audit].function.set_program(Program::default());
    let _process = stage.start().await;
    // What its broker had not heard of comes again, and is known.
    stage.all_is_well(0).await;
    assert_eq!(stage.function.stats().repeats, 0, "the function was sent again what it had");
    assert_eq!(stage.others[audit].function.stats().distinct, EVENTS as u64);
}
