//! What the function sees of each kind of message; replies, dead letters, and what a configuration is told.

use crate::{
    common::Site,
    rig::{Rig, SUBSCRIPTION, TOPIC, events},
};
use outrigger_function::{Action, Match, Program, Rule, program::Reply};
use outrigger_testkit::{
    Outgoing,
    pubsub::{Fault, Message},
};
use serde_json::{Value, json};

#[tokio::test]
async fn events_of_both_modes_come_as_they_were_sent_in_order_and_are_acknowledged() {
    let test = "events_of_both_modes_come_as_they_were_sent_in_order_and_are_acknowledged";
    let Some(rig) = Rig::google(test).await else { return };
    let mut process = rig.start().await;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let mut events = events("e", 120, 8);
    for (n, event) in events.iter_mut().enumerate() {
        event.extensions.push(("tenant".to_owned(), format!("ä {n}%")));
        if n % 3 == 0 {
            *event = event.clone().with_data("application/octet-stream", every_byte.clone());
        }
    }
    let messages: Vec<Message> = events
        .iter()
        .enumerate()
        .map(|(n, event)| if n % 2 == 0 { Message::binary(event) } else { Message::structured(event) })
        .collect();
    rig.publish_as(&events, &messages).await;
    rig.all_is_well(0).await;
    let told = rig.until_acked().await;
    assert!(told.iter().all(|message| message.deliveries == 1 && message.nacks() == 0), "{told:#?}");
    assert_eq!(rig.site.metric("outrigger_pubsub_acks_total").await, 121.0);
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn a_message_that_is_no_event_becomes_googles_own_and_a_broken_one_a_dead_letter() {
    let test = "a_message_that_is_no_event_becomes_googles_own_and_a_broken_one_a_dead_letter";
    let Some(rig) = Rig::google(test).await else { return };
    let rig = rig.set("ingress.pubsub.topic", TOPIC).set("dead_letters.pubsub_topic", "dead");
    let _process = rig.start().await;
    let broken = Message::plain("raw", &[("ce-specversion", "1.0"), ("ce-id", "1"), ("color", "red")]);
    let plain = Message::plain("hello", &[("color", "red")]);
    let ids = rig.server.publish(TOPIC, &[plain, broken]).await;
    rig.function.wait_for(|stats| stats.ended == 1).await;
    let seen = &rig.function.log()[0];
    assert_eq!(seen.ty.as_deref(), Some("google.cloud.pubsub.topic.v1.messagePublished"));
    assert_eq!(seen.source.as_deref(), Some("//pubsub.googleapis.com/projects/test/topics/orders"));
    assert_eq!(seen.id.as_deref(), Some(&*ids[0]));
    let data: Value = serde_json::from_slice(seen.body.as_ref().unwrap()).unwrap();
    assert_eq!(data["subscription"], format!("projects/test/subscriptions/{SUBSCRIPTION}"));
    assert_eq!(data["message"]["data"], "aGVsbG8=");
    assert_eq!(data["message"]["attributes"], json!({"color": "red"}));
    assert_eq!(data["message"]["messageId"], *ids[0]);

    let dead = rig.until("dead", "the dead letter", |told| told.len() == 1).await;
    assert_eq!(dead[0].bytes(), b"raw");
    assert_eq!(dead[0].attribute("ce-id"), Some("1"));
    assert_eq!(dead[0].attribute("color"), Some("red"));
    assert_eq!(dead[0].attribute("outrigger_code"), Some("malformed"));
    assert_eq!(dead[0].attribute("outrigger_source"), Some("pubsub"));
    let position = dead[0].attribute("outrigger_position").unwrap();
    assert_eq!(position, format!("projects/test/subscriptions/{SUBSCRIPTION}/{}", ids[1]));
    rig.until_acked().await;
}

/// Answers every event with one of its own.
fn replying() -> Program {
    let attributes = [("id", "r"), ("source", "/f"), ("type", "reply"), ("partitionkey", "k")];
    let attributes = attributes.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let reply = Reply { attributes, data: Some(json!({"n": 1})), ..Reply::default() };
    Program::always(Action { reply: Some(reply), ..Action::default() })
}

#[tokio::test]
async fn a_reply_is_published_before_its_event_is_acknowledged_and_a_paused_key_goes_on() {
    let test = "a_reply_is_published_before_its_event_is_acknowledged_and_a_paused_key_goes_on";
    let Some(rig) = Rig::google(test).await else { return };
    let rig = rig.set("replies.pubsub_topic", "replies");
    rig.function.set_program(replying());
    // Google's client pauses the key of a message that was refused.
    let denied = Fault { method: "Publish", code: "PERMISSION_DENIED", times: 1, reason: "" };
    rig.server.fault(&denied).await;
    let _process = rig.start().await;
    rig.publish(&events("e", 3, 1)).await;
    let replies = rig.until("replies", "three replies", |told| told.len() == 3).await;
    assert_eq!(replies[0].attribute("ce-type"), Some("reply"));
    assert_eq!(replies[0].attribute("content-type"), Some("application/json"));
    assert_eq!((replies[0].bytes(), &*replies[0].ordering_key), (b"{\"n\":1}".to_vec(), "k"));
    rig.until_acked().await;
    assert_eq!(rig.function.stats().ended, 3, "the function is not called again for a reply that waits");
}

#[tokio::test]
async fn row_19_poison_becomes_a_dead_letter_with_its_reason_and_its_key_goes_on() {
    let test = "row_19_poison_becomes_a_dead_letter_with_its_reason_and_its_key_goes_on";
    let Some(rig) = Rig::google(test).await else { return };
    let rig = rig
        .set("dead_letters.pubsub_topic", "dead")
        .set("delivery.attempts_max", "3")
        .set("delivery.backoff.initial", "1ms");
    let all = events("e", 40, 4);
    rig.function.set_program(Program::default().rule(Rule::new(Match::id(&all[0].id), Action::status(500))));
    let _process = rig.start().await;
    rig.publish(&all).await;
    let dead = rig.until("dead", "the dead letter", |told| told.len() == 1).await;
    rig.oracle.accounted(&all[0].id);
    assert_eq!(dead[0].attribute("ce-id"), Some(&*all[0].id));
    assert_eq!(dead[0].bytes(), all[0].data.to_vec());
    assert_eq!(dead[0].attribute("outrigger_code"), Some("exhausted"));
    assert_eq!(dead[0].attribute("outrigger_status"), Some("500"));
    assert_eq!(dead[0].attribute("outrigger_attempts"), Some("3"));
    assert_eq!(dead[0].ordering_key, "key-0");
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_a_dead_letter_and_so_is_the_event_of_such_a_reply() {
    let test = "a_message_that_is_too_large_is_a_dead_letter_and_so_is_the_event_of_such_a_reply";
    let Some(rig) = Rig::google(test).await else { return };
    let rig = rig
        .set("ingress.pubsub.message_bytes_max", "64KiB")
        .set("function.reply_bytes_max", "16MiB")
        .set("replies.pubsub_topic", "replies");
    let large = json!("x".repeat(10_000_001));
    let attributes = [("id", "r"), ("source", "/f"), ("type", "t")];
    let attributes = attributes.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let reply = Reply { attributes, data: Some(large), ..Reply::default() };
    rig.function.set_program(Program::always(Action { reply: Some(reply), ..Action::default() }));
    let _process = rig.start().await;
    let large = Outgoing::new("large", None).with_data("text/plain", vec![b'x'; 100 << 10]);
    rig.publish(&[large, Outgoing::new("small", None)]).await;
    rig.site.until_dead(2).await;
    let mut reasons: Vec<_> = rig.site.letters().await.into_iter().map(|it| it["reason"].clone()).collect();
    reasons.sort_by_key(ToString::to_string);
    assert_eq!(reasons, ["malformed", "reply-refused"]);
    rig.until_acked().await;
    assert_eq!(rig.server.messages("replies").await, []);
}

#[tokio::test]
async fn the_variable_of_googles_emulator_is_honoured_and_check_finds_what_needs_no_server() {
    let test = "the_variable_of_googles_emulator_is_honoured_and_check_finds_what_needs_no_server";
    let Some(rig) = Rig::google(test).await else { return };
    let host = rig.server.address().to_string();
    let site = Site::of(&rig.function)
        .set("pubsub.project", "test")
        .set("ingress.pubsub.subscription", SUBSCRIPTION);
    let mut process = site.launch().env("PUBSUB_EMULATOR_HOST", &host).start().unwrap();
    process.ready(site.admin).await;
    rig.publish(&events("e", 5, 1)).await;
    rig.until_paid().await;
    rig.until_acked().await;
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_with_its_setting() {
    let site = Site::at("http://127.0.0.1:9/").set("ingress.pubsub.subscription", SUBSCRIPTION);
    std::fs::write(site.path("robot.json"), "{\"type\": \"robot\"}").unwrap();
    let robot = site.path("robot.json").display().to_string();
    for (setting, value, expected) in [
        ("ingress.pubsub.subscription", "orders", "pubsub.project"),
        ("ingress.pubsub.subscription", "projects/p/topics/orders", "ingress.pubsub.subscription"),
        ("pubsub.credentials_file", "/no/such/file", "pubsub.credentials_file: /no/such/file"),
        ("pubsub.credentials_file", &*robot, "pubsub.credentials_file: its \"type\" is robot"),
    ] {
        let site = Site::at("http://127.0.0.1:9/")
            .set("ingress.pubsub.subscription", "projects/p/subscriptions/orders")
            .set(setting, value);
        let said = site.refused().await;
        assert!(said.one_line(2).contains(expected), "{setting}: {value}: {said:?}");
        let said = site.verb(&["check"]).await;
        assert!(said.one_line(2).contains(expected), "{setting}: {value}: {said:?}");
    }
}
