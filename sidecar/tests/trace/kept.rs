//! What is kept although it is not sampled, and how OTLP is spoken.

use crate::{common::Site, named, of_event, told, traced};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{
    Mode, Outgoing,
    otelcol::{Collector, Span},
};

#[tokio::test]
async fn what_fails_or_is_slow_is_kept_although_nothing_is_sampled() {
    let test = "what_fails_or_is_slow_is_kept_although_nothing_is_sampled";
    let Some(collector) = Collector::start(test).await else { return };
    let slow = Action { delay_ms: 120, ..Action::default() };
    let program = Program::default()
        .rule(Rule::new(Match::id("again"), Action::status(500)).until(2))
        .rule(Rule::new(Match::id("dead"), Action::status(400)))
        .rule(Rule::new(Match::id("slow"), slow));
    let function = Function::start(program);
    let site = traced(Site::of(&function), &collector).set("trace.ratio", "0").set("trace.slow", "100ms");
    let mut process = site.start().await;
    for id in ["plain", "again", "dead", "slow"] {
        site.producer().send(&Outgoing::new(id, None), Mode::Binary).await.unwrap();
    }
    let kept = ["again", "dead", "slow"];
    let all = |spans: &[_]| kept.iter().all(|id| !of_event(spans, id).is_empty());
    collector.until("the three", all).await;
    site.until_metric("outrigger_events_delivered_total", |count| count >= 3.0).await;
    process.stop().await;
    let spans = collector.spans();
    assert!(of_event(&spans, "plain").is_empty());
    assert_eq!(spans.iter().filter(|span| span.name == "process journal").count(), 3);
    assert!(told(&function, "plain", "traceparent").is_some_and(|told| told.ends_with("-00")), "not sampled");
    let again = of_event(&spans, "again");
    let attempts: Vec<_> = again.iter().filter(|span| span.name == "POST").collect();
    let statuses: Vec<_> = attempts.iter().map(|span| span.get("http.response.status_code")).collect();
    assert_eq!(statuses, ["500", "500", "200"]);
    assert_eq!((attempts[0].failed, attempts[2].get("http.request.resend_count")), (true, "2"));
    assert!(!again[0].failed, "it was delivered in the end");
    let dead = of_event(&spans, "dead");
    assert_eq!((dead[0].failed, dead[0].get("error.type")), (true, "refused"));
    assert_eq!(named(&dead, "settle journal").get("outrigger.dead_letter"), "refused");
}

#[tokio::test]
async fn spans_and_metrics_go_by_http_packed_and_all_of_them_before_the_end() {
    let test = "spans_and_metrics_go_by_http_packed_and_all_of_them_before_the_end";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(Program::default());
    let site = traced(Site::of(&function), &collector)
        .set("trace.endpoint", &collector.http())
        .set("trace.protocol", "http")
        .set("trace.compression", "gzip")
        .set("trace.interval", "1h")
        .set("trace.headers", "{x-token: t}");
    let mut process = site.start().await;
    for n in 0..50 {
        site.producer().send(&Outgoing::new(&n.to_string(), None), Mode::Binary).await.unwrap();
    }
    site.until_metric("outrigger_events_delivered_total", |count| count >= 50.0).await;
    assert!(process.stop().await.success());
    let names = [
        "outrigger_events_delivered_total",
        "outrigger_delivery_duration_seconds",
        "outrigger_window_events",
    ];
    let all = |spans: &[Span]| {
        let metrics = collector.metrics();
        spans.len() == 250 && names.iter().all(|name| metrics.iter().any(|metric| metric == name))
    };
    let spans = collector.until("all spans and metrics", all).await;
    assert_eq!(spans.iter().filter(|span| span.name == "process journal").count(), 50);
}

#[tokio::test]
async fn what_the_file_leaves_out_the_environment_of_the_process_says() {
    let test = "what_the_file_leaves_out_the_environment_of_the_process_says";
    let Some(collector) = Collector::start(test).await else { return };
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("trace.export", "otlp");
    let launch = site
        .launch()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.grpc())
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .env("OTEL_TRACES_SAMPLER", "always_on");
    let mut process = launch.start().unwrap();
    process.ready(site.admin).await;
    site.producer().send(&Outgoing::new("1", None), Mode::Binary).await.unwrap();
    collector.until("the spans of 1", |spans| of_event(spans, "1").len() == 5).await;
    site.until_metric("outrigger_trace_exported_total", |count| count >= 1.0).await;
}
