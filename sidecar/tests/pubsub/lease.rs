//! Leases, bounds, drains and a kill; exactly-once subscriptions; Google's own dead-letter policy.

use crate::rig::{Rig, SUBSCRIPTION, TOPIC, events};
use outrigger_function::{Action, Match, Outcome, Program, Rule};
use outrigger_testkit::{Outgoing, pubsub::Fault};
use serde_json::json;
use std::collections::HashSet;

/// The shortest lease that there is.
const LEASE: (&str, &str) = ("ingress.pubsub.lease", "10s");

/// So many events without a key.
fn unordered(count: usize) -> Vec<Outgoing> {
    (0..count).map(|n| Outgoing::new(&format!("u-{n:06}"), None)).collect()
}

#[tokio::test]
async fn row_11_a_function_slower_than_the_lease_gets_its_event_once() {
    let test = "row_11_a_function_slower_than_the_lease_gets_its_event_once";
    let Some(rig) = Rig::google(test).await else { return };
    let rig = rig.set(LEASE.0, LEASE.1).set("function.timeout", "1m");
    let slow = Rule::new(Match::id("e-000000"), Action::delay_ms(12_500)).until(1);
    rig.function.set_program(Program::default().rule(slow));
    let _process = rig.start().await;
    // The second of them waits in its lane for as long.
    rig.publish(&events("e", 2, 1)).await;
    rig.all_is_well(0).await;
    let told = rig.server.messages(TOPIC).await;
    assert!(told.iter().all(|message| message.deliveries == 1), "{told:#?}");
    assert!(told[0].deadlines.contains(&10), "its lease was extended: {told:#?}");
}

