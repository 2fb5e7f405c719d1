//! Rows 19, 20, 21 and 34: what cannot be delivered, what cannot even be read, and where it rests.

use crate::rig::{Rig, binary, events};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use outrigger_function::{Action, Function, Match, Program, Rule};
use outrigger_testkit::{Outgoing, kafka::Record, process::WAIT_MAX};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Fails the event `id` for good.
fn fails(function: &Function, id: &str, status: u16) {
    function.set_program(Program::default().rule(Rule::new(Match::id(id), Action::status(status))));
}

fn impatient(rig: Rig) -> Rig {
    rig.set("delivery.attempts_max", "3").set("delivery.backoff.initial", "1ms")
}

#[tokio::test]
async fn row_19_poison_first_in_a_key_becomes_a_dead_letter_and_its_key_goes_on() {
    let test = "row_19_poison_first_in_a_key_becomes_a_dead_letter_and_its_key_goes_on";
    let Some(rig) = Rig::new(test, 3).await else { return };
    let rig = impatient(rig);
    let all = events("e", 200, 10);
    fails(&rig.function, &all[0].id, 500);
    let _process = rig.start().await;
    rig.produce(all.clone()).await;
    rig.site.until_dead(1).await;
    rig.ledger.accounted(&all[0].id);
    rig.all_is_well(0).await;
    let letters = rig.site.letters().await;
    let expected = json!({"event_id": all[0].id, "reason": "exhausted", "status": 500, "attempts": 3,
        "key": "key-0", "origin": "kafka"});
    assert_has(&letters[0], &expected);
    let position = letters[0]["position"].as_str().unwrap();
    assert!(position.starts_with(test) && position.ends_with("/0"), "{position}");
}

