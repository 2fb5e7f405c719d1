//! A topic behind one of the broker's doors, and the settings that open it.

use crate::{
    common::Site,
    endpoint::Endpoint,
    kafka_rig::{Rig, events},
};
use outrigger_function::{Action, Program, program::Reply};
use outrigger_testkit::{
    Outgoing, Process,
    kafka::{Door, SecureBroker},
};
use std::path::Path;

/// How outrigger says who it is.
#[derive(Clone, Copy)]
pub(crate) enum Name<'a> {
    /// Not at all, or by its certificate.
    Nothing,
    /// By this mechanism and this password, as alice.
    Password(&'static str, &'a str),
    /// By tokens of this endpoint, with this secret.
    Token(&'a Endpoint, &'a str),
}

/// The file of the password or the secret.
const SECRET: &str = "secret";

/// A rig whose outrigger comes by `door` to a new topic, and says this name.
pub(crate) async fn rig(kafka: &SecureBroker, topic: &str, door: Door, name: Name<'_>) -> Rig {
    let rig = Rig::at(&kafka.broker().client(), &kafka.bootstrap(door), topic, 1).await;
    let rig = by_door(rig, kafka, door);
    let file = rig.site.path(SECRET).display().to_string();
    match name {
        Name::Nothing => rig,
        Name::Password(mechanism, password) => {
            write_secret(&rig.site, password);
            rig.set("kafka.sasl.mechanism", mechanism)
                .set("kafka.sasl.username", "alice")
                .set("kafka.sasl.password_file", &file)
        }
        Name::Token(endpoint, secret) => {
            write_secret(&rig.site, secret);
            rig.set("kafka.sasl.mechanism", "OAUTHBEARER")
                .set("kafka.sasl.client_id", "outrigger")
                .set("kafka.sasl.client_secret_file", &file)
                .set("kafka.sasl.token_url", &format!("http://{}/token", endpoint.address))
        }
    }
}

fn by_door(rig: Rig, kafka: &SecureBroker, door: Door) -> Rig {
    let text = |path: &Path| path.display().to_string();
    let security = match door {
        Door::Tls | Door::MutualTls => "tls",
        Door::Sasl => "sasl",
        Door::SaslTls => "sasl-tls",
    };
    let mut rig = rig.set("kafka.security", security);
    if door != Door::Sasl {
        rig = rig.set("kafka.tls.ca_file", &text(&kafka.ca()));
    }
    if door == Door::MutualTls {
        rig = rig.set("kafka.tls.certificate_file", &text(&kafka.client_certificate()));
        rig = rig.set("kafka.tls.key_file", &text(&kafka.client_key()));
    }
    rig
}

/// Writes the password or the secret as an editor may, with a line's end.
pub(crate) fn write_secret(site: &Site, secret: &str) {
    std::fs::write(site.path(SECRET), format!("{secret}\n")).expect("the folder of the test can be written");
}

/// Each event is answered with another one, and is done once that is in the topic `replies`.
pub(crate) async fn replying(rig: Rig, replies: &str) -> Rig {
    rig.client.create_topic(replies, 1, &[]).await.expect("a new topic");
    let attributes = [("specversion", "1.0"), ("id", "1"), ("source", "/reply"), ("type", "reply")];
    let attributes = attributes.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let reply = Reply { attributes, ..Reply::default() };
    rig.function.set_program(Program::always(Action { reply: Some(reply), ..Action::default() }));
    rig.set("replies.kafka_topic", replies)
}

/// Events come from the topic to the function, and are committed.
pub(crate) async fn flows(rig: &Rig) {
    rig.produce(events(&format!("e{}", rig.ledger.places()), 20, 5)).await;
    rig.all_is_well(0).await;
}

/// Starts it where it is not let in: readiness shows why by `part`. Gives back the line.
pub(crate) async fn refused(rig: &Rig, part: &str) -> (Process, String) {
    rig.produce(vec![Outgoing::new("owed", Some("key"))]).await;
    let process = rig.site.start_unready().await;
    let line = shown(rig, part).await;
    (process, line)
}

/// Waits until readiness shows `part` of Kafka, and gives back its line, which says what to do.
pub(crate) async fn shown(rig: &Rig, part: &str) -> String {
    let (status, text) = rig.site.until_readyz(part).await;
    let line = text.lines().find(|line| line.contains(part)).expect("the line is there").to_owned();
    assert_eq!(status, 503, "{text}");
    assert!(line.starts_with("[-] kafka: kafka: "), "{text}");
    line
}

/// It is put right without a restart: what is owed comes, and all goes on.
pub(crate) async fn recovers(rig: &Rig, process: &mut Process) {
    process.ready(rig.site.admin).await;
    flows(rig).await;
    let log = process.log();
    for secret in ["the-password-of-alice", "s3cret", "eyJhbGciOiJub25lIn0"] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    assert!(process.stop().await.success());
}
