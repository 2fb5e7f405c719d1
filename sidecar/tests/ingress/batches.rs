//! Several events in one request to the function (`function.batch`), on the shipped binary.

use crate::common::{Site, headers};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Mode, Outgoing};
use std::collections::{BTreeMap, HashSet};

fn site(function: &Function) -> Site {
    Site::of(function)
        .set("function.mode", "structured")
        .set("function.batch", "{events_max: 8, wait: 200ms}")
        .set("delivery.backoff.initial", "1ms")
        .set("delivery.breaker.failures", "1000")
        .set("delivery.retry_budget.per_second_min", "100000")
}

/// The ids of each request, in their order.
fn requests(function: &Function) -> Vec<Vec<String>> {
    function.log().into_iter().map(|record| record.batch).collect()
}

/// Sends events `KEY-N` as one batch, so that all are there at once.
async fn send(site: &Site, keys: usize, of_a_key: usize) {
    let all = (0..of_a_key).flat_map(|n| (0..keys).map(move |key| (key, n)));
    let events: Vec<_> =
        all.map(|(key, n)| Outgoing::new(&format!("{key}-{n}"), Some(&format!("k{key}")))).collect();
    assert_eq!(site.producer().send_batch(&events).await.unwrap().status(), 202);
}

#[tokio::test]
async fn a_batch_has_one_event_of_each_key_and_keys_keep_their_order() {
    let function = Function::start(Program::default());
    let site = site(&function);
    let _process = site.start().await;
    send(&site, 20, 10).await;
    let mut count = 0;
    function
        .wait_for(|_| {
            count = requests(&function).iter().map(Vec::len).sum();
            count >= 200
        })
        .await;
    assert_eq!(count, 200, "each once");
    let mut next = BTreeMap::<String, usize>::new();
    let requests = requests(&function);
    for ids in &requests {
        assert!(ids.len() <= 8, "{ids:?}");
        let keys: HashSet<_> = ids.iter().map(|id| id.split_once('-').unwrap().0).collect();
        assert_eq!(keys.len(), ids.len(), "two of a key in {ids:?}");
        for id in ids {
            let (key, n) = id.split_once('-').unwrap();
            let expected = next.entry(key.to_owned()).or_default();
            assert_eq!(n.parse::<usize>().unwrap(), *expected, "{id}");
            *expected += 1;
        }
    }
    assert!(requests.len() < 60, "{} requests for 200 events", requests.len());
}

#[tokio::test]
async fn what_the_answer_names_is_tried_again_alone_before_the_next_of_its_key() {
    let named = r#"{"batchItemFailures": [{"itemIdentifier": "1-0"}]}"#;
    let first = Rule::new(Match::nth(1), Action::text(named));
    let function = Function::start(Program::default().rule(first));
    let site = site(&function).set("function.batch", "{events_max: 4, wait: 2s}");
    let _process = site.start().await;
    send(&site, 4, 1).await;
    let answer = site.producer().send(&Outgoing::new("1-1", Some("k1")), Mode::Binary).await.unwrap();
    assert_eq!(answer.status(), 202);
    function.wait_for(|stats| stats.ended == 3).await;
    let seen = requests(&function);
    assert_eq!(seen[0].len(), 4);
    assert_eq!(seen[1..], [["1-0"], ["1-1"]], "the others are not sent again");
    assert!(site.letters().await.is_empty());
}

#[tokio::test]
async fn an_event_that_is_never_taken_becomes_a_dead_letter_without_the_others() {
    let all = Rule::new(Match::nth(1), Action::status(422));
    let poison = Rule::new(Match::id("2-0"), Action::status(422));
    let function = Function::start(Program::default().rule(all).rule(poison));
    let site = site(&function).set("function.batch", "{events_max: 4, wait: 2s}");
    let _process = site.start().await;
    send(&site, 4, 1).await;
    site.until_dead(1).await;
    function.wait_for(|stats| stats.ended == 5).await;
    let letters = site.letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((&letters[0]["event_id"], &letters[0]["attempts"]), (&"2-0".into(), &1.into()));
    let mut alone = requests(&function).split_off(1);
    alone.sort();
    assert_eq!(alone, [["0-0"], ["1-0"], ["2-0"], ["3-0"]]);
}

#[tokio::test]
async fn senders_who_wait_share_a_batch_and_get_its_status() {
    let function = Function::start(Program::always(Action::status(201)));
    let site = site(&function).set("ingress.http.sync", "true");
    let _process = site.start().await;
    let kind = || headers([("content-type", "application/cloudevents-batch+json")]);
    let events: Vec<_> = (0..3).map(|n| Outgoing::new(&n.to_string(), None).json()).collect();
    let answer = site.producer().post(kind(), format!("[{}]", events.join(","))).await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.body());
    assert_eq!(requests(&function).iter().map(Vec::len).sum::<usize>(), 3);
    assert!(function.stats().received < 3);
}

#[tokio::test]
async fn batches_need_a_mode_that_has_them_room_and_no_place_for_replies() {
    let function = Function::start(Program::default());
    let site = Site::of(&function)
        .set("function.batch.events_max", "100")
        .set("kafka.brokers", "127.0.0.1:1")
        .set("replies.kafka_topic", "answers");
    let said = site.refused().await;
    assert_eq!(said.code, Some(2), "{said:?}");
    for part in [
        "function.batch.events_max: found 100, while function.mode is binary, expected function.mode: structured or protobuf",
        "found batches of 100, expected at most function.concurrency, which is 64",
        "found 100 beside replies.kafka_topic, expected 1",
    ] {
        assert!(said.stderr.contains(part), "{part}\n{}", said.stderr);
    }
}
