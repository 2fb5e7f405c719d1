//! A disk that neither works nor fails: it does not answer.

use crate::common::Site;
use outrigger_function::{Function, Program};
use outrigger_testkit::{Mode, Oracle, Outgoing, Process, Shim};
use std::time::Duration;

const POLL_INTERVAL: Duration = Duration::from_millis(5);
const SYNC: &str = "hang:fsync+fdatasync:/journal.db:1";

fn site(function: &Function) -> Site {
    Site::of(function).set("journal.stalled_after", "200ms")
}

/// A process whose disk hangs once the shim is armed.
async fn start(site: &Site) -> (Process, Shim) {
    let shim = Shim::new(&site.path("."), &[SYNC]).disarmed();
    let mut process = site.launch().shim(&shim).start().unwrap();
    process.ready(site.admin).await;
    (process, shim)
}

#[tokio::test]
async fn a_disk_that_hangs_is_told_by_readyz_and_what_waits_for_it_is_taken_once_it_answers() {
    let (function, oracle) = (Function::start(Program::default()), Oracle::default());
    let site = site(&function);
    let (mut process, shim) = start(&site).await;
    shim.arm();
    let event = Outgoing::new("e1", Some("k"));
    oracle.sending(&event);
    let producer = site.producer();
    let id = event.id.clone();
    let sent = tokio::spawn(async move { producer.send(&event, Mode::Binary).await });
    let (status, text) = site.until_readyz("[-] journal: ").await;
    assert!(status == 503 && text.contains("the disk has not answered for"), "{status} {text}");
    assert!(!sent.is_finished(), "what is not safe is not acknowledged");
    shim.disarm();
    assert_eq!(sent.await.unwrap().unwrap().status(), 202);
    oracle.acknowledged(&id);
    assert_eq!(site.until_readyz("[+] journal").await.0, 200);
    function.wait_for(|stats| stats.distinct == 1 && stats.running == 0).await;
    assert!(process.stop().await.success(), "{}", process.log());
    let judgement = oracle.judge_at(&function);
    assert!(judgement.is_clean(), "{judgement}");
}

#[tokio::test]
async fn a_disk_that_hangs_keeps_no_drain_from_its_end() {
    let function = Function::start(Program::default());
    let site = site(&function).set("drain.storage_timeout", "200ms").set("drain.deadline", "5ms");
    let (mut process, shim) = start(&site).await;
    shim.arm();
    let producer = site.producer();
    let sent =
        tokio::spawn(async move { producer.send(&Outgoing::new("e1", Some("k")), Mode::Binary).await });
    while shim.hits().is_empty() {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    process.terminate();
    let ended = tokio::time::timeout(Duration::from_secs(30), process.wait()).await;
    let status = ended.unwrap_or_else(|_| panic!("it waits for the disk:\n{}", process.log()));
    assert_eq!(status.code(), Some(1), "{}", process.log());
    process.line("drain.storage_timeout").await;
    let answer = sent.await.unwrap();
    assert!(answer.is_err() || answer.unwrap().status() != 202, "what is not safe is not acknowledged");
}
