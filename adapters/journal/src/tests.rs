//! What can be tested only from inside: a writer that is held up, that runs out of space, that fails.

use super::*;
use crate::stats::Health;
use outrigger_core::{Event, Settler};
use std::{sync::mpsc, time::Duration};

fn entries(n: usize) -> Vec<Entry> {
    let event = |i: usize| Event::new(&i.to_string(), "/tests", "t").unwrap();
    (0..n).map(|i| Entry { event: event(i), key: None }).collect()
}

struct Held {
    _directory: tempfile::TempDir,
    journal: Arc<Journal>,
    fatal: mpsc::Receiver<Error>,
}

fn open(change: impl FnOnce(&mut Config)) -> Held {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::new(directory.path().join("journal.db"));
    change(&mut config);
    let (tell, fatal) = mpsc::sync_channel(1);
    let journal = Journal::open(config, move |error| tell.send(error).unwrap()).unwrap();
    Held { _directory: directory, journal, fatal }
}

impl Held {
    /// Holds up the writer until the returned sender is used or dropped.
    async fn hold(&self) -> mpsc::SyncSender<()> {
        let (release, released) = mpsc::sync_channel(1);
        let (tell, told) = oneshot::channel();
        let job = Box::new(move |_: &mut Store| {
            tell.send(()).unwrap();
            let _ = released.recv();
            Ok(())
        });
        self.journal.shared.inbox.job(job).unwrap();
        told.await.unwrap();
        release
    }

    /// From now on the database may grow by so many pages.
    async fn room(&self, pages: i64) {
        let limit = move |store: &mut Store| {
            let now: i64 = store.db.pragma_query_value(None, "page_count", |row| row.get(0))?;
            store.db.query_row(&format!("PRAGMA max_page_count = {}", now + pages), [], |_| Ok(()))?;
            Ok(())
        };
        self.journal.on_writer(limit).await.unwrap();
    }
}

#[tokio::test]
async fn what_waits_shares_one_commit() {
    let held = open(|_| {});
    let release = held.hold().await;
    let appends = futures_util::future::join_all((0..50).map(|_| held.journal.append(entries(2))));
    tokio::pin!(appends);
    assert!(futures_util::poll!(appends.as_mut()).is_pending());
    drop(release);
    let seqs: Vec<u64> = appends.await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(seqs, (1..=100).collect::<Vec<_>>());
    let stats = held.journal.stats();
    assert_eq!((stats.commits, stats.appended, stats.group_events_last), (1, 100, 100));
}

#[tokio::test]
async fn a_group_holds_its_bounds_and_an_append_that_is_larger_goes_alone() {
    let held = open(|config| config.group_events_max = 10);
    let release = held.hold().await;
    let appends = futures_util::future::join_all([4, 4, 4, 30, 4].map(|n| held.journal.append(entries(n))));
    tokio::pin!(appends);
    assert!(futures_util::poll!(appends.as_mut()).is_pending());
    drop(release);
    assert!(appends.await.iter().all(Result::is_ok));
    assert_eq!(held.journal.stats().commits, 4, "4 + 4, 4, 30, 4");
}

