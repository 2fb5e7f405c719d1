//! Events go where the rules say: by the first that fits, and after a restart wherever one says. What a rule discards is
//! settled and counted by that rule's name. Each target has the events of a key in their order, also while one is retried.

use outrigger_function::{Action, Match, Program, Rule};

use crate::suite::{
    Stage,
    routes::{FUNCTION, typed},
    scenario::Need,
    stage::events,
};

/// Every source owes it.
pub const NEED: Need = Need::Nothing;

/// Events of each kind.
const EACH: usize = 40;

/// Plays it.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn play(mut stage: Stage) {
    let audit = stage.target("audit", None);
    stage.rule("noise", "noise.", &[]);
    stage.rule("both", "order.", &[FUNCTION, "audit"]);
    stage.rule("paid", "order.paid", &["audit"]);
    stage.rule("copies", "audit.", &["audit"]);
    let fails_once = Match { percent: Some(20), ..Match::any() };
    let flaky = || Program::default().rule(Rule::new(fails_once.clone(), Action::status(500)).until(1));
    stage.function.set_program(flaky());
    stage.others[audit].function.set_program(flaky());

    let mut process = stage.start().await;
    publish_each(&stage, "first").await;
    stage.all_is_well(0).await;
    assert_eq!(stage.discarded("noise").await, EACH);
    assert!(stage.others[audit].function.stats().repeats > 0, "nothing was tried again at the other target");
    assert!(process.stop().await.success());

    stage.setup.routes.matches_all = true;
    stage.rule("paid-too", "order.paid", &[FUNCTION]);
    stage.setup.routes.rules[1].to = vec!["audit".to_owned()];
    let _process = stage.start().await;
    publish_each(&stage, "all").await;
    stage.all_is_well(0).await;
    assert_eq!(stage.discarded("noise").await, EACH, "counted since the start of the process");
}

/// Events of every kind, which take turns in the keys.
async fn publish_each(stage: &Stage, round: &str) {
    let kinds = ["order.new", "noise.tick", "order.paid", "audit.only", "other"];
    let of = |ty: &&str| typed(ty, events(&format!("{round}-{ty}"), EACH, 10));
    let kinds: Vec<_> = kinds.iter().map(of).collect();
    let turns: Vec<_> = (0..EACH).flat_map(|n| kinds.iter().map(move |kind| kind[n].clone())).collect();
    stage.publish(&turns).await;
}
