//! Dead letters of the shipped binary: what each one says, and the verbs, while outrigger runs and while it does not.

mod common;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::{Said, Site};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Mode, Outgoing, Process, process::WAIT_MAX};
use serde_json::json;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Refuses the types `bad.one` and `bad.two`, fails `slow`, and takes everything else.
fn choosy() -> Program {
    let rule = |ty, status| Rule::new(Match::header("ce-type", ty), Action::status(status));
    Program::default().rule(rule("bad.one", 422)).rule(rule("bad.two", 400)).rule(rule("slow", 500))
}

fn event(id: &str, ty: &str) -> Outgoing {
    Outgoing { ty: ty.to_owned(), ..Outgoing::new(id, Some("the key")) }
}

struct Graveyard {
    function: Function,
    site: Site,
    process: Process,
}

impl Graveyard {
    /// Four letters: `1` and `2` of bad.one, `3` of bad.two, `4` of slow.
    async fn new() -> Self {
        let function = Function::start(choosy());
        let site =
            Site::of(&function).set("delivery.attempts_max", "2").set("delivery.backoff.initial", "1ms");
        let process = site.start().await;
        for (number, (id, ty)) in
            (1..).zip([("1", "bad.one"), ("2", "bad.one"), ("3", "bad.two"), ("4", "slow")])
        {
            assert_eq!(site.producer().send(&event(id, ty), Mode::Binary).await.unwrap().status(), 202);
            site.until_dead(number).await; // one after the other, so that their numbers are known
        }
        Self { function, site, process }
    }

    async fn dead(&self, arguments: &str) -> Said {
        let arguments: Vec<_> = ["dead"].into_iter().chain(arguments.split(' ')).collect();
        self.site.verb(&arguments).await
    }

