//! An event comes through every door, by every login; and a reply goes out by it.

use crate::{
    endpoint::{Answer, Endpoint},
    rig::{Name, flows, replying, rig, write_secret},
};
use outrigger_testkit::kafka::{self, Door, SecureBroker};

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

#[tokio::test]
async fn events_come_over_tls_and_over_mutual_tls() {
    let Some(kafka) = kafka::secure("events_come_over_tls_and_over_mutual_tls").await else { return };
    for (door, topic) in [(Door::Tls, "over-tls"), (Door::MutualTls, "over-mutual-tls")] {
        let rig = rig(kafka, topic, door, Name::Nothing).await;
        let mut process = rig.start().await;
        flows(&rig).await;
        assert!(process.stop().await.success());
    }
}

#[tokio::test]
async fn events_come_by_every_kind_of_password() {
    let Some(kafka) = kafka::secure("events_come_by_every_kind_of_password").await else { return };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for door in [Door::Sasl, Door::SaslTls] {
            let name = Name::Password(mechanism, SecureBroker::password("alice"));
            let rig = rig(kafka, &format!("by-{mechanism}-{door:?}"), door, name).await;
            let mut process = rig.start().await;
            flows(&rig).await;
            assert!(process.stop().await.success());
        }
    }
}

#[tokio::test]
async fn events_come_by_a_token_and_replies_go_by_it() {
    let Some(kafka) = kafka::secure("events_come_by_a_token_and_replies_go_by_it").await else { return };
    let endpoint = Endpoint::start(ANY_PORT.into(), "s3cret", Answer::Token(3600)).await;
    let rig = rig(kafka, "by-token", Door::SaslTls, Name::Token(&endpoint, "s3cret")).await;
    let rig = replying(rig, "replies-by-token").await;
    let mut process = rig.start().await;
    flows(&rig).await;
    assert_eq!(rig.client.read("replies-by-token").await.unwrap().len(), rig.ledger.places());
    assert_eq!(endpoint.given(), 1, "source and sink share one");
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn events_go_into_a_topic_from_the_command_line_by_a_token() {
    let test = "events_go_into_a_topic_from_the_command_line_by_a_token";
    let Some(kafka) = kafka::secure(test).await else { return };
    let endpoint = Endpoint::start(ANY_PORT.into(), "s3cret", Answer::Token(3600)).await;
    let rig = rig(kafka, "sent-by-token", Door::Sasl, Name::Token(&endpoint, "s3cret")).await;
    std::fs::write(rig.site.path("outrigger.yaml"), rig.site.yaml()).unwrap();
    let arguments = ["send", "--kafka", "sent-by-token", "-c", "outrigger.yaml", "-d", "{}"];
    let said = rig.site.verb(&arguments).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(rig.client.read("sent-by-token").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends_and_nothing_is_interrupted() {
    let test = "a_token_is_replaced_before_it_ends_and_nothing_is_interrupted";
    let reauthenticate = kafka::Settings::default().property("connections.max.reauth.ms", "3600000");
    let Some(kafka) = kafka::secure_with(test, reauthenticate).await else { return };
    let endpoint = Endpoint::start(ANY_PORT.into(), "s3cret", Answer::Token(3)).await;
    let rig = rig(&kafka, "by-tokens", Door::Sasl, Name::Token(&endpoint, "s3cret")).await;
    let mut process = rig.start().await;
    while endpoint.given() < 4 {
        flows(&rig).await;
    }
    // The secret is read for each token.
    endpoint.rotate("n3w");
    write_secret(&rig.site, "n3w");
    let given = endpoint.given();
    while endpoint.given() < given + 2 {
        flows(&rig).await;
    }
    assert!(rig.site.metric("outrigger_kafka_heals_total").await < 1.0);
    assert!(process.stop().await.success());
}
