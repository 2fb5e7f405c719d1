//! Deduplication: marks of what each target has, in memory over a window of time.
//!
//! Memory alone is asked, so a new event pays no disk and no network. Marks outlive the process by the journal, which is
//! read through once after a start (until then it is asked as well), or by a store that replicas share, which is asked of
//! what memory does not know. Everything fails open: what cannot be asked is delivered, perhaps again.

mod shared;
mod table;

pub use shared::Settings as SharedSettings;

use aws_lc_rs::digest::{Context, SHA256};
use outrigger_core::{BoxFuture, Drain, Error, Event, Known, Ledger, Mark, OnAnother, Payload, Result};
use shared::Shared;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use table::{Name, Table};
use tokio::time::Instant;

/// How long the journal is left alone after it could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What is deduplicated, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a handled event is known.
    pub window: Duration,
    /// What the marks may take of memory.
    pub bytes_max: usize,
    /// What becomes of another payload under a known name.
    pub on_another: OnAnother,
    /// The store that replicas share; none leaves marks to the journal.
    pub shared: Option<SharedSettings>,
}

/// How it stands, for metrics and people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Marks in memory.
    pub marks: u64,
    /// What they may take at most, in bytes.
    pub bytes: u64,
    /// Marks that had to go before their time, for want of room.
    pub forgotten: u64,
    /// Of the shared store, where there is one: questions and marks that it did not take, so that events were let pass.
    pub shared_failures: Option<u64>,
    /// Whether the shared store is left alone for a while, as it failed.
    pub shared_is_down: bool,
}

/// What was handled.
pub struct Dedup {
    marks: Arc<Marks>,
}

/// The store of marks.
struct Marks {
    table: Mutex<Table>,
    window_ms: u64,
    on_another: OnAnother,
    clock: Clock,
    journal: OnceLock<Option<Arc<dyn Ledger>>>,
    /// The journal was read through, or there is none.
    is_read: AtomicBool,
    shared: Option<Shared>,
}

/// Unix time that never goes back: the wall clock's at the start, and what passed since.
struct Clock {
    unix_ms: u64,
    started: Instant,
}

impl Clock {
    fn now_ms(&self) -> u64 {
        self.unix_ms.saturating_add(millis(self.started.elapsed()))
    }
}

impl Dedup {
    /// Connects to nobody yet. `unix_ms` is the wall clock's time. To be called within the runtime.
    ///
    /// # Errors
    /// `Invalid` when the shared store's address or authorities are none.
    pub fn open(settings: Settings, unix_ms: u64) -> Result<Arc<Self>> {
        let window_ms = millis(settings.window);
        let shared = settings.shared.map(|shared| Shared::open(shared, settings.window)).transpose()?;
        let marks = Marks {
            table: Mutex::new(Table::new(window_ms, settings.bytes_max)),
            window_ms,
            on_another: settings.on_another,
            clock: Clock { unix_ms, started: Instant::now() },
            journal: OnceLock::new(),
            is_read: AtomicBool::new(false),
            shared,
        };
        Ok(Arc::new(Self { marks: Arc::new(marks) }))
    }

    /// How it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let table = self.marks.table();
        let (marks, forgotten) = table.counts();
        Stats {
            marks: marks as u64,
            bytes: table.bytes() as u64,
            forgotten,
            shared_failures: self.marks.shared.as_ref().map(Shared::failures),
            shared_is_down: self.marks.shared.as_ref().is_some_and(Shared::is_down),
        }
    }
}

impl Dedup {
    /// The store, one for all targets. The journal of the first call counts, where no store is shared.
    #[must_use]
    pub fn ledger(&self, journal: Option<Arc<dyn Ledger>>) -> Arc<dyn Ledger> {
        let marks = &self.marks;
        let journal = marks.journal.get_or_init(|| journal.filter(|_| marks.shared.is_none()));
        if journal.is_none() {
            marks.is_read.store(true, Ordering::Release);
        }
        marks.clone()
    }

