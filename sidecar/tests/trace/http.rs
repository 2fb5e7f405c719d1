//! Senders by HTTP.

use crate::{PARENT, SAMPLED, TRACE, common::Site, named, of_event, told, traced};
use ::http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Mode, Outgoing, Producer, otelcol::Collector, place::free_port};

#[tokio::test]
async fn a_trace_goes_through_the_journal_and_leaves_nothing_in_the_event() {
    let test = "a_trace_goes_through_the_journal_and_leaves_nothing_in_the_event";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(Program::default());
    let site = traced(Site::of(&function), &collector);
    let _process = site.start().await;
    let producer = Producer::new(&site.url()).with_header("traceparent", SAMPLED);
    let answer = producer.send(&Outgoing::new("1", Some("k")), Mode::Binary).await.unwrap();
    assert_eq!(answer.status(), 202);
    let spans = collector.until("the spans of 1", |spans| of_event(spans, "1").len() == 5).await;
    let of_one = of_event(&spans, "1");
    assert_eq!((&*of_one[0].trace, &*of_one[0].parent), (TRACE, PARENT));
    let attempt = named(&of_one, "POST");
    assert_eq!(told(&function, "1", "traceparent"), Some(format!("00-{TRACE}-{}-01", attempt.id)));
    let headers = function.log().remove(0).headers;
    assert!(headers.iter().all(|(name, _)| !name.contains("outrigger")), "{headers:?}");
}

#[tokio::test]
async fn the_events_of_a_batch_link_the_request_that_brought_them() {
    let test = "the_events_of_a_batch_link_the_request_that_brought_them";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(Program::default());
    let site = traced(Site::of(&function), &collector);
    let _process = site.start().await;
    let producer = Producer::new(&site.url()).with_header("traceparent", SAMPLED);
    let batch = ["1", "2"].map(|id| Outgoing::new(id, None));
    assert_eq!(producer.send_batch(&batch).await.unwrap().status(), 202);
    let both = |spans: &[_]| ["1", "2"].iter().all(|id| of_event(spans, id).len() == 5);
    let spans = collector.until("both", both).await;
    let [one, two] = ["1", "2"].map(|id| of_event(&spans, id)[0]);
    for whole in [one, two] {
        assert_eq!(whole.links, [(TRACE.to_owned(), PARENT.to_owned())]);
        assert!(whole.parent.is_empty() && whole.trace != TRACE);
    }
    assert_ne!(one.trace, two.trace);
}

