//! Routes of the shipped binary: which event goes where, that each target has it once, and what one that fails does to the
//! others. The targets are programmable functions.

#![expect(clippy::float_cmp, reason = "counters are whole numbers")]

#[path = "../common/mod.rs"]
mod common;
mod overflow;
mod posted;

use common::Site;
use outrigger_function::{Action, Function, Match, Program, Record, Rule, server::Setup};
use outrigger_testkit::{Mode, Outgoing, free_port, place::workspace, process::get};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The function, two other targets, and the folder with rules between them.
struct Stage {
    function: Function,
    audit: Function,
    copies: Function,
    site: Site,
}

/// `both.…` goes to the function and to audit, `all.…` to all three, `copy.…` to copies alone, `noise` nowhere, and the
/// rest to the function.
const RULES: &str = "[{name: both, when: \"type LIKE 'both.%'\", to: [function, audit]}, \
                     {name: all, when: \"type LIKE 'all.%'\", to: [function, audit, copies]}, \
                     {name: copy, when: {prefix: {type: copy.}}, to: copies}, \
                     {name: hop, when: \"int(hop) > 3\", to: copies}, \
                     {name: noise, when: {exact: {type: noise}}, discard: true}]";

impl Stage {
    fn new() -> Self {
        Self::with("")
    }

    /// The same, where audit has further settings.
    fn with(of_audit: &str) -> Self {
        let [function, audit, copies] = [(); 3].map(|()| {
            // A port that no client takes while nobody listens there.
            let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
            Function::start_with(Setup { address, ..Setup::default() }).expect("a free port")
        });
        let site = Site::of(&function)
            .set("routes", &format!("{{rules: {RULES}}}"))
            .set("delivery.backoff.initial", "1ms");
        let stage = Self { function, audit, copies, site };
        let targets = stage.targets(of_audit);
        Self { site: stage.site.set("targets", &targets), ..stage }
    }

    fn targets(&self, of_audit: &str) -> String {
        let (audit, copies) = (self.audit.url(), self.copies.url());
        format!("{{audit: {{url: \"{audit}/\"{of_audit}}}, copies: {{url: \"{copies}/\"}}}}")
    }

    async fn send(&self, id: &str, ty: &str) -> u16 {
        let event = Outgoing { ty: ty.to_owned(), ..Outgoing::new(id, Some("k")) };
        self.site.producer().send(&event, Mode::Binary).await.unwrap().status().as_u16()
    }

