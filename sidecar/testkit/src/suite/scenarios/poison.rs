//! Two events that cannot be delivered: one is refused for good, the other fails each time. Each becomes one dead
//! letter with its count of attempts, its key goes on, the broker is told, and the next process does not see them.

use outrigger_function::{Action, Match, Program, Rule};

use crate::suite::{Letter, Stage, scenario::Need, stage::events};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(stage: Stage) {
    let all = events("e", 100, 10);
    let (refused, failing) = (&all[23], &all[54]);
    stage.function.set_program(
        Program::default()
            .rule(Rule::new(Match::id(&refused.id), Action::status(400)))
            .rule(Rule::new(Match::id(&failing.id), Action::status(500))),
    );
    let mut process = stage.start().await;
    stage.publish(&all).await;
    for poison in [refused, failing] {
        stage.oracle.accounted(&poison.id);
    }
    stage.until_paid().await;
    let attempts_max = u64::from(stage.setup.attempts_max);
    let expected = [(refused, 1), (failing, attempts_max)];
    let expected = expected.map(|(event, attempts)| Letter { id: event.id.clone(), attempts });
    assert_eq!(stage.letters(2).await, expected);
    stage.all_is_well(0).await;

    assert!(process.stop().await.success());
    let _process = stage.start().await;
    stage.all_is_well(0).await;
    let calls = |id: &str| stage.records(id).len() as u64;
    assert_eq!((calls(&refused.id), calls(&failing.id)), (1, attempts_max), "they came again");
    assert_eq!(stage.letters(2).await, expected);
}
