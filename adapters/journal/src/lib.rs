//! The embedded journal: a durable queue, dead letters and marks in one SQLite file, written by one thread.
//!
//! A map, in reading order:
//!
//! - [`Config`]: every setting with its default and bounds.
//! - [`Journal`]: the handle. [`Journal::append`] returns when the events are on disk.
//! - `source`, `settle`, `sink`, `marks`: the journal as the core knows it: [`Source`](outrigger_core::Source),
//!   [`Settler`](outrigger_core::Settler), [`DeadLetters`](outrigger_core::DeadLetters), [`Ledger`](outrigger_core::Ledger).
//! - [`dead`]: looking at dead letters, replaying and dropping them.
//! - [`events`]: looking at events, waiting and kept ones, and replaying kept ones; [`audit`]: who did such things.
//! - `inbox`, `work`, `gather`, `handoff`: the two bounded ways between the async side and the thread.
//! - `writer`, `courier`: the thread: takes everything that waits, one transaction, one fsync, then answers all.
//! - `store`, `letters`, `kept`, `rows`, `counters`, `schema`, `retain`: the tables, synchronous and alone.
//! - `overflow`: copies for targets whose lanes are full, as their own queue on disk.
//! - `reserve`, `space`: what is done when the volume is full, and the space that is kept for that.
//! - `open`, `guard`, `wal`: one process at a time, and damage found before anything is changed.
//! - [`stats`], `failure`: what can be seen, and what a failing disk means.
//!
//! **Durable** means: in SQLite's log and fsynced. Settlements share the next commit, or get one of their own
//! after [`Config::commit_every`]; what settled in between is delivered again after a kill, and attempts that
//! were noted in between are not counted.
//!
//! Deliberately absent: a second connection (the log's index lives in memory instead of a shared file), retries
//! of a failed fsync, and shrinking of the file (space that is free in it is used again).

pub mod audit;
pub mod dead;
pub mod events;
pub mod stats;

mod config;
mod counters;
mod courier;
mod failure;
mod gather;
mod guard;
mod handoff;
mod inbox;
mod kept;
mod letters;
mod marks;
mod open;
mod overflow;
mod reserve;
mod retain;
mod rows;
mod schema;
mod settle;
mod sink;
mod source;
mod space;
mod store;
mod wal;
mod work;
mod writer;

pub use config::Config;
pub use open::{Cut, Opened};
pub use overflow::Waiting;
pub use store::Entry;

use failure::Failure;
use handoff::Handoff;
use inbox::Inbox;
use letters::Row;
use outrigger_core::{DeadLetter, Error, Kind, Result};
use stats::{Board, Health, Stats};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::Duration,
};
use store::Store;
use tokio::sync::{Semaphore, oneshot, watch};
use work::Write;
use writer::Writer;

