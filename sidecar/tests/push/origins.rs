//! Other senders, each at its own path: known by what they can show, read as `normalize` shows, answered as they understand.

use crate::{common::Site, rig::post};
use outrigger_function::{Function, Program};
use outrigger_testkit::issuer::github_signature;
use serde_json::json;
use std::fs;

const ORIGINS: &str = "[{path: /eventbridge, from: eventbridge, secret_file: secret}, \
                       {path: /github, from: github, secret_file: secret}, \
                       {path: /sns, from: sns, secret_file: secret, secret_query: key, topics: \"arn:aws:sns:eu-west-1:1:t\"}, \
                       {path: /orders, source: /shop, type: order, id_header: Idempotency-Key, secret_file: secret}, \
                       {path: /open, auth: none}]";

fn site(function: &Function) -> Site {
    let site = Site::of(function).set("ingress.origins", ORIGINS);
    fs::write(site.path("secret"), "one\n").unwrap();
    site
}

fn bridged(id: &str) -> String {
    let event = json!({
        "version": "0", "id": id, "detail-type": "Order Placed", "source": "com.example.shop", "account": "1",
        "time": "2026-01-31T12:00:00Z", "region": "eu-west-1", "resources": [], "detail": {"n": 1},
    });
    event.to_string()
}

#[tokio::test]
async fn each_sender_reaches_the_function_by_what_it_can_show() {
    let function = Function::start(Program::default());
    let site = site(&function);
    let _process = site.start().await;
    let key = [("x-api-key", "one"), ("content-type", "application/json")];
    assert_eq!(post(&site, "/eventbridge", &key, bridged("b")).await.status(), 200);
    let hook = r#"{ "action": "opened", "issue": {"number": 7}, "repository": {"url": "https://api.github.com/repos/o/r"} }"#;
    let signature = github_signature("one", hook.as_bytes());
    let github =
        [("x-hub-signature-256", &*signature), ("x-github-event", "issues"), ("x-github-delivery", "g")];
    assert_eq!(post(&site, "/github", &github, hook).await.status(), 202);
    let message =
        r#"{"Type":"Notification","MessageId":"s","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":"hi"}"#;
    assert_eq!(post(&site, "/sns?key=one", &[("content-type", "text/plain")], message).await.status(), 200);
    let order = [("x-api-key", "one"), ("content-type", "text/csv"), ("idempotency-key", "o")];
    assert_eq!(post(&site, "/orders", &order, "a,b").await.status(), 202);
    assert_eq!(post(&site, "/open", &[], "x").await.status(), 202);
    function.wait_for(|stats| stats.ended == 5).await;

    let log = function.log();
    let record = |id: &str| log.iter().find(|record| record.id.as_deref() == Some(id)).unwrap();
    for (id, source, ty, body) in [
        ("b", "com.example.shop", "Order Placed", "{\"n\":1}"),
        ("g", "https://api.github.com/repos/o/r", "com.github.issues.opened", hook),
        ("s", "arn:aws:sns:eu-west-1:1:t", "com.amazonaws.sns.Notification", message),
        ("o", "/shop", "order", "a,b"),
    ] {
        let record = record(id);
        assert_eq!((record.source.as_deref(), record.ty.as_deref()), (Some(source), Some(ty)));
        assert_eq!(record.body.as_ref().unwrap(), body);
    }
    assert!(log.iter().any(|record| record.ty.as_deref() == Some("http.request")));
}

#[tokio::test]
async fn who_is_not_known_is_refused_and_counted_at_its_own_path() {
    let function = Function::start(Program::default());
    let site = site(&function);
    let _process = site.start().await;
    for (path, headers) in [
        ("/eventbridge", vec![]),
        ("/eventbridge", vec![("x-api-key", "two")]),
        ("/github", vec![("x-api-key", "one")]),
        ("/github", vec![("x-hub-signature-256", "sha256=00")]),
        ("/sns", vec![]),
        ("/sns?key=two", vec![]),
        ("/orders", vec![]),
    ] {
        let status = post(&site, path, &headers, bridged("1")).await.status();
        assert_eq!(status, 401, "{path} {headers:?}");
    }
    let hook = "{}";
    let other = github_signature("other", hook.as_bytes());
    assert_eq!(post(&site, "/github", &[("x-hub-signature-256", &other)], hook).await.status(), 401);
    assert_eq!(function.stats().received, 0);
    let name = "outrigger_auth_refused_total{listener=\"eventbridge:/eventbridge\",reason=\"missing\"}";
    assert!((site.metric(name).await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn what_can_never_be_an_event_is_kept_for_aws_and_told_to_others() {
    let function = Function::start(Program::default());
    let site = site(&function);
    let _process = site.start().await;
    let key = [("x-api-key", "one"), ("content-type", "application/json")];
    assert_eq!(post(&site, "/eventbridge", &key, "{\"id\":\"1\"}").await.status(), 200);
    let letters = site.letters().await;
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &json!("malformed")));
    let signature = github_signature("one", b"{}");
    let answer = post(&site, "/github", &[("x-hub-signature-256", &signature)], "{}").await;
    assert_eq!(answer.status(), 400);
    assert!(String::from_utf8_lossy(answer.body()).contains("x-github-delivery: is missing"));
    let wrong = [("x-api-key", "one"), ("content-type", "application/cloudevents+json")];
    assert_eq!(post(&site, "/orders", &wrong, "{}").await.status(), 400);
    assert_eq!(site.letters().await.len(), 1);
    assert_eq!(function.stats().received, 0);
}

#[tokio::test]
async fn a_subscription_of_sns_that_nobody_named_is_answered_and_not_followed() {
    let function = Function::start(Program::default());
    let site = site(&function);
    let process = site.start().await;
    for (topic, url) in [
        ("arn:aws:sns:eu-west-1:1:other", "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"),
        ("arn:aws:sns:eu-west-1:1:t", "https://169.254.169.254/latest/meta-data/"),
    ] {
        let asks = json!({"Type": "SubscriptionConfirmation", "MessageId": "1", "TopicArn": topic, "Message": "m", "SubscribeURL": url});
        assert_eq!(post(&site, "/sns?key=one", &[], asks.to_string()).await.status(), 200);
        process.line("a subscription of SNS is not confirmed").await;
    }
    assert_eq!((function.stats().received, site.letters().await.len()), (0, 0));
}

#[tokio::test]
async fn check_says_who_sends_where_and_what_is_wrong_with_a_secret() {
    let function = Function::start(Program::default());
    let site = site(&function);
    fs::write(site.path("outrigger.yaml"), site.yaml()).unwrap();
    let checked = site.verb(&["check"]).await;
    for line in [
        "eventbridge pushes to http://",
        "/github; who signs the body with a secret is let in",
        "/open; anyone who can connect",
    ] {
        assert!(checked.stdout.contains(line), "{checked:?}");
    }
    fs::remove_file(site.path("secret")).unwrap();
    let checked = site.verb(&["check"]).await;
    assert!(checked.stderr.contains("ingress.origins.secret_file"), "{checked:?}");
}

#[tokio::test]
async fn a_body_that_its_path_allows_is_taken_however_little_may_be_received_at_once() {
    let function = Function::start(Program::default());
    let site = Site::of(&function)
        .set("ingress.http.receiving_bytes_max", "64KiB")
        .set("ingress.origins", "[{path: /large, auth: none, body_bytes_max: 16MiB}]");
    let _process = site.start().await;
    let answer = post(&site, "/large", &[("content-type", "text/plain")], "x".repeat(10 << 20)).await;
    assert_eq!(answer.status(), 202, "{:?}", answer.body());
}
