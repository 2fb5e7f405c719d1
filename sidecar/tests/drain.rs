//! Row 8 of the fault matrix on the shipped binary: SIGTERM, at rest and under load.

mod common;

use common::Site;
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Mode, Oracle, Outgoing, Process, process::get};
use rustix::process::Signal;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

const SENDERS: usize = 16;

/// Sends events of one key each, as fast as they are answered, until one is not answered any more.
fn senders(site: &Site, oracle: &Arc<Oracle>) -> Vec<JoinHandle<()>> {
    let sender = |key: usize| {
        let (producer, oracle) = (site.producer(), oracle.clone());
        tokio::spawn(async move {
            for n in 0.. {
                let event = Outgoing::new(&format!("{key}-{n}"), Some(&key.to_string()));
                oracle.sending(&event);
                match producer.send(&event, Mode::Binary).await {
                    Ok(answer) if answer.status() == 202 => oracle.acknowledged(&event.id),
                    _ => return, // not acknowledged, so nothing is owed
                }
            }
        })
    };
    (0..SENDERS).map(sender).collect()
}

/// SIGTERM in the middle of a load with this deadline; then the rest after a restart.
async fn terminate_under_load(deadline: &str, duplicates_max: usize) {
    let function = Function::start(Program::always(Action::delay_ms(20)));
    let site = Site::of(&function).set("drain.deadline", deadline);
    let oracle = Arc::new(Oracle::default());
    let mut process = site.start().await;
    let load = senders(&site, &oracle);
    function.wait_for(|stats| stats.ended >= 200).await;
    assert_eq!(process.stop().await.code(), Some(0));
    for sender in load {
        sender.await.unwrap();
    }
    let before = oracle.owed(&function.log()).len();
    let _process = site.start().await;
    function.wait_for(|_| oracle.owed(&function.log()).is_empty()).await;
    let judgement = oracle.judge_at(&function);
    println!("row 8, deadline {deadline}: {judgement}, {before} of them after the restart");
    judgement.assert_clean(duplicates_max);
    assert_eq!(site.status().await["dead_lettered"], 0);
}

#[tokio::test]
async fn row_8_sigterm_under_load_loses_nothing_and_repeats_nothing() {
    terminate_under_load("20s", 0).await;
}

#[tokio::test]
async fn row_8_a_deadline_that_passes_repeats_only_what_was_in_flight() {
    terminate_under_load("5ms", SENDERS).await;
}

#[tokio::test]
async fn row_8_what_is_cut_off_at_the_deadline_counts_no_attempt() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let site = Site::of(&function).set("drain.deadline", "50ms").set("delivery.attempts_max", "2");
    let site = site.set("delivery.backoff.initial", "1ms");
    let mut process = site.start().await;
    assert_eq!(
        site.producer().send(&Outgoing::new("1", Some("k")), Mode::Binary).await.unwrap().status(),
        202
    );
    function.wait_for(|stats| stats.held == 1).await;
    assert_eq!(process.stop().await.code(), Some(0));

    function.set_program(Program::always(Action::status(500)));
    let _process = site.start().await;
    site.until_dead(1).await;
    assert_eq!(site.letters().await[0]["attempts"], 2);
    assert_eq!(function.stats().received, 3, "the one that was cut off and two that count");
}

#[tokio::test]
async fn attempts_that_count_are_counted_on_after_a_restart() {
    let function = Function::start(Program::always(Action::status(500)));
    let site = Site::of(&function).set("drain.deadline", "50ms").set("delivery.attempts_max", "2");
    let slow = site.set("delivery.backoff.initial", "60s");
    // A Retry-After makes the wait certain: full jitter alone could make it short.
    let act = Action { retry_after: Some("60".to_owned()), ..Action::status(500) };
    function.set_program(Program::always(act));
    let mut process = slow.start().await;
    assert_eq!(
        slow.producer().send(&Outgoing::new("1", Some("k")), Mode::Binary).await.unwrap().status(),
        202
    );
    slow.until("the first failure", |status| status["retried"] == 1).await;
    assert_eq!(process.stop().await.code(), Some(0));

    let _process = slow.start().await;
    slow.until_dead(1).await;
    assert_eq!((slow.letters().await[0]["attempts"].as_u64(), function.stats().received), (Some(2), 2));
}

