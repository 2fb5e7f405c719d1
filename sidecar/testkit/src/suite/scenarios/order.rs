//! The events of a key come in the order in which they were published, one after the other, also while one of them is
//! tried again.

use outrigger_function::{Action, Match, Program, Rule};

use crate::suite::{Stage, scenario::Need, stage::events};

/// A source owes it whose broker keeps the order.
pub const NEED: Need = Need::Order;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(stage: Stage) {
    let fails_once = Match { percent: Some(20), ..Match::any() };
    stage.function.set_program(
        Program::always(Action::delay_ms(20)).rule(Rule::new(fails_once, Action::status(500)).until(1)),
    );
    let _process = stage.start().await;
    stage.publish(&events("e", 300, 15)).await;
    stage.all_is_well(0).await;
    let stats = stage.function.stats();
    assert!(
        stats.repeats >= 30 && stats.running_max > 1,
        "so little happened that nothing is proven: {stats:?}"
    );
    assert_eq!(stats.overlaps, 0, "two events of a key ran at once");
}
