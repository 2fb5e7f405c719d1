//! Topics that are written, and the three ways to a token.

use crate::rig::{Rig, SUBSCRIPTION, TOPIC, events};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use outrigger_eventgrid_fake::{config::TEST_TOKEN, queue::QueueSettings};
use outrigger_function::{Action, Function, Program};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

/// Answers each event with one.
fn replies(function: &Function) {
    let attributes =
        serde_json::json!({"id": "r1", "source": "/function", "type": "com.example.reply", "subject": "s"});
    let action = serde_json::json!({"reply": {"attributes": attributes, "data": {"done": true}}});
    function.set_program(Program::always(serde_json::from_value::<Action>(action).unwrap()));
}

/// What was published to a topic of the namespace and waits in its subscription, in words.
fn waiting(rig: &Rig, topic: &str, subscription: &str) -> Vec<String> {
    let now = rig.fake.grid().clock.now();
    rig.fake.grid().change(|state| {
        let queue = state.topics.get_mut(topic).unwrap().get_mut(subscription).unwrap();
        queue.receive(100, now).iter().map(|received| format!("{:?}", received.event)).collect()
    })
}

#[tokio::test]
async fn replies_go_into_a_topic_of_the_namespace_before_their_events_are_acknowledged() {
    let rig = Rig::new().set("replies.eventgrid_topic", "answers");
    replies(&rig.function);
    let _process = rig.start().await;
    rig.publish(&events("e", 20));
    // The topic is not there yet: the events are kept, and the function is not asked again.
    let (_, text) = rig.site.until_readyz("[-] replies: ").await;
    assert!(text.contains("topic answers: it is not there"), "{text}");
    rig.function.wait_for(|stats| stats.ended == 20).await;
    assert_eq!(rig.counts().acknowledged, 0);
    rig.fake.put_queue("answers", "all", QueueSettings::default());
    rig.until(|counts| counts.acknowledged == 20).await;
    assert_eq!(rig.function.stats().ended, 20);
    let all = waiting(&rig, "answers", "all");
    assert!(all.len() == 20 && all.iter().all(|event| event.contains("com.example.reply")), "{all:?}");
    rig.site.until_readyz("[+] replies").await;
    assert_eq!(rig.number("published_total").await, 20);
}

#[tokio::test]
async fn replies_go_into_a_custom_topic_in_its_schema() {
    for (topic, schema) in [("default", "cloudevents"), ("grid", "eventgrid")] {
        let rig = Rig::new();
        let url = format!("{}/{topic}/api/events", rig.fake.url());
        let rig = rig.set("replies.eventgrid_topic", &url).set("replies.eventgrid_schema", schema);
        let rig = rig.set("replies.eventgrid_key_file", "key").set("eventgrid.key_as", "signature");
        replies(&rig.function);
        let _process = rig.start().await;
        rig.publish(&events("e", 10));
        rig.until(|counts| counts.acknowledged == 10).await;
        assert_eq!(rig.fake.grid().look(|state| state.custom[topic].published), 10, "{topic}");
        let by = rig.fake.grid().look(|state| {
            let seen = state.seen.iter().filter(|seen| seen.path.contains("/api/events"));
            seen.map(|seen| seen.by).collect::<Vec<_>>()
        });
        assert!(!by.is_empty() && by.iter().all(|by| by.is_some_and(|by| by.contains("sas"))), "{by:?}");
    }
}

/// What a token endpoint was asked: the target, the headers that name a client, the form.
type Asked = Arc<Mutex<Vec<(String, String, String)>>>;

/// Gives out the fake's token to whoever asks.
async fn token_endpoint() -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Asked::default());
    let seen = asked.clone();
    let answer = move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let header =
                |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            let named = header("authorization").or_else(|| header("x-identity-header")).unwrap_or_default();
            let target = request.uri().to_string();
            let form = request.into_body().collect().await.unwrap().to_bytes();
            seen.lock().unwrap().push((target, named, String::from_utf8(form.to_vec()).unwrap()));
            let answer =
                format!(r#"{{"access_token":"{TEST_TOKEN}","token_type":"Bearer","expires_in":"3600"}}"#);
            Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from(answer))))
        }
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn tokens_are_had_by_a_secret_by_a_service_account_and_by_the_machine_itself() {
    for method in ["client-secret", "workload-identity", "managed-identity"] {
        let (address, asked) = token_endpoint().await;
        let rig = Rig::new().set("eventgrid.key_file", "none").set("eventgrid.entra.method", method);
        let rig = rig.set("replies.eventgrid_topic", TOPIC);
        let rig = match method {
            "client-secret" => rig
                .set("eventgrid.entra.tenant", "t")
                .set("eventgrid.entra.client_id", "c")
                .set("eventgrid.entra.client_secret_file", "secret")
                .set("eventgrid.entra.authority", &format!("http://{address}")),
            _ => rig,
        };
        std::fs::write(rig.site.path("secret"), "s3cret").unwrap();
        std::fs::write(rig.site.path("assertion"), "a.b.c").unwrap();
        let launch = rig.site.launch();
        let launch = match method {
            "workload-identity" => launch
                .env("AZURE_TENANT_ID", "t")
                .env("AZURE_CLIENT_ID", "c")
                .env("AZURE_FEDERATED_TOKEN_FILE", "assertion")
                .env("AZURE_AUTHORITY_HOST", format!("http://{address}/")),
            "managed-identity" => launch
                .env("IDENTITY_ENDPOINT", format!("http://{address}/msi/token"))
                .env("IDENTITY_HEADER", "known"),
            _ => launch,
        };
        let mut process = launch.start().unwrap();
        process.ready(rig.site.admin).await;
        rig.publish(&events("e", 10));
        rig.all_is_well(0).await;
        let by = rig.fake.grid().look(|state| state.seen.iter().map(|seen| seen.by).collect::<Vec<_>>());
        assert!(by.iter().all(Option::is_some), "{by:?}");
        assert!(
            !process.log().contains("s3cret") && !process.log().contains(TEST_TOKEN),
            "{}",
            process.log()
        );
        let (target, named, form) = asked.lock().unwrap()[0].clone();
        match method {
            "client-secret" => {
                assert_eq!(target, "/t/oauth2/v2.0/token");
                assert!(named.starts_with("Basic "), "{named}");
                assert!(form.contains("scope=https%3A%2F%2Feventgrid.azure.net%2F.default"), "{form}");
            }
            "workload-identity" => {
                assert_eq!(target, "/t/oauth2/v2.0/token");
                assert!(form.contains("client_assertion=a.b.c") && form.contains("client_id=c"), "{form}");
            }
            _ => {
                assert_eq!(
                    target,
                    "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Feventgrid.azure.net"
                );
                assert_eq!(named, "known");
            }
        }
        let left = rig.fake.grid().look(|state| state.topics[TOPIC][SUBSCRIPTION].left());
        assert_eq!(left, (0, 0));
    }
}