#[tokio::test]
async fn row_19_a_parked_key_holds_its_partition_back_is_named_and_can_be_let_go() {
    let test = "row_19_a_parked_key_holds_its_partition_back_is_named_and_can_be_let_go";
    let Some(rig) = Rig::new(test, 2).await else { return };
    let rig =
        impatient(rig).set("delivery.on_poison", "park").set("ingress.kafka.partition_events_max", "10");
    let _process = rig.start().await;
    let of = |partition: usize, n: usize| {
        Outgoing::new(&format!("p{partition}-{n:03}"), Some(["a", "b"][partition]))
    };
    fails(&rig.function, "p0-000", 500);
    let all: Vec<Outgoing> = (0..60).flat_map(|n| [of(0, n), of(1, n)]).collect();
    let place =
        |event: &Outgoing| binary(&rig.topic, event).partition(i32::from(event.key.as_deref() == Some("b")));
    let records = all.iter().map(place).collect();
    rig.produce_as(all, records).await;

    // The other partition goes on to its end; this one stands, with a bounded part of it in hand.
    rig.function.wait_for(|stats| stats.distinct == 61).await;
    rig.site.until_readyz("1 keys are parked").await;
    let why = format!("1 paused, such as {test}/0: too many of its records are in hand: a key is parked");
    let (status, _) = rig.site.until_readyz(&why).await;
    assert_eq!(status, 200, "other keys are served");
    assert!((rig.site.metric("outrigger_lane_parked_keys").await - 1.0).abs() < f64::EPSILON);
    let numbers = rig.site.verb(&["kafka", "status", "--json"]).await.json();
    let first = numbers["partitions"].as_array().unwrap().iter().find(|it| it["partition"] == 0).unwrap();
    // Three times the bound while the partition flowed; not more came once it was held up.
    assert!((1..=30).contains(&first["in_flight"].as_u64().unwrap()), "{numbers}");
    until(&rig, |committed| committed.get(&1) == Some(&60)).await;
    assert_eq!(rig.look().await.unwrap().get(&0).copied().unwrap_or(0), 0);

    let parked = rig.site.verb(&["parked", "list", "--json"]).await.json();
    assert_has(&parked[0], &json!({"id": "p0-000", "key": "a", "attempts": 3}));
    let said = rig.site.verb(&["parked", "skip", "--id", "p0-000"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    rig.ledger.accounted("p0-000");
    rig.all_is_well(0).await;
    rig.site.until_readyz("lanes: ok\n").await;
    assert_eq!(rig.site.letters().await[0]["event_id"], "p0-000");
}

#[tokio::test]
async fn row_20_and_21_a_dead_letter_without_room_keeps_its_record_and_no_offset_passes_it() {
    let test = "row_20_and_21_a_dead_letter_without_room_keeps_its_record_and_no_offset_passes_it";
    let Some(rig) = Rig::new(test, 1).await else { return };
    let rig = rig.set("journal.dead_bytes_max", "1MiB").set("delivery.backoff.max", "50ms");
    let rig = rig.set("delivery.backoff.initial", "5ms");
    rig.function.set_program(Program::always(Action::status(422)));
    let process = rig.start().await;
    let large = |n: usize| {
        let event = Outgoing::new(&format!("e{n:02}"), Some(&format!("key-{n}")));
        event.with_data("text/plain", vec![b'x'; 100_000])
    };
    let all: Vec<Outgoing> = (0..20).map(large).collect();
    rig.produce(all.clone()).await;
    let kept = |status: &Value| status["dead_lettered"].as_u64().is_some_and(|kept| kept >= 8);
    let held = rig.site.until("a full home", kept).await;
    // Those that found no room are tried again and again, and stay.
    process.line("a dead letter could not be written; its event is kept and waits").await;
    let letters = rig.site.letters().await;
    assert!(letters.len() < 20, "{held}");
    for id in letters.iter().filter_map(|letter| letter["event_id"].as_str()) {
        rig.ledger.accounted(id);
    }
    until(&rig, |committed| committed.get(&0).is_some_and(|offset| (1..20).contains(offset))).await;
    rig.ledger.assert_clean();

    let said = rig.site.verb(&["dead", "drop", "--all"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    rig.site.until_dead(20).await;
    for event in &all {
        rig.ledger.accounted(&event.id);
    }
    rig.function.set_program(Program::default());
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn row_34_what_cannot_be_read_becomes_a_dead_letter_with_its_bytes_key_and_headers() {
    let test = "row_34_what_cannot_be_read_becomes_a_dead_letter_with_its_bytes_key_and_headers";
    let Some(rig) = Rig::new(test, 1).await else { return };
    let rig = rig.set("ingress.kafka.record_bytes_max", "1KiB");
    let _process = rig.start().await;
    let record = |value: &[u8]| Record::new(&rig.topic, value).key("the key").header("trace", "ä");
    let structured = "application/cloudevents+json";
    let large = vec![b'x'; 2048];
    let bad = [
        ("not JSON", record(b"{\xff").header("content-type", structured)),
        ("no id", record(b"{\"specversion\":\"1.0\"}").header("content-type", structured)),
        ("too large", record(&large)),
        ("no value", Record::tombstone(&rig.topic, "the key").header("content-type", structured)),
        ("no source", record(b"data").header("ce_specversion", "1.0").header("ce_id", "1")),
    ];
    for (number, (what, record)) in (1..).zip(&bad) {
        rig.client.produce([record.clone()]).await.unwrap();
        rig.site.until_dead(number).await;
        let id = rig.site.letters().await.iter().map(|letter| letter["id"].as_u64().unwrap()).max().unwrap();
        let letter = rig.site.verb(&["dead", "show", "--json", &id.to_string()]).await.json();
        let place = format!("{test}/0/{}", number - 1);
        let expected = json!({"reason": "malformed", "malformed": true, "attempts": 0, "key": "the key",
            "origin": "kafka", "position": place});
        assert_has(&letter, &expected);
        let data = BASE64_STANDARD.decode(letter["data_base64"].as_str().unwrap_or_default()).unwrap();
        assert_eq!(data, record.value.clone().unwrap_or_default(), "{what}");
        let shown = letter.to_string();
        for (name, value) in &record.headers {
            let value = String::from_utf8(value.clone().unwrap()).unwrap();
            assert!(shown.contains(name.as_str()) && shown.contains(&value), "{what}: {name} in {shown}");
        }
    }
    rig.all_is_well(0).await;
    assert_eq!(rig.function.stats().received, 1);
}

fn assert_has(value: &Value, expected: &Value) {
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&value[name], expected, "{name} of {value}");
    }
}

/// Waits until the committed offsets are as wanted.
async fn until(rig: &Rig, wanted: impl Fn(&std::collections::BTreeMap<i32, i64>) -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let committed = rig.look().await.unwrap();
        if wanted(&committed) {
            return;
        }
        assert!(Instant::now() < deadline, "{committed:?}");
        sleep(POLL_INTERVAL).await;
    }
}
