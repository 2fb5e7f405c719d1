//! What the function fails is tried again until it succeeds. What is still with the function when a drain's time is
//! over goes back to the broker, which gives it to the next process. Nothing else comes again.

use outrigger_function::{Action, Match, Program, Rule};

use crate::suite::{
    Stage,
    scenario::Need,
    stage::{events, is_marked, marked},
};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(mut stage: Stage) {
    stage.setup.drain_ms = 300;
    let held = stage.setup.concurrency;
    let fails_twice = Match { percent: Some(30), ..Match::any() };
    stage.function.set_program(
        Program::default()
            .rule(Rule::new(is_marked(), Action::hold("gate")))
            .rule(Rule::new(fails_twice, Action::status(500)).until(2)),
    );
    let mut process = stage.start().await;
    stage.publish(&events("e", 100, 10)).await;
    stage.until_paid().await; // those that are held take every place at the function
    let marked = marked("held", held);
    stage.publish(&marked).await;
    stage.until("all calls held", |stats| stats.held == held as u64).await;
    stage.until_unsettled(held).await;
    let retried = stage.function.stats().repeats;
    assert!(retried >= 10, "so few failures prove nothing: {retried}");

    assert!(process.stop().await.success(), "a drain whose time is over ends in order");
    stage.until("the calls cut off", |stats| stats.running == 0).await;
    stage.function.set_program(Program::default());
    let _process = stage.start().await;
    let judgement = stage.all_is_well(0).await;
    for event in &marked {
        let calls = stage.records(&event.id).len();
        assert_eq!(calls, 2, "{} was held and then came again, {judgement}", event.id);
    }
}
