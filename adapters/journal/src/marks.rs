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
use outrigger_core::{BoxFuture, Kept, Known, Ledger, Mark, Payload, Result};
use rusqlite::{Row, params};
use std::time::Duration;
use tokio::sync::oneshot;

const SELECT: &str =
    "SELECT n, crc, at_ms, payload FROM marks WHERE id = ? AND source = ? AND target = ? AND receiver = ?";
const DELETE: &str = "DELETE FROM marks WHERE id = ? AND source = ? AND target = ? AND receiver = ?";
const BEFORE: &str = "SELECT n, crc, at_ms, payload, receiver, target, source, id FROM marks WHERE n < ? ORDER BY n DESC LIMIT ?";
/// A page of them.
const PAGE_MARKS: u64 = 512;

impl Ledger for Journal {
    /// Waits while as many as may be are asked for already: told that it cannot be asked, the caller would deliver again.
    /// Cancel safe. # Errors: `Overloaded`, `Closed`, or `Storage` when the mark is damaged.
    fn ask<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<Known>> {
        let mark = mark.clone();
        Box::pin(async move {
            let _turn = self.asking.acquire().await; // it is never closed
            let kept = self.on_writer(move |store| store.marked(&mark)).await?;
            Ok(match kept {
                None => Known::New,
                Some(Marked(kept)) if kept.zip(payload).is_some_and(|(kept, found)| kept != found) => {
                    Known::Another
                }
                Some(_) => Known::Same,
            })
        })
    }

    /// Durable when it returns. # Errors: as [`Journal::append`].
    fn mark<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.shared.inbox.write(Write::Mark(mark.clone(), payload, answer))?;
            self.answer(answered).await
        })
    }

    /// Cancel safe. # Errors: as [`Journal::list`].
    fn before(&self, n: Option<u64>) -> BoxFuture<'_, Result<Vec<Kept>>> {
        Box::pin(self.on_writer(move |store| store.marks_before(n)))
    }
}

/// A mark that is there, with the payload if that was kept.
struct Marked(Option<Payload>);

impl Store {
    /// The payload of the mark, where the mark is there and young enough to count.
    fn marked(&self, mark: &Mark) -> Result<Option<Marked>, Failure> {
        let mut select = self.db.prepare_cached(SELECT)?;
        let mut found = select.query(params![mark.id, mark.source, mark.target, mark.receiver])?;
        let Some(row) = found.next()? else { return Ok(None) };
        let (at_ms, payload) = read(row, mark)?.1;
        Ok((at_ms >= self.marks_since()).then_some(Marked(payload)))
    }

    /// Those that count before that number, or the last ones, the newest first.
    fn marks_before(&self, n: Option<u64>) -> Result<Vec<Kept>, Failure> {
        let (now_ms, since) = (self.now_ms(), self.marks_since());
        let n = n.unwrap_or(self.counters.last_mark + 1);
        let mut select = self.db.prepare_cached(BEFORE)?;
        let mut found = select.query(params![signed(n), signed(PAGE_MARKS)])?;
        let mut page = Vec::new();
        while let Some(row) = found.next()? {
            let text = |at| row.get::<_, String>(at);
            let mark =
                Mark { receiver: text(4)?.into(), target: text(5)?.into(), source: text(6)?, id: text(7)? };
            let (n, (at_ms, payload)) = read(row, &mark)?;
            if at_ms < since {
                break;
            }
            page.push(Kept { n, mark, payload, age: Duration::from_millis(now_ms.saturating_sub(at_ms)) });
        }
        Ok(page)
    }

    /// Writes the mark; to be called within [`Store::write`].
    pub(crate) fn mark(&mut self, mark: &Mark, payload: Option<Payload>) -> Result<(), Failure> {
        let known = params![mark.id, mark.source, mark.target, mark.receiver];
        self.counters.marks -= self.db.prepare_cached(DELETE)?.execute(known)? as u64;
        self.counters.last_mark += 1;
        self.counters.marks += 1;
        let (n, at_ms) = (self.counters.last_mark, self.now_ms());
        let payload = payload.map(|Payload(hash)| hash.to_le_bytes());
        let payload = payload.as_ref().map(|bytes| &bytes[..]);
        let mut insert = self.db.prepare_cached("INSERT INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
        insert.execute(params![
            signed(n),
            sum(n, at_ms, mark, payload),
            signed(at_ms),
            mark.receiver,
            mark.target,
            mark.source,
            mark.id,
            payload
        ])?;
        Ok(())
    }

    /// Marks from before this time do not count any more.
    pub(crate) fn marks_since(&self) -> u64 {
        self.now_ms().saturating_sub(milliseconds(self.config.marks_age_max))
    }
}

/// The number, time and payload of a row that begins with them and is that of `mark`.
fn read(row: &Row<'_>, mark: &Mark) -> Result<(u64, (u64, Option<Payload>)), Failure> {
    let (n, at_ms) = (unsigned(row, 0)?, unsigned(row, 2)?);
    let damage = |what| damaged("marks", n, what);
    let payload = row.get_ref(3)?.as_blob_or_null().map_err(|_| damage("has a payload of another type"))?;
    if sum(n, at_ms, mark, payload) != row.get::<_, u32>(1)? {
        return Err(damage("does not have its checksum"));
    }
    let hash = payload.map(<[u8; 16]>::try_from).transpose();
    let hash = hash.map_err(|_| damage("has a payload of another length"))?;
    Ok((n, (at_ms, hash.map(|bytes| Payload(u128::from_le_bytes(bytes))))))
}

/// Marks of before there were payloads have none in their sum either.
fn sum(n: u64, at_ms: u64, mark: &Mark, payload: Option<&[u8]>) -> u32 {
    let sum = RowSum::new(n).number(at_ms).bytes(mark.receiver.as_bytes()).bytes(mark.target.as_bytes());
    let sum = sum.bytes(mark.source.as_bytes()).bytes(mark.id.as_bytes());
    match payload {
        Some(payload) => sum.bytes(payload).finish(),
        None => sum.finish(),
    }
}
