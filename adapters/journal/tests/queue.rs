//! The queue: what is accepted comes out, in order, until it is settled.

mod common;

use common::{Place, Running, acknowledge, entries, entry, event, id, ids};
use outrigger_core::{Code, Intake, Kind, Reason, Settlement, Source, decide::window::Window, drain};
use outrigger_journal::{Config, Journal};
use std::{fs, os::unix::fs::MetadataExt, time::Duration};

#[tokio::test]
async fn what_was_appended_comes_in_order_and_is_gone_once_it_is_acknowledged() {
    let place = Place::new();
    let running = Running::start(place.open(), 100);
    assert_eq!(running.journal.append(entries(0..3)).await.unwrap(), [1, 2, 3]);
    assert_eq!(running.journal.append(entries(3..5)).await.unwrap(), [4, 5]);
    let deliveries = running.desk.take(5).await;
    assert_eq!(ids(&deliveries), [0, 1, 2, 3, 4]);
    for (n, delivery) in (0..).zip(&deliveries) {
        assert_eq!(delivery.item.as_ref().unwrap(), &event(n));
        assert_eq!(delivery.key, entry(n).key);
        assert_eq!(delivery.origin.position.to_string(), (n + 1).to_string());
        assert_eq!((delivery.attempts, &*delivery.origin.source), (0, "journal"));
    }
    assert_eq!(running.journal.stats().pending, 5);
    acknowledge(deliveries);
    running.journal.flush().await.unwrap();
    let stats = running.journal.stats();
    assert_eq!((stats.pending, stats.pending_bytes, stats.settled), (0, 0, 5));
    running.stop().await;
}

/// Row 2 of the fault matrix.
#[tokio::test]
async fn after_a_kill_what_was_not_settled_comes_once_with_no_attempts() {
    let place = Place::new();
    let journal = place.open();
    journal.append(entries(0..600)).await.unwrap();

    let after = place.crash();
    let running = Running::start(after.open(), 1_000);
    assert_eq!(running.journal.opened().pending, 600);
    running.journal.append(entries(600..601)).await.unwrap();
    let deliveries = running.desk.take(601).await;
    assert_eq!(ids(&deliveries), (0..601).collect::<Vec<_>>());
    assert!(deliveries.iter().all(|delivery| delivery.attempts == 0));
    assert!(running.desk.is_empty());
    acknowledge(deliveries);
    running.stop().await;
    assert_eq!(after.open().opened().pending, 0);
}

/// Row 3 of the fault matrix.
#[tokio::test]
async fn noted_attempts_survive_a_kill_and_can_be_taken_back() {
    let place = Place::new();
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(0..3)).await.unwrap();
    let deliveries = running.desk.take(3).await;
    deliveries[0].receipt.attempted(1);
    deliveries[1].receipt.attempted(2);
    running.journal.flush().await.unwrap();
    let attempts = async |place: &Place| {
        let running = Running::start(place.open(), 100);
        running.desk.take(3).await.iter().map(|delivery| delivery.attempts).collect::<Vec<_>>()
    };
    assert_eq!(attempts(&place.crash()).await, [1, 2, 0]);

    deliveries[1].receipt.attempted(1);
    running.journal.flush().await.unwrap();
    assert_eq!(attempts(&place.crash()).await, [1, 1, 0]);

    acknowledge(deliveries);
    running.journal.flush().await.unwrap();
    assert_eq!(place.crash().open().opened().pending, 0);
}

#[tokio::test]
async fn a_settlement_gets_a_commit_of_its_own_when_nothing_is_appended() {
    let mut place = Place::new();
    place.config.commit_every = Duration::from_millis(1);
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(0..1)).await.unwrap();
    acknowledge(running.desk.take(1).await);
    while running.journal.stats().settled == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(place.crash().open().opened().pending, 0);
}

