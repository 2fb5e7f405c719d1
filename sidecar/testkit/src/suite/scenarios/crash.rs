//! Killed with SIGKILL. While the broker knows all that is settled, exactly what is in flight comes again. Under load,
//! what was in flight or settled shortly before may; nothing is lost.

use std::time::Duration;

use outrigger_function::{Action, Program, Rule};

use crate::suite::{
    Stage,
    scenario::Need,
    stage::{events, is_marked, marked},
};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

/// What a machine that does other things may add to the time until the broker knows.
const SLACK: Duration = Duration::from_millis(250);

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(stage: Stage) {
    at_rest(&stage).await;
    under_load(&stage).await;
}

async fn at_rest(stage: &Stage) {
    let held = stage.setup.concurrency;
    stage.function.set_program(Program::default().rule(Rule::new(is_marked(), Action::hold("gate"))));
    let mut process = stage.start().await;
    stage.publish(&events("rest", 100, 10)).await;
    stage.until_paid().await; // those that are held take every place at the function
    let marked = marked("held", held);
    stage.publish(&marked).await;
    stage.until("all calls held", |stats| stats.held == held as u64).await;
    stage.until_unsettled(held).await;

    stage.kill(&mut process).await;
    stage.function.set_program(Program::default());
    let mut process = stage.start().await;
    stage.all_is_well(0).await;
    for event in &marked {
        assert_eq!(stage.records(&event.id).len(), 2, "{} was in flight, so it comes again", event.id);
    }
    assert!(process.stop().await.success());
}

async fn under_load(stage: &Stage) {
    // Held until all are published: those that the process itself takes must have its answer before it dies.
    stage.function.set_program(Program::always(Action::hold("load")));
    let mut process = stage.start().await;
    let before = stage.function.stats().ended;
    stage.publish(&events("load", 200, 40)).await;
    stage.function.set_program(Program::always(Action::delay_ms(10)));
    stage.function.open("load");
    stage.until("some done", |stats| stats.ended >= before + 60).await;

    stage.kill(&mut process).await;
    let stats = stage.function.stats();
    assert!(stats.distinct < 309, "all was done before the kill: {stats:?}");
    let window = stage.capabilities.settles_within + SLACK;
    let allowed = stage.setup.concurrency + stage.ended_within(window, stage.last_end_us());
    let _process = stage.start().await;
    stage.all_is_well(allowed).await;
}
