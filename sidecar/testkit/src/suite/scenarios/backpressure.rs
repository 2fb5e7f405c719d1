//! The function stands still. The sidecar takes what its window holds and no more, the rest waits at the broker, and
//! when the function goes on, everything comes, once.

use outrigger_function::{Action, Program};

use crate::suite::{Stage, scenario::Need, stage::events};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

const WINDOW: usize = 16;
/// Published; many windows.
const EVENTS: usize = 200;
/// How often the sidecar must say the same before it is taken to be at rest.
const LOOKS: usize = 20;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(mut stage: Stage) {
    stage.setup.window = WINDOW;
    stage.setup.concurrency = 4;
    stage.function.set_program(Program::always(Action::hold("gate")));
    let _process = stage.start().await;
    stage.publish(&events("e", EVENTS, 40)).await;
    stage.until("all calls held", |stats| stats.held == 4).await;
    let (mut last, mut same) = (0, 0);
    let at_rest = |count: &usize| {
        same = if *count == last { same + 1 } else { 0 };
        last = *count;
        same >= LOOKS
    };
    let in_hand = stage.until_in_hand("a sidecar at rest", at_rest).await;
    assert!((4..=WINDOW).contains(&in_hand), "{in_hand} events in hand, of a window of {WINDOW}");
    if let Some(handed_out) = stage.source.handed_out().await {
        let most = WINDOW + stage.capabilities.ahead;
        assert!((4..=most).contains(&handed_out), "{handed_out} events are handed out, of at most {most}");
    }
    stage.until_unsettled(EVENTS).await;
    assert_eq!(stage.function.stats().received, 4, "no more calls than function.concurrency");

    stage.function.set_program(Program::default());
    stage.function.open("gate");
    stage.all_is_well(0).await;
}
