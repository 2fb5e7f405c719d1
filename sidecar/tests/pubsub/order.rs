//! Keys: one event of each at a time, in order, and what is handed back with one that went back.

use crate::rig::{Rig, TOPIC, events};
use outrigger_function::{Action, Match, Program, Rule};
use serde_json::json;

/// Fails the first two attempts of every tenth event.
fn flaky(ids: impl Iterator<Item = String>) -> Program {
    ids.step_by(10).fold(Program::always(Action::delay_ms(2)), |program, id| {
        program.rule(Rule::new(Match::id(&id), Action::status(500)).until(2))
    })
}

async fn keys_run_in_order(rig: Rig) {
    let rig = rig.set("delivery.backoff.initial", "5ms");
    let all = events("e", 300, 12);
    rig.function.set_program(flaky(all.iter().map(|event| event.id.clone())));
    let mut process = rig.start().await;
    rig.publish(&all).await;
    rig.all_is_well(0).await;
    let told = rig.until_acked().await;
    assert!(told.iter().all(|message| message.deliveries == 1 && message.nacks() == 0), "{told:#?}");
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn google_keys_run_in_order_although_events_of_them_fail() {
    let Some(rig) = Rig::google("google_keys_run_in_order_although_events_of_them_fail").await else {
        return;
    };
    keys_run_in_order(rig).await;
}

/// The fake sends all of a key at once, as Google's service does.
#[tokio::test]
async fn fake_keys_run_in_order_although_events_of_them_fail() {
    let test = "fake_keys_run_in_order_although_events_of_them_fail";
    let Some(rig) = Rig::fake(test, json!({})).await else { return };
    keys_run_in_order(rig).await;
}

/// The first event of a key waits longer than a message may be in hand: it goes back, and those behind it go with it.
/// The fake delivers all of them again, in order, as Google's service does.
#[tokio::test]
async fn fake_the_tail_of_a_key_goes_back_with_the_event_that_does() {
    let test = "fake_the_tail_of_a_key_goes_back_with_the_event_that_does";
    let Some(rig) = Rig::fake(test, json!({})).await else { return };
    let rig = rig
        .set("ingress.pubsub.lease", "10s")
        .set("ingress.pubsub.lease_max", "10s")
        .set("delivery.backoff.max", "1h");
    let waits = Action { retry_after: Some("3600".to_owned()), ..Action::status(503) };
    rig.function.set_program(Program::default().rule(Rule::new(Match::id("e-000000"), waits).until(1)));
    let _process = rig.start().await;
    rig.publish(&events("e", 5, 1)).await;
    rig.until_metric("outrigger_pubsub_expired_total", 1.0).await;
    rig.all_is_well(0).await;
    assert_eq!(rig.site.metric("outrigger_pubsub_nacks_total").await, 5.0);
    assert_eq!(rig.site.metric("outrigger_pubsub_tails_total").await, 4.0);
    let told = rig.server.messages(TOPIC).await;
    // The others' own ack ids were stale by then.
    assert!(
        told[0].nacks() == 1 && told[..5].iter().all(|it| it.deliveries == 2 && it.acks == 1),
        "{told:#?}"
    );
}