#[tokio::test]
async fn too_much_that_waits_is_refused_at_once() {
    let held = open(|config| config.waiting_events_max = 10);
    let release = held.hold().await;
    let first = held.journal.append(entries(20));
    tokio::pin!(first);
    assert!(futures_util::poll!(first.as_mut()).is_pending(), "alone it may be larger than the bound");
    assert_eq!(held.journal.append(entries(1)).await.unwrap_err().kind(), Kind::Overloaded);
    drop(release);
    first.await.unwrap();
    held.journal.append(entries(1)).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_does_not_answer_is_told_until_it_does() {
    let held = open(|config| config.stalled_after = Duration::from_millis(100));
    let release = held.hold().await;
    let told = loop {
        match held.journal.health() {
            Health::Sound => tokio::task::yield_now().await,
            told => break told,
        }
    };
    assert!(
        matches!(&told, Health::Stalled(error) if error.message().contains("has not answered")),
        "{told:?}"
    );
    drop(release);
    while held.journal.health() != Health::Sound {
        tokio::task::yield_now().await;
    }
    held.journal.append(entries(1)).await.unwrap();
}

/// Row 21 of the fault matrix, with SQLite's own bound in place of the disk's.
#[tokio::test]
async fn without_space_nothing_is_kept_and_it_goes_on_by_itself_when_there_is_some() {
    let held = open(|config| config.commit_every = Duration::from_millis(5));
    let journal = &held.journal;
    journal.append(entries(1)).await.unwrap();
    journal.shared.inbox.pushing(&mut journal.on_writer(|store| store.rows(&[1])).await.unwrap());
    held.room(3).await;
    assert_eq!(journal.append(entries(1_000)).await.unwrap_err().kind(), Kind::Full);
    assert!(matches!(journal.health(), Health::Full(_)), "{:?}", journal.health());
    assert_eq!(journal.stats().pending, 1);

    held.room(1_000).await;
    journal.settle(1, outrigger_core::Settlement::Ack(None));
    while journal.health() != Health::Sound {
        tokio::task::yield_now().await;
    }
    journal.flush().await.unwrap();
    assert_eq!(journal.stats().pending, 0);
    assert_eq!(journal.append(entries(1)).await.unwrap(), [2], "no sequence was used up");
    assert!(held.fatal.try_recv().is_err());
}

#[tokio::test]
async fn a_settlement_beside_an_append_that_finds_no_space_is_written_all_the_same() {
    let held = open(|_| {});
    let journal = &held.journal;
    journal.append(entries(1)).await.unwrap();
    journal.shared.inbox.pushing(&mut journal.on_writer(|store| store.rows(&[1])).await.unwrap());
    held.room(0).await;
    let release = held.hold().await;
    journal.settle(1, outrigger_core::Settlement::Ack(None));
    let (append, flush) = (journal.append(entries(1_000)), journal.flush());
    tokio::pin!(append, flush);
    assert!(
        futures_util::poll!(append.as_mut()).is_pending() && futures_util::poll!(flush.as_mut()).is_pending()
    );
    drop(release);
    assert_eq!(append.await.unwrap_err().kind(), Kind::Full);
    flush.await.unwrap();
    assert_eq!(journal.stats().pending, 0);
}

/// The same where events are kept: they yield, and nobody is refused for them.
#[tokio::test]
async fn kept_events_yield_their_space_to_new_ones() {
    let held = open(|config| config.keep_settled = true);
    let journal = &held.journal;
    let data = vec![b'x'; 4_000];
    let large = |n: usize| -> Vec<_> {
        let whole = |entry: Entry| Entry {
            event: entry.event.with_data("t/p", data.clone().into()).unwrap(),
            ..entry
        };
        entries(n).into_iter().map(whole).collect()
    };
    journal.append(large(400)).await.unwrap();
    let seqs: Vec<_> = (1..=400).collect();
    let rows = seqs.clone();
    journal.shared.inbox.pushing(&mut journal.on_writer(move |store| store.rows(&rows)).await.unwrap());
    for seq in seqs {
        journal.settle(seq, outrigger_core::Settlement::Ack(None));
    }
    journal.flush().await.unwrap();
    assert_eq!(journal.stats().kept, 400);
    held.room(0).await;
    for _ in 0..3 {
        journal.append(large(200)).await.unwrap();
    }
    let stats = journal.stats();
    assert_eq!((journal.health(), stats.pending), (Health::Sound, 600));
    assert!(stats.kept + stats.expired == 400 && stats.expired > 0, "{stats:?}");
}

/// Row 22 of the fault matrix, but for the fsync itself, which only a shim can make fail.
#[tokio::test]
async fn a_failure_is_told_once_and_ends_everything_that_waits_or_comes() {
    let held = open(|_| {});
    let journal = &held.journal;
    let release = held.hold().await;
    let fail = journal.on_writer(|_| Err::<(), _>(Failure::Fatal(Error::new(Kind::Storage, "EIO"))));
    let (append, flush) = (journal.append(entries(1)), journal.flush());
    tokio::pin!(fail, append, flush);
    assert!(futures_util::poll!(fail.as_mut()).is_pending());
    assert!(
        futures_util::poll!(append.as_mut()).is_pending() && futures_util::poll!(flush.as_mut()).is_pending()
    );
    drop(release);
    assert_eq!(fail.await.unwrap_err().message(), "EIO");
    assert_eq!(append.await.unwrap_err().message(), "EIO");
    assert_eq!(flush.await.unwrap_err().message(), "EIO");
    assert_eq!(journal.append(entries(1)).await.unwrap_err().message(), "EIO");
    assert_eq!(journal.close().await.unwrap_err().message(), "EIO");
    assert!(matches!(journal.health(), Health::Failed(_)));
    assert_eq!(held.fatal.recv().unwrap().message(), "EIO");
    assert!(held.fatal.recv().is_err(), "it is called once");
}

#[tokio::test]
async fn a_panic_of_the_writer_leaves_nobody_waiting() {
    let held = open(|_| {});
    let release = held.hold().await;
    let panics = held.journal.on_writer::<()>(|_| panic!("planted"));
    let append = held.journal.append(entries(1));
    tokio::pin!(panics, append);
    assert!(
        futures_util::poll!(panics.as_mut()).is_pending()
            && futures_util::poll!(append.as_mut()).is_pending()
    );
    drop(release);
    assert!(panics.await.is_err() && append.await.is_err());
    assert!(held.fatal.recv().unwrap().message().contains("panicked"));
}

#[test]
fn without_a_runtime_it_works_as_well() {
    let held = open(|_| {});
    let append = || held.journal.append(entries(1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let both = runtime.block_on(async { futures_util::future::join(append(), append()).await });
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(runtime.block_on(held.journal.close()), Ok(()));
}
