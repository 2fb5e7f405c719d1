//! Who is not let in says so in one line, shows it in readiness, tries on, and is let in once it is put right.

use crate::{
    endpoint::{Answer, Endpoint},
    kafka_rig::say,
    rig::{Name, flows, recovers, refused, replying, rig, shown, write_secret},
};
use outrigger_testkit::{
    free_port,
    kafka::{self, Door, Resource, SecureBroker, Settings},
};
use std::{net::SocketAddr, time::Instant};

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

#[tokio::test]
async fn a_wrong_password_is_shown_and_the_right_one_needs_no_restart() {
    let test = "a_wrong_password_is_shown_and_the_right_one_needs_no_restart";
    let Some(kafka) = kafka::secure(test).await else { return };
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let topic = format!("wrong-{mechanism}");
        let rig = rig(kafka, &topic, Door::SaslTls, Name::Password(mechanism, "wrong")).await;
        let rig = replying(rig, &format!("{topic}-replies")).await;
        let (mut process, line) = refused(&rig, "refused who we say we are; check kafka.sasl").await;
        say(&line);
        write_secret(&rig.site, SecureBroker::password("alice"));
        let written = Instant::now();
        recovers(&rig, &mut process).await;
        say(&format!("{mechanism}: all there {:?} after the right password", written.elapsed()));
    }
}

#[tokio::test]
async fn a_password_that_is_changed_at_the_broker_is_asked_for_and_read_again() {
    let test = "a_password_that_is_changed_at_the_broker_is_asked_for_and_read_again";
    let Some(kafka) = kafka::secure_with(test, Settings::default()).await else { return };
    let name = Name::Password("SCRAM-SHA-256", SecureBroker::password("alice"));
    let rig = rig(&kafka, "changed", Door::Sasl, name).await;
    let mut process = rig.start().await;
    flows(&rig).await;
    kafka.change_password("alice", "another").await;
    // Whoever is in stays in; whoever comes again is asked.
    kafka.broker().stop().await;
    kafka.broker().start_again().await;
    say(&shown(&rig, "refused who we say we are; check kafka.sasl").await);
    write_secret(&rig.site, "another");
    recovers(&rig, &mut process).await;
}

#[tokio::test]
async fn an_authority_that_nobody_named_is_shown() {
    let Some(kafka) = kafka::secure("an_authority_that_nobody_named_is_shown").await else { return };
    let rig = rig(kafka, "unknown-authority", Door::Tls, Name::Nothing).await;
    let stranger = kafka.files().join("stranger-ca.pem").display().to_string();
    let rig = rig.set("kafka.tls.ca_file", &stranger);
    let (mut process, line) = refused(&rig, "the encrypted connection failed; check kafka.tls").await;
    say(&line);
    assert!(process.stop().await.success());
    let rig = rig.set("kafka.tls.ca_file", &kafka.ca().display().to_string());
    let _process = rig.start().await;
    flows(&rig).await;
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_at_the_start_is_shown_and_waited_for() {
    let test = "a_token_endpoint_that_is_down_at_the_start_is_shown_and_waited_for";
    let Some(kafka) = kafka::secure(test).await else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let absent = Endpoint::start(ANY_PORT.into(), "s3cret", Answer::Refuse).await;
    let rig = rig(kafka, "no-endpoint", Door::Sasl, Name::Token(&absent, "s3cret")).await;
    let rig = replying(rig, "no-endpoint-replies").await;
    let rig = rig.set("kafka.sasl.token_url", &format!("http://{address}/token"));
    let (mut process, line) = refused(&rig, "Connection refused").await;
    assert!(line.contains("there is no token to enter with: http://127.0.0.1:"), "{line}");
    say(&line);
    let endpoint = Endpoint::start(address, "s3cret", Answer::Token(3600)).await;
    let up = Instant::now();
    while endpoint.given() == 0 {
        tokio::task::yield_now().await;
    }
    let given = Instant::now();
    recovers(&rig, &mut process).await;
    let (asked, flowed) = (given - up, given.elapsed());
    say(&format!(
        "the token was asked for {asked:?} after the endpoint came, all was there {flowed:?} later"
    ));
}

#[tokio::test]
async fn tokens_that_end_while_the_endpoint_refuses_are_shown_and_fetched_again() {
    let test = "tokens_that_end_while_the_endpoint_refuses_are_shown_and_fetched_again";
    let reauthenticate = Settings::default().property("connections.max.reauth.ms", "3600000");
    let Some(kafka) = kafka::secure_with(test, reauthenticate).await else { return };
    let endpoint = Endpoint::start(ANY_PORT.into(), "s3cret", Answer::Token(3)).await;
    let rig = rig(&kafka, "no-tokens", Door::SaslTls, Name::Token(&endpoint, "s3cret")).await;
    let mut process = rig.start().await;
    flows(&rig).await;
    endpoint.set(Answer::Refuse);
    let line = shown(&rig, "there is no token to enter with").await;
    assert!(line.contains("invalid_client: unknown client"), "{line}");
    say(&line);
    say(&shown(&rig, "refused who we say we are").await); // the last one has ended at the broker, too
    endpoint.set(Answer::Token(3600));
    let up = Instant::now();
    recovers(&rig, &mut process).await;
    say(&format!("all was there {:?} after the endpoint gave tokens again", up.elapsed()));
}

#[tokio::test]
async fn a_topic_or_a_group_that_is_forbidden_is_shown_and_read_once_it_is_allowed() {
    let test = "a_topic_or_a_group_that_is_forbidden_is_shown_and_read_once_it_is_allowed";
    let Some(kafka) = kafka::secure(test).await else { return };
    let login = Name::Password("PLAIN", SecureBroker::password("alice"));
    for (name, operation, resource, part) in [
        ("topic-read", "Read", Resource::Topic("topic-read"), "the broker forbids the topic; grant Read"),
        ("topic-all", "All", Resource::Topic("topic-all"), "the broker forbids the topic; grant Read"),
        ("group-read", "Read", Resource::Group("group-read"), "the broker forbids the group; grant Read"),
    ] {
        let rig = rig(kafka, name, Door::SaslTls, login).await;
        kafka.forbid("alice", &[operation], resource).await;
        let (mut process, line) = refused(&rig, part).await;
        say(&line);
        kafka.allow("alice", &[operation], resource).await;
        recovers(&rig, &mut process).await;
    }
}

#[tokio::test]
async fn what_is_wrong_before_anybody_is_asked_is_one_line_and_exit_2() {
    let test = "what_is_wrong_before_anybody_is_asked_is_one_line_and_exit_2";
    let Some(kafka) = kafka::secure(test).await else { return };
    let rig = rig(kafka, "wrong-files", Door::MutualTls, Name::Nothing).await;
    let other = kafka.files().join("stranger.key").display().to_string();
    let rig = rig.set("kafka.tls.key_file", &other);
    let said = rig.site.refused().await;
    let expected =
        format!(": kafka.tls.key_file: {other}: this is not the key of kafka.tls.certificate_file");
    let line = said.one_line(2);
    assert!(line.starts_with("outrigger: outrigger.yaml:") && line.contains(&expected), "{said:?}");
    let said = rig.site.verb(&["check", "outrigger.yaml"]).await;
    assert!(said.one_line(2).contains("kafka.tls.key_file: "), "{said:?}");
}
