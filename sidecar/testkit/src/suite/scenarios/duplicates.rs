//! Every event is there twice, and both copies are in hand at once. Each copy is settled by itself, and the two never
//! run at the same time.

use outrigger_function::{Action, Program};

use crate::suite::{Stage, scenario::Need, stage::events};

/// A source owes it whose broker keeps both copies.
pub const NEED: Need = Need::Duplicates;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(mut stage: Stage) {
    stage.setup.window = 256;
    stage.function.set_program(Program::always(Action::hold("gate")));
    let _process = stage.start().await;
    let all = events("e", 20, 10);
    stage.publish(&all).await;
    stage.publish_again(&all).await;
    stage.until_in_hand("both copies in hand", |count| *count == 40).await;
    stage.until_unsettled(40).await;

    stage.function.set_program(Program::always(Action::delay_ms(5)));
    stage.function.open("gate");
    stage.all_is_well(all.len()).await;
    for event in &all {
        let calls = stage.records(&event.id).len();
        // Where what is done already is known, the second copy needs no call.
        assert!((1..=2).contains(&calls), "{} came {calls} times, and was there twice", event.id);
    }
    assert_eq!(stage.function.stats().overlaps, 0, "two copies ran at once");
}
