//! A collector that hangs, or is not there: row 36 of the fault matrix.

use crate::common::Site;
use outrigger_function::{Function, Program};
use outrigger_testkit::{Oracle, Outgoing, process::WAIT_MAX};
use std::time::{Duration, Instant};
use tokio::{net::TcpListener, time::timeout};

const EVENTS: u32 = 200;

/// Sends the events one after the other, and gives back how long all of them took to be delivered.
async fn deliver(site: &Site, function: &Function) -> Duration {
    let (oracle, producer, started) = (Oracle::default(), site.producer(), Instant::now());
    for n in 0..EVENTS {
        let event = Outgoing::new(&format!("{n}"), Some("key"));
        oracle.sending(&event);
        let answer = producer.send(&event, outrigger_testkit::Mode::Binary).await.unwrap();
        assert_eq!(answer.status(), 202);
        oracle.acknowledged(&event.id);
    }
    function.wait_for(|stats| stats.ended >= u64::from(EVENTS)).await;
    oracle.judge_at(function).assert_clean(0);
    started.elapsed()
}

fn site(function: &Function, endpoint: &str) -> Site {
    Site::of(function)
        .set("trace.export", "otlp")
        .set("trace.endpoint", endpoint)
        .set("trace.queue_events", "20")
        .set("trace.batch_events", "10")
        .set("trace.interval", "20ms")
        .set("trace.flush_timeout", "300ms")
}

#[tokio::test]
async fn row_36_a_collector_that_hangs_changes_nothing_but_the_count_of_dropped_spans() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection); // it takes everything and never says a word
        }
    });
    let function = Function::start(Program::default());
    let site = site(&function, &endpoint);
    let mut process = site.start().await;
    deliver(&site, &function).await;
    // A batch is on its way for ever, a queue waits behind it, and the rest is dropped.
    site.until_metric("outrigger_trace_dropped_total", |dropped| dropped >= f64::from(EVENTS - 40)).await;
    assert!(site.metric("outrigger_trace_queued").await <= 20.0);
    assert_eq!(site.metric("outrigger_trace_exported_total").await, 0.0);
    // The function answered the last one; it is counted a moment later.
    site.until_metric("outrigger_events_delivered_total", |count| count >= f64::from(EVENTS)).await;
    assert_eq!(site.metric("outrigger_events_delivered_total").await, f64::from(EVENTS));
    let stopping = Instant::now();
    assert!(process.stop().await.success());
    assert!(stopping.elapsed() < WAIT_MAX / 2, "the end waits for the collector no longer than it is told");
    holding.abort();
}

#[tokio::test]
async fn a_second_signal_cuts_short_what_is_waited_for_after_the_lanes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap(); // it accepts, and nobody answers
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let function = Function::start(Program::default());
    let mut process = site(&function, &endpoint).set("trace.flush_timeout", "1h").start().await;
    process.terminate();
    process.line("draining").await;
    // The lanes are empty, so that soon only the collector is waited for.
    while timeout(Duration::from_millis(50), process.line("a signal cut its telling short")).await.is_err() {
        process.terminate();
    }
    assert!(process.wait().await.success());
}

#[tokio::test]
async fn a_collector_that_is_not_there_changes_nothing_but_that_count() {
    let function = Function::start(Program::default());
    let site = site(&function, &format!("http://127.0.0.1:{}", outrigger_testkit::place::free_port()));
    let mut process = site.start().await;
    deliver(&site, &function).await;
    site.until_metric("outrigger_trace_dropped_total", |dropped| dropped >= f64::from(EVENTS)).await;
    process.line("the collector takes nothing").await;
    assert!(process.stop().await.success());
}
