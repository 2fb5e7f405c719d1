//! `outrigger trace`: the timeline of one event, without any collector.

use crate::{SAMPLED, TRACE, common::Site};
use outrigger_core::event::hop;
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Mode, Outgoing, Producer};

fn steps(known: &serde_json::Value) -> Vec<&str> {
    let steps = known["timelines"][0]["steps"].as_array().unwrap();
    steps.iter().map(|step| step["step"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_event_is_explained_while_it_is_in_hand_after_it_settled_and_after_the_end() {
    let hold = Action { hold: Some("gate".to_owned()), ..Action::default() };
    let program = Program::default()
        .rule(Rule::new(Match::id("held"), hold))
        .rule(Rule::new(Match::id("dead"), Action::status(400)));
    let function = Function::start(program);
    let site = Site::of(&function).set("trace.export", "local");
    let mut process = site.start().await;
    for id in ["held", "behind"] {
        site.producer().send(&Outgoing::new(id, Some("k")), Mode::Binary).await.unwrap();
    }
    function.wait_for(|stats| stats.received == 1).await;
    site.producer().send(&Outgoing::new("dead", None), Mode::Binary).await.unwrap();
    site.until_dead(1).await;
    let said = site.verb(&["trace", "behind"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("an event of its key comes first"), "{}", said.stdout);
    assert!(said.stdout.contains("still in hand"), "{}", said.stdout);
    function.open("gate");
    function.wait_for(|stats| stats.ended == 3).await;
    site.until("nothing pending", |status| status["pending"] == 0).await;
    let said = site.verb(&["trace", "behind", "--json"]).await.json();
    assert_eq!(steps(&said), ["received", "queued", "attempted", "answered", "settled"]);
    assert_eq!(said["timelines"][0]["target"], "function");
    let said = site.verb(&["trace", "dead"]).await;
    for part in
        ["failed: status 400", "given up: a dead letter (refused)", "settled: acknowledged", "dead letter 1"]
    {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    let said = site.verb(&["trace", "nobody"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.contains("no event nobody is known since"), "{}", said.stdout);
    assert!(process.stop().await.success());
    let said = site.verb(&["trace", "dead"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("dead letter 1") && said.stdout.contains("end with it"), "{}", said.stdout);
}

#[tokio::test]
async fn the_hop_of_an_event_is_shown_nowhere_and_a_replay_goes_on_with_its_trace() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("trace.export", "local").set("journal.keep.settled", "true");
    let mut process = site.start().await;
    let producer = Producer::new(&site.url()).with_header("traceparent", SAMPLED);
    producer.send(&Outgoing::new("1", Some("k")), Mode::Binary).await.unwrap();
    site.until("nothing pending", |status| status["pending"] == 0).await;
    assert_eq!(site.verb(&["events", "replay", "1"]).await.code, Some(0));
    function.wait_for(|stats| stats.ended == 2).await;
    site.until("nothing pending", |status| status["pending"] == 0).await;
    for record in function.log() {
        let has = |part: &str| record.headers.iter().any(|(name, _)| name.contains(part));
        assert!(has("traceparent") && !has("outrigger"), "{:?}", record.headers);
        let told = record.headers.iter().find(|(name, _)| name == "traceparent").unwrap();
        assert!(told.1.contains(TRACE), "{told:?}");
    }
    for at_rest in [false, true] {
        for verb in [&["events", "list"][..], &["events", "show", "1"], &["events", "show", "2"]] {
            for form in [&[][..], &["--json"]] {
                let said = site.verb(&[verb, form].concat()).await;
                assert_eq!(said.code, Some(0), "{said:?}");
                assert!(
                    !said.stdout.contains(hop::ATTRIBUTE),
                    "at rest: {at_rest}, {verb:?}: {}",
                    said.stdout
                );
            }
        }
        let said = site.verb(&["trace", "1"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        for part in ["event 1 of the journal", "event 2 of the journal", "): delivered"] {
            assert!(said.stdout.contains(part), "at rest: {at_rest}, {part}: {}", said.stdout);
        }
        let said = site.verb(&["trace", "1", "--json"]).await.json();
        assert_eq!(said["events"][0]["outcome"], "delivered", "{said}");
        assert!(said["events"][0]["history"].as_array().is_some_and(|all| !all.is_empty()), "{said}");
        if !at_rest {
            assert!(process.stop().await.success());
        }
    }
}

#[tokio::test]
async fn a_replayed_dead_letter_goes_on_with_its_trace() {
    let program = Program::default().rule(Rule::new(Match::any(), Action::status(400)).times(1));
    let function = Function::start(program);
    let site = Site::of(&function).set("trace.export", "local");
    let _process = site.start().await;
    let producer = Producer::new(&site.url()).with_header("traceparent", SAMPLED);
    producer.send(&Outgoing::new("1", Some("k")), Mode::Binary).await.unwrap();
    site.until_dead(1).await;
    assert_eq!(site.verb(&["dead", "replay", "1"]).await.code, Some(0));
    function.wait_for(|stats| stats.ended == 2).await;
    let told: Vec<_> = function.log().iter().flat_map(|record| record.headers.clone()).collect();
    let told: Vec<_> = told.iter().filter(|(name, _)| name == "traceparent").collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(_, value)| value.contains(TRACE)), "{told:?}");
    assert_ne!(told[0], told[1], "each try has its span");
}

#[tokio::test]
async fn without_timelines_it_says_how_to_get_some() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    let _process = site.start().await;
    let said = site.verb(&["trace", "1"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.contains("set trace.export to local or otlp"), "{}", said.stdout);
}