/// The most marks that are asked for at once; of 256 requests of all kinds that may wait for the writer.
const ASKING_MAX: usize = 128;
/// How often the last handle looks whether the writer's thread has ended.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// An open journal. Its files are held until it is closed or its last handle is dropped.
///
/// Every future of it can be dropped at any time without harm to the journal; where dropping one leaves it
/// open whether something was written, its documentation says so.
pub struct Journal {
    config: Config,
    opened: Opened,
    shared: Arc<Shared>,
    running: AtomicBool,
    ended: watch::Receiver<()>,
    /// Turns for marks that are asked for, so that they leave room for other requests.
    asking: Semaphore,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the handle and the writer's thread share.
struct Shared {
    inbox: Inbox,
    handoff: Handoff,
    board: Board,
    /// Sequences up to this one were there at open, so many of them pending.
    at_open: (u64, u64),
}

impl Journal {
    /// Opens the journal, and makes it where there is none. Blocks for a few milliseconds.
    ///
    /// `on_fatal` is called at most once, from the writer's thread, when the storage failed in a way that
    /// cannot be mended by trying again, such as a failed fsync. The process is to exit then: nobody knows what
    /// is on the disk. From then on every call fails with the same error.
    ///
    /// # Errors
    /// `Invalid` when the configuration is wrong, another process holds the journal, the file is not one or of a
    /// newer version; `Storage` when it is damaged; `Full` when there is no space to open it.
    pub fn open(config: Config, on_fatal: impl FnOnce(Error) + Send + 'static) -> Result<Arc<Self>> {
        config.check()?;
        let (lock, store, opened) = open::open(&config).map_err(|failure| failure.at_open(&config.path))?;
        let shared = Arc::new(Shared {
            inbox: Inbox::new(&store.config),
            handoff: Handoff::new(&config),
            board: Board::new(&store.counters, config.stalled_after),
            at_open: (store.counters.last_seq, store.counters.pending),
        });
        let (end, ended) = watch::channel(());
        let writer = Writer::new(store, lock, shared.clone(), Box::new(on_fatal), end);
        let thread = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run());
        let thread = thread
            .map_err(|e| Error::new(Kind::Storage, format!("journal: cannot start its thread: {e}")))?;
        Ok(Arc::new(Self {
            config,
            opened,
            shared,
            running: AtomicBool::new(false),
            ended,
            asking: Semaphore::new(ASKING_MAX),
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// What was found at open.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Appends the events in one transaction, in their order, and returns their sequences once they are on disk.
    ///
    /// Dropping the future leaves it open whether they were kept.
    ///
    /// # Errors
    /// `Overloaded` when too much waits for the writer, `Full` when the queue's bound or the disk is full: in
    /// both cases nothing was kept, and a later try may succeed. `Storage` or `Closed` for good.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<Vec<u64>> {
        self.accept(entries, Vec::new()).await
    }

    /// Appends the events, as [`Journal::append`] does, and keeps the dead letters in the same transaction: all of
    /// them or none.
    ///
    /// # Errors
    /// As [`Journal::append`]; `Full` also when the bound of the dead letters is reached.
    pub async fn accept(&self, entries: Vec<Entry>, letters: Vec<DeadLetter>) -> Result<Vec<u64>> {
        if entries.is_empty() && letters.is_empty() {
            return Ok(Vec::new());
        }
        let letters = letters.iter().map(Row::new).collect();
        let (answer, answered) = oneshot::channel();
        self.shared.inbox.write(Write::Append(entries, letters, answer))?;
        self.answer(answered).await
    }

    /// Waits until everything that was settled so far is on disk. Cancel safe.
    ///
    /// # Errors
    /// `Full`, and then it is tried again every [`Config::commit_every`]; `Storage` or `Closed` for good.
    pub async fn flush(&self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.shared.inbox.flush(answer)?;
        self.answer(answered).await
    }

    /// Writes what waits, copies the log into the database and lets go of the files. Cancel safe; calling it
    /// again waits for the same end.
    ///
    /// # Errors
    /// `Storage` when the journal has failed before or does so now.
    pub async fn close(&self) -> Result<()> {
        self.shared.inbox.close();
        let _ = self.ended.clone().changed().await; // fails when the thread is gone, which is the end
        self.shared.board.failure().map_or(Ok(()), Err)
    }

    /// How it is. Cheap.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.board.health()
    }

    /// Numbers for metrics. Cheap.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.board.stats()
    }

    /// Runs `job` in the writer's thread.
    async fn on_writer<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.shared.inbox.job(Box::new(move |store| match job(store) {
            Ok(value) => {
                let _ = answer.send(Ok(value)); // nobody waits any more: nothing is lost by that
                Ok(())
            }
            Err(failure) => {
                let _ = answer.send(Err(failure.error().clone()));
                Err(failure)
            }
        }))?;
        self.answer(answered).await
    }

    /// The answer of the writer's thread; when it ended without one, the reason for that.
    async fn answer<T>(&self, answered: oneshot::Receiver<Result<T>>) -> Result<T> {
        let closed = || Error::new(Kind::Closed, "the journal is closed");
        answered.await.unwrap_or_else(|_| Err(self.shared.board.failure().unwrap_or_else(closed)))
    }
}

impl Drop for Journal {
    /// Writes what waits, as [`Journal::close`] does, and blocks for that long; not for a disk that does not answer
    /// ([`Health::Stalled`]).
    fn drop(&mut self) {
        self.shared.inbox.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread.filter(|t| t.thread().id() != thread::current().id()) else { return };
        while !thread.is_finished() && self.shared.board.stalled_for().is_none() {
            thread::park_timeout(LOOK_EVERY);
        }
        if thread.is_finished() {
            let _ = thread.join(); // a panic there was reported by the thread itself
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("path", &self.config.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
