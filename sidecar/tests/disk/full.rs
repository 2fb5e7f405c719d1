//! Row 21: a full disk is a 503 and a pause, and it is over when there is space again.

use crate::{common::Site, place::Disk};
use outrigger_function::{Action, Function, Program};
use outrigger_testkit::{Mode, Oracle, Outgoing, Process, process::WAIT_MAX};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PENDING: &str = "outrigger_journal_pending_events";

struct Full {
    disk: Disk,
    site: Site,
    function: Function,
    oracle: Oracle,
    sent: usize,
}

impl Full {
    fn new(disk: fn(&Site) -> Disk) -> Self {
        let function = Function::start(Program::default());
        let site = Site::of(&function).set("journal.path", "disk/journal.db");
        Self { disk: disk(&site), site, function, oracle: Oracle::default(), sent: 0 }
    }

    async fn start(&self) -> Process {
        let mut process = self.disk.launch(&self.site).start().unwrap();
        process.answers(self.site.admin, "/livez", 200).await;
        process
    }

    /// Sends an event of 100 kB and returns the status of the answer.
    async fn send(&mut self) -> u16 {
        self.sent += 1;
        let event = Outgoing::new(&format!("e{}", self.sent), Some(&format!("k{}", self.sent % 4)));
        let event = event.with_data("application/octet-stream", vec![7; 100_000]);
        self.oracle.sending(&event);
        let answer = self.site.producer().send(&event, Mode::Binary).await.unwrap();
        if answer.status() == 202 {
            self.oracle.acknowledged(&event.id);
        }
        answer.status().as_u16()
    }

    async fn until_settled(&self) {
        let deadline = Instant::now() + WAIT_MAX;
        while self.site.metric(PENDING).await > 0.0 {
            assert!(Instant::now() < deadline, "events stay: {:?}", self.function.stats());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Fills the disk while the function holds everything, until an event is refused. How many were accepted.
    async fn fill(&mut self) -> usize {
        self.function.set_program(Program::always(Action::hold("gate")));
        assert_eq!(self.send().await, 202);
        self.disk.fill();
        let mut accepted = 1;
        loop {
            match self.send().await {
                202 => accepted += 1,
                status => {
                    assert_eq!(status, 503);
                    self.disk.fill_up();
                    return accepted;
                }
            }
            assert!(accepted < 100, "the disk is never full");
        }
    }

    async fn is_full(&self) {
        let (status, text) = self.site.until_readyz("[-] journal").await;
        assert_eq!(status, 503);
        let line = text.lines().find(|line| line.contains("journal")).unwrap();
        assert!(line.contains("no space") && line.contains("goes on by itself"), "{line}");
    }
}

/// Accepts until the disk is full, refuses, and goes on in the same process.
async fn comes_back_by_itself(disk: fn(&Site) -> Disk) {
    let mut full = Full::new(disk);
    let mut process = full.start().await;
    assert!(full.fill().await > 0);
    full.is_full().await;
    for _ in 0..5 {
        assert_eq!(full.send().await, 503, "it is still full");
    }
    assert!(process.is_running());

    full.disk.free();
    full.site.until_readyz("[+] journal").await; // nobody sends anything: it finds out by itself
    for _ in 0..5 {
        assert_eq!(full.send().await, 202);
    }
    full.function.set_program(Program::default());
    full.function.open("gate");
    full.until_settled().await;
    full.oracle.judge_at(&full.function).assert_clean(0);
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn row_21_on_a_full_tmpfs_nothing_is_accepted_until_there_is_space_again() {
    comes_back_by_itself(Disk::real).await;
}

#[tokio::test]
async fn row_21_when_every_write_finds_no_space_nothing_is_accepted_until_there_is_space_again() {
    comes_back_by_itself(Disk::shim).await;
}

/// Events are delivered from a full disk; only their settlement waits.
async fn delivers_while_full(disk: fn(&Site) -> Disk) {
    let mut full = Full::new(disk);
    let _process = full.start().await;
    let accepted = full.fill().await as u64;
    full.function.set_program(Program::default());
    full.function.open("gate");
    full.function.wait_for(|stats| stats.distinct == accepted && stats.running == 0).await;
    full.disk.free();
    full.site.until_readyz("[+] journal").await;
    full.until_settled().await;
    assert_eq!(full.send().await, 202);
    full.until_settled().await;
    full.oracle.judge_at(&full.function).assert_clean(0);
}

#[tokio::test]
async fn row_21_what_was_accepted_is_delivered_from_a_full_tmpfs() {
    delivers_while_full(Disk::real).await;
}

#[tokio::test]
async fn row_21_what_was_accepted_is_delivered_while_no_write_finds_space() {
    delivers_while_full(Disk::shim).await;
}

#[tokio::test]
async fn row_21_killed_on_a_full_tmpfs_everything_accepted_is_there_and_what_was_not_settled_comes_again() {
    let mut full = Full::new(Disk::real);
    let mut process = full.start().await;
    let accepted = full.fill().await as u64;
    process.kill().await;
    full.function.wait_for(|stats| stats.running == 0).await;

    full.function.set_program(Program::default());
    let mut process = full.start().await;
    full.function.wait_for(|stats| stats.distinct == accepted && stats.running == 0).await;
    full.disk.free();
    full.site.until_readyz("[+] journal").await;
    full.until_settled().await;
    assert_eq!(full.send().await, 202);
    full.until_settled().await;
    full.oracle.judge_at(&full.function).assert_clean(0);
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn row_21_a_tmpfs_that_the_journal_filled_by_itself_has_space_again_once_its_events_have_left() {
    let mut full = Full::new(Disk::real);
    if matches!(full.disk, Disk::Shim(_)) {
        return; // `Disk::real` has said so
    }
    let mut process = full.start().await;
    full.function.set_program(Program::always(Action::hold("gate")));
    while full.send().await == 202 {
        assert!(full.sent < 100, "the disk is never full");
    }
    let accepted = full.sent as u64 - 1;
    full.function.set_program(Program::default());
    full.function.open("gate");
    full.until_settled().await;
    full.site.until_readyz("[+] journal").await;
    assert_eq!(full.send().await, 202);
    full.until_settled().await;
    assert!(process.stop().await.success());

    let _process = full.start().await;
    full.site.until_readyz("[+] journal").await;
    assert_eq!(full.send().await, 202);
    full.until_settled().await;
    assert_eq!(full.function.stats().received, accepted + 2, "nothing comes again");
    full.oracle.judge_at(&full.function).assert_clean(0);
}