    /// The event ids of `dead list --json` with these arguments.
    async fn listed(&self, arguments: &str) -> Vec<String> {
        let said = self.dead(&format!("list --json{arguments}")).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let letters = said.json()["letters"].as_array().unwrap().clone();
        letters.iter().map(|letter| letter["event_id"].as_str().unwrap().to_owned()).collect()
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

#[tokio::test]
async fn a_letter_says_why_when_whence_and_carries_the_bytes() {
    let function = Function::start(choosy());
    let site = Site::of(&function).set("delivery.attempts_max", "3").set("delivery.backoff.initial", "1ms");
    let _process = site.start().await;
    let before_ms = now_ms();
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let mut sent = event("1", "slow").with_data("application/octet-stream", every_byte.clone());
    sent.extensions.push(("tenant".to_owned(), "ä b".to_owned()));
    assert_eq!(site.producer().send(&sent, Mode::Structured).await.unwrap().status(), 202);
    site.until_dead(1).await;

    let number = site.letters().await[0]["id"].to_string();
    let letter = site.verb(&["dead", "show", "--json", &number]).await.json();
    let expected =
        json!({"reason": "exhausted", "status": 500, "attempts": 3, "malformed": false, "key": "the key"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&letter[name], value, "{name} of {letter}");
    }
    let attributes = json!({"id": "1", "source": "/testkit", "type": "slow", "tenant": "ä b",
        "partitionkey": "the key", "datacontenttype": "application/octet-stream"});
    for (name, value) in attributes.as_object().unwrap() {
        assert_eq!(&letter["attributes"][name], value, "{name} of {letter}");
    }
    let (first_ms, last_ms) = (letter["first_ms"].as_u64().unwrap(), letter["last_ms"].as_u64().unwrap());
    assert!(before_ms <= first_ms && first_ms <= last_ms && last_ms <= now_ms(), "{letter}");
    assert!(
        !letter["origin"].as_str().unwrap().is_empty() && !letter["position"].as_str().unwrap().is_empty()
    );
    assert_eq!(BASE64_STANDARD.decode(letter["data_base64"].as_str().unwrap()).unwrap(), every_byte);

    let shown = site.verb(&["dead", "show", &number]).await;
    for part in ["exhausted", "500", "the key", "/testkit", "tenant"] {
        assert!(shown.stdout.contains(part), "{part} in {}", shown.stdout);
    }
}

#[tokio::test]
async fn a_deadline_that_passes_is_a_reason_of_its_own() {
    let function = Function::start(choosy());
    let site = Site::of(&function).set("delivery.deadline", "100ms").set("delivery.attempts_max", "1000");
    let site = site.set("delivery.backoff.max", "200ms");
    let _process = site.start().await;
    assert_eq!(site.producer().send(&event("1", "slow"), Mode::Binary).await.unwrap().status(), 202);
    site.until_dead(1).await;
    let letter = &site.letters().await[0];
    assert_eq!((&letter["reason"], &letter["status"]), (&"deadline".into(), &500.into()), "{letter}");
    assert!(letter["attempts"].as_u64() < Some(1000));
}

#[tokio::test]
async fn filters_choose_among_the_letters_live_and_at_rest() {
    let mut graveyard = Graveyard::new().await;
    for at_rest in [false, true] {
        for (filter, expected) in [
            ("", vec!["1", "2", "3", "4"]),
            (" --type bad.one", vec!["1", "2"]),
            (" --reason exhausted", vec!["4"]),
            (" --reason refused --type bad.two", vec!["3"]),
            (" --source /testkit --limit 2", vec!["1", "2"]),
            (" --source /other", vec![]),
            (" --text low", vec!["4"]),
            (" --since 1h", vec!["1", "2", "3", "4"]),
            (" --until 1h", vec![]),
        ] {
            assert_eq!(graveyard.listed(filter).await, expected, "{filter}, at rest: {at_rest}");
        }
        let lines = graveyard.dead("list").await;
        assert_eq!((lines.code, lines.stdout.lines().count()), (Some(0), 5), "{lines:?}");
        if !at_rest {
            assert_eq!(graveyard.process.stop().await.code(), Some(0));
        }
    }
}

#[tokio::test]
async fn a_replayed_letter_is_delivered_and_gone() {
    let graveyard = Graveyard::new().await;
    let seen = graveyard.function.stats().received;
    graveyard.function.set_program(Program::default());
    let replayed = graveyard.dead("replay --json --type bad.one").await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert_eq!(
        (&replayed.json()["replayed"].as_array().unwrap().len(), &replayed.json()["refused"]),
        (&2, &json!([]))
    );
    graveyard.function.wait_for(|stats| stats.received == seen + 2 && stats.running == 0).await;
    let again = graveyard.function.log().split_off(usize::try_from(seen).unwrap());
    assert!(again.iter().all(|record| record.status == Some(200)));
    assert_eq!(again[0].body.as_deref(), Some(event("1", "").data.as_ref()), "byte for byte");
    assert_eq!(graveyard.listed("").await, ["3", "4"]);
    let rest = graveyard.dead("replay --all").await;
    assert_eq!((rest.code, rest.stdout.trim()), (Some(0), "replayed 2 dead letters"));
}

#[tokio::test]
async fn a_replayed_letter_that_fails_again_is_a_letter_again() {
    let graveyard = Graveyard::new().await;
    assert_eq!(graveyard.dead("replay --reason exhausted").await.code, Some(0));
    graveyard.site.until_dead(5).await;
    let letters = graveyard.site.letters().await;
    let again = letters.iter().find(|letter| letter["event_id"] == "4").unwrap();
    assert_eq!((letters.len(), &again["attempts"]), (4, &2.into()), "its attempts begin anew: {again}");
}

#[tokio::test]
async fn a_replay_at_rest_is_delivered_after_the_start() {
    let mut graveyard = Graveyard::new().await;
    assert_eq!(graveyard.process.stop().await.code(), Some(0));
    let seen = graveyard.function.stats().received;
    graveyard.function.set_program(Program::default());
    assert_eq!(graveyard.dead("replay --type bad.two").await.code, Some(0));
    assert_eq!(graveyard.listed("").await, ["1", "2", "4"]);
    let _process = graveyard.site.start().await;
    graveyard.function.wait_for(|stats| stats.received == seen + 1 && stats.running == 0).await;
    assert_eq!(graveyard.function.log().last().unwrap().id.as_deref(), Some("3"));
}

#[tokio::test]
async fn a_dropped_letter_is_gone_for_good_live_and_at_rest() {
    let mut graveyard = Graveyard::new().await;
    let dropped = graveyard.dead("drop --json --type bad.one").await;
    assert_eq!((dropped.code, dropped.json()["dropped"].as_array().unwrap().len()), (Some(0), 2));
    assert_eq!(graveyard.listed("").await, ["3", "4"]);
    assert_eq!(graveyard.process.stop().await.code(), Some(0));
    assert_eq!(graveyard.dead("drop --all").await.stdout.trim(), "dropped 2 dead letters");
    assert_eq!(graveyard.listed("").await, [""; 0]);
    let seen = graveyard.function.stats().received;
    let _process = graveyard.site.start().await;
    assert_eq!(graveyard.site.status().await["waiting"], 0);
    assert_eq!(graveyard.function.stats().received, seen);
}

#[tokio::test]
async fn what_cannot_be_done_is_one_line_and_an_exit_code() {
    let mut graveyard = Graveyard::new().await;
    for at_rest in [false, true] {
        for (arguments, code, part) in [
            ("show 99", 1, "no dead letter 99"),
            ("replay", 2, "--all"),
            ("drop", 2, "--all"),
            ("drop --all --type t", 2, "contradict"),
            ("list --reason sadness", 2, "sadness"),
            ("list --since yesterday", 2, "yesterday"),
            ("list --limit 0", 2, "--limit"),
        ] {
            let said = graveyard.dead(arguments).await;
            assert!(said.one_line(code).contains(part), "{arguments}: {said:?}");
        }
        let nothing = graveyard.dead("replay --type absent").await;
        assert_eq!((nothing.code, nothing.stdout.trim()), (Some(1), "replayed 0 dead letters"));
        if !at_rest {
            assert_eq!(graveyard.process.stop().await.code(), Some(0));
        }
    }
    assert_eq!(graveyard.listed("").await.len(), 4);
}

#[tokio::test]
async fn in_a_folder_without_a_journal_there_is_nothing_and_nothing_is_made() {
    let site = Site::at("http://127.0.0.1:1");
    let said = site.verb(&["dead", "list"]).await;
    assert!(said.one_line(1).contains("-c"), "{said:?}");
    assert!(!site.path(".outrigger").exists());
    let status = site.verb(&["status", "--json"]).await;
    assert!(status.one_line(1).contains("-c"), "{status:?}");
}

#[tokio::test]
async fn row_20_without_room_for_a_dead_letter_its_event_is_kept_and_waits() {
    let function = Function::start(Program::always(Action::status(422)));
    let site = Site::of(&function).set("journal.dead_bytes_max", "1MiB");
    let process = site.start().await;
    for n in 0..6 {
        let sent = event(&n.to_string(), "t").with_data("text/plain", vec![b'x'; 300_000]);
        assert_eq!(site.producer().send(&sent, Mode::Binary).await.unwrap().status(), 202);
    }
    process.line("a dead letter could not be written").await;
    let before = site.letters().await;
    assert!(before.len() == 3, "three letters of 300 kB fit in 1 MiB: {}", before.len());
    assert!(site.metric("outrigger_dead_letter_failures_total").await >= 1.0);

    let (mut buried, deadline) = (Vec::new(), Instant::now() + WAIT_MAX);
    while buried.len() < 6 {
        assert!(Instant::now() < deadline, "only {buried:?} became letters");
        for letter in site.letters().await {
            buried.push(letter["event_id"].as_str().unwrap().to_owned());
            assert_eq!(site.verb(&["dead", "drop", "--id", &letter["id"].to_string()]).await.code, Some(0));
        }
    }
    buried.sort();
    assert_eq!(buried, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(function.stats().received, 6, "the function was not asked again");
}
