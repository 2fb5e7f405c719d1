//! The journal as a ledger: which target already has which event.
//!
//! Bounded by age and number; the oldest are forgotten first. That may cost a duplicate, never an event.

use crate::{
    Journal,
    config::milliseconds,
    failure::Failure,
    rows::{RowSum, damaged},
    store::{Store, signed, unsigned},
    work::Write,
};
use outrigger_core::{BoxFuture, Ledger, Mark, Result};
use rusqlite::params;
use tokio::sync::oneshot;

const SELECT: &str =
    "SELECT n, crc, at_ms FROM marks WHERE id = ? AND source = ? AND target = ? AND receiver = ?";
const DELETE: &str = "DELETE FROM marks WHERE id = ? AND source = ? AND target = ? AND receiver = ?";

impl Ledger for Journal {
    /// Waits while as many as may be are asked for already: told that it cannot be asked, the caller would deliver again.
    /// Cancel safe. # Errors: `Overloaded`, `Closed`, or `Storage` when the mark is damaged.
    fn ask<'a>(&'a self, mark: &'a Mark) -> BoxFuture<'a, Result<bool>> {
        let mark = mark.clone();
        Box::pin(async {
            let _turn = self.asking.acquire().await; // it is never closed
            self.on_writer(move |store| store.is_marked(&mark)).await
        })
    }

    /// Durable when it returns. # Errors: as [`Journal::append`].
    fn mark<'a>(&'a self, mark: &'a Mark) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.shared.inbox.write(Write::Mark(mark.clone(), answer))?;
            self.answer(answered).await
        })
    }
}

impl Store {
    /// Whether the mark is there and young enough to count.
    fn is_marked(&self, mark: &Mark) -> Result<bool, Failure> {
        let mut select = self.db.prepare_cached(SELECT)?;
        let mut found = select.query(params![mark.id, mark.source, mark.target, mark.receiver])?;
        let Some(row) = found.next()? else { return Ok(false) };
        let (n, at_ms) = (unsigned(row, 0)?, unsigned(row, 2)?);
        if sum(n, at_ms, mark) != row.get::<_, u32>(1)? {
            return Err(damaged("marks", n, "does not have its checksum"));
        }
        Ok(at_ms >= self.marks_since())
    }

    /// Writes the mark; to be called within [`Store::write`].
    pub(crate) fn mark(&mut self, mark: &Mark) -> Result<(), Failure> {
        let known = params![mark.id, mark.source, mark.target, mark.receiver];
        self.counters.marks -= self.db.prepare_cached(DELETE)?.execute(known)? as u64;
        self.counters.last_mark += 1;
        self.counters.marks += 1;
        let (n, at_ms) = (self.counters.last_mark, self.now_ms());
        let mut insert = self.db.prepare_cached("INSERT INTO marks VALUES (?, ?, ?, ?, ?, ?, ?)")?;
        insert.execute(params![
            signed(n),
            sum(n, at_ms, mark),
            signed(at_ms),
            mark.receiver,
            mark.target,
            mark.source,
            mark.id
        ])?;
        Ok(())
    }

    /// Marks from before this time do not count any more.
    pub(crate) fn marks_since(&self) -> u64 {
        self.now_ms().saturating_sub(milliseconds(self.config.marks_age_max))
    }
}

fn sum(n: u64, at_ms: u64, mark: &Mark) -> u32 {
    let sum = RowSum::new(n).number(at_ms).bytes(mark.receiver.as_bytes()).bytes(mark.target.as_bytes());
    sum.bytes(mark.source.as_bytes()).bytes(mark.id.as_bytes()).finish()
}
