//! Events of the shipped binary: what is kept of them, how they come again, and who had them come, while outrigger runs and
//! while it does not.

mod common;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::{Said, Site};
use outrigger_function::{Action, Function, Match, Program, Rule};
use outrigger_testkit::{Mode, Outgoing, Process};
use serde_json::{Value, json};

/// Refuses the type `bad` and takes everything else.
fn choosy() -> Program {
    Program::default().rule(Rule::new(Match::header("ce-type", "bad"), Action::status(422)))
}

fn event(id: &str, ty: &str) -> Outgoing {
    Outgoing { ty: ty.to_owned(), ..Outgoing::new(id, Some("the key")) }
}

/// Keeps what is settled; of the events, `1` and `2` are of the type `good`, `3` is `bad`, `4` is `noise`, and `5` goes to the
/// journal as a target.
struct Stage {
    function: Function,
    site: Site,
    process: Process,
}

impl Stage {
    async fn new() -> Self {
        Self::with("true").await
    }

    async fn with(settled: &str) -> Self {
        let function = Function::start(choosy());
        let rules = "[{name: noise, when: \"type = 'noise'\", discard: true}, \
                     {name: kept, when: \"type = 'archived'\", to: archive}]";
        let site = Site::of(&function)
            .set("delivery.backoff.initial", "1ms")
            .set("journal.keep.settled", settled)
            .set("targets", "{archive: {journal: true}}")
            .set("routes", &format!("{{rules: {rules}}}"));
        let process = site.start().await;
        for (id, ty) in [("1", "good"), ("2", "good"), ("3", "bad"), ("4", "noise"), ("5", "archived")] {
            assert_eq!(site.producer().send(&event(id, ty), Mode::Binary).await.unwrap().status(), 202);
            site.until("nothing pending", |status| status["pending"] == 0).await; // so that their order is known
        }
        Self { function, site, process }
    }

    async fn events(&self, arguments: &str) -> Said {
        let arguments: Vec<_> = ["events"].into_iter().chain(arguments.split(' ')).collect();
        self.site.verb(&arguments).await
    }

    async fn list(&self, arguments: &str) -> Vec<Value> {
        let said = self.events(&format!("list --json{arguments}")).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        said.json()["events"].as_array().unwrap().clone()
    }

    /// The events' ids with these arguments.
    async fn ids(&self, arguments: &str) -> Vec<String> {
        let events = self.list(arguments).await;
        events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
    }