    /// The value of a metric with this one label.
    async fn labelled(&self, name: &str, label: &str, value: &str) -> f64 {
        let (_, text) = get(self.site.admin, "/metrics").await.expect("admin answers");
        let begin = format!("{name}{{{label}=\"{value}\"}} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok());
        found.unwrap_or_else(|| panic!("no {begin}in:\n{text}"))
    }

    async fn settled(&self) {
        self.site.until("nothing pending", |status| status["pending"] == 0).await;
    }
}

/// The ids that it answered with a success, in order.
fn has(function: &Function) -> Vec<String> {
    let served = |record: &Record| record.status.is_some_and(|status| (200..300).contains(&status));
    function
        .log()
        .iter()
        .filter(|record| served(record))
        .filter_map(|record| record.id.as_deref().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn events_go_where_the_rules_say_and_what_is_discarded_is_counted_by_name() {
    let stage = Stage::new();
    let _process = stage.site.start().await;
    for (id, ty) in [("1", "both.a"), ("2", "all.a"), ("3", "copy.a"), ("4", "noise"), ("5", "other")] {
        assert_eq!(stage.send(id, ty).await, 202);
    }
    stage.settled().await;
    assert_eq!(has(&stage.function), ["1", "2", "5"]);
    assert_eq!(has(&stage.audit), ["1", "2"]);
    assert_eq!(has(&stage.copies), ["2", "3"]);
    for (name, rule, value) in [
        ("outrigger_routed_events_total", "all", 1.0),
        ("outrigger_routed_events_total", "otherwise", 1.0),
        ("outrigger_discarded_events_total", "noise", 1.0),
        ("outrigger_discarded_events_total", "all", 0.0),
        ("outrigger_route_failures_total", "hop", 2.0), // `noise` and `other` have no hop
    ] {
        assert_eq!(stage.labelled(name, "rule", rule).await, value, "{name} of {rule}");
    }
    assert_eq!(stage.labelled("outrigger_target_delivered_total", "target", "audit").await, 2.0);
    assert_eq!(stage.site.metric("outrigger_events_delivered_total").await, 3.0, "the function's own");
    let (status, ready) = stage.site.readyz().await;
    assert!(status == 200 && ready.contains("[+] target audit: ok"), "{ready}");
}

#[tokio::test]
async fn killed_between_two_targets_the_one_that_has_it_is_not_sent_it_again() {
    let stage = Stage::new();
    let mut process = stage.site.start().await;
    stage.copies.set_program(Program::always(Action::hold("gate")));
    assert_eq!(stage.send("1", "all.a").await, 202);
    stage.copies.wait_for(|stats| stats.held == 1).await;
    // Both others have it, and their marks are on disk.
    stage.site.until_metric("outrigger_journal_marks", |marks| marks >= 2.0).await;
    process.kill().await;
    stage.copies.set_program(Program::default());

    let _process = stage.site.start().await;
    stage.settled().await;
    assert_eq!(has(&stage.copies), ["1"]);
    assert_eq!((has(&stage.function), has(&stage.audit)), (vec!["1".to_owned()], vec!["1".to_owned()]));
    assert_eq!(stage.labelled("outrigger_target_duplicates_total", "target", "audit").await, 1.0);
    // What goes to one target alone leaves no mark.
    let before = stage.site.metric("outrigger_journal_marks").await;
    assert_eq!(stage.send("2", "copy.a").await, 202);
    stage.settled().await;
    assert_eq!(stage.site.metric("outrigger_journal_marks").await, before);
}

#[tokio::test]
async fn an_event_that_one_target_fails_is_that_targets_dead_letter_and_is_replayed_there_alone() {
    let stage = Stage::with(", attempts_max: 2");
    let _process = stage.site.start().await;
    stage.audit.set_program(Program::always(Action::status(500)));
    assert_eq!(stage.send("1", "all.a").await, 202);
    stage.site.until_dead(1).await;
    stage.settled().await;
    let letters = stage.site.letters().await;
    assert_eq!((&letters[0]["target"], &letters[0]["attempts"]), (&json!("audit"), &json!(2)));
    assert_eq!(stage.labelled("outrigger_target_dead_lettered_total", "target", "audit").await, 1.0);

    stage.audit.set_program(Program::default());
    let said = stage.site.verb(&["dead", "replay", "--all"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    stage.audit.wait_for(|stats| stats.statuses.get(&200) == Some(&1)).await;
    stage.settled().await;
    assert_eq!(has(&stage.audit), ["1"]);
    assert_eq!((has(&stage.function).len(), has(&stage.copies).len()), (1, 1), "no other was sent it again");
    assert_eq!(stage.site.letters().await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_letter_of_a_target_that_is_no_more_stays_a_dead_letter() {
    let stage = Stage::with(", attempts_max: 1");
    let mut process = stage.site.start().await;
    stage.audit.set_program(Program::always(Action::status(500)));
    assert_eq!(stage.send("1", "both.a").await, 202);
    stage.site.until_dead(1).await;
    stage.settled().await;
    process.stop().await;

    let Stage { function, site, .. } = stage;
    let site = site.set("targets", "{}").set("routes", "{}");
    let _process = site.start().await;
    assert_eq!(site.verb(&["dead", "replay", "--all"]).await.code, Some(0));
    site.until_dead(1).await;
    let letters = site.letters().await;
    assert_eq!((&letters[0]["target"], &letters[0]["reason"]), (&json!("audit"), &json!("refused")));
    assert!(letters[0]["detail"].as_str().unwrap().contains("does not name any more"), "{letters:?}");
    assert_eq!(has(&function), ["1"], "the function had it before, and was not sent it again");
}

#[tokio::test]
async fn a_slow_target_pauses_all_once_the_window_is_full_and_nothing_is_lost_or_reordered() {
    let stage = Stage::new();
    let site = stage.site.set("window.events", "8").set("function.concurrency", "4");
    let stage = Stage { site, ..stage };
    let _process = stage.site.start().await;
    stage.audit.set_program(Program::always(Action::hold("gate")));
    let ids: Vec<String> = (0..30).map(|n| format!("{n:02}")).collect();
    for id in &ids {
        assert_eq!(stage.send(id, "both.a").await, 202);
    }
    stage.site.until_readyz("the window is full, so sources are paused").await;
    assert_eq!(has(&stage.audit), [""; 0]);
    assert!(has(&stage.function).len() <= 8, "what audit has not is not settled, and fills the window");
    stage.audit.open("gate");
    stage.settled().await;
    assert_eq!((has(&stage.function), has(&stage.audit)), (ids.clone(), ids));
}

#[tokio::test]
async fn a_target_that_is_down_is_named_makes_no_dead_letters_and_holds_up_no_other_key() {
    let stage = Stage::new();
    let address = stage.audit.addr();
    let site = stage.site.set("delivery.breaker.failures", "2").set("delivery.breaker.open", "50ms");
    let site = site.set("delivery.breaker.open_max", "50ms").set("delivery.attempts_max", "2");
    let Stage { function, audit, copies, .. } = stage;
    let _process = site.start().await;
    audit.stop();
    let event = |id: &str, ty: &str| Outgoing { ty: ty.to_owned(), ..Outgoing::new(id, Some(id)) };
    for n in 0..4 {
        site.producer().send(&event(&n.to_string(), "both.a"), Mode::Binary).await.unwrap();
    }
    let (status, told) = site.until_readyz("[-] target audit: down; the breaker is open").await;
    assert_eq!(status, 503, "{told}");
    site.producer().send(&event("copy", "copy.a"), Mode::Binary).await.unwrap();
    copies.wait_for(|stats| stats.ended == 1).await;
    function.wait_for(|stats| stats.ended == 4).await;

    let audit = Function::start_with(Setup { address, ..Setup::default() }).unwrap();
    site.until("nothing pending", |status| status["pending"] == 0).await;
    let mut had = has(&audit);
    had.sort();
    assert_eq!(had, ["0", "1", "2", "3"]);
    assert_eq!(site.letters().await, [Value::Null; 0]);
    assert_eq!(has(&function).len(), 4, "while the other was down, it was called once for each");
}

#[tokio::test]
async fn who_waits_gets_the_functions_answer_and_the_failure_of_any_target() {
    let stage = Stage::new();
    let site = stage.site.set("ingress.http.sync", "true");
    let stage = Stage { site, ..stage };
    let _process = stage.site.start().await;
    stage.function.set_program(Program::always(Action::text("for you")));
    stage.audit.set_program(Program::always(Action::text("for nobody")));
    let event = |id: &str| Outgoing { ty: "both.a".to_owned(), ..Outgoing::new(id, None) };
    let answer = stage.site.producer().send(&event("1"), Mode::Binary).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, &b"for you"[..]));

    let rule = Rule::new(Match::any(), Action::status(500)).times(1);
    stage.audit.set_program(Program::default().rule(rule));
    let answer = stage.site.producer().send(&event("2"), Mode::Binary).await.unwrap();
    assert!(answer.status().is_server_error(), "{answer:?}");
    // The sender sends it again, and only audit has not got it.
    let answer = stage.site.producer().send(&event("2"), Mode::Binary).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    assert_eq!(
        (has(&stage.function), has(&stage.audit)),
        (vec!["1".into(), "2".into()], vec!["1".into(), "2".into()])
    );
}

#[tokio::test]
async fn a_drain_lets_every_target_finish() {
    let stage = Stage::new();
    let mut process = stage.site.start().await;
    for target in [&stage.function, &stage.audit, &stage.copies] {
        target.set_program(Program::always(Action::hold("gate")));
    }
    assert_eq!(stage.send("1", "all.a").await, 202);
    for target in [&stage.function, &stage.audit, &stage.copies] {
        target.wait_for(|stats| stats.held == 1).await;
    }
    process.terminate();
    process.line("draining").await;
    for target in [&stage.function, &stage.audit, &stage.copies] {
        target.open("gate");
    }
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.log());
    for target in [&stage.function, &stage.audit, &stage.copies] {
        assert_eq!(has(target), ["1"]);
    }
    let again = stage.site.start().await;
    stage.settled().await;
    assert_eq!(has(&stage.copies), ["1"], "{}", again.log());
}

/// The blocks of code of the README's section, in their order.
fn blocks() -> Vec<String> {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let section = readme.split_once("\n## Routes\n").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    let block = |(n, text): (usize, &str)| (n % 2 == 1).then(|| text.split_once('\n').unwrap().1.to_owned());
    section.split("```").enumerate().filter_map(block).collect()
}

#[tokio::test]
async fn the_dry_run_in_the_readme_is_what_the_verb_prints() {
    let [config, events, shown] = &blocks()[..] else { panic!("three blocks") };
    let site = Site::supervised(&[]);
    std::fs::write(site.path("routes.yaml"), config).unwrap();
    std::fs::write(site.path("events.jsonl"), events).unwrap();
    let said = site.verb(&["routes", "routes.yaml", "--events", "events.jsonl"]).await;
    let (command, expected) = shown.split_once('\n').unwrap();
    assert_eq!(command, "$ outrigger routes routes.yaml --events events.jsonl");
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), (expected, ""));
    let said = site.verb(&["check", "routes.yaml"]).await;
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
}