    /// Reads the journal's marks into memory, once, until `drain` starts; none where there is no journal to be read.
    #[must_use]
    pub fn read(&self, mut drain: Drain) -> Option<BoxFuture<'static, ()>> {
        let marks = self.marks.clone();
        let journal = marks.journal.get()?.clone()?;
        Some(Box::pin(async move {
            tokio::select! {
                biased;
                () = drain.started() => {}
                () = marks.read(&*journal) => {}
            }
        }))
    }
}

impl Marks {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What memory knows; only "new" may be less than the whole truth.
    fn remembered(&self, name: &Name, payload: Option<Payload>) -> Known {
        self.table().known(name, payload, self.clock.now_ms())
    }

    /// From the newest to the oldest that counts and fits.
    async fn read(&self, journal: &dyn Ledger) {
        let mut before = None;
        'pages: loop {
            let page = match journal.before(before).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "the journal's marks cannot be read: it is asked for each event instead");
                    tokio::time::sleep(READ_AGAIN).await;
                    continue;
                }
            };
            let Some(last) = page.last() else { break };
            before = Some(last.n);
            let (mut table, now_ms) = (self.table(), self.clock.now_ms());
            for kept in page {
                let (age_ms, name) = (millis(kept.age), hashed(&kept.mark));
                let fits = age_ms < self.window_ms
                    && table.insert_older(name, kept.payload, now_ms.saturating_sub(age_ms));
                if !fits {
                    break 'pages;
                }
            }
        }
        self.is_read.store(true, Ordering::Release);
        tracing::debug!(marks = self.table().counts().0, "the journal's marks are read");
    }
}

impl Ledger for Marks {
    /// Cancel safe.
    fn ask<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<Known>> {
        Box::pin(async move {
            let name = hashed(mark);
            let known = self.remembered(&name, payload);
            match (known, &self.shared, self.journal.get()) {
                (Known::New, Some(shared), _) => Ok(shared.ask(mark, payload).await),
                (Known::New, None, Some(Some(journal))) if !self.is_read.load(Ordering::Acquire) => {
                    journal.ask(mark, payload).await
                }
                _ => Ok(known),
            }
        })
    }

    /// In memory at once; durable when it returns, where there is a journal and no shared store.
    fn mark<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<()>> {
        self.table().insert(hashed(mark), payload, self.clock.now_ms());
        Box::pin(async move {
            match (&self.shared, self.journal.get()) {
                (Some(shared), _) => shared.mark(mark, payload).await,
                (None, Some(Some(journal))) => journal.mark(mark, payload).await?,
                (None, _) => {}
            }
            Ok(())
        })
    }

    fn glance(&self, mark: &Mark, payload: Option<Payload>) -> Option<Known> {
        match self.remembered(&hashed(mark), payload) {
            Known::New if self.shared.is_some() || !self.is_read.load(Ordering::Acquire) => None,
            known => Some(known),
        }
    }

    fn payload(&self, event: &Event) -> Option<Payload> {
        let mut hash = Context::new(&SHA256);
        put(&mut hash, event.ty().as_bytes());
        if let Some(data) = event.data() {
            put(&mut hash, data);
        }
        Some(Payload(u128::from_le_bytes(finish(hash))))
    }

    fn on_another(&self) -> OnAnother {
        self.on_another
    }
}

fn hashed(mark: &Mark) -> Name {
    let mut hash = Context::new(&SHA256);
    for part in [&*mark.receiver, &*mark.target, &mark.source, &mark.id] {
        put(&mut hash, part.as_bytes());
    }
    finish(hash)
}

/// With its length, so that no two lists of parts are the same bytes.
fn put(hash: &mut Context, part: &[u8]) {
    hash.update(&(part.len() as u64).to_le_bytes());
    hash.update(part);
}

fn finish(hash: Context) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finish().as_ref()[..16]);
    half
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn invalid(message: String) -> Error {
    Error::new(outrigger_core::Kind::Invalid, message)
}

#[cfg(test)]
mod tests;
