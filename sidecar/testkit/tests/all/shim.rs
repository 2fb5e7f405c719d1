//! The shim does what its rules say, to a real process that writes with the standard library and serves with
//! tokio, and it leaves alone what the rules do not name.

use std::{fs, os::unix::process::ExitStatusExt, path::Path};

use crate::rig::Rig;
use outrigger_testkit::{Launch, Shim, shim::Hit};

/// Every way in which a runtime may write an answer.
const ANSWERS: &str = "send+sendto+sendmsg+write+writev";
const SIGKILL: i32 = 9;

fn lines(rig: &Rig) -> usize {
    fs::read_to_string(rig.file()).unwrap().matches('\n').count()
}

/// Sends three events to a sidecar under `rule`; what they were answered, how it ended and what was counted.
async fn under(rule: &str) -> (Rig, Vec<Option<u16>>, std::process::ExitStatus, Vec<Hit>) {
    let mut rig = Rig::new("none");
    let rule = rule.replace("PORT", &rig.port.to_string());
    let shim = Shim::new(rig.dir.path(), &[&rule]);
    let mut process = rig.start_with(&shim).await;
    let statuses = rig.send(3).await;
    let status = process.wait().await;
    (rig, statuses, status, shim.hits())
}

#[tokio::test]
async fn a_kill_comes_before_the_nth_call() {
    let (rig, statuses, status, hits) = under("kill:write:/events$:3").await;
    assert_eq!(statuses, [Some(202), Some(202), None]);
    assert_eq!((status.signal(), lines(&rig)), (Some(SIGKILL), 2));
    let [Hit { action, function, count: 3, target }] = &hits[..] else { panic!("{hits:?}") };
    assert_eq!((action.as_str(), function.as_str()), ("kill", "write"));
    assert_eq!(Path::new(target), fs::canonicalize(rig.file()).unwrap());
}

#[tokio::test]
async fn a_kill_after_lets_the_call_be_done() {
    let (rig, statuses, status, _) = under("kill-after:fsync+fdatasync:/events$:2").await;
    assert_eq!(statuses, [Some(202), None, None]);
    assert_eq!((status.signal(), lines(&rig)), (Some(SIGKILL), 2));
    let _restarted = rig.start().await;
    rig.function.wait_for(|stats| stats.distinct == 2 && stats.running == 0).await;
    rig.oracle.judge_at(&rig.function).assert_clean(1);
}

#[tokio::test]
async fn half_a_write_leaves_a_torn_line() {
    let (rig, statuses, status, _) = under("kill-half:write:/events$:2").await;
    assert_eq!((statuses[1], status.signal()), (None, Some(SIGKILL)));
    let bytes = fs::read(rig.file()).unwrap();
    let torn = bytes.rsplit(|byte| *byte == b'\n').next().unwrap();
    assert!(lines(&rig) == 1 && !torn.is_empty(), "{bytes:?}");
}

#[tokio::test]
async fn a_socket_is_found_by_the_port_of_either_end() {
    // The first answers are those to /readyz, of which there may be more than one: so count from the sync.
    let rules = format!("arm:fdatasync:/events$:2;kill:{ANSWERS}:sock:PORT:1");
    let (rig, statuses, status, hits) = under(&rules).await;
    assert_eq!(statuses, [Some(202), None, None]);
    assert_eq!((status.signal(), lines(&rig)), (Some(SIGKILL), 2), "{hits:?}");
    let mut rig = Rig::new("none");
    let rule = format!("kill:{ANSWERS}:sock:{}:2", rig.function.addr().port());
    let shim = Shim::new(rig.dir.path(), &[&rule]);
    let mut process = rig.start_with(&shim).await;
    assert_eq!(rig.send(1).await, [Some(202)]);
    rig.function.wait_for(|stats| stats.ended == 1).await;
    rig.send(1).await;
    assert_eq!(process.wait().await.signal(), Some(SIGKILL));
    assert_eq!(rig.function.stats().received, 1);
}

#[tokio::test]
async fn a_read_that_got_something_counts_and_one_that_would_block_does_not() {
    let mut rig = Rig::new("none");
    let rule = format!("kill-after:recv+recvfrom+read:sock:{}:2", rig.function.addr().port());
    let shim = Shim::new(rig.dir.path(), &[&rule]);
    let mut process = rig.start_with(&shim).await;
    rig.send(2).await;
    assert_eq!(process.wait().await.signal(), Some(SIGKILL));
    assert_eq!(rig.function.wait_for(|stats| stats.running == 0).await.ended, 2);
}

#[tokio::test]
async fn a_failed_sync_is_reported_and_a_second_one_would_be_seen() {
    let (_rig, statuses, status, hits) = under("fail:fsync+fdatasync:/events$:2:EIO").await;
    assert_eq!((statuses[0], statuses[1]), (Some(202), None));
    assert_eq!(status.code(), Some(1), "the error came to the program, and it ended by itself");
    assert_eq!(hits.iter().map(|hit| hit.count).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_disk_is_full_only_while_the_shim_is_armed() {
    let mut rig = Rig::new("none");
    let shim = Shim::new(rig.dir.path(), &["fail-from:write:/events$:1:ENOSPC"]).disarmed();
    let mut process = rig.start_with(&shim).await;
    assert_eq!(rig.send(2).await, [Some(202); 2]);
    shim.arm();
    assert_eq!(rig.send(1).await, [None]);
    process.line("StorageFull").await;
    assert_eq!(process.wait().await.code(), Some(1));
    shim.disarm();
    let _restarted = rig.start_with(&shim).await;
    assert_eq!(rig.send(1).await, [Some(202)]);
}

#[tokio::test]
async fn another_program_is_left_alone() {
    let mut rig = Rig::new("none");
    let shim = Shim::new(rig.dir.path(), &["kill:write:/events$:1"]);
    let mut launch = rig.launch();
    for (name, value) in shim.environment(Path::new("/bin/other")) {
        launch = launch.env(name, value);
    }
    let mut process = launch.start().unwrap();
    process.ready(std::net::SocketAddr::from(([127, 0, 0, 1], rig.port))).await;
    assert_eq!(rig.send(3).await, [Some(202); 3]);
}

#[tokio::test]
async fn a_wrong_rule_ends_the_program_with_a_line_that_names_it() {
    for rule in
        ["kill:wrote:/x:1", "kill:write:/x", "kil:write:/x:1", "fail:write:/x:1:EWHAT", "cut:write:/x:1"]
    {
        let dir = tempfile::tempdir().unwrap();
        let launch = Launch::new("/bin/true", dir.path()).shim(&Shim::new(dir.path(), &[rule]));
        let mut process = launch.start().unwrap();
        assert_eq!(process.wait().await.code(), Some(97), "{rule}");
        process.line(rule).await;
    }
}