fn ask(site: &Site, id: &str) -> JoinHandle<u16> {
    let (producer, event) = (site.producer(), Outgoing::new(id, None));
    tokio::spawn(async move { producer.send(&event, Mode::Binary).await.unwrap().status().as_u16() })
}

#[tokio::test]
async fn senders_who_wait_for_the_outcome_get_it_during_the_drain() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let site = Site::of(&function).set("ingress.http.sync", "true").set("function.concurrency", "2");
    let mut process = site.start().await;
    let asked: Vec<_> = ["1", "2", "3"].map(|id| ask(&site, id)).into();
    function.wait_for(|stats| stats.held == 2).await;
    site.until("one in the lanes", |status| status["waiting"] == 1).await;
    process.terminate();
    process.line("draining").await;
    function.open("gate");
    for answer in asked {
        assert_eq!(answer.await.unwrap(), 200, "also the one that had not started");
    }
    assert_eq!(process.wait().await.code(), Some(0));
}

#[tokio::test]
async fn a_lame_duck_says_that_it_is_leaving_and_still_takes_events() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("drain.lame_duck", "2s");
    let mut process = site.start().await;
    let asked = Instant::now();
    process.terminate();
    let (status, text) = site.until_readyz("[-] process: draining").await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(get(site.admin, "/livez").await.unwrap().0, 200);
    assert_eq!(ask(&site, "1").await.unwrap(), 202);
    assert_eq!(process.wait().await.code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(2));
    assert_eq!(function.stats().distinct, 1);
    assert!(get(site.admin, "/livez").await.is_err(), "the port is free again");
}

/// An event is in flight, and will not end.
async fn stuck(site: &Site, function: &Function) -> Process {
    let process = site.start().await;
    assert_eq!(ask(site, "1").await.unwrap(), 202);
    function.wait_for(|stats| stats.held == 1).await;
    process
}

#[tokio::test]
async fn a_second_signal_ends_the_drain_at_once_and_keeps_what_is_left() {
    // In the lanes' time and in the lame duck's.
    for lame_duck in ["0s", "1h"] {
        let first_hangs = Rule::new(Match::nth(1), Action::hold("gate"));
        let function = Function::start(Program::default().rule(first_hangs));
        let site = Site::of(&function).set("drain.deadline", "1h").set("drain.lame_duck", lame_duck);
        let mut process = stuck(&site, &function).await;
        process.signal(Signal::INT);
        process.line("draining").await;
        process.signal(Signal::INT);
        assert_eq!(process.wait().await.code(), Some(0));
        let _process = site.start().await;
        function.wait_for(|stats| stats.statuses.get(&200) == Some(&1)).await;
    }
}

#[tokio::test]
async fn a_drain_ends_as_soon_as_nothing_is_left() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let site = Site::of(&function).set("drain.deadline", "1h");
    let mut process = stuck(&site, &function).await;
    process.terminate();
    process.line("draining").await;
    function.open("gate");
    assert_eq!(process.wait().await.code(), Some(0));
    assert_eq!(function.stats().statuses[&200], 1);
    let _process = site.start().await;
    site.until("nothing waits", |status| status["waiting"] == 0 && status["running"] == 0).await;
    assert_eq!(function.stats().received, 1, "what was delivered during the drain is settled");
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("drain.deadline", "1h");
    let mut process = site.start().await;
    let idle: Vec<_> = [site.ingress, site.ingress, site.admin].map(std::net::TcpStream::connect).into();
    let kept = site.producer();
    assert_eq!(kept.send(&Outgoing::new("1", None), Mode::Binary).await.unwrap().status(), 202);
    assert_eq!(process.stop().await.code(), Some(0));
    drop(idle);
}
