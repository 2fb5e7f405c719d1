//! The journal as a source: first what is pending from before, then what is appended, each in its order.
//!
//! What was just committed comes from the writer without being read again. When the window is full the rest
//! stays on disk, and is read in pages once there is room.

use crate::{
    Journal,
    handoff::{Handed, Next},
    settle::Again,
    store::Page,
};
use outrigger_core::{
    BoxFuture, Delivery, Drain, Error, Intake, Kind, Origin, Position, Receipt, Result, Settler, Source,
    Timeline, event::hop,
};
use std::sync::{Arc, atomic::Ordering};
use tokio::time::sleep_until;

/// A page read from disk: small, because it waits in memory for room.
const PAGE_EVENTS: usize = 256;
const PAGE_BYTES: usize = 1 << 20;

impl Source for Journal {
    fn name(&self) -> &str {
        &self.config.name
    }

    /// May run once per [`Journal::open`]: a second time would push what is in flight.
    fn run(self: Arc<Self>, intake: Intake, drain: Drain) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            if self.running.swap(true, Ordering::SeqCst) {
                return Err(Error::new(Kind::Invalid, "the journal was already run as a source"));
            }
            let (at_open, pending) = self.shared.at_open;
            let reader = Reader { journal: self, last: 0, at_open, unread: pending };
            reader.run(intake, drain).await
        })
    }
}

struct Reader {
    journal: Arc<Journal>,
    /// Everything up to here was pushed once.
    last: u64,
    /// Up to this sequence, so many events must still be found; see [`Reader::count`].
    at_open: u64,
    unread: u64,
}

impl Reader {
    async fn run(mut self, intake: Intake, mut drain: Drain) -> Result<()> {
        loop {
            let mut rows = tokio::select! {
                biased;
                () = drain.started() => return Ok(()),
                rows = self.next() => rows?,
            };
            self.journal.shared.inbox.pushing(&mut rows);
            for row in rows {
                let mut delivery = self.delivery(row);
                while let Err(given_back) = intake.try_push(delivery) {
                    delivery = given_back;
                    tokio::select! {
                        biased;
                        () = drain.started() => return Ok(()), // what is left stays on disk
                        () = intake.room(delivery.size()) => {}
                    }
                }
            }
        }
    }

    /// The next events to push. Cancel safe only in that nothing is lost on disk: the reader ends with it.
    async fn next(&mut self) -> Result<Vec<Handed>> {
        loop {
            let now = tokio::time::Instant::now();
            let rows = match self.journal.shared.handoff.next(now, PAGE_EVENTS) {
                Next::Again(seqs) => self.journal.on_writer(move |store| store.rows(&seqs)).await?,
                Next::Rows(rows) => {
                    self.last = rows.last().map_or(self.last, |row| row.seq);
                    rows
                }
                Next::Read => self.read().await?,
                Next::Wait(due) => {
                    let changed = self.journal.shared.handoff.changed.notified();
                    match due {
                        None => changed.await,
                        Some(due) => tokio::select! { () = changed => {}, () = sleep_until(due) => {} },
                    }
                    continue;
                }
            };
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    async fn read(&mut self) -> Result<Vec<Handed>> {
        let (last, shared) = (self.last, self.journal.shared.clone());
        let page = self.journal.on_writer(move |store| {
            let page = store.page(last, PAGE_EVENTS, PAGE_BYTES)?;
            if page.end {
                shared.handoff.caught_up();
            }
            Ok(page)
        });
        let page = page.await?;
        self.count(&page)?;
        self.last = page.rows.last().map_or(self.last, |row| row.seq);
        Ok(page.rows)
    }

    /// What was pending at open is read once, in order, so its number is known to be right at the end of it:
    /// a page of the database that lost some rows has no checksum of its own to tell.
    fn count(&mut self, page: &Page) -> Result<()> {
        if self.last >= self.at_open {
            return Ok(());
        }
        let old = page.rows.iter().filter(|row| row.seq <= self.at_open).count() as u64;
        let complete = page.end || page.rows.last().is_some_and(|row| row.seq >= self.at_open);
        match self.unread.checked_sub(old) {
            Some(unread) if unread == 0 || !complete => {
                self.unread = unread;
                Ok(())
            }
            left => Err(Error::new(
                Kind::Storage,
                format!(
                    "the journal is damaged: {} of the events that waited at the start are missing, or too many; \
                     stop, keep a copy of the files, and restore them from a backup or move them away",
                    left.unwrap_or(old)
                ),
            )),
        }
    }

    fn delivery(&self, mut row: Handed) -> Delivery {
        let headers = hop::take(&mut row.event);
        let settler: Arc<dyn Settler> = match row.replay_of {
            None => self.journal.clone(),
            Some(_) => Arc::new(Again(self.journal.clone())),
        };
        Delivery {
            item: Ok(row.event),
            key: row.key,
            origin: Origin {
                source: self.journal.config.name.clone(),
                position: match row.target {
                    Some(target) => Position::For(target, row.seq),
                    None => Position::Sequence(row.seq),
                },
                headers,
            },
            received_ms: row.accepted_ms,
            attempts: row.attempts,
            once: None,
            timeline: Timeline::off(),
            receipt: Receipt::new(settler, row.seq),
        }
    }
}
