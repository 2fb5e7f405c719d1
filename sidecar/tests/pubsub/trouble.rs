//! What is missing, forbidden, refused or gone: readiness names it, it is tried again, and nothing else stops.

use crate::rig::{Rig, SUBSCRIPTION, TOPIC, events};
use outrigger_testkit::{
    Mode, Outgoing, Proxy, Trouble,
    pubsub::{self, Fault},
};
use serde_json::json;

const FOREVER: i32 = -1;

async fn fails(rig: &Rig, method: &'static str, code: &'static str) {
    rig.server.fault(&Fault { method, code, times: FOREVER, reason: "" }).await;
}

#[tokio::test]
async fn a_missing_subscription_is_named_and_read_once_it_is_there() {
    let test = "a_missing_subscription_is_named_and_read_once_it_is_there";
    let Some(server) = pubsub::google(test) else { return };
    let rig = Rig::without_topic(server);
    let mut process = rig.site.start_unready().await;
    let (status, readyz) = rig.site.until_readyz("[-] pubsub: ").await;
    let (_, named) = rig.site.until_readyz("NOT_FOUND").await;
    assert_eq!(status, 503, "{readyz}");
    assert!(named.contains(&format!("projects/test/subscriptions/{SUBSCRIPTION}")), "{named}");
    // What comes another way goes on.
    let event = Outgoing::new("by-http", None);
    rig.oracle.sending(&event);
    assert_eq!(rig.site.producer().send(&event, Mode::Binary).await.unwrap().status(), 202);
    rig.oracle.acknowledged("by-http");
    rig.until_paid().await;

    rig.server.topic(TOPIC).await;
    rig.server.subscription(SUBSCRIPTION, TOPIC, json!({"enableMessageOrdering": true})).await;
    process.ready(rig.site.admin).await;
    rig.publish(&events("e", 20, 2)).await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn a_subscription_that_vanishes_is_named_and_read_again_when_it_is_back() {
    let test = "a_subscription_that_vanishes_is_named_and_read_again_when_it_is_back";
    let Some(rig) = Rig::google(test).await else { return };
    let mut process = rig.start().await;
    rig.publish(&events("before", 20, 2)).await;
    rig.until_paid().await;
    rig.until_acked().await;
    rig.server.delete_subscription(SUBSCRIPTION).await;
    let (status, _) = rig.site.until_readyz("NOT_FOUND").await;
    assert_eq!(status, 503);
    rig.server.subscription(SUBSCRIPTION, TOPIC, json!({"enableMessageOrdering": true})).await;
    process.ready(rig.site.admin).await;
    rig.publish(&events("after", 20, 2)).await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn a_permission_that_is_revoked_is_named_until_it_is_granted_again() {
    let test = "a_permission_that_is_revoked_is_named_until_it_is_granted_again";
    let Some(rig) = Rig::google(test).await else { return };
    let mut process = rig.start().await;
    rig.publish(&events("before", 20, 2)).await;
    rig.until_paid().await;
    fails(&rig, "StreamingPull", "PERMISSION_DENIED").await;
    fails(&rig, "GetSubscription", "PERMISSION_DENIED").await;
    rig.server.cut().await;
    let (status, readyz) = rig.site.until_readyz("PERMISSION_DENIED").await;
    assert!(status == 503 && readyz.contains("roles/pubsub.subscriber"), "{readyz}");
    rig.server.clear_faults().await;
    process.ready(rig.site.admin).await;
    rig.publish(&events("after", 20, 2)).await;
    rig.all_is_well(0).await;
}

/// A subscriber may lack the right to look at its subscription; that is no trouble.
#[tokio::test]
async fn a_subscription_that_may_only_be_read_is_ready() {
    let Some(rig) = Rig::google("a_subscription_that_may_only_be_read_is_ready").await else { return };
    fails(&rig, "GetSubscription", "PERMISSION_DENIED").await;
    let _process = rig.start().await;
    rig.publish(&events("e", 20, 2)).await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn credentials_that_are_refused_are_named() {
    let Some(rig) = Rig::google("credentials_that_are_refused_are_named").await else { return };
    fails(&rig, "StreamingPull", "UNAUTHENTICATED").await;
    fails(&rig, "GetSubscription", "UNAUTHENTICATED").await;
    let mut process = rig.site.start_unready().await;
    let (status, readyz) = rig.site.until_readyz("UNAUTHENTICATED").await;
    assert!(status == 503 && readyz.contains("pubsub.credentials_file"), "{readyz}");
    rig.server.clear_faults().await;
    process.ready(rig.site.admin).await;
    rig.publish(&events("e", 20, 2)).await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn a_topic_for_replies_that_is_missing_keeps_the_events_until_it_is_there() {
    let test = "a_topic_for_replies_that_is_missing_keeps_the_events_until_it_is_there";
    let Some(rig) = Rig::google(test).await else { return };
    let rig = rig.set("dead_letters.pubsub_topic", "later").set("delivery.attempts_max", "1");
    rig.function.set_program(outrigger_function::Program::always(outrigger_function::Action::status(500)));
    let _process = rig.start().await;
    rig.publish(&[Outgoing::new("e", Some("k"))]).await;
    rig.oracle.accounted("e");
    let (status, readyz) = rig.site.until_readyz("[-] dead letters: ").await;
    assert!(status == 503 && readyz.contains("NOT_FOUND"), "{readyz}");
    assert_eq!(rig.server.messages(TOPIC).await[0].acks, 0, "row 20: it is kept");
    rig.server.topic("later").await;
    rig.until("later", "the dead letter", |told| told.len() == 1).await;
    rig.until_acked().await;
}

#[tokio::test]
async fn row_9_streams_that_are_cut_go_on_without_a_duplicate() {
    let Some(rig) = Rig::google("row_9_streams_that_are_cut_go_on_without_a_duplicate").await else { return };
    let rig = rig.set("ingress.pubsub.streams", "3");
    let _process = rig.start().await;
    for round in 0..5 {
        rig.publish(&events(&format!("r{round}"), 100, 10)).await;
        rig.server.cut().await;
    }
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn row_9_readiness_shows_an_outage_and_everything_resumes() {
    let test = "row_9_readiness_shows_an_outage_and_everything_resumes";
    let Some(rig) = Rig::google(test).await else { return };
    let proxy = Proxy::start(rig.server.address());
    let endpoint = format!("\"http://{}\"", proxy.addr());
    let rig = rig.set("pubsub.endpoint", &endpoint).set("ingress.pubsub.lease", "10s");
    let mut process = rig.start().await;
    for trouble in [Trouble::Close, Trouble::Reset] {
        rig.publish(&events(&format!("{trouble:?}"), 100, 10)).await;
        rig.until_paid().await;
        proxy.set(trouble);
        let (status, _) = rig.site.until_readyz("[-] pubsub: ").await;
        assert_eq!(status, 503);
        proxy.set(Trouble::None);
        process.ready(rig.site.admin).await;
    }
    // Acks that were on their way when the connection broke are sent once more by Google's client, and no more.
    rig.all_is_well(200).await;
}
