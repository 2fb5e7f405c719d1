//! An event that goes to two targets is settled once both have it. What one of them fails, or does not answer for a while,
//! is not sent the other again; what it refuses for good is a dead letter, which holds up neither the other nor the source.

use outrigger_function::{Action, Match, Program, Rule};

use crate::suite::{
    Letter, Stage,
    routes::{FUNCTION, typed},
    scenario::Need,
    stage::events,
};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

/// Held at one of the two.
const HELD: usize = 6;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(mut stage: Stage) {
    let audit = stage.target("audit", None);
    stage.rule("both", "both.", &[FUNCTION, "audit"]);
    let mut process = stage.start().await;

    stage.others[audit].function.set_program(Program::always(Action::hold("gate")));
    stage.publish(&typed("both.held", events("held", HELD, HELD))).await;
    stage.until("the function has them", |stats| stats.ended == HELD as u64).await;
    stage.until_unsettled(HELD).await;
    stage.stays_unsettled(HELD).await;
    stage.others[audit].function.open("gate");
    stage.all_is_well(0).await;

    // A while in which it fails, and two that it never takes.
    let all = typed("both.a", events("e", 100, 10));
    let (refused, failing) = (&all[23], &all[54]);
    let fails_twice = Rule::new(Match { percent: Some(30), ..Match::any() }, Action::status(503)).until(2);
    stage.others[audit].function.set_program(
        Program::default()
            .rule(Rule::new(Match::id(&refused.id), Action::status(400)))
            .rule(Rule::new(Match::id(&failing.id), Action::status(500)))
            .rule(fails_twice),
    );
    stage.publish(&all).await;
    for poison in [refused, failing] {
        stage.others[audit].oracle.accounted(&poison.id);
    }
    let attempts_max = u64::from(stage.setup.attempts_max);
    let expected = [(refused, 1), (failing, attempts_max)];
    let expected = expected.map(|(event, attempts)| Letter { id: event.id.clone(), attempts });
    assert_eq!(stage.letters(2).await, expected);
    stage.all_is_well(0).await;
    assert_eq!(stage.function.stats().repeats, 0, "the function was called again for the other's sake");

    assert!(process.stop().await.success());
    let _process = stage.start().await;
    stage.all_is_well(0).await;
    assert_eq!(stage.letters(2).await, expected, "they came again");
}
