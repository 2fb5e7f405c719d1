//! Events that go to several targets: one trace, kept whole or not at all.

use crate::{common::Site, named, of_event, traced};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Mode, Outgoing, otelcol::Collector};

/// Everything goes to the function and to `audit`, which refuses what is called `bad`.
fn forked(function: &Function, audit: &Function) -> Site {
    let targets = format!("{{audit: {{url: \"{}\"}}}}", audit.url());
    let rules = "[{name: all, to: [function, audit]}]";
    Site::of(function).set("targets", &targets).set("routes", &format!("{{rules: {rules}}}"))
}

fn strict() -> Function {
    Function::start(Program::default().rule(Rule::new(Match::id("bad"), Action::status(400))))
}

#[tokio::test]
async fn each_target_has_its_timeline_and_the_event_one_of_all() {
    let (function, audit) = (Function::start(Program::default()), strict());
    let site = forked(&function, &audit).set("trace.export", "local");
    let _process = site.start().await;
    site.producer().send(&Outgoing::new("bad", None), Mode::Binary).await.unwrap();
    site.until_dead(1).await;
    site.until("nothing pending", |status| status["pending"] == 0).await;
    let known = site.verb(&["trace", "bad", "--json"]).await.json();
    let timelines = known["timelines"].as_array().unwrap();
    let of = |target: serde_json::Value| -> Vec<&str> {
        let found = timelines.iter().find(|timeline| timeline["target"] == target);
        let steps = found.unwrap_or_else(|| panic!("{target}: {known}"))["steps"].as_array().unwrap();
        steps.iter().map(|step| step["step"].as_str().unwrap()).collect()
    };
    assert_eq!(timelines.len(), 3, "{known}");
    assert_eq!(of(serde_json::Value::Null), ["received", "routed", "dead-lettered", "settled"]);
    assert_eq!(of("function".into()), ["received", "queued", "attempted", "answered", "settled"]);
    assert_eq!(
        of("audit".into()),
        ["received", "queued", "attempted", "answered", "dead-lettered", "settled"]
    );
    let said = site.verb(&["trace", "bad"]).await.stdout;
    assert!(said.contains("to several targets") && !said.contains("still in hand"), "{said}");
}

#[tokio::test]
async fn where_one_target_fails_the_whole_trace_is_kept_and_else_nothing() {
    let test = "where_one_target_fails_the_whole_trace_is_kept_and_else_nothing";
    let Some(collector) = Collector::start(test).await else { return };
    let slow = Action { delay_ms: 60, ..Action::default() };
    let (function, audit) = (Function::start(Program::always(slow)), strict());
    let site = traced(forked(&function, &audit), &collector).set("trace.ratio", "0");
    let mut process = site.start().await;
    for id in ["good", "bad"] {
        site.producer().send(&Outgoing::new(id, None), Mode::Binary).await.unwrap();
    }
    site.until_dead(1).await;
    site.until("nothing pending", |status| status["pending"] == 0).await;
    assert!(process.stop().await.success());
    let spans = collector.until("the event and its two targets", |spans| spans.len() >= 12).await;
    assert!(of_event(&spans, "good").is_empty(), "{spans:#?}");
    let of_bad = spans.iter().filter(|span| span.get("cloudevents.event_id") == "bad");
    let trunk = of_bad.clone().find(|span| span.parent.is_empty()).expect("the whole event's");
    let branches: Vec<_> =
        spans.iter().filter(|span| span.parent == trunk.id && span.name == trunk.name).collect();
    assert_eq!((branches.len(), trunk.failed), (2, true));
    for branch in branches {
        let below: Vec<_> = spans.iter().filter(|span| span.parent == branch.id).collect();
        assert_eq!(below.len(), 4, "receive, queue, POST, settle: {below:#?}");
        assert!(trunk.times.0 <= branch.times.0 && branch.times.1 <= trunk.times.1, "{trunk:?} {branch:?}");
        assert_eq!(named(&below, "POST").failed, branch.failed);
    }
}
