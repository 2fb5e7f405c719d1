//! Health, metrics and the owner's socket of the shipped binary.

mod common;

use common::{Site, headers};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Mode, Outgoing, Producer, process::get, skip};
use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

#[tokio::test]
async fn livez_readyz_and_metrics_are_all_that_the_network_is_shown() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    let _process = site.start().await;
    assert_eq!(get(site.admin, "/livez").await.unwrap(), (200, "ok\n".to_owned()));
    let (status, text) = site.readyz().await;
    assert_eq!(status, 200);
    for component in ["process", "ingress", "journal", "function", "lanes"] {
        assert!(text.lines().any(|line| line == format!("[+] {component}: ok")), "{component} in {text}");
    }
    for path in ["/", "/status", "/parked", "/dead", "/dead/1"] {
        assert_eq!(get(site.admin, path).await.unwrap().0, 404, "{path}");
    }
    for path in ["livez", "dead/drop", "parked/skip"] {
        let producer = Producer::new(&format!("http://{}/{path}", site.admin));
        assert_eq!(producer.post(headers([]), r#"{"all":true}"#).await.unwrap().status(), 405, "{path}");
    }
}

#[tokio::test]
async fn readyz_says_that_the_function_is_not_there_and_livez_is_content() {
    let nobody = outrigger_testkit::free_port();
    let site = Site::at(&format!("http://127.0.0.1:{nobody}"));
    let _process = site.start_unready().await;
    let (status, text) = site.readyz().await;
    assert_eq!(status, 503);
    assert!(text.contains("[-] function: not ready yet") && text.contains("[+] journal: ok"), "{text}");
    assert_eq!(get(site.admin, "/livez").await.unwrap().0, 200);
}

/// Two events delivered, one after a retry, and one dead letter.
async fn busy() -> (Function, Site, outrigger_testkit::Process) {
    let fails = Rule::new(Match::id("2"), Action::status(500)).until(1);
    let refuses = Rule::new(Match::id("3"), Action::status(422));
    let function = Function::start(Program::default().rule(fails).rule(refuses));
    let site = Site::of(&function).set("delivery.backoff.initial", "1ms");
    let process = site.start().await;
    for id in ["1", "2", "3"] {
        let answer = site.producer().send(&Outgoing::new(id, Some("k")), Mode::Binary).await.unwrap();
        assert_eq!(answer.status(), 202);
    }
    site.until_dead(1).await;
    (function, site, process)
}

#[tokio::test]
async fn the_counts_are_those_of_what_happened() {
    let (_function, site, _process) = busy().await;
    for (name, value) in [
        ("outrigger_events_accepted_total", 3.0),
        ("outrigger_events_delivered_total", 2.0),
        ("outrigger_events_retried_total", 1.0),
        ("outrigger_events_dead_lettered_total{reason=\"refused\"}", 1.0),
        ("outrigger_events_dead_lettered_total{reason=\"exhausted\"}", 0.0),
        ("outrigger_delivery_duration_seconds_count", 2.0),
        ("outrigger_breaker_open", 0.0),
        ("outrigger_function_ready", 1.0),
    ] {
        assert!(
            (site.metric(name).await - value).abs() < f64::EPSILON,
            "{name} is {}",
            site.metric(name).await
        );
    }
    let (_, text) = get(site.admin, "/metrics").await.unwrap();
    assert!(
        text.contains("http_server_request_duration_seconds_count{http_response_status_code=\"202\"} 3"),
        "{text}"
    );

    let shown = site.verb(&["status"]).await;
    assert!(shown.code == Some(0) && shown.stdout.contains("dead-lettered"), "{shown:?}");
    let status = site.verb(&["status", "--json", "--until-idle", "3"]).await.json();
    assert_eq!((&status["accepted"], &status["delivered"]), (&3.into(), &2.into()));
    assert_eq!((&status["retried"], &status["dead_lettered"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn promtool_is_content_with_the_metrics() {
    let (_function, site, _process) = busy().await;
    let (_, text) = get(site.admin, "/metrics").await.unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else {
        return skip("promtool_is_content_with_the_metrics", "the command promtool is absent");
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
}

#[tokio::test]
async fn metrics_have_no_label_that_an_event_brings() {
    let (function, site, _process) = busy().await;
    let names = |text: &str| {
        text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
    };
    let before: Vec<String> = names(&get(site.admin, "/metrics").await.unwrap().1);
    for n in 0..50 {
        let mut event = Outgoing::new(&format!("id-{n}"), Some(&format!("key-{n}")));
        event.ty = format!("type-{n}");
        event.source = format!("/source-{n}");
        assert_eq!(site.producer().send(&event, Mode::Binary).await.unwrap().status(), 202);
    }
    function.wait_for(|stats| stats.distinct == 53).await;
    let after: Vec<String> = names(&get(site.admin, "/metrics").await.unwrap().1);
    assert_eq!(before, after);
}

#[tokio::test]
async fn what_is_written_is_for_its_owner_only() {
    let (_function, site, mut process) = busy().await;
    let private = || {
        for entry in std::fs::read_dir(site.path(".outrigger")).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?} has mode {mode:o}", entry.path());
        }
    };
    private();
    assert!(site.path(".outrigger/admin.sock").exists() && site.path(".outrigger/journal.db").exists());
    assert_eq!(process.stop().await.code(), Some(0));
    private();
    assert!(!site.path(".outrigger/admin.sock").exists(), "nothing answers there any more");
}

#[tokio::test]
async fn logs_hold_neither_payloads_nor_tokens() {
    let refuses = Program::always(Action::status(422));
    let function = Function::start(refuses);
    let site = Site::of(&function).set("ingress.http.auth", "{bearer_file: token}").set("log.level", "trace");
    std::fs::write(site.path("token"), "the-token").unwrap();
    let process = site.start().await;
    for token in ["the-token", "another-token"] {
        let producer = site.producer().with_header("authorization", &format!("Bearer {token}"));
        let event = Outgoing::new("1", None).with_data("text/plain", "the-payload");
        producer.send(&event, Mode::Structured).await.unwrap();
    }
    site.until_dead(1).await;
    process.line("becomes a dead letter").await;
    let log = process.log();
    assert!(
        !log.contains("the-payload") && !log.contains("Bearer") && !log.contains("another-token"),
        "{log}"
    );
}
