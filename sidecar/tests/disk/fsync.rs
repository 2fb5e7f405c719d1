//! Row 22: an fsync that fails ends the process. The kernel reports such an error once, so a second try would
//! only seem to succeed.

use crate::common::Site;
use outrigger_function::{Action, Function, Program};
use outrigger_testkit::{
    Mode, Oracle, Outgoing, Process, Shim,
    process::{WAIT_MAX, get},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SYNC: &str = "fsync+fdatasync";
const POLL_INTERVAL: Duration = Duration::from_millis(5);

struct Failing {
    site: Site,
    function: Function,
    oracle: Oracle,
    sent: usize,
}

impl Failing {
    fn new() -> Self {
        let function = Function::start(Program::default());
        let site = Site::of(&function).set("drain.deadline", "5ms");
        Self { site, function, oracle: Oracle::default(), sent: 0 }
    }

    /// A process whose fsync fails as `rule` says, once the shim is armed; three events have passed.
    async fn start(&mut self, n: usize, rule: &str) -> (Process, Shim) {
        let folder = self.site.path(&format!("shim-{n}"));
        std::fs::create_dir_all(&folder).unwrap();
        let shim = Shim::new(&folder, &[rule]).disarmed();
        let mut process = self.site.launch().shim(&shim).start().unwrap();
        process.ready(self.site.admin).await;
        let before = self.function.stats().distinct;
        for _ in 0..3 {
            assert_eq!(self.send(100).await, Some(202));
        }
        self.function.wait_for(|stats| stats.distinct >= before + 3 && stats.running == 0).await;
        shim.arm();
        (process, shim)
    }

    async fn send(&mut self, bytes: usize) -> Option<u16> {
        self.sent += 1;
        let event = Outgoing::new(&format!("e{}", self.sent), Some("k"));
        let event = event.with_data("application/octet-stream", vec![7; bytes]);
        self.oracle.sending(&event);
        let answer = self.site.producer().send(&event, Mode::Binary).await.ok()?;
        if answer.status() == 202 {
            self.oracle.acknowledged(&event.id);
        }
        Some(answer.status().as_u16())
    }

    /// It ends by itself, and says why in one line.
    async fn ends(&self, mut process: Process) {
        let status = process.wait().await;
        assert_eq!(status.code(), Some(1), "{}", process.log());
        process.line("outrigger: ").await;
        let log = process.log();
        let lines: Vec<_> = log.lines().filter(|line| line.starts_with("outrigger: ")).collect();
        assert!(
            matches!(lines[..], [line] if line.contains("journal") && line.contains("start again")),
            "{log}"
        );
    }

    /// The next process has everything that was acknowledged.
    async fn recovers(&mut self) {
        let mut process = self.site.start().await;
        assert_eq!(self.send(100).await, Some(202));
        let deadline = Instant::now() + WAIT_MAX;
        while self.site.metric("outrigger_journal_pending_events").await > 0.0 {
            assert!(Instant::now() < deadline, "{}", process.log());
            sleep(POLL_INTERVAL).await;
        }
        process.kill().await;
        self.function.wait_for(|stats| stats.running == 0).await;
        // Three passed, and their settlements may not have been on disk.
        let judgement = self.oracle.judge_at(&self.function);
        assert!(judgement.is_clean(), "{judgement}");
    }
}

#[tokio::test]
async fn row_22_a_failed_fsync_of_the_log_ends_the_process_and_nothing_is_acknowledged_after_it() {
    let mut failing = Failing::new();
    for n in 0..10 {
        let (process, shim) = failing.start(n, &format!("fail:{SYNC}:/journal.db:1:EIO")).await;
        let answer = failing.send(100).await;
        assert!(matches!(answer, None | Some(500..=599)), "{answer:?}");
        failing.ends(process).await;
        tried(&shim, 1);
        failing.recovers().await;
    }
}

#[tokio::test]
async fn row_22_a_failed_fsync_of_the_database_ends_the_process_in_the_checkpoint() {
    let mut failing = Failing::new();
    for n in 0..5 {
        let (process, shim) = failing.start(n, &format!("fail:{SYNC}:/journal.db$:1:EIO")).await;
        failing.function.set_program(Program::always(Action::hold("gate")));
        // The log is copied when it has grown to 4 MiB.
        for _ in 0..100 {
            if failing.send(200_000).await != Some(202) {
                break;
            }
        }
        failing.ends(process).await;
        tried(&shim, 1);
        failing.function.wait_for(|stats| stats.running == 0).await;
        failing.function.set_program(Program::default());
        failing.recovers().await;
    }
}

#[tokio::test]
async fn row_22_a_failed_write_of_the_log_ends_the_process_too() {
    let mut failing = Failing::new();
    let (process, shim) = failing.start(0, "fail:write+pwrite:journal.db-wal:1:EIO").await;
    let answer = failing.send(100).await;
    assert!(matches!(answer, None | Some(500..=599)), "{answer:?}");
    failing.ends(process).await;
    tried(&shim, 1);
    failing.recovers().await;
}

/// More syncs than one short life makes.
const SYNCS_MAX: u64 = 100;

#[tokio::test]
async fn row_22_whichever_fsync_fails_from_the_making_of_the_journal_to_its_close_it_is_not_tried_again() {
    let mut failing = Failing::new();
    for n in 1..SYNCS_MAX {
        std::fs::remove_dir_all(failing.site.path(".outrigger")).unwrap_or_default();
        let folder = failing.site.path(&format!("shim-{n}"));
        std::fs::create_dir_all(&folder).unwrap();
        let shim = Shim::new(&folder, &[&format!("fail:{SYNC}:/journal.db:{n}:EIO")]);
        let mut process = failing.site.launch().shim(&shim).start().unwrap();
        if is_up(&mut process, failing.site.admin).await {
            let _ = failing.send(100).await;
            if process.is_running() {
                process.terminate();
            }
        }
        if shim.hits().is_empty() && process.wait().await.success() {
            assert!(n > 5, "only {n} syncs were seen");
            return;
        }
        failing.ends(process).await;
        // While the journal is made there is no log yet, and SQLite syncs what it takes back.
        tried(&shim, 2);
        failing.recovers().await;
    }
    panic!("there is no end of syncs");
}

/// No sync (or write) was tried after the one that failed, or at most so many in all.
fn tried(shim: &Shim, most: usize) {
    let hits: Vec<_> = shim.hits().into_iter().filter(|hit| hit.action == "fail").collect();
    assert!((1..=most).contains(&hits.len()), "{hits:?}");
}

/// Whether it became ready before it ended.
async fn is_up(process: &mut Process, admin: std::net::SocketAddr) -> bool {
    let deadline = Instant::now() + WAIT_MAX;
    while process.is_running() {
        if get(admin, "/readyz").await.is_ok_and(|answer| answer.0 == 200) {
            return true;
        }
        assert!(Instant::now() < deadline, "neither ready nor ended:\n{}", process.log());
        sleep(POLL_INTERVAL).await;
    }
    false
}
