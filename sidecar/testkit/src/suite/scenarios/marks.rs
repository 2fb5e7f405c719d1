//! Killed while one of two targets has events that the other has not: after the restart that other gets them, and the
//! one that has them is not sent them again. Under load, only what was in flight or just answered may come twice.

use std::time::Duration;

use outrigger_function::{Action, Program};

use crate::suite::{
    Stage,
    routes::{FUNCTION, typed},
    scenario::Need,
    stage::events,
};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

/// Held at one of the two.
const HELD: usize = 6;
/// How long after an answer its mark may not be on the disk, on a machine that does other things.
const UNMARKED: Duration = Duration::from_millis(150);

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(mut stage: Stage) {
    let audit = stage.target("audit", None);
    stage.rule("both", "both.", &[FUNCTION, "audit"]);
    stage.others[audit].function.set_program(Program::always(Action::hold("gate")));
    let mut process = stage.start().await;
    stage.publish(&typed("both.held", events("held", HELD, HELD))).await;
    stage.until("the function has them", |stats| stats.ended == HELD as u64).await;
    stage.until_marks(HELD).await;
    stage.kill(&mut process).await;
    stage.others[audit].function.set_program(Program::default());
    let mut process = stage.start().await;
    stage.all_is_well(0).await;
    assert_eq!(stage.function.stats().repeats, 0, "the function was sent again what it had");

    stage.function.set_program(Program::always(Action::delay_ms(10)));
    stage.others[audit].function.set_program(Program::always(Action::delay_ms(25)));
    let before = stage.function.stats().ended;
    stage.publish(&typed("both.load", events("load", 200, 40))).await;
    stage.until("some done", |stats| stats.ended >= before + 60).await;
    stage.kill(&mut process).await;
    let allowed = stage.setup.concurrency + stage.ended_within(UNMARKED, stage.last_end_us());
    let _process = stage.start().await;
    stage.all_is_well(allowed).await;
}
