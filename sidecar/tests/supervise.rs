//! The function as a child of the shipped binary: started, waited for, restarted, stopped, and what it says.

mod common;

use common::{Site, child::function_exe};
use outrigger_function::{Outcome, Record};
use outrigger_testkit::{Mode, Outgoing, Process, process::WAIT_MAX};
use std::{collections::BTreeMap, net::TcpStream, os::unix::fs::PermissionsExt, time::Duration};
use tokio::time::{Instant, sleep};

/// A site whose COMMAND is the programmable function with these options; it keeps its record in `log`.
fn supervised(options: &[&str]) -> Site {
    let command: Vec<_> = [function_exe(), "--log", "log"].iter().chain(options).copied().collect();
    let site = Site::supervised(&command).set("function.restart_backoff.initial", "50ms");
    site.set("delivery.backoff.initial", "5ms").set("delivery.backoff.max", "50ms")
}

async fn send(site: &Site, count: usize) {
    for n in 0..count {
        let answer =
            site.producer().send(&Outgoing::new(&n.to_string(), Some("k")), Mode::Binary).await.unwrap();
        assert_eq!(answer.status(), 202);
    }
}

async fn until_delivered(site: &Site, count: usize) {
    site.until("the deliveries", |status| status["delivered"] == count).await;
}

/// The function's record, over all its lives: of each call its last line.
fn record(site: &Site) -> Vec<Record> {
    let text = std::fs::read_to_string(site.path("log")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Record>(line).unwrap());
    let by_start: BTreeMap<_, _> = lines.map(|record| (record.started_us, record)).collect();
    by_start.into_values().collect()
}

async fn port_told(process: &Process) -> u16 {
    let line = process.line("function: listening on").await;
    line.rsplit(':').next().unwrap().parse().unwrap()
}

async fn until_closed(port: u16) {
    let deadline = Instant::now() + WAIT_MAX;
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < deadline, "something still listens on {port}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_child_gets_a_free_port_and_the_events_and_ends_with_us() {
    let site = supervised(&[]);
    let mut process = site.start().await;
    let port = port_told(&process).await;
    send(&site, 3).await;
    until_delivered(&site, 3).await;
    assert_eq!(process.stop().await.code(), Some(0));
    assert_eq!(record(&site).len(), 3);
    until_closed(port).await;
}

