//! Some calls take longer than the broker waits for a sidecar that is silent. The sidecar shows itself meanwhile, so
//! no event is given out twice, and the others are not held up.

use outrigger_function::{Action, Program, Rule};

use crate::suite::{
    Stage,
    scenario::Need,
    stage::{events, is_marked, marked},
};

/// A source owes it whose broker takes events back.
pub const NEED: Need = Need::Lease;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(stage: Stage) {
    let lease = *stage.capabilities.lease.get();
    let slow_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX) * 3 / 2;
    stage.function.set_program(Program::default().rule(Rule::new(is_marked(), Action::delay_ms(slow_ms))));
    let _process = stage.start().await;
    let slow = marked("slow", 4);
    stage.publish(&slow).await;
    stage.until("the slow calls", |stats| stats.running == 4).await;
    stage.publish(&events("quick", 60, 10)).await;
    stage.until("the quick ones", |stats| stats.ended >= 60).await;
    let running = stage.function.stats().running;
    assert_eq!(running, 4, "the quick ones waited for the slow ones");
    stage.all_is_well(0).await;
    let stats = stage.function.stats();
    assert_eq!(stats.repeats, 0, "events were given out twice: {stats:?}");
}
