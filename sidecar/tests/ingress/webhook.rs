//! The handshake by which a sender of webhooks asks whether it may deliver here.

use super::{Door, post, raw};
use outrigger_testkit::{Mode, Outgoing};

/// The status and the headers that a handshake from `origin` is answered with.
async fn handshake(door: &Door, path: &str, origin: &str) -> (u16, String) {
    let request = format!(
        "OPTIONS {path} HTTP/1.1\r\nhost: o\r\nconnection: close\r\nWebHook-Request-Origin: {origin}\r\n\
         WebHook-Request-Rate: 600\r\nWebHook-Request-Callback: {}hooked\r\n\r\n",
        door.function.url()
    );
    let (status, answer) = raw(door.site.ingress, [request.into_bytes()]).await;
    (status, answer.to_lowercase())
}

#[tokio::test]
async fn a_webhook_of_a_known_origin_is_granted_and_its_callback_never_called() {
    let mut door = Door::open(|site| {
        site.set("ingress.http.webhook", "{origins: [hooks.example, eventgrid.azure.net], rate: 120}")
            .set("ingress.http.auth", "{bearer_file: token}")
    })
    .await;
    let (status, answer) = handshake(&door, "/", "EventGrid.azure.net").await;
    assert_eq!(status, 200, "without a token: it says nothing about who may send");
    for line in
        ["webhook-allowed-origin: eventgrid.azure.net", "webhook-allowed-rate: 120", "allow: post, options"]
    {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{line} is missing: {answer}");
    }
    let (status, answer) = handshake(&door, "/", "other.example").await;
    assert_eq!((status, answer.contains("webhook-")), (200, false), "consent is the header: {answer}");
    let (status, answer) = handshake(&door, "/elsewhere", "hooks.example").await;
    assert_eq!((status, answer.contains("webhook-")), (401, false), "{answer}");
    assert_eq!(post(&door.site.producer(), &[], "{}").await.status(), 401, "it lets nobody in");
    assert!(door.site.metric("outrigger_webhook_refused_total{reason=\"origin\"}").await > 0.5);

    let known = door.site.producer().with_header("authorization", "Bearer right");
    assert_eq!(known.send(&Outgoing::new("fresh", None), Mode::Binary).await.unwrap().status(), 202);
    door.function.wait_for(|stats| stats.ended == 1).await;
    let asked: Vec<_> = door.function.log().into_iter().map(|call| call.id).collect();
    assert_eq!(asked, [Some("fresh".into())], "the callback was not called");
    assert!(door.process.is_running());
}

#[tokio::test]
async fn a_webhook_is_granted_to_anyone_or_by_default_to_nobody() {
    let closed = Door::open(|site| site).await;
    let (status, answer) = handshake(&closed, "/", "hooks.example").await;
    assert_eq!((status, answer.contains("webhook-")), (200, false), "{answer}");
    assert!(closed.site.metric("outrigger_webhook_refused_total{reason=\"off\"}").await > 0.5);
    let open = Door::open(|site| site.set("ingress.http.webhook.origins", "\"*\"")).await;
    let (status, answer) = handshake(&open, "/", "hooks.example").await;
    assert_eq!(status, 200);
    for line in ["webhook-allowed-origin: *", "webhook-allowed-rate: *"] {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{line} is missing: {answer}");
    }
}

#[tokio::test]
async fn a_stranger_is_not_told_what_is_there() {
    let door = Door::open(|site| site.set("ingress.http.auth", "{bearer_file: token}")).await;
    let mut answers = Vec::new();
    for line in ["GET /", "DELETE /", "OPTIONS /", "POST /", "POST /elsewhere", "GET /elsewhere"] {
        let request = |known: &str| {
            format!("{line} HTTP/1.1\r\nhost: o\r\nconnection: close\r\ncontent-length: 0\r\n{known}\r\n")
                .into_bytes()
        };
        let (status, answer) = raw(door.site.ingress, [request("")]).await;
        assert_eq!(status, 401, "{line}");
        answers.push(answer.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n"));
        let (status, _) = raw(door.site.ingress, [request("authorization: Bearer right\r\n")]).await;
        let expected = match line {
            "GET /" | "DELETE /" => 405,
            "OPTIONS /" => 200,
            "POST /" => 400,
            _ => 404,
        };
        assert_eq!(status, expected, "{line}, by somebody who is known");
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}
