//! Killed while it opens the journal, at every single call: a recovery that is cut short is recovered, too.

use crate::rig::{Rig, SYNC, WRITE, is_killed};
use outrigger_testkit::process::{WAIT_MAX, get};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// More calls than opening makes.
const CALLS_MAX: usize = 200;

/// Starts a process that is killed at the `call`-th call on a file of the journal, and says whether it was before
/// it became ready.
async fn killed_at(rig: &mut Rig, call: usize) -> bool {
    let rule = format!("kill:{WRITE}+{SYNC}+ftruncate:/journal.db:{call}");
    let shim = rig.shim(call, &[&rule]);
    let mut process = rig.site.launch().shim(&shim).start().unwrap();
    let deadline = Instant::now() + WAIT_MAX;
    while process.is_running() {
        if get(rig.site.admin, "/readyz").await.is_ok_and(|answer| answer.0 == 200) {
            process.kill().await;
            return false;
        }
        assert!(Instant::now() < deadline, "neither ready nor killed:\n{}", process.log());
        sleep(Duration::from_millis(1)).await;
    }
    let status = process.wait().await;
    assert!(is_killed(status), "{status}\n{}", process.log());
    rig.buried().await;
    true
}

#[tokio::test]
async fn row_7_killed_at_every_call_while_a_journal_is_made_the_next_one_goes_on() {
    let mut rig = Rig::new("while a journal is made");
    let mut call = 1;
    loop {
        rig.wipe();
        if !killed_at(&mut rig, call).await {
            break;
        }
        rig.recovers(0).await;
        call += 1;
        assert!(call < CALLS_MAX);
    }
    assert!(call > 10, "only {call} calls were seen");
    rig.report();
}

#[tokio::test]
async fn row_7_killed_at_every_call_while_a_torn_log_is_recovered_what_waited_comes_in_order() {
    let mut rig = Rig::new("while a torn log is recovered");
    let victim = rig.prepare(0, &[&format!("kill-half:{WRITE}:journal.db-wal:30")]).await;
    rig.pass(1).await;
    rig.hold();
    for _ in 0..5 {
        let event = rig.event();
        assert_eq!(rig.send(&event).await, Some(202));
    }
    victim.shim.arm();
    // One commit of many frames: some of them are whole when it is cut short.
    let event = rig.event().with_data("text/plain", vec![b'x'; 300_000]);
    assert_eq!(rig.send(&event).await, None);
    rig.dies(victim).await;
    let mut call = 1;
    while killed_at(&mut rig, call).await {
        call += 1;
        assert!(call < CALLS_MAX);
    }
    assert!(call > 5, "only {call} calls were seen");
    rig.function.wait_for(|stats| stats.running == 0).await;
    rig.let_go();
    rig.recovers(0).await;
    rig.report();
}
