//! A volume that the journal fills by itself: what was accepted can be settled all the same, and then it goes on.
//!
//! On a small tmpfs, where one may be mounted; elsewhere these tests say that they were skipped.

mod common;

use common::{Running, acknowledge, event, letter};
use outrigger_core::{DeadLetter, DeadLetters, Kind};
use outrigger_journal::{
    Config, Entry, Journal,
    audit::Order,
    dead::{Filter, Page},
};
use outrigger_testkit::skip;
use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, MutexGuard};

const MIB: usize = 1 << 20;

/// One test at a time: a child that mounts holds for a moment what was open when it was made, locks among it.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A small volume of its own.
struct Volume {
    directory: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Volume {
    async fn new(test: &str, bytes: usize) -> Option<Self> {
        let alone = ALONE.lock().await;
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={bytes},mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "outrigger-test"]).arg(directory.path());
        let why = match mount.stdin(Stdio::null()).output() {
            Ok(done) if done.status.success() => return Some(Self { directory, _alone: alone }),
            Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        skip(test, &format!("no tmpfs can be mounted here ({why})"));
        None
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(&self) -> Arc<Journal> {
        self.open_with(|_| {})
    }

    fn open_with(&self, change: impl FnOnce(&mut Config)) -> Arc<Journal> {
        let commit_every = Duration::from_millis(20);
        let mut config = Config { commit_every, ..Config::new(self.file("journal.db")) };
        change(&mut config);
        Journal::open(config, |error| panic!("fatal: {error}")).unwrap()
    }

    /// Somebody else takes every byte that is left.
    fn fill_up(&self) {
        let mut filler = fs::File::create(self.file("filler")).unwrap();
        while filler.write_all(&[1; 1_024]).is_ok() {}
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have files open there.
        let _ = Command::new("umount").arg("--lazy").arg(self.directory.path()).status();
    }
}

fn large(id: u64, bytes: usize) -> Vec<Entry> {
    let data = vec![7; bytes];
    vec![Entry { event: event(id).with_data("application/octet-stream", data.into()).unwrap(), key: None }]
}

/// Appends until nothing more is taken, and returns how many were.
async fn fill(journal: &Journal, bytes: usize) -> usize {
    for n in 0.. {
        match journal.append(large(n as u64, bytes)).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), Kind::Full, "{error}");
                return n;
            }
        }
    }
    unreachable!("the volume is never full")
}

/// Everything is delivered and settled, and its rows are gone from the disk.
async fn settle(running: &Running, events: usize) {
    acknowledge(running.desk.take(events).await);
    running.journal.flush().await.unwrap();
    assert_eq!(running.journal.stats().pending, 0);
}

/// What was freed is used again.
async fn goes_on(running: &Running, events: usize, bytes: usize) {
    for n in 0..events {
        running.journal.append(large(n as u64, bytes)).await.unwrap();
        settle(running, 1).await;
    }
}

#[tokio::test]
async fn a_journal_that_fills_its_volume_can_settle_everything_and_goes_on() {
    for (volume_bytes, bytes) in
        [(MIB, 20_000), (5 * MIB, 50_000), (6 * MIB, 50_000), (12 * MIB, 200_000), (6 * MIB, 500)]
    {
        let Some(volume) =
            Volume::new("a_journal_that_fills_its_volume_can_settle_everything_and_goes_on", volume_bytes)
                .await
        else {
            return;
        };
        let running = Running::start(volume.open(), 100_000);
        let accepted = fill(&running.journal, bytes).await;
        assert!(accepted * bytes > volume_bytes / 5, "{accepted} of {bytes} bytes on {volume_bytes}");
        settle(&running, accepted).await;
        goes_on(&running, accepted.min(100), bytes).await;
        running.stop().await;
        assert_eq!(volume.open().opened().pending, 0);
    }
}

