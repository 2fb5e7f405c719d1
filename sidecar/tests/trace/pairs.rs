//! Timelines beside each part of the cache, and all of them together: each stands in its place, and none hides another.

use crate::{PARENT, SAMPLED, TRACE, common::Site, traced};
use ::http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use outrigger_function::{Function, Program, program::Action};
use outrigger_testkit::{Mode, Outgoing, otelcol::Collector, place::free_port};
use std::collections::BTreeMap;

/// The steps of each timeline of an event.
async fn steps(site: &Site, id: &str) -> Vec<Vec<String>> {
    let known = site.verb(&["trace", id, "--json"]).await.json();
    let told = |timeline: &serde_json::Value| -> Vec<String> {
        let steps = timeline["steps"].as_array().unwrap();
        steps.iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect()
    };
    known["timelines"].as_array().unwrap().iter().map(told).collect()
}

fn question(id: &str) -> Outgoing {
    Outgoing::new(id, None).with_data("application/json", r#"{"q": 2}"#)
}

/// Senders wait for the outcome, and timelines stay in the process.
fn local(function: &Function) -> Site {
    Site::of(function).set("ingress.http.sync", "true").set("trace.export", "local")
}

async fn send(site: &Site, event: &Outgoing) {
    let answer = site.producer().send(event, Mode::Binary).await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// A GET by a client of the proxy: what the cache says, and the body.
async fn get(proxy: &str, path: &str, trace: Option<&str>) -> (String, bytes::Bytes) {
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().uri(format!("http://{proxy}{path}"));
    if let Some(trace) = trace {
        request = request.header("traceparent", trace);
    }
    let answer = client.request(request.body(Full::default()).unwrap()).await.unwrap();
    let status = answer.headers()["cache-status"].to_str().unwrap().to_owned();
    (status, answer.into_body().collect().await.unwrap().to_bytes())
}

fn fresh() -> Program {
    let headers = BTreeMap::from([("cache-control".to_owned(), "max-age=60".to_owned())]);
    Program::always(Action { headers, ..Action::text("four") })
}

#[tokio::test]
async fn a_duplicate_has_a_timeline_without_an_attempt() {
    let function = Function::start(Program::default());
    let site = local(&function).set("cache.dedup.window", "1h");
    let _process = site.start().await;
    for _ in 0..2 {
        send(&site, &Outgoing::new("a", None)).await;
    }
    let told = steps(&site, "a").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], ["received", "queued", "attempted", "answered", "settled"]);
    assert!(
        told[1].contains(&"duplicate".to_owned()) && !told[1].contains(&"attempted".to_owned()),
        "{told:?}"
    );
    assert_eq!(told[1].last().map(String::as_str), Some("settled"));
    assert_eq!(function.stats().received, 1);
}

#[tokio::test]
async fn an_attempt_that_a_kept_result_answers_says_so() {
    let function = Function::start(Program::always(Action::text("four")));
    let site = local(&function).set("cache.results.key", "/data/q");
    let _process = site.start().await;
    for id in ["a", "b"] {
        send(&site, &question(id)).await;
    }
    assert_eq!(steps(&site, "a").await, [["received", "queued", "attempted", "answered", "settled"]]);
    assert_eq!(
        steps(&site, "b").await,
        [["received", "queued", "attempted", "recalled", "answered", "settled"]]
    );
    assert_eq!(function.stats().received, 1);
}

#[tokio::test]
async fn a_kept_response_is_no_span_and_carries_nobodys_trace() {
    let test = "a_kept_response_is_no_span_and_carries_nobodys_trace";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(fresh());
    let (site, proxy) = keeping(&function, &collector);
    let process = site.start().await;
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    assert_eq!(get(&proxy, "/a", Some(SAMPLED)).await.0, "outrigger; fwd=uri-miss; stored");
    let (hit, body) = get(&proxy, "/a", Some(other)).await;
    assert!(hit.starts_with("outrigger; hit") && body == "four", "{hit}");
    assert_eq!(get(&proxy, "/b", Some(other)).await.0, "outrigger; fwd=uri-miss; stored");
    let spans = collector.until("two requests", |spans| spans.len() >= 4).await;
    let servers: Vec<_> = spans.iter().filter(|span| span.kind == 2).collect();
    assert_eq!(servers.len(), 2, "{servers:#?}");
    let of_a = servers.iter().find(|span| span.get("url.path") == "/a").unwrap();
    assert_eq!((&*of_a.trace, &*of_a.parent), (TRACE, PARENT));
    assert_eq!(function.log().len(), 2);
    drop(process);
}

