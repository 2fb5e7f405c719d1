//! SIGTERM under load: what the sidecar has is finished, the broker knows of it, the process ends with 0, and nothing
//! of it comes again. The rest is the next process's.

use outrigger_function::{Action, Program};

use crate::suite::{Stage, scenario::Need, stage::events};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

/// Published; far more than the window.
const EVENTS: usize = 300;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(mut stage: Stage) {
    stage.setup.window = 32;
    // Held until all are published: during a drain a source that is pushed takes nothing.
    stage.function.set_program(Program::always(Action::hold("gate")));
    let mut process = stage.start().await;
    stage.publish(&events("e", EVENTS, 40)).await;
    stage.function.set_program(Program::always(Action::delay_ms(20)));
    stage.function.open("gate");
    stage.until("some done", |stats| stats.ended >= 60).await;

    let exit = process.stop().await;
    assert!(exit.success(), "a drain ends in order, not with {exit}");
    let stats = stage.function.stats();
    assert_eq!((stats.running, stats.gone), (0, 0), "calls were cut off: {stats:?}");
    assert!(stats.ended < EVENTS as u64, "all was done before the signal: {stats:?}");
    let _process = stage.start().await;
    stage.all_is_well(0).await;
}