    async fn audited(&self) -> Vec<Value> {
        let said = self.events("audit --json").await;
        assert_eq!(said.code, Some(0), "{said:?}");
        said.json()["entries"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn what_became_of_events_is_listed_live_and_at_rest() {
    let mut stage = Stage::new().await;
    for at_rest in [false, true] {
        for (filter, expected) in [
            ("", vec!["1", "2", "3", "4", "5", "5"]),
            (" --type good", vec!["1", "2"]),
            (" --outcome dead-letter", vec!["3"]),
            (" --outcome discarded --target noise", vec!["4"]),
            (" --target archive", vec!["5", "5"]),
            (" --id 2 --source /testkit", vec!["2"]),
            (" --key other", vec![]),
            (" --limit 2", vec!["1", "2"]),
            (" --since 1h", vec!["1", "2", "3", "4", "5", "5"]),
            (" --until 1h", vec![]),
        ] {
            assert_eq!(stage.ids(filter).await, expected, "{filter}, at rest: {at_rest}");
        }
        let lines = stage.events("list").await;
        assert_eq!((lines.code, lines.stdout.lines().count()), (Some(0), 7), "{lines:?}");
        let first = stage.events("list --limit 2 --json").await.json();
        assert_eq!(first["more"], true);
        let rest = format!(" --after {}", first["next"]);
        assert_eq!(stage.ids(&rest).await, ["3", "4", "5", "5"]);
        if !at_rest {
            assert_eq!(stage.process.stop().await.code(), Some(0));
        }
    }
    let bad = &stage.list(" --outcome dead-letter").await[0];
    assert_eq!(
        bad["targets"],
        json!([{"name": "function", "outcome": "dead-letter:refused", "attempts": 1}])
    );
}

#[tokio::test]
async fn an_event_is_shown_with_its_history_and_its_bytes() {
    let stage = Stage::new().await;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let sent = event("six", "good").with_data("application/octet-stream", every_byte.clone());
    assert_eq!(stage.site.producer().send(&sent, Mode::Structured).await.unwrap().status(), 202);
    stage.site.until("nothing pending", |status| status["pending"] == 0).await;
    let seq = stage.list(" --id six").await[0]["seq"].to_string();
    for what in [seq.as_str(), "six"] {
        let shown = stage.events(&format!("show {what} --json")).await.json();
        assert_eq!(BASE64_STANDARD.decode(shown["data_base64"].as_str().unwrap()).unwrap(), every_byte);
        assert_eq!((&shown["attributes"]["id"], &shown["outcome"]), (&"six".into(), &"delivered".into()));
        let history: Vec<_> =
            shown["history"].as_array().unwrap().iter().map(|it| it["what"].as_str().unwrap()).collect();
        assert_eq!(history, ["received", "function: delivered, 1 attempt", "settled: delivered"]);
    }
    let text = stage.events(&format!("show {seq}")).await;
    assert!(text.stdout.contains("function: delivered") && text.stdout.contains("the key"), "{text:?}");
    let missing = stage.events("show nothing").await;
    assert!(missing.one_line(1).contains("no event nothing"), "{missing:?}");
    let data = stage.events("show 1 --data-only").await;
    assert_eq!(data.stdout.as_bytes(), event("1", "good").data.as_ref());
}

#[tokio::test]
async fn a_replayed_event_is_delivered_once_more_and_who_did_it_is_written_down() {
    let mut stage = Stage::new().await;
    let seen = stage.function.stats().received;
    let dry = stage.events("replay --type good --dry-run").await;
    assert_eq!((dry.code, dry.stdout.trim()), (Some(0), "would replay 2 events"));
    assert_eq!(stage.audited().await, [json!(null); 0]);

    let done = stage.events("replay --json --type good").await;
    assert_eq!((done.code, &done.json()["replayed"]), (Some(0), &json!([1, 2])), "{done:?}");
    stage.function.wait_for(|stats| stats.received == seen + 2 && stats.running == 0).await;
    let again = stage.function.log().split_off(usize::try_from(seen).unwrap());
    let ids: Vec<_> = again.iter().filter_map(|record| record.id.as_deref()).collect();
    assert_eq!(ids, ["1", "2"], "they keep their ids");
    stage.process.line("changed by its owner").await;

    // The archived one went there by the rule; aimed, it goes to the function.
    let archived = stage.list(" --id 5 --outcome delivered").await[1]["seq"].to_string();
    assert_eq!(stage.events(&format!("replay {archived} --to function")).await.code, Some(0));
    stage.function.wait_for(|stats| stats.received == seen + 3 && stats.running == 0).await;
    assert_eq!(stage.function.log().last().unwrap().id.as_deref(), Some("5"));
    stage.site.until("nothing pending", |status| status["pending"] == 0).await;

    let shown = stage.events(&format!("show {archived} --json")).await.json();
    let last = shown["history"].as_array().unwrap().last().unwrap()["what"].as_str().unwrap().to_owned();
    assert!(last.starts_with("replayed by ") && last.contains("uid "), "{shown}");
    assert_eq!(stage.process.stop().await.code(), Some(0));
    let at_rest = stage.events("replay 1 --to archive").await;
    assert_eq!((at_rest.code, at_rest.stdout.trim()), (Some(0), "replayed 1 event"), "{at_rest:?}");

    let audited = stage.audited().await;
    let verbs: Vec<_> = audited.iter().map(|it| (it["verb"].as_str().unwrap(), &it["numbers"])).collect();
    let numbers = |text: &str| Value::String(text.to_owned());
    let (one, both, archived) = (numbers("1"), numbers("1-2"), numbers(&archived));
    let expected = [("events replay", &one), ("events replay", &archived), ("events replay", &both)];
    assert_eq!(verbs, expected);
    assert!(audited[0]["by"].as_str().unwrap().starts_with("file ("), "{audited:?}");
    assert!(audited[2]["what"].as_str().unwrap().contains("\"type\":\"good\""), "{audited:?}");
    assert_eq!(stage.ids(" --outcome waiting").await, ["1"]);
    let _process = stage.site.start().await;
    stage.site.until("nothing pending", |status| status["pending"] == 0).await;
    assert_eq!(stage.function.stats().received, seen + 3, "it went to the archive alone");
}

#[tokio::test]
async fn what_was_done_to_dead_letters_is_written_down_live_and_at_rest() {
    let mut stage = Stage::with("false").await;
    assert_eq!(stage.ids("").await, ["5"], "only what a target keeps is kept");
    stage.function.set_program(Program::default());
    assert_eq!(stage.site.verb(&["dead", "replay", "--all"]).await.code, Some(0));
    stage.site.until("nothing pending", |status| status["pending"] == 0).await;
    stage.function.set_program(choosy());
    assert_eq!(stage.site.producer().send(&event("9", "bad"), Mode::Binary).await.unwrap().status(), 202);
    stage.site.until_dead(2).await;
    assert_eq!(stage.site.verb(&["parked", "skip", "--all"]).await.code, Some(1), "there is none");
    assert_eq!(stage.process.stop().await.code(), Some(0));
    assert_eq!(stage.site.verb(&["dead", "drop", "2"]).await.code, Some(0));
    let audited = stage.audited().await;
    let told: Vec<_> = audited
        .iter()
        .map(|it| {
            (it["verb"].as_str().unwrap(), it["count"].as_u64().unwrap(), it["numbers"].as_str().unwrap())
        })
        .collect();
    assert_eq!(told, [("dead drop", 1, "2"), ("parked skip", 0, ""), ("dead replay", 1, "1")]);
    let lines = stage.events("audit").await.stdout;
    assert!(lines.lines().count() == 4 && lines.contains("file ("), "{lines}");
}

#[tokio::test]
async fn what_cannot_be_done_is_one_line_and_an_exit_code() {
    let stage = Stage::new().await;
    for (arguments, code, part) in [
        ("show 99", 1, "no event 99"),
        ("replay", 2, "--all"),
        ("replay --all --type t", 2, "contradict"),
        ("replay 1 --to nowhere", 2, "function, archive"),
        ("list --outcome lost", 2, "lost"),
        ("list --since yesterday", 2, "yesterday"),
        ("list --limit 0", 2, "--limit"),
    ] {
        let said = stage.events(arguments).await;
        assert!(said.one_line(code).contains(part), "{arguments}: {said:?}");
    }
    let nothing = stage.events("replay --type absent").await;
    assert_eq!((nothing.code, nothing.stdout.trim()), (Some(1), "replayed 0 events"));
    let said = Site::at("http://127.0.0.1:1").verb(&["events", "list"]).await;
    assert!(said.one_line(1).contains("-c"), "{said:?}");
}

#[tokio::test]
async fn a_target_in_the_journal_is_checked_tried_dry_and_counted() {
    let stage = Stage::with("false").await;
    let checked = stage.site.verb(&["check"]).await;
    assert!(checked.stdout.contains("archive is the journal, which keeps its events"), "{checked:?}");
    let events = r#"{"specversion":"1.0","id":"1","source":"/s","type":"archived"}"#;
    std::fs::write(stage.site.path("events.jsonl"), events).unwrap();
    let routed = stage.site.verb(&["routes", "--json", "--events", "events.jsonl"]).await;
    assert_eq!(routed.json()["targets"], json!(["archive"]), "{routed:?}");
    assert!((stage.site.metric("outrigger_journal_kept_events").await - 1.0).abs() < f64::EPSILON);
    assert!(stage.site.metric("outrigger_journal_kept_bytes").await > 0.0);
    assert!(stage.site.metric("outrigger_journal_kept_expired").await.abs() < f64::EPSILON);
    let archived = &stage.list("").await[0];
    assert_eq!((&archived["event_id"], &archived["outcome"]), (&"5".into(), &"delivered".into()));
}

/// A kill leaves each event listed once: it waits, or it is kept.
#[tokio::test]
async fn after_a_kill_every_accepted_event_is_listed_once() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("journal.keep.settled", "true").set("journal.commit_every", "1ms");
    let mut process = site.start().await;
    for n in 0..50 {
        assert_eq!(
            site.producer().send(&event(&n.to_string(), "t"), Mode::Binary).await.unwrap().status(),
            202
        );
    }
    process.kill().await;
    let said = site.verb(&["events", "list", "--json", "--limit", "1000"]).await;
    let listed = said.json()["events"].as_array().unwrap().clone();
    let mut ids: Vec<u32> =
        listed.iter().map(|event| event["event_id"].as_str().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..50).collect::<Vec<_>>(), "{said:?}");
    let of = |outcome: &str| listed.iter().filter(|event| event["outcome"] == outcome).count();
    assert_eq!(of("delivered") + of("waiting"), 50);
    let _process = site.start().await;
    site.until("nothing pending", |status| status["pending"] == 0).await;
}
