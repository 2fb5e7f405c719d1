//! Each scenario is shown a sidecar that does not do what it owes, and must find it.

use std::sync::Arc;

use outrigger_testkit::suite::{
    Adapter, Stage, Way, scenario,
    scenario::{ALL, Need},
    toy::Toy,
};

use crate::Flawed;

/// A scenario, a flaw, and what the scenario says of it: one of these, by which of the two is seen first.
const FOUND: [(&str, &str, &[&str]); 13] = [
    ("redelivery", "swallow", &["8 events are still owed"]),
    ("crash", "early", &["8 events that are not settled: this did not come", "events are still owed"]),
    ("drain", "rude", &["calls were cut off", "0 allowed"]),
    ("backpressure", "greedy", &["200 events in hand, of a window of 16"]),
    ("poison", "forget", &["2 dead letters: this did not come"]),
    ("routes", "astray", &["foreign"]),
    (
        "shares",
        "hasty",
        &["6 events were not settled, and then Ok", "6 events that are not settled: this did not come"],
    ),
    ("marks", "oblivious", &["0 allowed"]),
    ("overflow", "volatile", &["events are still owed to audit"]),
    ("duplicates", "merge", &["20 allowed"]),
    ("order", "reorder", &["disordered"]),
    ("slow_function", "lazy", &["0 events that are not settled: this did not come, but Ok(4)"]),
    ("reconnect", "stuck", &["a new connection in spite of Reset: this did not come"]),
];

/// Plays the scenario with a flawed sidecar; what it says of that, or `None` if it is content.
async fn verdict(name: &str, flaw: &'static str) -> Option<String> {
    let scenario = scenario(name);
    let way = if scenario.need == Need::Reconnect { Way::Proxied } else { Way::Direct };
    let toy = Toy::place(name, way).await.expect("the toy is always there");
    let stage = Stage::new(Toy::CAPABILITIES, Box::new(toy), Arc::new(Flawed(flaw)));
    let failed = tokio::spawn(scenario.play(stage)).await.err()?.into_panic();
    let text = failed.downcast_ref::<String>().cloned();
    text.or_else(|| failed.downcast_ref::<&str>().map(|text| (*text).to_owned()))
}

/// Plays of a scenario until it must have found its flaw: a kill may fall before the flaw shows.
const PLAYS: usize = 3;

async fn finds(index: usize) {
    let (name, flaw, parts) = FOUND[index];
    let mut said = None;
    for _ in 0..PLAYS {
        said = verdict(name, flaw).await;
        if said.is_some() {
            break;
        }
    }
    let said = said.unwrap_or_else(|| panic!("{name} is content with {flaw}"));
    let is_expected = parts.iter().any(|part| said.contains(part));
    assert!(is_expected, "{name} says of {flaw}, instead of {parts:?}: {said}");
}

#[test]
fn each_scenario_has_a_flaw_that_it_finds() {
    let all: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
    assert_eq!(FOUND.map(|(name, _, _)| name)[..], all);
}

macro_rules! found {
    ($($name:ident $index:literal)*) => { $(#[tokio::test] async fn $name() { finds($index).await; })* };
}

found! {
    redelivery_finds_leftovers_that_are_settled_instead_of_released 0
    crash_finds_events_that_are_settled_when_they_come 1
    drain_finds_calls_that_are_cut_off 2
    backpressure_finds_a_window_that_does_not_count 3
    poison_finds_an_event_that_is_forgotten 4
    routes_finds_what_is_discarded_at_the_function 5
    shares_finds_an_event_that_is_settled_for_its_first_target 6
    marks_finds_what_is_not_known_after_a_restart 7
    overflow_finds_copies_that_die_with_the_process 8
    duplicates_finds_a_copy_that_is_settled_for_the_other 9
    order_finds_the_latest_first 10
    slow_function_finds_a_lease_that_runs_out 11
    reconnect_finds_a_connection_that_stays_lost 12
}
