//! Replies, dead letters and events by POST: leave to send, a token, and a place that is retired.

use outrigger_function::{Action, Function, Match, Program, Record, Rule, program::Reply};
use outrigger_testkit::{Mode, Outgoing};
use serde_json::{Value, json};

use crate::{Stage, common::Site, has};

/// Grants leave to send to anybody who asks, and answers whatever else with `action`.
fn granting(action: Action) -> Program {
    let asked = Match { method: Some("OPTIONS".to_owned()), ..Match::any() };
    Program::always(action)
        .rule(Rule::new(asked, Action::status(200).with_header("WebHook-Allowed-Origin", "*")))
}

fn posts(function: &Function) -> Vec<Record> {
    function.log().into_iter().filter(|record| &*record.method == "POST").collect()
}

fn header(record: &Record, name: &str) -> Option<String> {
    record.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
}

#[tokio::test]
async fn replies_and_dead_letters_go_by_post_to_whoever_grants_leave() {
    let [function, replies, dead] = [(); 3].map(|()| Function::start(Program::default()));
    let site = Site::of(&function)
        .set("replies", &format!("{{url: \"{}/in\", webhook: events.example.com}}", replies.url()))
        .set("dead_letters", &format!("{{url: \"{}/\", bearer_file: token}}", dead.url()));
    std::fs::write(site.path("token"), "s3cret").unwrap();
    let attributes = [("id", "r"), ("source", "/f"), ("type", "done")].map(|(k, v)| (k.into(), v.into()));
    let reply = Reply { structured: false, attributes: attributes.into(), data: Some(json!({"n": 1})) };
    let answer = Action { reply: Some(reply), ..Action::default() };
    let refuses = Rule::new(Match::id("2"), Action::status(400));
    function.set_program(Program::always(answer).rule(refuses));
    let _process = site.start().await;
    let send = async |id: &str| {
        let sent = site.producer().send(&Outgoing::new(id, None), Mode::Binary).await.unwrap();
        assert_eq!(sent.status().as_u16(), 202);
    };
    // Without leave the reply is kept, and readiness says why.
    send("1").await;
    site.until_readyz("[-] replies: ").await;
    assert_eq!(posts(&replies).len(), 0);
    replies.set_program(granting(Action::default()));
    site.until("the reply is there", |status| status["pending"] == 0).await;
    let [reply] = &posts(&replies)[..] else { panic!("{:?}", replies.log()) };
    assert_eq!((&*reply.path, header(reply, "ce-type").as_deref()), ("/in", Some("done")));
    assert_eq!(has(&function), ["1"], "the function was not asked again");

    send("2").await;
    site.until_dead(1).await;
    let [letter] = &posts(&dead)[..] else { panic!("{:?}", dead.log()) };
    assert_eq!(header(letter, "authorization").as_deref(), Some("Bearer s3cret"));
    assert_eq!(header(letter, "ce-outriggercode").as_deref(), Some("refused"));
    assert_eq!(header(letter, "ce-id").as_deref(), Some("2"));
}

#[tokio::test]
async fn a_webhook_that_is_retired_is_left_alone_and_its_events_wait() {
    let stage = Stage::with(", webhook: events.example.com, retired_wait: 300ms");
    let site = stage.site.set("delivery.breaker.failures", "1").set("delivery.breaker.open", "10ms");
    let stage = Stage { site: site.set("delivery.breaker.open_max", "10ms"), ..stage };
    stage.audit.set_program(granting(Action::status(410)));
    let _process = stage.site.start().await;
    assert_eq!(stage.send("1", "both.a").await, 202);
    stage.site.until_readyz("[-] target audit: down").await;
    let before = posts(&stage.audit).len();
    stage.audit.set_program(granting(Action::default()));
    stage.settled().await;
    assert_eq!(has(&stage.audit).last().map(String::as_str), Some("1"));
    assert!(posts(&stage.audit).len() <= before + 2, "it was left alone meanwhile");
    assert_eq!(stage.site.letters().await, [Value::Null; 0]);
}