#[tokio::test]
async fn the_port_and_the_name_of_its_variable_can_be_chosen() {
    let port = outrigger_testkit::free_port();
    let script = format!("echo \"told $WHERE and '$PORT'\"; exec {} --port \"$WHERE\"", function_exe());
    let site = Site::supervised(&["sh", "-c", &script]);
    let site = site.set("function.port", &port.to_string()).set("function.port_env", "WHERE");
    let mut process = site.launch().env("PORT", "").start().unwrap();
    process.line(&format!("[function] told {port} and ''")).await;
    assert_eq!(port_told(&process).await, port);
    assert_eq!(process.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_child_that_listens_late_costs_no_attempt() {
    let site = supervised(&["--start-delay-ms", "2000"]);
    let mut process = site.start_unready().await;
    send(&site, 5).await;
    let (status, text) = site.readyz().await;
    assert_eq!(status, 503);
    assert!(text.contains("[-] function: not ready yet"), "{text}");
    process.ready(site.admin).await;
    until_delivered(&site, 5).await;
    let status = site.status().await;
    assert_eq!((&status["retried"], &status["dead_lettered"]), (&0.into(), &0.into()), "{status}");
    assert_eq!(process.stop().await.code(), Some(0));
    assert_eq!(record(&site).len(), 5);
}

#[tokio::test]
async fn a_ready_path_decides_when_the_child_is_ready() {
    let site = supervised(&[]).set("function.ready_path", "/_/health");
    let mut process = site.start().await;
    send(&site, 1).await;
    until_delivered(&site, 1).await;
    assert_eq!(process.stop().await.code(), Some(0));

    let never = supervised(&["--status", "500"]).set("function.ready_path", "/health");
    let mut process = never.start_unready().await;
    port_told(&process).await;
    let deadline = Instant::now() + WAIT_MAX;
    while record_len(&never) < 3 {
        assert!(Instant::now() < deadline, "the path is never asked");
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(never.readyz().await.0, 503);
    assert_eq!(process.stop().await.code(), Some(0));
}

fn record_len(site: &Site) -> usize {
    std::fs::read_to_string(site.path("log")).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn the_child_is_stopped_only_after_the_drain() {
    let site = supervised(&["--program", r#"{"default": {"delay_ms": 200}}"#]);
    let mut process = site.start().await;
    let port = port_told(&process).await;
    send(&site, 3).await; // of one key: 600 ms in all
    assert_eq!(process.stop().await.code(), Some(0));
    let record = record(&site);
    assert_eq!(record.len(), 3);
    assert!(record.iter().all(|call| call.outcome == Outcome::Answered), "{record:?}");
    until_closed(port).await;
}

#[tokio::test]
async fn a_child_that_crashes_is_started_again_and_no_event_is_lost() {
    let crash = r#"[{"match": {"nth": 3}, "do": {"fault": {"exit": 7}}}]"#;
    let site = supervised(&["--program", crash]).set("delivery.attempts_max", "50");
    let mut process = site.start().await;
    send(&site, 10).await;
    until_delivered(&site, 10).await;
    process.line("it is started again").await;
    let restarts = site.metric("outrigger_function_restarts_total").await;
    assert!((3.0..=6.0).contains(&restarts), "each life serves two calls: {restarts}");
    let status = site.status().await;
    assert_eq!(status["dead_lettered"], 0, "{status}");
    assert_eq!(process.stop().await.code(), Some(0));
    let mut served: Vec<_> = record(&site).into_iter().filter(|call| call.status == Some(200)).collect();
    served.dedup_by(|a, b| a.id == b.id);
    let ids: Vec<_> = served.iter().map(|call| call.id.as_deref().unwrap().to_owned()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], "in order, over all its lives");
}

#[tokio::test]
async fn restarts_wait_longer_each_time() {
    let site = Site::supervised(&["false"]).set("function.restart_backoff.initial", "20ms");
    let site = site.set("function.restart_backoff.max", "1h");
    let began = Instant::now();
    let mut process = site.start_unready().await;
    for n in 1..=5 {
        let deadline = Instant::now() + WAIT_MAX;
        while site.metric("outrigger_function_restarts_total").await < f64::from(n) {
            assert!(Instant::now() < deadline, "restart {n} did not come");
            sleep(Duration::from_millis(2)).await;
        }
    }
    // At least the halves of 20, 40, 80, 160 and 320 ms.
    assert!(began.elapsed() >= Duration::from_millis(310), "{:?}", began.elapsed());
    assert_eq!(process.stop().await.code(), Some(0), "also while it waits");
}

#[tokio::test]
async fn a_child_that_ends_for_good_takes_us_with_it_and_gives_its_code() {
    let once = r#"[{"do": {"fault": {"exit": 7}}}]"#;
    for (restart, program, code) in
        [("never", once, 7), ("on-failure", r#"[{"do": {"fault": {"exit": 0}}}]"#, 0)]
    {
        let site = supervised(&["--program", program]).set("function.restart", restart);
        let mut process = site.start().await;
        send(&site, 1).await;
        assert_eq!(process.wait().await.code(), Some(code), "{restart}");

        let letters = site.letters().await;
        assert_eq!(letters.len(), 0, "{restart}: {letters:?}");
    }
    let site = Site::supervised(&["sh", "-c", "kill -KILL $$"]).set("function.restart", "never");
    let mut process = site.launch().start().unwrap();
    assert_eq!(process.wait().await.code(), Some(137), "128 and the signal, as a shell says it");
}

#[tokio::test]
async fn a_child_that_ends_for_good_during_the_drain_ends_the_drain() {
    let late = r#"[{"do": {"delay_ms": 1500, "fault": {"exit": 7}}}]"#;
    let site = supervised(&["--program", late]).set("function.restart", "never").set("drain.deadline", "1h");
    let mut process = site.start().await;
    send(&site, 2).await;
    process.terminate();
    process.line("draining").await;
    assert_eq!(process.wait().await.code(), Some(7));
}

#[tokio::test]
async fn a_child_that_ends_well_is_started_again_where_that_is_asked_for() {
    let site = supervised(&["--exit-after", "2"]).set("function.restart", "always");
    let mut process = site.start().await;
    send(&site, 5).await;
    until_delivered(&site, 5).await;
    assert!(site.metric("outrigger_function_restarts_total").await >= 2.0);
    assert_eq!(process.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_after_the_stop_timeout() {
    let site = supervised(&["--ignore-sigterm"]).set("function.stop_timeout", "300ms");
    let mut process = site.start().await;
    let port = port_told(&process).await;
    let asked = Instant::now();
    assert_eq!(process.stop().await.code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_millis(300));
    process.line("is killed").await;
    until_closed(port).await;
}

#[tokio::test]
async fn the_childs_own_children_end_with_it() {
    let script = format!("{} --log log & wait", function_exe());
    let site = Site::supervised(&["sh", "-c", &script]);
    let mut process = site.start().await;
    let port = port_told(&process).await;
    assert_eq!(process.stop().await.code(), Some(0));
    until_closed(port).await;
}

#[tokio::test]
async fn a_grandchild_that_ignores_sigterm_is_killed_soon_after_the_child() {
    let script = r#"sh -c 'trap "" TERM; echo "grandchild $$"; exec sleep 1000' & exec sleep 1000"#;
    let site = Site::supervised(&["sh", "-c", script]).set("function.stop_timeout", "100ms");
    let mut process = site.start_unready().await;
    let grandchild = grandchild(&process).await;
    assert_eq!(process.stop().await.code(), Some(0));
    until_ended(&grandchild).await;
    process.line("what the function started did not end").await;
}

#[tokio::test]
async fn a_crash_takes_the_grandchildren_along_so_that_the_next_life_gets_the_port() {
    let function = function_exe();
    let script = format!(
        "[ -e first ] && exec {function} --log log\ntouch first\n{function} --log old & echo \"grandchild $!\"\nexit 7"
    );
    let site = Site::supervised(&["sh", "-c", &script]).set("function.restart_backoff.initial", "1s");
    let mut process = site.start_unready().await;
    until_ended(&grandchild(&process).await).await;
    process.ready(site.admin).await;
    send(&site, 1).await;
    until_delivered(&site, 1).await;
    assert_eq!(process.stop().await.code(), Some(0));
    assert_eq!(record(&site).len(), 1, "the second life has the event");
}

async fn grandchild(process: &Process) -> String {
    let line = process.line("[function] grandchild ").await;
    line.rsplit(' ').next().unwrap().to_owned()
}

/// Until the process is gone, or a zombie that whoever adopted it has not reaped yet.
async fn until_ended(pid: &str) {
    let deadline = Instant::now() + WAIT_MAX;
    while let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        if stat.rsplit(") ").next().unwrap().starts_with('Z') {
            return;
        }
        assert!(Instant::now() < deadline, "{pid} lives on: {stat}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_one_line_and_exit_2() {
    let missing = Site::supervised(&["no-such-command", "--flag"]);
    let said = missing.refused().await;
    assert!(said.one_line(2).contains("\"no-such-command\" was not found"), "{said:?}");
    assert!(!missing.path(".outrigger/journal.db").exists(), "it is known before anything else happens");

    let site = Site::supervised(&["./script"]);
    std::fs::write(site.path("script"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(site.path("script"), PermissionsExt::from_mode(0o600)).unwrap();
    let said = site.refused().await;
    assert!(said.one_line(2).contains("chmod +x"), "{said:?}");
}

#[tokio::test]
async fn output_gets_a_prefix_or_passes() {
    let script = "echo out; echo err >&2; printf 'no end'; exec sleep 60";
    let site = Site::supervised(&["sh", "-c", script]);
    let mut process = site.start_unready().await;
    process.line("[function] out").await;
    process.line("[function] err").await;
    assert_eq!(process.stop().await.code(), Some(0));
    process.line("[function] no end").await;

    let site = site.set("function.output", "pass");
    let mut process = site.launch().start().unwrap();
    process.line("out").await;
    process.line("err").await;
    assert_eq!(process.stop().await.code(), Some(0));
    assert!(!process.log().contains("[function]"), "{}", process.log());
}

#[tokio::test]
async fn the_child_inherits_all_variables_or_only_the_named() {
    let script = "echo \"secret=$SECRET named=$NAMED port=${PORT:+told}\"; exec sleep 60";
    for (inherited, expected) in [("all", "secret=s3 named=n"), ("[NAMED]", "secret= named=n")] {
        let site = Site::supervised(&["sh", "-c", script]).set("function.env", inherited);
        let mut process = site.launch().env("SECRET", "s3").env("NAMED", "n").start().unwrap();
        process.line(&format!("[function] {expected} port=told")).await;
        assert_eq!(process.stop().await.code(), Some(0));
    }
}
