//! The shipped binary reads its configuration again.

mod common;

use common::Site;
use outrigger_function::{Action, Function, Program, program::Fault};
use outrigger_testkit::{Mode, Outgoing, Process, free_port, process::get};
use rustix::process::Signal;

fn write(site: &Site) {
    std::fs::write(site.path("outrigger.yaml"), site.yaml()).unwrap();
}

#[tokio::test]
async fn a_changed_file_and_sighup_apply_what_can_be_and_a_bad_file_changes_nothing() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("log.level", "error");
    let process = site.start().await;
    // Noticed by itself; that it is said at all shows that the level was applied.
    let site = site.set("log.level", "info").set("function.mode", "structured");
    write(&site);
    let line = process.line("the configuration was read again").await;
    assert!(line.contains("log.level") && line.contains("function.mode"), "{line}");
    let (status, text) = site.until_readyz("restart to apply function.mode").await;
    assert_eq!(status, 200, "{text}");

    let site = site.set("function.timeout", "0s");
    write(&site);
    process.signal(Signal::HUP);
    let line = process.line("the new configuration is refused").await;
    assert!(line.contains("function.timeout"), "{line}");
    assert!(site.metric("outrigger_config_reloads_total{result=\"refused\"}").await >= 1.0);
    assert!(site.metric("outrigger_config_reloads_total{result=\"applied\"}").await >= 1.0);
    assert_eq!(site.readyz().await.0, 200);
}

/// A gauge of the configuration.
async fn gauge(site: &Site, name: &str) -> f64 {
    site.metric(&format!("outrigger_config_last_reload_{name}")).await
}

#[tokio::test]
async fn a_file_that_is_refused_or_gone_is_told_until_it_is_mended_and_stops_nothing() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    let process = site.start().await;
    assert!(gauge(&site, "successful").await > 0.5);
    let read_s = gauge(&site, "success_timestamp_seconds").await;
    let told = async |site: &Site| site.verb(&["status"]).await.stdout;
    assert!(!told(&site).await.contains("configuration:"));

    let bad = site.set("function.timeout", "0s").set("window.events", "none");
    reread(&bad, &process, "the new configuration is refused").await;
    // The line is written a moment before.
    bad.until_metric("outrigger_config_last_reload_successful", |successful| successful < 0.5).await;
    assert!((gauge(&bad, "success_timestamp_seconds").await - read_s).abs() < 0.5, "the old one holds");
    let shown = bad.verb(&["status"]).await;
    let line = shown.stdout.lines().find(|line| line.starts_with("configuration: ")).unwrap_or_default();
    assert!(line.contains("is refused") && line.contains("and 1 more"), "{shown:?}");
    assert!(shown.stderr.contains("warning: outrigger.yaml"), "{shown:?}");
    assert_eq!(bad.readyz().await.0, 200);
    assert!(!bad.readyz().await.1.contains("refused"), "it is in nobody's way");

    std::fs::remove_file(bad.path("outrigger.yaml")).unwrap();
    process.line("the configuration's file is gone").await;
    assert!(told(&bad).await.contains("configuration: its file is gone"));
    let good = bad.set("function.timeout", "29s").set("window.events", "1024");
    write(&good);
    process.line("the configuration was read again").await;
    good.until_metric("outrigger_config_last_reload_successful", |successful| successful > 0.5).await;
    assert!(gauge(&good, "success_timestamp_seconds").await >= read_s);
    assert!(!told(&good).await.contains("configuration:"));
    let gone = process.log().lines().filter(|line| line.contains("file is gone")).count();
    assert_eq!(gone, 1, "{}", process.log());
}

/// Writes the configuration and has it read; gives back the line that says so.
async fn reread(site: &Site, process: &Process, said: &str) -> String {
    write(site);
    process.signal(Signal::HUP);
    process.line(said).await
}

#[tokio::test]
async fn times_and_limits_count_at_once_for_events_and_requests() {
    let hangs = Action { fault: Some(Fault::Hang), ..Action::default() };
    let function = Function::start(Program::always(hangs));
    let proxy = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let site = Site::of(&function).set("delivery.attempts_max", "1").set("function.concurrency", "1");
    let site =
        site.set("function.timeout", "1h").set("proxy.wait", "1h").set("proxy.listen", &proxy.to_string());
    let mut process = site.start().await;

    let producer = site.producer();
    producer.send(&Outgoing::new("first", None), Mode::Binary).await.unwrap();
    function.wait_for(|stats| stats.running == 1).await;
    producer.send(&Outgoing::new("second", None), Mode::Binary).await.unwrap();

    // The first holds the one place by the old timeout; the second gets a new place, and the new timeout.
    let site = site
        .set("function.concurrency", "2")
        .set("function.timeout", "50ms")
        .set("function.connect_timeout", "50ms");
    let line = reread(&site, &process, "function.timeout, function.concurrency").await;
    assert!(!line.contains("restart for the rest"), "{line}");
    site.until_dead(1).await;
    let letters = site.letters().await;
    assert_eq!(letters[0]["event_id"], "second", "{letters:?}");

    // No place, and nobody waits for one any more.
    let site = site.set("function.concurrency", "1").set("proxy.wait", "0s");
    reread(&site, &process, "proxy.wait").await;
    assert_eq!(get(proxy, "/").await.unwrap().0, 503);

    // The drain gives the first event up after its new deadline.
    let site = site.set("drain.deadline", "50ms");
    reread(&site, &process, "drain.deadline").await;
    assert!(process.stop().await.success());
}