#[tokio::test]
async fn filled_again_and_again_it_takes_as_much_as_before() {
    let Some(volume) = Volume::new("filled_again_and_again_it_takes_as_much_as_before", 6 * MIB).await else {
        return;
    };
    let running = Running::start(volume.open(), 100_000);
    let first = fill(&running.journal, 50_000).await;
    settle(&running, first).await;
    for _ in 0..5 {
        let mut accepted = 0;
        while accepted < first / 2 {
            running.journal.append(large(0, 50_000)).await.unwrap();
            accepted += 1;
        }
        settle(&running, accepted).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn what_was_accepted_is_settled_also_when_others_have_taken_the_last_byte() {
    let Some(volume) =
        Volume::new("what_was_accepted_is_settled_also_when_others_have_taken_the_last_byte", 6 * MIB).await
    else {
        return;
    };
    let running = Running::start(volume.open(), 100_000);
    let accepted = fill(&running.journal, 50_000).await;
    volume.fill_up();
    settle(&running, accepted).await;
    fs::remove_file(volume.file("filler")).unwrap();
    goes_on_within_seconds(&running).await;
    running.stop().await;
    assert_eq!(volume.open().opened().pending, 0);
}

#[tokio::test]
async fn opened_again_on_a_full_volume_it_settles_what_it_finds() {
    let Some(volume) = Volume::new("opened_again_on_a_full_volume_it_settles_what_it_finds", 6 * MIB).await
    else {
        return;
    };
    let journal = volume.open();
    let accepted = fill(&journal, 50_000).await;
    journal.close().await.unwrap();
    drop(journal);
    volume.fill_up();
    let running = Running::start(volume.open(), 100_000);
    assert_eq!(running.journal.opened().pending, accepted as u64);
    settle(&running, accepted).await;
    running.stop().await;
    assert_eq!(volume.open().opened().pending, 0);
}

/// It looks once per second whether there is space.
async fn goes_on_within_seconds(running: &Running) {
    for _ in 0..1_000 {
        if running.journal.append(large(0, 50_000)).await.is_ok() {
            return settle(running, 1).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", running.journal.health());
}

/// What finds no space at once is tried again, after the log is copied.
async fn flushed(running: &Running) {
    for _ in 0..1_000 {
        match running.journal.flush().await {
            Ok(()) => return,
            Err(error) => assert_eq!(error.kind(), Kind::Full),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", running.journal.health());
}

#[tokio::test]
async fn attempts_are_noted_on_a_full_volume_and_many_settlements_at_once_find_space() {
    let Some(volume) =
        Volume::new("attempts_are_noted_on_a_full_volume_and_many_settlements_at_once_find_space", 6 * MIB)
            .await
    else {
        return;
    };
    let running = Running::start(volume.open(), 100_000);
    let appends = (0..2_000).map(|n| running.journal.append(large(n, 5_000)));
    let accepted = futures_util::future::join_all(appends).await.iter().filter(|done| done.is_ok()).count();
    let accepted = accepted + fill(&running.journal, 500).await;
    volume.fill_up();
    let deliveries = running.desk.take(accepted).await;
    for round in 1..5 {
        for delivery in &deliveries {
            delivery.receipt.attempted(round);
        }
        flushed(&running).await;
    }
    acknowledge(deliveries);
    running.journal.flush().await.unwrap();
    running.stop().await;
    assert_eq!(volume.open().opened().pending, 0);
}

#[tokio::test]
async fn dead_letters_that_fill_a_volume_can_be_dropped_and_then_events_find_space() {
    let Some(volume) =
        Volume::new("dead_letters_that_fill_a_volume_can_be_dropped_and_then_events_find_space", 6 * MIB)
            .await
    else {
        return;
    };
    let running = Running::start(volume.open(), 100_000);
    let mut put = 0;
    loop {
        let letter = DeadLetter { item: Ok(large(put, 50_000).remove(0).event), ..letter(put) };
        match running.journal.put(&letter).await {
            Ok(()) => put += 1,
            Err(error) => break assert_eq!(error.kind(), Kind::Full),
        }
    }
    assert!(put > 20, "{put}");
    assert_eq!(running.journal.append(large(0, 50_000)).await.unwrap_err().kind(), Kind::Full);
    volume.fill_up();
    let mut page = Page::default();
    while let Some(after) =
        running.journal.discard(Filter::default(), page, Order::default()).await.unwrap().next
    {
        page.after = after;
    }
    assert!(running.journal.list(Filter::default(), Page::default()).await.unwrap().letters.is_empty());
    fs::remove_file(volume.file("filler")).unwrap();
    goes_on_within_seconds(&running).await;
    running.stop().await;
}

/// What is kept for people fills the volume, and is what yields: no event is refused for its sake, and as many fit as without it.
#[tokio::test]
async fn kept_events_that_fill_a_volume_yield_to_new_ones() {
    for (volume_bytes, bytes) in [(6 * MIB, 50_000), (12 * MIB, 200_000), (6 * MIB, 2_000)] {
        let test = "kept_events_that_fill_a_volume_yield_to_new_ones";
        let Some(volume) = Volume::new(test, volume_bytes).await else { return };
        let plain = Running::start(volume.open(), 100_000);
        let fits = fill(&plain.journal, bytes).await;
        settle(&plain, fits).await;
        plain.stop().await;

        let running = Running::start(volume.open_with(|config| config.keep_settled = true), 100_000);
        goes_on(&running, 2 * volume_bytes.div_ceil(bytes), bytes).await;
        let stats = running.journal.stats();
        assert!(stats.kept > 0 && stats.expired > 0, "{volume_bytes}/{bytes}: {stats:?}");
        let again = fill(&running.journal, bytes).await;
        assert!(again * 10 >= fits * 9, "{again} instead of {fits} of {bytes} bytes on {volume_bytes}");
        settle(&running, again).await;
        running.stop().await;
    }
}
