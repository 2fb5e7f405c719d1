//! Order per key on the shipped binary: one at a time and in turn, whatever fails, and no key waits for another.

mod common;

use common::Site;
use outrigger_function::{Fault, Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Mode, Oracle, Outgoing};
use serde_json::Value;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const KEYS: usize = 100;
const EVENTS_OF_A_KEY: usize = 20;

/// Short waits, and retries as many as a test wants.
fn impatient(function: &Function) -> Site {
    let site = Site::of(function).set("delivery.backoff.initial", "1ms").set("delivery.backoff.max", "20ms");
    let site =
        site.set("delivery.retry_budget.per_second_min", "100000").set("delivery.attempts_max", "1000");
    site.set("delivery.breaker.failures", "1000000")
}

/// Sends the events of each key one after the other, all keys at once; every one must be accepted.
async fn send_by_key(site: &Site, oracle: &Arc<Oracle>, keys: usize, events_of_a_key: usize) {
    let producer = site.producer();
    let senders: Vec<_> = (0..keys)
        .map(|key| {
            let (producer, oracle) = (producer.clone(), oracle.clone());
            tokio::spawn(async move {
                for n in 0..events_of_a_key {
                    let event = Outgoing::new(&format!("{key}-{n}"), Some(&key.to_string()));
                    oracle.sending(&event);
                    let mode = Mode::ALL[n % 3];
                    assert_eq!(producer.send(&event, mode).await.unwrap().status(), 202);
                    oracle.acknowledged(&event.id);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
}

async fn send(site: &Site, id: &str, key: &str) {
    let answer = site.producer().send(&Outgoing::new(id, Some(key)), Mode::Binary).await.unwrap();
    assert_eq!(answer.status(), 202);
}

fn ids_answered(function: &Function, status: u16) -> Vec<String> {
    let answered = function.log().into_iter().filter(|record| record.status == Some(status));
    answered.map(|record| record.id.unwrap().into()).collect()
}

#[tokio::test]
async fn order_holds_per_key_while_a_third_of_all_attempts_fails() {
    let dice = Match { percent: Some(30), ..Match::any() };
    let program = Program::always(Action::delay_ms(10)).rule(Rule::new(dice, Action::status(503)));
    let function = Function::start(program);
    let site = impatient(&function);
    let _process = site.start().await;
    let oracle = Arc::new(Oracle::default());
    send_by_key(&site, &oracle, KEYS, EVENTS_OF_A_KEY).await;
    let all = (KEYS * EVENTS_OF_A_KEY) as u64;
    let stats = function.wait_for(|stats| stats.statuses.get(&200) == Some(&all) && stats.running == 0).await;
    oracle.judge_at(&function).assert_clean(0);
    assert_eq!(stats.overlaps, 0);
    assert!(stats.statuses[&503] > all / 5, "the dice did not fall: {stats:?}");
    assert!(stats.running_max > 16, "keys waited for each other: {stats:?}");
}

#[tokio::test]
async fn order_holds_per_key_while_connections_are_reset() {
    let resets = [Fault::ResetBefore, Fault::CloseBefore];
    let program = resets.into_iter().fold(Program::always(Action::delay_ms(1)), |program, fault| {
        let dice = Match { percent: Some(10), ..Match::any() };
        program.rule(Rule::new(dice, Action::fault(fault)))
    });
    let function = Function::start(program);
    let site = impatient(&function);
    let _process = site.start().await;
    let oracle = Arc::new(Oracle::default());
    send_by_key(&site, &oracle, 20, 10).await;
    let stats = function.wait_for(|stats| stats.statuses.get(&200) == Some(&200) && stats.running == 0).await;
    oracle.judge_at(&function).assert_clean(0);
    assert!(stats.overlaps == 0 && stats.faulted > 0, "{stats:?}");
}

#[tokio::test]
async fn a_stalled_key_holds_up_nobody_and_its_own_wait_for_it() {
    let held = Rule::new(Match::id("slow-0"), Action::hold("gate"));
    let function = Function::start(Program::default().rule(held));
    let site = impatient(&function);
    let _process = site.start().await;
    for n in 0..5 {
        send(&site, &format!("slow-{n}"), "slow").await;
    }
    for n in 0..50 {
        send(&site, &format!("fast-{n}"), &format!("fast-{}", n % 5)).await;
    }
    let stats = function.wait_for(|stats| stats.statuses.get(&200) == Some(&50) && stats.held == 1).await;
    assert_eq!((stats.received, stats.held), (51, 1), "nothing of the slow key but its first has started");
    function.open("gate");
    function.wait_for(|stats| stats.statuses.get(&200) == Some(&55)).await;
    let slow: Vec<_> = ids_answered(&function, 200).into_iter().filter(|id| id.starts_with("slow")).collect();
    assert_eq!(slow, ["slow-0", "slow-1", "slow-2", "slow-3", "slow-4"]);
}

#[tokio::test]
async fn events_without_a_key_run_side_by_side() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let site = Site::of(&function).set("function.concurrency", "8");
    let _process = site.start().await;
    for n in 0..20 {
        let event = Outgoing::new(&n.to_string(), None);
        assert_eq!(site.producer().send(&event, Mode::Binary).await.unwrap().status(), 202);
    }
    function.wait_for(|stats| stats.held == 8).await;
    function.open("gate");
    let stats = function.wait_for(|stats| stats.ended == 20).await;
    assert_eq!(stats.running_max, 8, "never more at once than function.concurrency");
}

#[tokio::test]
async fn the_key_is_the_attribute_that_the_configuration_names() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let site = Site::of(&function).set("delivery.key", "[tenant, subject]");
    let _process = site.start().await;
    let event = |id: &str, name: &str, value: &str| {
        let mut event = Outgoing::new(id, None);
        event.extensions.push((name.to_owned(), value.to_owned()));
        event
    };
    let events = [
        event("1", "tenant", "a"),
        event("2", "tenant", "a"),
        event("3", "subject", "a"),
        event("4", "other", "a"),
    ];
    for event in events {
        assert_eq!(site.producer().send(&event, Mode::Structured).await.unwrap().status(), 202);
    }
    // 3 has the same value in another attribute: the first attribute that an event has gives its key.
    function.wait_for(|stats| stats.held == 2).await;
    let mut running: Vec<_> = function.log().iter().map(|record| record.id.clone().unwrap()).collect();
    running.sort(); // two calls at once may arrive in either order
    assert_eq!(running, ["1".into(), "4".into()]);
    function.open("gate");
    function.wait_for(|stats| stats.ended == 4).await;
}

/// A function that never takes the event `poison`, and a site that gives it two attempts.
fn poisoned(on_poison: &str) -> (Function, Site) {
    let poison = Rule::new(Match::id("poison"), Action::status(500));
    let function = Function::start(Program::default().rule(poison));
    let site = impatient(&function).set("delivery.attempts_max", "2").set("delivery.on_poison", on_poison);
    (function, site)
}

#[tokio::test]
async fn row_19_a_poisoned_event_that_is_skipped_leaves_its_key_and_all_others_going() {
    let (function, site) = poisoned("skip");
    let _process = site.start().await;
    let oracle = Oracle::default();
    for (id, key) in [("poison", "a"), ("a-1", "a"), ("b-1", "b"), ("a-2", "a")] {
        let event = Outgoing::new(id, Some(key));
        oracle.sending(&event);
        assert_eq!(site.producer().send(&event, Mode::Binary).await.unwrap().status(), 202);
        oracle.acknowledged(id);
    }
    function.wait_for(|stats| stats.statuses.get(&200) == Some(&3)).await;
    site.until_dead(1).await;
    oracle.accounted("poison");
    oracle.judge_at(&function).assert_clean(0);
    let tries: Vec<_> = ids_answered(&function, 500);
    assert_eq!(tries, ["poison", "poison"]);
    let letter = &site.letters().await[0];
    assert_eq!((&letter["event_id"], &letter["reason"]), (&"poison".into(), &"exhausted".into()));
    assert_eq!(
        (&letter["attempts"], &letter["status"], &letter["key"]),
        (&2.into(), &500.into(), &"a".into())
    );
}

#[tokio::test]
async fn row_19_a_poisoned_event_that_is_parked_holds_its_key_only() {
    let (function, site) = poisoned("park");
    let _process = site.start().await;
    for (id, key) in [("poison", "a"), ("a-1", "a"), ("a-2", "a"), ("b-1", "b")] {
        send(&site, id, key).await;
    }
    site.until("a parked key", |status| status["parked"] == 1).await;
    function.wait_for(|stats| stats.statuses.get(&200) == Some(&1)).await;
    assert_eq!(ids_answered(&function, 200), ["b-1"]);
    let (status, text) = site.until_readyz("1 keys are parked").await;
    assert_eq!(status, 200, "{text}");

    let listed = site.verb(&["parked", "list", "--json"]).await;
    let expected = serde_json::json!([{"id": "poison", "key": "a", "attempts": 2, "behind": 2}]);
    assert_eq!((listed.code, listed.json()), (Some(0), expected));
    let table = site.verb(&["parked", "list"]).await;
    assert!(table.stdout.contains("poison") && table.code == Some(0), "{table:?}");
    let absent = site.verb(&["parked", "retry", "--id", "absent"]).await;
    assert_eq!((absent.code, &absent.json()["released"]), (Some(1), &Value::from(0)));
    assert_eq!(site.letters().await.len(), 0);
}

#[tokio::test]
async fn a_parked_event_that_is_retried_gets_its_attempts_again_and_its_key_follows() {
    let (function, site) = poisoned("park");
    let _process = site.start().await;
    for id in ["poison", "a-1", "a-2"] {
        send(&site, id, "a").await;
    }
    site.until("a parked key", |status| status["parked"] == 1).await;
    let again = site.verb(&["parked", "retry", "--id", "poison"]).await;
    assert_eq!((again.code, &again.json()["released"]), (Some(0), &Value::from(1)));
    function.wait_for(|stats| stats.statuses.get(&500) == Some(&4)).await;
    site.until("parked again", |status| status["parked"] == 1).await;

    function.set_program(Program::default());
    assert_eq!(site.verb(&["parked", "retry", "--all"]).await.code, Some(0));
    function.wait_for(|stats| stats.statuses.get(&200) == Some(&3)).await;
    assert_eq!(ids_answered(&function, 200), ["poison", "a-1", "a-2"]);
    assert_eq!(site.until("nothing parked", |status| status["parked"] == 0).await["dead_lettered"], 0);
}

#[tokio::test]
async fn a_parked_event_that_is_skipped_becomes_a_dead_letter_and_its_key_goes_on() {
    let (function, site) = poisoned("park");
    let _process = site.start().await;
    for id in ["poison", "a-1", "a-2"] {
        send(&site, id, "a").await;
    }
    site.until("a parked key", |status| status["parked"] == 1).await;
    assert_eq!(site.verb(&["parked", "skip", "--id", "poison"]).await.code, Some(0));
    function.wait_for(|stats| stats.statuses.get(&200) == Some(&2)).await;
    assert_eq!(ids_answered(&function, 200), ["a-1", "a-2"]);
    let letter = &site.letters().await[0];
    assert_eq!((&letter["event_id"], &letter["reason"]), (&"poison".into(), &"exhausted".into()));
}

#[tokio::test]
async fn a_parked_event_outlives_a_restart_with_those_behind_it() {
    let (function, site) = poisoned("park");
    let mut process = site.start().await;
    for id in ["poison", "a-1"] {
        send(&site, id, "a").await;
    }
    site.until("a parked key", |status| status["parked"] == 1).await;
    let asked = Instant::now();
    assert_eq!(process.stop().await.code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "the drain waited for what is parked until its deadline"
    );
    function.set_program(Program::default());
    let _process = site.start().await;
    function.wait_for(|stats| stats.statuses.get(&200) == Some(&2)).await;
    assert_eq!(ids_answered(&function, 200), ["poison", "a-1"]);
}