/// Google's in-memory server knows no flow control, so the bound that holds is ours.
#[tokio::test]
async fn what_is_in_hand_is_bounded_in_messages_and_in_bytes() {
    let Some(rig) = Rig::google("what_is_in_hand_is_bounded_in_messages_and_in_bytes").await else { return };
    let rig = rig
        .set("function.concurrency", "4")
        .set("window.events", "8")
        .set("ingress.pubsub.streams", "2")
        .set("ingress.pubsub.events_max", "20");
    rig.function.set_program(Program::always(Action::hold("gate")));
    let mut process = rig.start().await;
    rig.publish(&unordered(300)).await;
    rig.until_metric("outrigger_pubsub_in_hand_messages", 20.0).await;
    rig.until_metric("outrigger_pubsub_full", 1.0).await;
    rig.until_metric("outrigger_window_events", 8.0).await;
    for _ in 0..100 {
        let in_hand = rig.site.metric("outrigger_pubsub_in_hand_messages").await;
        assert!((20.0..=21.0).contains(&in_hand), "of two streams one may have gone one beyond: {in_hand}");
    }
    rig.function.open("gate");
    rig.all_is_well(0).await;
    assert!(process.stop().await.success());

    let rig = rig.set("ingress.pubsub.events_max", "auto").set("ingress.pubsub.bytes_max", "64KiB");
    rig.function.set_program(Program::always(Action::hold("second")));
    let _process = rig.start().await;
    let large = |n| Outgoing::new(&format!("l-{n}"), None).with_data("text/plain", vec![b'x'; 10 << 10]);
    rig.publish(&(0..40).map(large).collect::<Vec<_>>()).await;
    rig.until_metric("outrigger_pubsub_full", 1.0).await;
    let bytes = rig.site.metric("outrigger_pubsub_in_hand_bytes").await;
    assert!((65_536.0..65_536.0 + 2.0 * 11_000.0).contains(&bytes), "{bytes}");
    rig.function.open("second");
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn row_8_a_drain_acknowledges_what_is_done_and_gives_the_rest_back() {
    let test = "row_8_a_drain_acknowledges_what_is_done_and_gives_the_rest_back";
    let Some(rig) = Rig::google(test).await else { return };
    let rig = rig.set("function.concurrency", "4").set("drain.deadline", "300ms").set(LEASE.0, LEASE.1);
    rig.function.set_program(Program::always(Action::delay_ms(100)));
    let mut process = rig.start().await;
    let all = events("e", 200, 40);
    rig.publish(&all).await;
    rig.function.wait_for(|stats| stats.ended >= 40).await;
    assert!(process.stop().await.success());
    let log = rig.function.log();
    let answered = log.iter().filter(|it| it.outcome == Outcome::Answered && it.status == Some(200));
    let done: HashSet<&str> = answered.filter_map(|record| record.id.as_deref()).collect();
    let (mut acked, mut given_back) = (0, 0);
    for message in rig.server.messages(TOPIC).await {
        if message.acks > 0 {
            assert!(done.contains(message.attribute("ce-id").unwrap()), "{message:?}");
            acked += 1;
        }
        given_back += usize::from(message.nacks() > 0);
    }
    // Four ran at the deadline. What was on its way to a stream that is read no more comes when its lease ends.
    assert!(acked + 4 >= done.len() && acked < all.len(), "{acked} of {}", done.len());
    assert!(given_back > 0, "something waited in the lanes");
    rig.function.set_program(Program::default());
    let _process = rig.start().await;
    rig.all_is_well(4).await;
}

#[tokio::test]
async fn row_3_a_process_that_is_killed_loses_nothing() {
    let Some(rig) = Rig::google("row_3_a_process_that_is_killed_loses_nothing").await else { return };
    let rig = rig.set(LEASE.0, LEASE.1);
    rig.function.set_program(Program::always(Action::delay_ms(5)));
    let mut process = rig.start().await;
    rig.publish(&events("e", 400, 40)).await;
    rig.function.wait_for(|stats| stats.ended >= 60).await;
    process.kill().await;
    let _process = rig.start().await;
    // What was acknowledged in the last 100 ms, and what ran.
    let judgement = rig.all_is_well(200).await;
    eprintln!("pubsub: killed: {judgement}");
}

#[tokio::test]
async fn fake_an_exactly_once_subscription_confirms_each_ack() {
    let test = "fake_an_exactly_once_subscription_confirms_each_ack";
    let Some(rig) = Rig::fake(test, json!({"enableExactlyOnceDelivery": true})).await else { return };
    let transient = "TRANSIENT_FAILURE_UNORDERED_ACK_ID";
    let fault = Fault { method: "Acknowledge", code: "UNAVAILABLE", times: 1, reason: transient };
    rig.server.fault(&fault).await;
    let mut process = rig.start().await;
    rig.publish(&events("e", 50, 5)).await;
    rig.all_is_well(0).await;
    rig.until_metric("outrigger_pubsub_acks_total", 51.0).await;
    assert_eq!(rig.site.metric("outrigger_pubsub_ack_failures_total").await, 0.0);
    let (_, readyz) = rig.site.readyz().await;
    assert!(readyz.contains("exactly once"), "{readyz}");
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn fake_a_refused_ack_of_an_exactly_once_subscription_is_a_duplicate_to_come() {
    let test = "fake_a_refused_ack_of_an_exactly_once_subscription_is_a_duplicate_to_come";
    let Some(rig) = Rig::fake(test, json!({"enableExactlyOnceDelivery": true})).await else { return };
    let rig = rig.set(LEASE.0, LEASE.1);
    let permanent = "PERMANENT_FAILURE_INVALID_ACK_ID";
    let fault = Fault { method: "Acknowledge", code: "FAILED_PRECONDITION", times: 1, reason: permanent };
    rig.server.fault(&fault).await;
    let _process = rig.start().await;
    rig.publish(&[Outgoing::new("e", Some("k"))]).await;
    rig.until_metric("outrigger_pubsub_ack_failures_total", 1.0).await;
    rig.site.until_metric("outrigger_pubsub_in_hand_messages", |in_hand| in_hand == 0.0).await;
    // Nobody extends its lease any more, so it comes again when that ends.
    rig.function.wait_for(|stats| stats.ended == 2).await;
    let judgement = rig.all_is_well(1).await;
    assert_eq!(judgement.duplicates, 1);
}

/// A policy of Google's counts deliveries, and what it counted are attempts of ours.
#[tokio::test]
async fn fake_deliveries_that_googles_policy_counts_are_attempts() {
    let test = "fake_deliveries_that_googles_policy_counts_are_attempts";
    let policy = json!({"deadLetterTopic": "projects/test/topics/graves", "maxDeliveryAttempts": 5});
    let server = outrigger_testkit::pubsub::fake(test);
    let Some(server) = server else { return };
    for topic in [TOPIC, "graves", "dead"] {
        server.topic(topic).await;
    }
    server.subscription(SUBSCRIPTION, TOPIC, json!({ "deadLetterPolicy": policy })).await;
    let rig = Rig::without_topic(server)
        .set(LEASE.0, LEASE.1)
        .set("dead_letters.pubsub_topic", "dead")
        .set("delivery.attempts_max", "3")
        .set("delivery.backoff.initial", "1ms");
    let held = Rule::new(Match::any(), Action::hold("gate")).until(1);
    rig.function.set_program(Program::always(Action::status(500)).rule(held));
    let mut process = rig.start().await;
    let (_, readyz) = rig.site.until_readyz("dead-lettered by Pub/Sub after 5 deliveries").await;
    assert!(readyz.contains("[+] pubsub"), "{readyz}");
    rig.publish(&[Outgoing::new("e", None)]).await;
    rig.function.wait_for(|stats| stats.running == 1).await;
    process.kill().await;
    let _process = rig.start().await;
    let dead = rig.until("dead", "the dead letter", |told| told.len() == 1).await;
    assert_eq!(dead[0].attribute("outrigger_attempts"), Some("3"));
    assert_eq!(rig.function.log().len(), 3, "one was cut off by the kill, two came after it");
    assert_eq!(rig.site.metric("outrigger_pubsub_redelivered_total").await, 1.0);
    assert_eq!(rig.server.messages("graves").await, [], "ours came first");
}