#[tokio::test]
async fn a_pushed_message_goes_on_with_its_publishers_trace_and_else_with_its_requests() {
    let function = Function::start(Program::default());
    let site = Site::of(&function)
        .set("trace.export", "local")
        .set("ingress.pubsub_push", "{path: /pubsub, topic: projects/p/topics/t, auth: none}");
    let _process = site.start().await;
    let other = SAMPLED.replace(TRACE, "4bf92f3577b34da6a3ce929d0e0e4736");
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    for (id, attributes) in [("1", format!("{{\"traceparent\": \"{SAMPLED}\"}}")), ("2", "{}".to_owned())] {
        let message = format!("{{\"messageId\": \"{id}\", \"data\": \"\", \"attributes\": {attributes}}}");
        let body = format!("{{\"message\": {message}, \"subscription\": \"projects/p/subscriptions/s\"}}");
        let request = Request::post(format!("{}pubsub", site.url())).header("traceparent", &other);
        let answer = client.request(request.body(body.into()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 204);
    }
    function.wait_for(|stats| stats.ended == 2).await;
    let trace = |id| told(&function, id, "traceparent").unwrap();
    assert!(trace("1").contains(TRACE), "the message's own: {}", trace("1"));
    assert!(trace("2").contains("4bf92f3577b34da6a3ce929d0e0e4736"), "the request's: {}", trace("2"));
}

#[tokio::test]
async fn b3_is_understood_and_told_where_it_is_asked_for() {
    let test = "b3_is_understood_and_told_where_it_is_asked_for";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(Program::default());
    let site = traced(Site::of(&function), &collector).set("trace.propagators", "[b3multi]");
    let _process = site.start().await;
    let producer = Producer::new(&site.url())
        .with_header("x-b3-traceid", TRACE)
        .with_header("x-b3-spanid", PARENT)
        .with_header("x-b3-sampled", "1");
    producer.send(&Outgoing::new("1", None), Mode::Binary).await.unwrap();
    let spans = collector.until("the spans of 1", |spans| of_event(spans, "1").len() == 5).await;
    let of_one = of_event(&spans, "1");
    assert_eq!((&*of_one[0].trace, &*of_one[0].parent), (TRACE, PARENT));
    assert_eq!(told(&function, "1", "x-b3-spanid"), Some(named(&of_one, "POST").id.clone()));
    assert_eq!(told(&function, "1", "traceparent"), None);
}

#[tokio::test]
async fn a_request_through_the_proxy_is_a_servers_span_and_the_function_sees_the_clients() {
    let test = "a_request_through_the_proxy_is_a_servers_span_and_the_function_sees_the_clients";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(Program::always(Action::status(201)));
    let listen = format!("127.0.0.1:{}", free_port());
    let site = traced(Site::of(&function), &collector).set("proxy.listen", &listen);
    let _process = site.start().await;
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder()
        .method(Method::GET)
        .uri(format!("http://{listen}/a/b?secret=1"))
        .header("traceparent", SAMPLED)
        .body(Full::default())
        .unwrap();
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.into_body().collect().await.unwrap();
    let spans = collector.until("both spans", |spans| spans.len() == 2).await;
    let server = spans.iter().find(|span| span.kind == 2).unwrap();
    let client = spans.iter().find(|span| span.kind == 3).unwrap();
    assert_eq!((&*server.trace, &*server.parent, &*client.parent), (TRACE, PARENT, &*server.id));
    assert_eq!((server.get("url.path"), server.get("http.request.method")), ("/a/b", "GET"));
    assert_eq!(client.get("http.response.status_code"), "201");
    let headers = function.log().remove(0).headers;
    let told = headers.iter().filter(|(name, _)| name == "traceparent").collect::<Vec<_>>();
    assert_eq!(told, [&("traceparent".to_owned(), format!("00-{TRACE}-{}-01", client.id))]);
}

#[tokio::test]
async fn what_a_client_says_of_traces_is_for_us_and_its_failed_or_left_requests_are_kept() {
    let test = "what_a_client_says_of_traces_is_for_us_and_its_failed_or_left_requests_are_kept";
    let Some(collector) = Collector::start(test).await else { return };
    let held = Action { hold: Some("gate".to_owned()), ..Action::default() };
    let at = |path: &str, act| Rule::new(Match { path: Some(path.to_owned()), ..Match::default() }, act);
    let program = Program::default().rule(at("/broken", Action::status(500))).rule(at("/held", held));
    let function = Function::start(program);
    let listen = format!("127.0.0.1:{}", free_port());
    let site = traced(Site::of(&function), &collector).set("proxy.listen", &listen);
    let site = site.set("trace.ratio", "0").set("trace.baggage", "[tenant]");
    let _process = site.start().await;
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let ask = |path: &str| {
        let request = Request::builder()
            .uri(format!("http://{listen}{path}"))
            .header("tracestate", "stale=1")
            .header("baggage", "tenant=t1,secret=s")
            .header("b3", "0");
        client.request(request.body(Full::default()).unwrap())
    };
    assert_eq!(ask("/fine").await.unwrap().status(), 200);
    assert_eq!(ask("/broken").await.unwrap().status(), 500);
    let left = tokio::spawn(ask("/held"));
    function.wait_for(|stats| stats.received == 3).await;
    left.abort();
    let spans = collector.until("two requests", |spans| spans.len() >= 4).await;
    function.open("gate");
    let mut paths: Vec<_> =
        spans.iter().filter(|span| span.kind == 2).map(|span| span.get("url.path")).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/broken", "/held"]);
    assert!(spans.iter().all(|span| span.failed), "{spans:#?}");
    let headers = &function.log()[0].headers;
    let told = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    assert_eq!(
        (told("tracestate"), told("b3"), told("baggage")),
        (None, None, Some("tenant=t1")),
        "{headers:?}"
    );
}
