//! Pub/Sub's messages: wrapped and unwrapped, those that are events and those that are none.

use crate::rig::{At, one, open_to_all, post, post_to, push};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn envelope(message: &Value) -> String {
    json!({"message": message, "subscription": "projects/p/subscriptions/s"}).to_string()
}

#[tokio::test]
async fn a_message_reaches_the_function_as_googles_event_and_an_event_as_itself() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let _process = site.start().await;
    let plain = json!({
        "data": "dGVzdA==", "messageId": "7", "publishTime": "2021-02-26T19:13:55.749Z", "orderingKey": "k",
        "attributes": {"a": "1"},
    });
    assert_eq!(push(&site, At::Pubsub, envelope(&plain)).await.status(), 204);
    function.wait_for(|stats| stats.ended == 1).await;
    let event = json!({
        "data": STANDARD.encode("{ \"a\" : 1 }"), "messageId": "8", "orderingKey": "k",
        "attributes": {"ce-specversion": "1.0", "ce-id": "e", "ce-source": "/s", "ce-type": "t", "content-type": "application/json"},
    });
    assert_eq!(push(&site, At::Pubsub, envelope(&event)).await.status(), 204);
    function.wait_for(|stats| stats.ended == 2).await;
    let unwrapped = [
        ("x-goog-pubsub-message-id", "9"),
        ("x-goog-pubsub-subscription-name", "projects/p/subscriptions/s"),
        ("x-goog-pubsub-ordering-key", "k"),
    ];
    assert_eq!(post(&site, "/pubsub", &unwrapped, "test").await.status(), 204);
    function.wait_for(|stats| stats.ended == 3).await;

    let log = function.log();
    let source = "//pubsub.googleapis.com/projects/p/topics/t";
    let published = "google.cloud.pubsub.topic.v1.messagePublished";
    for (record, id, source, ty) in
        [(&log[0], "7", source, published), (&log[1], "e", "/s", "t"), (&log[2], "9", source, published)]
    {
        assert_eq!(record.id.as_deref(), Some(id));
        assert_eq!((record.source.as_deref(), record.ty.as_deref()), (Some(source), Some(ty)));
        assert_eq!(record.key.as_deref(), Some("k"), "the ordering key");
    }
    let body = |index: usize| log[index].body.clone().unwrap();
    let data: Value = serde_json::from_slice(&body(0)).unwrap();
    assert_eq!(data, json!({"subscription": "projects/p/subscriptions/s", "message": plain}));
    assert_eq!(body(1).as_ref(), b"{ \"a\" : 1 }");
    let data: Value = serde_json::from_slice(&body(2)).unwrap();
    assert_eq!(data["message"]["data"], "dGVzdA==");
}

#[tokio::test]
async fn row_34_a_message_that_is_no_event_but_says_so_is_a_dead_letter_and_acknowledged() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let _process = site.start().await;
    let broken =
        json!({"data": "e30=", "messageId": "7", "attributes": {"ce-specversion": "1.0", "ce-id": "1"}});
    assert_eq!(push(&site, At::Pubsub, envelope(&broken)).await.status(), 204);
    let letters = site.letters().await;
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &json!("malformed")));
    assert_eq!(
        push(&site, At::Pubsub, "{}").await.status(),
        400,
        "Pub/Sub never sends that, so it is kept there"
    );
    assert_eq!(site.letters().await.len(), 1);
    assert_eq!(function.stats().received, 0);
}

#[tokio::test]
async fn synchronously_only_what_the_function_has_is_acknowledged_and_what_it_never_takes_is_kept() {
    let refused = Rule::new(Match::id("never"), Action::status(400));
    let failing = Rule::new(Match::id("later"), Action::status(500)).times(1);
    let function = Function::start(Program::default().rule(refused).rule(failing));
    let site = open_to_all(&function).set("ingress.http.sync", "true");
    let _process = site.start().await;
    let send = async |id: &'static str| push(&site, At::Pubsub, one(At::Pubsub, id)).await.status().as_u16();
    assert_eq!(send("1").await, 204);
    assert_eq!(send("later").await, 503);
    assert_eq!(send("later").await, 204);
    assert_eq!(send("never").await, 204);
    let letters = site.letters().await;
    assert_eq!((letters.len(), &letters[0]["status"]), (1, &json!(400)));
}

#[tokio::test]
async fn the_largest_message_of_pubsub_is_taken() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let _process = site.start().await;
    let message = json!({"data": STANDARD.encode(vec![7; 10_000_000]), "messageId": "7"});
    let answer = push(&site, At::Pubsub, envelope(&message)).await;
    assert_eq!(answer.status(), 204, "{:?}", answer.body());
    function.wait_for(|stats| stats.ended == 1).await;
}

#[tokio::test]
async fn each_path_is_its_own_and_the_proxy_leads_to_them() {
    let function = Function::start(Program::default());
    let proxy = outrigger_testkit::free_port();
    let site = open_to_all(&function)
        .set("ingress.http.auth.bearer_file", "token")
        .set("proxy.listen", &format!("127.0.0.1:{proxy}"))
        .set("proxy.routes", "{/eventgrid: ingress, /events: ingress}");
    std::fs::write(site.path("token"), "right").unwrap();
    let _process = site.start().await;
    assert_eq!(post(&site, "/", &[("authorization", "Bearer right")], "").await.status(), 400, "no event");
    assert_eq!(post(&site, "/", &[], "").await.status(), 401);
    assert_eq!(post(&site, "/elsewhere", &[], "").await.status(), 401, "a stranger is told nothing");
    let known = [("authorization", "Bearer right")];
    assert_eq!(post(&site, "/elsewhere", &known, "").await.status(), 404);
    assert_eq!(
        push(&site, At::Pubsub, one(At::Pubsub, "1")).await.status(),
        204,
        "ingress.http.auth is not its own"
    );

    let proxy = SocketAddr::from(([127, 0, 0, 1], proxy));
    let event = [("content-type", "application/cloudevents+json")];
    assert_eq!(post_to(proxy, "/eventgrid", &event, one(At::EventGrid, "2")).await.status(), 200);
    assert_eq!(
        post_to(proxy, "/events", &[], "").await.status(),
        401,
        "the ingress of CloudEvents, by its guard"
    );
    function.wait_for(|stats| stats.ended == 2).await;
}
