//! The rig is judged: a loss and a repeat that are planted between the kill and the restart are found by it.

use crate::rig::{OUT, Rig};
use std::{fs, path::Path};

/// A rig whose process was killed after the function had `passed` events and while it held one more,
/// acknowledged event, and the id of that one.
async fn killed(passed: usize) -> (Rig, String) {
    let mut rig = Rig::new("planted");
    let mut process = rig.site.start().await;
    rig.pass(passed).await;
    copy(&rig.site.path(".outrigger"), &rig.site.path("before"));
    rig.hold();
    let event = rig.event();
    assert_eq!(rig.send(&event).await, Some(202));
    rig.function.wait_for(|stats| stats.held == 1).await;
    process.kill().await;
    rig.buried().await;
    rig.let_go();
    (rig, event.id)
}

/// The files of the journal, without the socket.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Starts a process over what is there, passes an event, and returns what the judge says.
async fn verdict(rig: &mut Rig) -> outrigger_testkit::Judgement {
    let mut process = rig.site.start().await;
    rig.pass(1).await;
    process.kill().await;
    rig.oracle.judge_at(&rig.function)
}

#[tokio::test]
async fn without_a_planted_flaw_the_held_event_comes() {
    let (mut rig, id) = killed(2).await;
    verdict(&mut rig).await.assert_clean(0);
    assert_eq!(rig.records(&id).len(), 2);
}

#[tokio::test]
async fn a_journal_that_is_gone_is_found_as_a_loss() {
    let (mut rig, id) = killed(2).await;
    rig.wipe();
    assert_eq!(verdict(&mut rig).await.lost, [id].into());
}

#[tokio::test]
async fn a_journal_that_went_back_in_time_is_found_as_a_loss() {
    let (mut rig, id) = killed(2).await;
    rig.wipe();
    copy(&rig.site.path("before"), &rig.site.path(".outrigger"));
    assert_eq!(verdict(&mut rig).await.lost, [id].into());
}

#[tokio::test]
async fn a_settlement_that_is_gone_is_found_as_a_duplicate() {
    let (mut rig, _) = killed(2).await;
    copy(&rig.site.path(".outrigger"), &rig.site.path("pending"));
    rig.recovers(0).await;
    rig.wipe();
    copy(&rig.site.path("pending"), &rig.site.path(".outrigger"));
    assert_eq!(verdict(&mut rig).await.duplicates, 1);
}

#[tokio::test]
#[should_panic(expected = "did not end")]
async fn a_point_that_is_never_reached_fails_the_test() {
    let mut rig = Rig::new("nowhere");
    let victim = rig.victim(0, &[&format!("kill:{OUT}:no-such-file:1")]).await;
    rig.dies(victim).await;
}
