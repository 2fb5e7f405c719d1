//! Bodies that are signed with a shared secret.

use crate::common::{Site, gzip, headers};
use bytes::Bytes;
use outrigger_function::{Function, Program};
use outrigger_testkit::{Outgoing, issuer::github_signature};
use serde_json::json;

fn signed(secret: &str, event: &Outgoing) -> http::HeaderMap {
    let mut headers = event.headers();
    headers.insert("x-hub-signature-256", github_signature(secret, &event.data).parse().unwrap());
    headers
}

#[tokio::test]
async fn a_body_that_is_signed_as_github_signs_is_let_in_and_a_changed_one_is_not() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("ingress.http.auth.hmac.secret_file", "secret");
    std::fs::write(site.path("secret"), "old\nnew\n").unwrap();
    let _process = site.start().await;
    let producer = site.producer();
    let event = Outgoing::new("1", None).with_data("application/json", "{ \"a\" : 1 }");
    for secret in ["old", "new"] {
        let answer = producer.post(signed(secret, &event), event.data.clone()).await.unwrap();
        assert_eq!(answer.status(), 202, "{secret}");
    }
    function.wait_for(|stats| stats.ended == 2).await;
    assert_eq!(function.log()[0].body.as_ref(), Some(&event.data));

    let other = producer.post(signed("other", &event), event.data.clone()).await.unwrap();
    assert_eq!(
        (other.status().as_u16(), &other.headers()["www-authenticate"]),
        (401, &"Body-HMAC".parse().unwrap())
    );
    let changed = producer.post(signed("new", &event), "{ \"a\" : 2 }").await.unwrap();
    assert_eq!(changed.status(), 401);
    let none = producer.post(event.headers(), event.data.clone()).await.unwrap();
    assert_eq!(none.status(), 401);
    assert_eq!(function.stats().received, 2);
}

#[tokio::test]
async fn of_a_signed_body_only_what_it_says_itself_fits_a_rule() {
    let function = Function::start(Program::default());
    let site = Site::of(&function)
        .set("ingress.http.auth.hmac.secret_file", "secret")
        .set("ingress.http.auth.allow", "[{types: io.outrigger.*}]");
    std::fs::write(site.path("secret"), "secret").unwrap();
    let process = site.start().await;
    let post = async |headers: http::HeaderMap, body: &Bytes| {
        let mut headers = headers;
        headers.insert("x-hub-signature-256", github_signature("secret", body).parse().unwrap());
        site.producer().post(headers, body.clone()).await.unwrap().status().as_u16()
    };
    let (mine, other) =
        (Outgoing::new("1", None), Outgoing { ty: "com.other".to_owned(), ..Outgoing::new("2", None) });
    assert_eq!(post(mine.headers(), &mine.data).await, 403, "its headers are not signed");
    process.line("not signed; send the event in the structured mode").await;
    let structured = |event: &Outgoing| {
        let event = json!({"specversion": "1.0", "id": event.id, "source": event.source, "type": event.ty});
        Bytes::from(event.to_string())
    };
    let kind = || headers([("content-type", "application/cloudevents+json")]);
    assert_eq!(post(kind(), &structured(&mine)).await, 202);
    assert_eq!(post(kind(), &structured(&other)).await, 403);
    function.wait_for(|stats| stats.ended == 1).await;
    let checked = site.verb(&["check", "outrigger.yaml"]).await;
    assert!(checked.stdout.contains("of a signed body sources and types count"), "{checked:?}");
}

#[tokio::test]
async fn rows_29_30_and_32_hold_before_anybody_is_known() {
    let function = Function::start(Program::default());
    let site = Site::of(&function)
        .set("ingress.http.auth.hmac.secret_file", "secret")
        .set("ingress.http.body_bytes_max", "64KiB");
    std::fs::write(site.path("secret"), "secret").unwrap();
    let mut process = site.start().await;
    let (producer, before) = (site.producer(), process.resident_bytes().unwrap());
    let large = Outgoing::new("1", None).with_data("text/plain", vec![b'x'; 4 << 20]);
    assert_eq!(producer.post(signed("secret", &large), large.data.clone()).await.unwrap().status(), 413);
    let bomb = Outgoing::new("1", None).with_data("text/plain", gzip(&vec![0; 16 << 20]));
    let mut packed = signed("secret", &bomb);
    packed.insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(
        producer.post(packed, bomb.data.clone()).await.unwrap().status(),
        401,
        "nothing is unpacked for it"
    );
    let long = headers([("authorization", &format!("Bearer {}", "x".repeat(100_000)))]);
    assert_eq!(producer.post(long, "").await.unwrap().status(), 431);
    let grown = process.resident_bytes().unwrap().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more than before");
    let fresh = Outgoing::new("fresh", None);
    assert_eq!(producer.post(signed("secret", &fresh), fresh.data.clone()).await.unwrap().status(), 202);
    function.wait_for(|stats| stats.ended == 1).await;
    assert!(process.is_running());
}