/// A site whose proxy keeps responses, and where that listens.
fn keeping(function: &Function, collector: &Collector) -> (Site, String) {
    let proxy = format!("127.0.0.1:{}", free_port());
    let site = traced(Site::of(function), collector);
    (site.set("proxy.listen", &proxy).set("cache.responses.bytes_max", "8MiB"), proxy)
}

/// What is stale at once, and how it may be served all the same.
fn stale(may: &str) -> Program {
    let headers = BTreeMap::from([("cache-control".to_owned(), format!("max-age=0, {may}=60"))]);
    Program::always(Action { headers, ..Action::text("four") })
}

#[tokio::test]
async fn a_servers_span_tells_what_the_client_got_and_a_clients_what_the_function_said() {
    let test = "a_servers_span_tells_what_the_client_got_and_a_clients_what_the_function_said";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(stale("stale-if-error"));
    let (site, proxy) = keeping(&function, &collector);
    let _process = site.start().await;
    get(&proxy, "/a", None).await;
    function.set_program(Program::always(Action::status(500)));
    let (told, body) = get(&proxy, "/a", Some(SAMPLED)).await;
    assert!(told.contains("stale-if-error") && body == "four", "{told}");
    let spans = collector.until("two requests", |spans| spans.len() >= 4).await;
    let of = |kind| spans.iter().find(|span| span.trace == TRACE && span.kind == kind).unwrap();
    let (server, client) = (of(2), of(3));
    assert_eq!((server.get("http.response.status_code"), server.failed), ("200", false));
    assert_eq!((client.get("http.response.status_code"), client.failed), ("500", true));
}

#[tokio::test]
async fn what_is_fetched_anew_beside_the_path_has_a_trace_of_its_own_that_links_its_cause() {
    let test = "what_is_fetched_anew_beside_the_path_has_a_trace_of_its_own_that_links_its_cause";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(stale("stale-while-revalidate"));
    let (site, proxy) = keeping(&function, &collector);
    let _process = site.start().await;
    get(&proxy, "/a", None).await;
    let (told, _) = get(&proxy, "/a", Some(SAMPLED)).await;
    assert!(told.contains("stale-while-revalidate"), "{told}");
    let spans = collector.until("one request and a fetch", |spans| spans.len() >= 4).await;
    let renewal = spans.iter().find(|span| span.name == "renew").unwrap();
    assert_eq!(renewal.links, [(TRACE.to_owned(), PARENT.to_owned())]);
    assert_eq!((renewal.kind, &*renewal.parent), (1, ""));
    let fetch = spans.iter().find(|span| span.parent == renewal.id).unwrap();
    assert_eq!((fetch.kind, fetch.get("http.response.status_code")), (3, "200"));
    assert!(spans.iter().all(|span| span.trace != TRACE), "{spans:#?}");
    let told = |(name, value): &(String, String)| name == "traceparent" && value.contains(&fetch.id);
    assert!(function.log().iter().any(|call| call.headers.iter().any(told)), "and the function sees it");
}

#[tokio::test]
async fn all_together_each_keeps_to_its_own() {
    let function = Function::start(fresh());
    let proxy = format!("127.0.0.1:{}", free_port());
    let site = local(&function)
        .set("cache.dedup.window", "1h")
        .set("cache.results.key", "/data/q")
        .set("cache.responses.bytes_max", "8MiB")
        .set("proxy.listen", &proxy);
    let _process = site.start().await;
    assert_eq!(get(&proxy, "/", None).await.0, "outrigger; fwd=uri-miss; stored");
    for id in ["a", "b", "b"] {
        send(&site, &question(id)).await; // a POST to / as well, but no client's
    }
    let (kept, _) = get(&proxy, "/", None).await;
    assert!(kept.starts_with("outrigger; hit"), "events are not what changes a page: {kept}");
    let of_b = steps(&site, "b").await;
    assert!(
        of_b[0].contains(&"recalled".to_owned()) && !of_b[1].contains(&"recalled".to_owned()),
        "{of_b:?}"
    );
    assert!(of_b[1].contains(&"duplicate".to_owned()), "{of_b:?}");
    assert_eq!(function.stats().received, 2, "one page and one event");
}
