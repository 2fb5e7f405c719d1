//! Rules of the user (`transform`): what the function sees, in which order, and what becomes of events on which they fail.

use crate::common::{Site, headers};
use outrigger_function::{Function, Program, Record, program::Action};
use outrigger_testkit::{Mode, Outgoing};

fn event(id: &str, customer: u32) -> Outgoing {
    Outgoing::new(id, None).with_data("application/json", format!(r#"{{"customer": {{"id": {customer}}}}}"#))
}

async fn send(site: &Site, event: &Outgoing, mode: Mode) {
    assert_eq!(site.producer().send(event, mode).await.unwrap().status(), 202);
}

fn header<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn the_function_sees_what_the_rules_make_of_attributes_and_the_data_as_it_came() {
    let function = Function::start(Program::default());
    let rules = r#"[{name: tenant, when: "source LIKE '/test%'", set: {tenant: acme, level: 5}},
        {name: hops, rename: {old: hop}, drop: [x], copy: {tenant: owner}, set: {hop: {cesql: "INT(hop) + 1"}}},
        {name: subj, subject: {pointer: /customer/id}}]"#;
    let site = Site::of(&function).set("transform", &rules.replace('\n', " "));
    let _process = site.start().await;
    for (id, mode) in [("1", Mode::Binary), ("2", Mode::Structured), ("3", Mode::Batch)] {
        let mut event = event(id, 42);
        event.extensions = vec![("old".to_owned(), "7".to_owned()), ("x".to_owned(), "y".to_owned())];
        send(&site, &event, mode).await;
    }
    function.wait_for(|stats| stats.ended == 3).await;
    for record in function.log() {
        for (name, expected) in [
            ("ce-tenant", Some("acme")),
            ("ce-owner", Some("acme")),
            ("ce-level", Some("5")),
            ("ce-hop", Some("8")),
            ("ce-subject", Some("42")),
            ("ce-old", None),
            ("ce-x", None),
            ("content-type", Some("application/json")),
        ] {
            assert_eq!(header(&record, name), expected, "{name} of {:?}", record.id);
        }
        assert_eq!(record.body.as_deref(), Some(&br#"{"customer": {"id": 42}}"#[..]));
    }
}

#[tokio::test]
async fn events_of_a_key_that_a_rule_chose_run_one_at_a_time_in_order() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let rule = "[{name: by-customer, key: {pointer: /customer/id}}]";
    let site = Site::of(&function).set("transform", rule);
    let _process = site.start().await;
    for n in 0..5 {
        send(&site, &event(&format!("a-{n}"), 1), Mode::Binary).await;
    }
    send(&site, &event("b-0", 2), Mode::Binary).await;
    // The other customer's event is behind all of them, and runs beside the first.
    let stats = function.wait_for(|stats| stats.held == 2).await;
    assert_eq!(stats.received, 2, "{stats:?}");
    function.open("gate");
    function.wait_for(|stats| stats.ended == 6).await;
    let ids = function.log().into_iter().filter_map(|record| record.id).filter(|id| id.starts_with('a'));
    assert_eq!(ids.collect::<Vec<_>>(), ["a-0", "a-1", "a-2", "a-3", "a-4"].map(Box::from));
}

#[tokio::test]
async fn an_event_on_which_a_rule_fails_is_a_dead_letter_as_it_came_and_is_replayed_once_the_rule_is_mended()
{
    let function = Function::start(Program::default());
    let rules = "[{name: first, set: {first: done}}, {name: by-customer, key: {pointer: /customer/id}}]";
    let site = Site::of(&function).set("transform", rules);
    let mut process = site.start().await;
    let wrong = Outgoing::new("wrong", None).with_data("application/json", r#"{"customer": null}"#);
    send(&site, &wrong, Mode::Binary).await;
    send(&site, &event("right", 1), Mode::Binary).await;
    site.until_dead(1).await;
    function.wait_for(|stats| stats.ended == 1).await;
    assert_eq!(function.log()[0].id.as_deref(), Some("right"));
    let letters = site.verb(&["dead", "list", "--json", "--reason", "rule"]).await.json();
    let number = letters["letters"][0]["id"].to_string();
    let letter = site.verb(&["dead", "show", "--json", &number]).await.json();
    assert_eq!(letter["attributes"]["id"], "wrong");
    assert_eq!(letter["attempts"], 0);
    let why = letter["detail"].as_str().unwrap();
    assert!(why.starts_with(r#"rule by-customer: nothing stands at "/customer/id""#), "{why}");
    assert_eq!(
        letter["attributes"]["first"],
        serde_json::Value::Null,
        "what the rule before it did is undone"
    );

    assert_eq!(process.stop().await.code(), Some(0));
    let site = site.set("transform", "[{name: first, set: {first: done}}]");
    let _process = site.start().await;
    assert_eq!(site.verb(&["dead", "replay", "--all"]).await.code, Some(0));
    function.wait_for(|stats| stats.ended == 2).await;
    let record = function.log().pop().unwrap();
    assert_eq!((record.id.as_deref(), header(&record, "ce-first")), (Some("wrong"), Some("done")));
}

#[tokio::test]
async fn a_sender_who_waits_is_told_which_rule_failed() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("ingress.http.sync", "true");
    let site = site.set("transform", "[{name: by-customer, key: {pointer: /customer/id}}]");
    let _process = site.start().await;
    let good = headers([
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
        ("content-type", "application/json"),
    ]);
    let answer = site.producer().post(good.clone(), "{}").await.unwrap();
    assert_eq!(answer.status(), 422);
    assert!(answer.body().starts_with(b"rule: rule by-customer: nothing stands at"), "{:?}", answer.body());
    let answer = site.producer().post(good, r#"{"customer":{"id":"c"}}"#).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(function.stats().ended, 1);
}

#[tokio::test]
async fn a_rule_with_a_mistake_keeps_it_from_starting() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("transform", "[{name: a, when: \"type LIKE 5\", drop: x}]");
    let said = site.refused().await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("transform.1.when"), "{said:?}");
    assert!(said.stderr.contains("column 11"), "{said:?}");
}
