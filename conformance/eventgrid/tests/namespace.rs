//! A namespace's topics: what is published is received, and each way to settle a lock does what it says, when it says.

mod common;

use std::{io::Write, time::Duration};

use common::{Ask, BATCH, PUBLISH, STRUCTURED, event, publish, receive, settle, target};
use outrigger_eventgrid_fake::{Config, Fake, Fault, Op, QueueSettings, config::TEST_KEY, filter::Filter};
use serde_json::{Value, json};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn fake() -> Fake {
    Fake::standing(Config::default())
}

fn fake_with(settings: QueueSettings) -> Fake {
    let fake = fake();
    fake.put_queue("t1", "s1", settings);
    fake
}

fn counts(fake: &Fake) -> Value {
    Ask::bare("GET", "/_/topics/t1/s1").send(fake).json()
}

#[test]
fn every_mode_is_taken_and_comes_back_as_it_was_written() {
    let fake = fake();
    let written = r#"{"specversion":"1.0", "id":"one","source":"/s","type":"t","data":1.50}"#;
    assert_eq!(Ask::post(PUBLISH).body(STRUCTURED, written).send(&fake).body, "{}");
    let batch = Value::from(vec![event("two"), event("three")]);
    assert_eq!(Ask::post(PUBLISH).body(BATCH, batch.to_string()).send(&fake).status, 200);
    let binary = |id: &str, content_type: &str, body: &str| {
        Ask::post(PUBLISH)
            .header("ce-specversion", "1.0")
            .header("ce-id", id)
            .header("ce-source", "/s%20p")
            .header("ce-type", "t")
            .body(content_type, body)
            .send(&fake)
    };
    assert_eq!(binary("four", "application/json", r#"{"n":1.0}"#).status, 200);
    assert_eq!(binary("five", "application/octet-stream", "abc").status, 200);
    let answer = Ask::post(&target("receive", "&maxEvents=100")).send(&fake);
    assert!(answer.body.contains(written), "{answer:?}");
    assert!(answer.body.contains(r#""data":{"n":1.0}"#), "{answer:?}");
    let events = answer.json()["value"].clone();
    assert_eq!(events.as_array().unwrap().len(), 5);
    assert_eq!(events[3]["event"]["source"], "/s p");
    assert_eq!(events[4]["event"]["data_base64"], "YWJj");
}

#[tokio::test]
async fn a_receive_waits_for_events_and_ends_empty_when_none_came_in_its_time() {
    let fake = fake();
    let waiting = async |max_wait: u64| {
        let (address, target) = (fake.addr(), target("receive", &format!("&maxWaitTime={max_wait}")));
        let receive = std::thread::spawn(move || Ask::post(&target).try_send(address).unwrap());
        fake.wait_for(|state| (state.topics["t1"]["s1"].receiving == 1).then_some(())).await;
        receive
    };
    let late = waiting(120).await;
    fake.grid().clock.advance(Duration::from_millis(119_999));
    publish(&fake, &["1"]);
    assert_eq!(late.join().unwrap().json()["value"][0]["event"]["id"], "1");
    let empty = waiting(10).await;
    fake.grid().clock.advance(Duration::from_millis(9_999));
    assert!(!empty.is_finished());
    fake.grid().clock.advance(Duration::from_millis(1));
    assert_eq!(empty.join().unwrap().json(), json!({"value": []}));
}

#[test]
fn an_acknowledged_event_never_comes_again_and_its_token_is_lost() {
    let fake = fake();
    publish(&fake, &["1"]);
    let [(token, ..)] = &receive(&fake, 10)[..] else { panic!() };
    settle(&fake, "acknowledge", "", token).unwrap();
    for op in ["acknowledge", "release", "reject", "renewLock"] {
        assert_eq!(settle(&fake, op, "", token), Err("TokenLost".to_owned()), "{op}");
    }
    fake.grid().clock.advance(seconds(3600));
    publish(&fake, &["2"]);
    assert_eq!(receive(&fake, 10)[0].1, "2");
    assert_eq!(Ask::bare("GET", "/_/topics/t1/s1/acknowledged").send(&fake).json(), json!(["1"]));
}

#[test]
fn a_lock_runs_out_and_the_event_is_delivered_again() {
    let fake = fake();
    publish(&fake, &["1"]);
    let first = receive(&fake, 1);
    assert_eq!(first[0].2, 1);
    fake.grid().clock.advance(Duration::from_millis(59_999));
    publish(&fake, &["2"]);
    let second = receive(&fake, 10);
    assert_eq!(second.iter().map(|one| one.1.as_str()).collect::<Vec<_>>(), ["2"], "1 is still locked");
    fake.grid().clock.advance(Duration::from_millis(1));
    let again = receive(&fake, 10);
    assert_eq!((again[0].1.as_str(), again[0].2), ("1", 2));
    assert_eq!(settle(&fake, "acknowledge", "", &first[0].0), Err("TokenLost".to_owned()));
    settle(&fake, "acknowledge", "", &again[0].0).unwrap();
    assert_eq!(counts(&fake)["counts"]["locks_lost"], 1);
}

#[test]
fn a_renewed_lock_lasts_anew_but_cannot_be_renewed_after_an_hour() {
    let fake = fake_with(QueueSettings { receive_lock_s: 300, ..QueueSettings::default() });
    publish(&fake, &["1"]);
    let token = receive(&fake, 1)[0].0.clone();
    for _ in 0..12 {
        fake.grid().clock.advance(seconds(299));
        settle(&fake, "renewLock", "", &token).unwrap();
    }
    fake.grid().clock.advance(seconds(12));
    settle(&fake, "renewLock", "", &token).expect("an hour after the first receive is within the hour");
    fake.grid().clock.advance(seconds(1));
    assert_eq!(settle(&fake, "renewLock", "", &token), Err("TokenLost".to_owned()));
    settle(&fake, "acknowledge", "", &token).expect("the lock itself still holds");
}

#[test]
fn a_released_event_comes_again_after_its_delay() {
    let fake = fake();
    publish(&fake, &["1"]);
    let token = receive(&fake, 1)[0].0.clone();
    settle(&fake, "release", "", &token).unwrap();
    let (token, _, count) = receive(&fake, 1)[0].clone();
    assert_eq!(count, 2);
    settle(&fake, "release", "&releaseDelayInSeconds=600", &token).unwrap();
    fake.grid().clock.advance(Duration::from_millis(599_999));
    publish(&fake, &["2"]);
    assert_eq!(receive(&fake, 10).len(), 1, "only 2");
    fake.grid().clock.advance(Duration::from_millis(1));
    assert_eq!(receive(&fake, 10)[0].2, 3);
}

#[test]
fn rejected_and_worn_out_events_are_dead_letters_in_the_services_form() {
    let settings = QueueSettings { dead_letter: true, max_delivery_count: 2, ..QueueSettings::default() };
    let fake = fake_with(settings);
    publish(&fake, &["rejected", "worn"]);
    let received = receive(&fake, 10);
    settle(&fake, "reject", "", &received[0].0).unwrap();
    settle(&fake, "release", "", &received[1].0).unwrap();
    receive(&fake, 10);
    fake.grid().clock.advance(seconds(60));
    assert_eq!(counts(&fake)["counts"]["dead_lettered"], 2);
    let file = || Ask::bare("GET", "/_/topics/t1/s1/dead-letters").send(&fake).json();
    assert_eq!(file(), json!([]), "a dead letter is written after five minutes");
    fake.grid().clock.advance(seconds(300));
    let file = file();
    assert_eq!(file[0]["event"], event("rejected"));
    let properties = &file[1]["deadLetterProperties"];
    assert_eq!(properties["deadletterreason"], "Maximum delivery attempts was exceeded.");
    assert_eq!(properties["deliveryattempts"], 2);
    assert!(properties["publishutc"].is_string() && properties["deliveryattemptutc"].is_string());
}

#[test]
fn without_a_place_for_dead_letters_they_are_dropped() {
    let fake = fake();
    publish(&fake, &["1"]);
    let token = receive(&fake, 1)[0].0.clone();
    settle(&fake, "reject", "", &token).unwrap();
    let counts = counts(&fake);
    assert_eq!((&counts["counts"]["dropped"], &counts["waiting"]), (&json!(1), &json!(0)));
}

#[test]
fn an_event_that_outlives_its_time_is_not_delivered() {
    let fake = fake_with(QueueSettings { time_to_live_s: 60, dead_letter: true, ..QueueSettings::default() });
    publish(&fake, &["old"]);
    fake.grid().clock.advance(seconds(60));
    publish(&fake, &["new"]);
    assert_eq!(receive(&fake, 10).iter().map(|one| one.1.as_str()).collect::<Vec<_>>(), ["new"]);
    assert_eq!(counts(&fake)["counts"]["dead_lettered"], 1);
}

#[test]
fn each_subscription_has_its_own_copy_of_what_its_filter_wants() {
    let fake = fake();
    let filter = Filter { subject_begins_with: "/blue".to_owned(), ..Filter::default() };
    fake.put_queue("t1", "blue", QueueSettings { filter, ..QueueSettings::default() });
    let mut blue = event("1");
    blue["subject"] = "/Blue/sky".into();
    let batch = Value::from(vec![blue, event("2")]);
    assert_eq!(Ask::post(PUBLISH).body(BATCH, batch.to_string()).send(&fake).status, 200);
    assert_eq!(receive(&fake, 10).len(), 2);
    let target = "/topics/t1/eventsubscriptions/blue:receive?api-version=2024-06-01&maxEvents=10";
    let received = Ask::post(target).send(&fake).json();
    assert_eq!(received["value"].as_array().unwrap().len(), 1);
}

#[test]
fn a_token_of_another_subscription_holds_nothing_here() {
    let fake = fake();
    fake.put_queue("t1", "twin", QueueSettings::default());
    publish(&fake, &["1"]);
    let here = receive(&fake, 1)[0].0.clone();
    let target = "/topics/t1/eventsubscriptions/twin:receive?api-version=2024-06-01";
    let received = Ask::post(target).send(&fake).json();
    let there = received["value"][0]["brokerProperties"]["lockToken"].as_str().unwrap().to_owned();
    assert_eq!(settle(&fake, "acknowledge", "", &there), Err("TokenLost".to_owned()));
    settle(&fake, "acknowledge", "", &here).unwrap();
}

#[test]
fn one_answer_tells_of_each_token_by_itself() {
    let fake = fake();
    publish(&fake, &["1"]);
    let good = receive(&fake, 1)[0].0.clone();
    let body = json!({"lockTokens": ["no token!", good]});
    let answer = Ask::post(&target("acknowledge", "")).json(&body).send(&fake);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["succeededLockTokens"], json!([good]));
    assert_eq!(answer.json()["failedLockTokens"][0]["error"]["code"], "BadToken");
}

#[test]
fn a_planted_fault_hits_the_requests_that_it_names() {
    let fake = fake();
    publish(&fake, &["1"]);
    let fault = Fault {
        op: Some(Op::Receive),
        status: Some(503),
        retry_after: Some("1".to_owned()),
        times: 2,
        ..Fault::default()
    };
    fake.plant(fault);
    for _ in 0..2 {
        let answer = Ask::post(&target("receive", "")).send(&fake);
        assert_eq!(answer.status, 503);
        assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    }
    let token = receive(&fake, 1)[0].0.clone();

    // The acknowledgement is done, and nobody hears of it.
    fake.plant(Fault { drop_answer: true, ..Fault::default() });
    let ask = Ask::post(&target("acknowledge", "")).json(&json!({"lockTokens": [token]}));
    assert!(ask.try_send(fake.addr()).is_none());
    assert_eq!(counts(&fake)["counts"]["acknowledged"], 1);
}

#[test]
fn a_fault_waits_for_its_topic_and_its_turn() {
    let fake = fake();
    fake.put_queue("t2", "s1", QueueSettings::default());
    let fault = Fault { topic: Some("t2".to_owned()), after: 1, drop: true, ..Fault::default() };
    fake.plant(fault);
    let to = |topic: &str| Ask::post(&PUBLISH.replace("t1", topic)).body(STRUCTURED, event("1").to_string());
    publish(&fake, &["1", "2"]);
    assert_eq!(to("t2").send(&fake).status, 200, "the first passes");
    assert!(to("t2").try_send(fake.addr()).is_none());
    assert_eq!(to("t2").send(&fake).status, 200, "once was asked for");
    let published = |topic: &str| fake.grid().look(|state| state.topics[topic]["s1"].counts.published);
    assert_eq!((published("t1"), published("t2")), (2, 2));

    fake.plant(Fault { delay_ms: 60_000, ..Fault::default() });
    let (address, ask) = (fake.addr(), to("t1"));
    let late = std::thread::spawn(move || ask.try_send(address).unwrap());
    while !fake.grid().look(|state| state.faults.planted().is_empty()) {
        std::thread::yield_now();
    }
    fake.grid().clock.advance(seconds(59));
    assert!(!late.is_finished());
    // The delay is counted from whenever the request came.
    fake.grid().clock.advance(seconds(60));
    assert_eq!(late.join().unwrap().status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_no_event_with_it() {
    let fake = fake();
    let target = target("receive", "&maxWaitTime=120");
    let head =
        format!("POST {target} HTTP/1.1\r\nhost: f\r\nauthorization: SharedAccessKey {TEST_KEY}\r\n\r\n");
    let mut client = std::net::TcpStream::connect(fake.addr()).unwrap();
    client.write_all(head.as_bytes()).unwrap();
    let receiving = |wanted: u32| {
        fake.wait_for(move |state| (state.topics["t1"]["s1"].receiving == wanted).then_some(()))
    };
    receiving(1).await;
    drop(client);
    receiving(0).await;
    publish(&fake, &["1"]);
    assert_eq!(receive(&fake, 1)[0].2, 1, "the first delivery");
}

#[test]
fn lost_locks_give_the_events_to_the_next_who_asks() {
    let fake = fake();
    publish(&fake, &["1", "2"]);
    let held = receive(&fake, 10);
    fake.plant(Fault { op: Some(Op::Acknowledge), lose_locks: true, ..Fault::default() });
    assert_eq!(settle(&fake, "acknowledge", "", &held[0].0), Err("TokenLost".to_owned()));
    let again = receive(&fake, 10);
    assert_eq!(again.iter().map(|one| (one.1.as_str(), one.2)).collect::<Vec<_>>(), [("1", 2), ("2", 2)]);
}
