//! The answers that are right, the record of them, and the endpoints below `/_/`, over real connections.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use outrigger_function::{Action, Function, Match, Program, Record, Rule, book::Keep, server::Setup};

type Http = Client<HttpConnector, Full<Bytes>>;

fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn send(client: &Http, request: http::request::Builder, body: &'static str) -> Response<Bytes> {
    let response = client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

fn event(function: &Function, id: &str, key: &str) -> http::request::Builder {
    Request::post(format!("{}/in?x=1", function.url()))
        .header("ce-id", id)
        .header("ce-source", "s")
        .header("ce-type", "t")
        .header("ce-partitionkey", key)
        .header("content-type", "text/plain")
}

async fn ask(client: &Http, method: &str, url: String, body: &'static str) -> Response<Bytes> {
    send(client, Request::builder().method(method).uri(url), body).await
}

#[tokio::test]
async fn the_record_holds_what_was_sent_byte_for_byte() {
    let (function, client) = (Function::start(Program::default()), client());
    assert_eq!(send(&client, event(&function, "1", "k"), "hello").await.status(), 200);
    let log = function.log();
    let record = &log[0];
    assert_eq!((record.n, record.attempt, record.status), (1, 1, Some(200)));
    assert_eq!((record.id.as_deref(), record.key.as_deref()), (Some("1"), Some("k")));
    assert_eq!((&*record.method, &*record.path), ("POST", "/in"));
    assert_eq!(record.body.as_deref(), Some(&b"hello"[..]));
    assert_eq!((record.body_len, record.body_crc), (5, 0x3610_a686));
    assert!(record.headers.contains(&("ce-type".to_owned(), "t".to_owned())));
    assert!(record.ended_us.unwrap() >= record.started_us);
}

#[tokio::test]
async fn the_same_record_and_counts_come_over_http_and_can_be_cleared() {
    let (function, client) = (Function::start(Program::default()), client());
    send(&client, event(&function, "1", "k"), "hello").await;
    let log = ask(&client, "GET", format!("{}/_/log", function.url()), "").await.into_body();
    assert_eq!(serde_json::from_slice::<Record>(&log).unwrap(), function.log()[0]);
    let waited = ask(&client, "GET", format!("{}/_/wait?ended=1", function.url()), "").await.into_body();
    assert_eq!(serde_json::from_slice::<outrigger_function::Stats>(&waited).unwrap(), function.stats());
    assert_eq!(ask(&client, "DELETE", format!("{}/_/log", function.url()), "").await.status(), 204);
    assert_eq!((function.log().len(), function.stats().received), (0, 0));
    assert_eq!(ask(&client, "GET", format!("{}/_/health", function.url()), "").await.status(), 200);
    assert_eq!(ask(&client, "GET", format!("{}/_/wait?nothing=1", function.url()), "").await.status(), 400);
}

#[tokio::test]
async fn a_program_can_be_replaced_while_it_runs_and_a_wrong_one_is_refused() {
    let (function, client) = (Function::start(Program::default()), client());
    let url = format!("{}/_/program", function.url());
    let rules = r#"[{"until": 2, "do": {"status": 503, "retry_after": "1"}}]"#;
    assert_eq!(ask(&client, "PUT", url.clone(), rules).await.status(), 204);
    let refused = ask(&client, "PUT", url, r#"[{"do": {"stauts": 1}}]"#).await;
    assert_eq!(refused.status(), 400);
    assert!(String::from_utf8_lossy(refused.body()).contains("stauts"));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(send(&client, event(&function, "1", "k"), "").await);
    }
    let seen: Vec<_> = statuses.iter().map(|response| response.status().as_u16()).collect();
    assert_eq!(seen, [503, 503, 200]);
    assert_eq!(statuses[0].headers()["retry-after"], "1");
}

#[tokio::test]
async fn replies_come_in_both_modes_and_bodies_in_all_kinds() {
    let program = r#"[
        {"match": {"id": "binary"}, "do": {"reply": {"attributes": {"id": "r", "type": "t"}, "data": {"a": 1}}}},
        {"match": {"id": "structured"}, "do": {"reply": {"structured": true, "attributes": {"id": "r"}}}},
        {"match": {"id": "echo"}, "do": {"body": "echo", "headers": {"x-a": "b"}}},
        {"match": {"id": "base64"}, "do": {"body": {"base64": "/w=="}, "close": true}},
        {"match": {"id": "away"}, "do": {"redirect": "http://elsewhere/"}}]"#;
    let (function, client) = (Function::start(Program::parse(program).unwrap()), client());
    let binary = send(&client, event(&function, "binary", "k"), "").await;
    assert_eq!(
        (&binary.headers()["ce-specversion"], &binary.headers()["ce-id"]),
        (&"1.0".parse().unwrap(), &"r".parse().unwrap())
    );
    assert_eq!(binary.body(), r#"{"a":1}"#);
    let structured = send(&client, event(&function, "structured", "k"), "").await;
    assert_eq!(structured.headers()["content-type"], "application/cloudevents+json");
    assert_eq!(structured.body(), r#"{"id":"r","specversion":"1.0"}"#);
    let echo = send(&client, event(&function, "echo", "k"), "same").await;
    assert_eq!(
        (echo.body().as_ref(), &echo.headers()["content-type"]),
        (&b"same"[..], &"text/plain".parse().unwrap())
    );
    assert_eq!(echo.headers()["x-a"], "b");
    let base64 = send(&client, event(&function, "base64", "k"), "").await;
    assert_eq!(
        (base64.body().as_ref(), &base64.headers()["connection"]),
        (&b"\xff"[..], &"close".parse().unwrap())
    );
    let away = send(&client, event(&function, "away", "k"), "").await;
    assert_eq!(
        (away.status().as_u16(), &away.headers()["location"]),
        (307, &"http://elsewhere/".parse().unwrap())
    );
}

#[tokio::test]
async fn a_gate_holds_requests_until_the_test_lets_them_through() {
    let held = Rule::new(Match::key("k"), Action::hold("gate"));
    let (function, client) = (Function::start(Program::default().rule(held)), client());
    let calls: Vec<_> = ["1", "2", "3"]
        .map(|id| {
            tokio::spawn({
                let (client, request) = (client.clone(), event(&function, id, "k"));
                async move { send(&client, request, "").await.status().as_u16() }
            })
        })
        .into();
    function.wait_for(|stats| stats.held == 3).await;
    assert_eq!(function.stats().overlaps, 2, "two of the three started while the first one ran");
    function.release("gate", 1);
    let stats = function.wait_for(|stats| stats.ended == 1).await;
    assert_eq!((stats.held, stats.running), (2, 2));
    function.open("gate");
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(send(&client, event(&function, "4", "k"), "").await.status(), 200);
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_accepts_nothing_new() {
    let (function, client) = (Function::start(Program::always(Action::hold("gate"))), client());
    let call = tokio::spawn({
        let (client, request) = (client.clone(), event(&function, "1", "k"));
        async move { send(&client, request, "").await.status().as_u16() }
    });
    function.wait_for(|stats| stats.held == 1).await;
    function.release("gate", 1);
    let address = function.addr();
    let code = tokio::task::spawn_blocking(move || function.drain()).await.unwrap();
    assert_eq!((code, call.await.unwrap()), (0, 200));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn a_function_ends_by_itself_after_as_many_requests_as_asked() {
    let setup = Setup { exit_after: Some((2, 7)), ..Setup::default() };
    let (function, client) = (Function::start_with(setup).unwrap(), client());
    assert_eq!(send(&client, event(&function, "1", "k"), "").await.status(), 200);
    assert_eq!(send(&client, event(&function, "2", "k"), "").await.status(), 200);
    assert_eq!(tokio::task::spawn_blocking(move || function.drain()).await.unwrap(), 7);
}

#[tokio::test]
async fn a_quiet_function_records_what_benches_need_and_no_more() {
    let keep = Keep { quiet: true, ..Keep::default() };
    let (function, client) = (Function::start_with(Setup { keep, ..Setup::default() }).unwrap(), client());
    send(&client, event(&function, "1", "k"), "hello").await;
    let record = &function.log()[0];
    assert_eq!(
        (record.id.as_deref(), record.key.as_deref(), record.body_crc),
        (Some("1"), Some("k"), 0x3610_a686)
    );
    assert_eq!((record.headers.len(), &record.body, &*record.path), (0, &None, ""));
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused_and_not_recorded() {
    let setup = Setup { body_bytes_max: 4, ..Setup::default() };
    let (function, client) = (Function::start_with(setup).unwrap(), client());
    assert_eq!(send(&client, event(&function, "1", "k"), "hello").await.status(), 413);
    assert_eq!(function.stats().received, 0);
}
