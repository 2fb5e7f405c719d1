//! A slow target that overflows: it holds nobody up, and what waits for it comes in order, also after a kill or a drain.

use outrigger_function::{Action, Program};
use outrigger_testkit::{Mode, Outgoing};

use crate::{Stage, has};

/// Sends events to the function and to audit, over two keys.
async fn send_both(stage: &Stage, ids: std::ops::Range<usize>) -> Vec<String> {
    let ids: Vec<String> = ids.map(|n| format!("{n:03}")).collect();
    for (n, id) in ids.iter().enumerate() {
        let key = if n % 2 == 0 { "even" } else { "odd" };
        let event = Outgoing { ty: "both.a".to_owned(), ..Outgoing::new(id, Some(key)) };
        assert_eq!(stage.site.producer().send(&event, Mode::Binary).await.unwrap().status().as_u16(), 202);
    }
    ids
}

/// The ids of every other event, as each key has them.
fn by_key(ids: &[String]) -> [Vec<String>; 2] {
    let of = |rest| ids.iter().filter(|id| id.parse::<usize>().unwrap() % 2 == rest).cloned().collect();
    [of(0), of(1)]
}

#[tokio::test]
async fn with_overflow_a_slow_target_pauses_nobody_and_gets_all_in_order_once() {
    let stage = Stage::with(", overflow: journal, lane_max: 4, concurrency: 2");
    let stage =
        Stage { site: stage.site.set("window.events", "8").set("function.concurrency", "4"), ..stage };
    let _process = stage.site.start().await;
    stage.audit.set_program(Program::always(Action::hold("gate")));
    let ids = send_both(&stage, 0..60).await;
    stage.function.wait_for(|stats| stats.ended == 60).await;
    assert_eq!(by_key(&has(&stage.function)), by_key(&ids), "the function is not held up");
    let (status, told) = stage.site.until_readyz("events wait in the journal").await;
    assert_eq!(status, 200, "{told}");
    stage.settled().await; // audit's copies are its own
    assert!(stage.labelled("outrigger_target_overflow_events", "target", "audit").await >= 50.0);

    stage.audit.open("gate");
    stage.audit.wait_for(|stats| stats.ended == 60).await;
    assert_eq!(by_key(&has(&stage.audit)), by_key(&ids));
    let more = send_both(&stage, 60..64).await;
    stage.audit.wait_for(|stats| stats.ended == 64).await;
    assert_eq!(by_key(&has(&stage.audit)[60..]), by_key(&more));
    assert_eq!(stage.audit.stats().repeats, 0);
    stage.site.until_readyz("[+] target audit: ok\n").await;
}

#[tokio::test]
async fn killed_with_copies_in_the_journal_the_target_gets_them_after_the_restart() {
    let stage = Stage::with(", overflow: journal, lane_max: 2, concurrency: 1");
    let mut process = stage.site.start().await;
    stage.audit.set_program(Program::always(Action::hold("gate")));
    let ids = send_both(&stage, 0..30).await;
    stage.function.wait_for(|stats| stats.ended == 30).await;
    stage.audit.wait_for(|stats| stats.held == 1).await; // else that call could arrive when the gate is gone
    stage.settled().await;
    process.kill().await;
    stage.audit.set_program(Program::default());

    let _process = stage.site.start().await;
    stage.audit.wait_for(|stats| stats.statuses.get(&200).copied().unwrap_or(0) >= 30).await;
    stage.settled().await;
    assert_eq!(by_key(&has(&stage.audit)), by_key(&ids), "each once, as none was answered before the kill");
    assert_eq!(has(&stage.function).len(), 30, "the function was not sent any again");
    stage.site.until_readyz("[+] target audit: ok\n").await;
}

#[tokio::test]
async fn a_drain_leaves_copies_in_the_journal_for_the_next_process() {
    let stage = Stage::with(", overflow: journal, lane_max: 2, concurrency: 1");
    let stage = Stage { site: stage.site.set("drain.deadline", "50ms"), ..stage };
    let mut process = stage.site.start().await;
    stage.audit.set_program(Program::always(Action::hold("gate")));
    let ids = send_both(&stage, 0..20).await;
    stage.function.wait_for(|stats| stats.ended == 20).await;
    stage.settled().await;
    assert_eq!(process.stop().await.code(), Some(0), "{}", process.log());

    // The next one does not let it overflow, and brings what waits all the same.
    let targets = stage.targets(", concurrency: 1");
    let stage = Stage { site: stage.site.set("targets", &targets), ..stage };
    let _process = stage.site.start().await;
    assert!(stage.labelled("outrigger_target_overflow_events", "target", "audit").await >= 10.0);
    stage.audit.open("gate");
    stage.audit.wait_for(|stats| stats.statuses.get(&200).copied().unwrap_or(0) >= 20).await;
    stage.settled().await;
    assert_eq!(by_key(&has(&stage.audit)), by_key(&ids));
    assert_eq!(has(&stage.function).len(), 20);
}