#[tokio::test]
async fn what_does_not_fit_into_the_window_waits_on_disk_and_keeps_its_order() {
    let mut place = Place::new();
    place.config.hand_events_max = 7;
    let running = Running::start(place.open(), 4);
    let journal = running.journal.clone();
    let appender = tokio::spawn(async move {
        for first in (0..2_000).step_by(8) {
            journal.append(entries(first..first + 8)).await.unwrap();
        }
    });
    for expected in 0..2_000 {
        let delivery = running.desk.next().await;
        assert_eq!(id(&delivery), expected);
        acknowledge([delivery]);
    }
    appender.await.unwrap();
    running.journal.flush().await.unwrap();
    assert_eq!(running.journal.stats().pending, 0);
    assert!(running.desk.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_released_event_comes_again_after_its_time_and_before_newer_ones() {
    let place = Place::new();
    let running = Running::start(place.open(), 2);
    running.journal.append(entries(0..3)).await.unwrap();
    let [first, second] = running.desk.take(2).await.try_into().unwrap();
    first.receipt.attempted(4);
    let released = tokio::time::Instant::now();
    first.receipt.settle(Settlement::Release { after: Some(Duration::from_hours(1)) });
    let third = running.desk.next().await;
    assert_eq!(id(&third), 2);
    drop(second); // without a time, and by dropping
    let second = running.desk.next().await;
    assert_eq!((id(&second), second.attempts), (1, 0));
    acknowledge([second, third]);
    let first = running.desk.next().await;
    assert_eq!((id(&first), first.attempts), (0, 4));
    assert!(released.elapsed() >= Duration::from_hours(1));
    acknowledge([first]);
    running.journal.flush().await.unwrap();
    assert_eq!(running.journal.stats().pending, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_rejected_is_kept_and_comes_again() {
    let place = Place::new();
    let running = Running::start(place.open(), 2);
    running.journal.append(entries(0..1)).await.unwrap();
    let reason = Reason { code: Code::Refused, status: None, detail: String::new() };
    running.desk.next().await.receipt.settle(Settlement::Reject(reason));
    assert_eq!(id(&running.desk.next().await), 0);
}

#[tokio::test]
async fn an_append_beyond_the_bound_keeps_nothing_and_succeeds_once_there_is_room() {
    let mut place = Place::new();
    place.config.bytes_max = 64 << 10;
    let running = Running::start(place.open(), 10_000);
    let mut kept = 0;
    let full = loop {
        match running.journal.append(entries(kept..kept + 10)).await {
            Ok(_) => kept += 10,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), Kind::Full);
    let stats = running.journal.stats();
    assert!(stats.pending == kept && stats.pending_bytes <= 64 << 10 && kept > 100, "{stats:?}");
    let kept = usize::try_from(kept).unwrap();
    acknowledge(running.desk.take(kept).await);
    running.journal.append(entries(0..10)).await.unwrap();
    assert_eq!(running.journal.stats().pending, 10);
}

#[tokio::test]
async fn sequences_are_never_used_twice() {
    let place = Place::new();
    let running = Running::start(place.open(), 100);
    assert_eq!(running.journal.append(entries(0..2)).await.unwrap(), [1, 2]);
    acknowledge(running.desk.take(2).await);
    running.stop().await;
    assert_eq!(place.open().append(entries(0..1)).await.unwrap(), [3]);
}

#[tokio::test]
async fn a_drain_leaves_the_rest_on_disk_and_closing_writes_what_was_settled() {
    let place = Place::new();
    let running = Running::start(place.open(), 2);
    running.journal.append(entries(0..10)).await.unwrap();
    acknowledge([running.desk.next().await]);
    running.drain.start();
    running.drain.ended().await;
    running.journal.close().await.unwrap();
    let refused = running.journal.append(entries(0..1)).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Closed);
    drop(running);
    assert_eq!(place.len("-wal"), 0, "the log is copied and empty");
    let again = place.open();
    assert_eq!((again.opened().pending, again.opened().cut), (9, None));
}

#[tokio::test]
async fn a_future_that_is_dropped_harms_nobody() {
    let place = Place::new();
    let running = Running::start(place.open(), 100);
    let mut dropped = Box::pin(running.journal.append(entries(0..1)));
    assert!(futures_util::poll!(dropped.as_mut()).is_pending());
    drop(dropped);
    running.journal.append(entries(1..2)).await.unwrap();
    assert_eq!(ids(&running.desk.take(2).await), [0, 1]);
}

#[tokio::test]
async fn the_source_runs_once() {
    let place = Place::new();
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(0..1)).await.unwrap();
    running.desk.take(1).await;
    let intake = Intake::new(Window::new(1, 1), running.desk.clone());
    let (_trigger, drain) = drain::channel();
    assert!(running.journal.clone().run(intake, drain).await.is_err());
}

#[tokio::test]
async fn a_second_journal_on_the_same_files_is_refused_until_the_first_is_closed() {
    let place = Place::new();
    let first = place.open();
    let refusal = place.refusal();
    assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
    first.close().await.unwrap();
    place.open();
}

#[tokio::test]
async fn every_file_is_for_its_owner_only() {
    let place = Place::new();
    let journal = place.open();
    journal.append(entries(0..1)).await.unwrap();
    for suffix in ["", "-wal", ".lock", ".mark", ".reserve"] {
        assert_eq!(fs::metadata(place.file(suffix)).unwrap().mode() & 0o777, 0o600, "{suffix:?}");
    }
}

#[test]
fn what_is_no_journal_is_refused_in_one_clear_line() {
    let place = Place::new();
    fs::write(place.file(""), [b'x'; 9_000]).unwrap();
    assert!(place.refusal().contains("is no journal"), "{}", place.refusal());

    let other = Place::new();
    let theirs = rusqlite::Connection::open(other.file("")).unwrap();
    theirs.execute_batch("CREATE TABLE theirs (n INTEGER)").unwrap();
    drop(theirs);
    assert!(other.refusal().contains("another program"), "{}", other.refusal());

    let refuse = |path: &str| Journal::open(Config::new(path), |_| {}).unwrap_err().to_string();
    let directory = tempfile::tempdir().unwrap();
    let error = refuse(directory.path().to_str().unwrap());
    assert!(error.contains("directory") && !error.contains('\n'), "{error}");
    assert!(refuse("/proc/outrigger/journal.db").contains("/proc/outrigger"));
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let journal = place.open();
    journal.append(entries(0..1)).await.unwrap();
    journal.close().await.unwrap();
    let newer = rusqlite::Connection::open(place.file("")).unwrap();
    newer.pragma_update(None, "user_version", 7).unwrap();
    drop(newer);
    let before = fs::read(place.file("")).unwrap();
    let refusal = place.refusal();
    assert!(refusal.contains("schema version 7") && refusal.contains("newer Outrigger"), "{refusal}");
    assert_eq!(fs::read(place.file("")).unwrap(), before);
}
