//! Copies of events that wait for one target alone, which may be slow. A queue of its own for each target, in the order in which it was kept, beside the queue of accepted events.

use crate::{
    Journal,
    failure::Failure,
    rows::{RowSum, damaged, decode_origin, encode_origin, key},
    store::{Store, row_bytes, signed, unsigned},
};
use outrigger_core::{Error, Event, Key, Kind, Origin, Result, event::record};
use rusqlite::params;
use std::sync::Arc;

/// The most events of one page.
const PAGE_EVENTS: usize = 256;
/// The most bytes of one page, but for a single event that is larger.
const PAGE_BYTES: u64 = 1 << 20;
const INSERT: &str =
    "INSERT INTO overflow (crc, target, bytes, accepted_ms, origin, key, event) VALUES (?, ?, ?, ?, ?, ?, ?)";
const SELECT: &str = "SELECT seq, crc, accepted_ms, origin, key, event FROM overflow WHERE target = ? AND seq > ? \
                      ORDER BY seq";

/// A copy that waits for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The event.
    pub event: Event,
    /// Its key, by which it is ordered.
    pub key: Option<Key>,
    /// Where it came from.
    pub origin: Origin,
    /// When it was first received, in Unix milliseconds.
    pub received_ms: u64,
}

/// What all of them count for, known without looking.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub(crate) bytes: u64,
}

impl Journal {
    /// Keeps copies for `target`, in their order, all of them or none. They are on disk when this returns.
    ///
    /// Dropping the future leaves it open whether they were kept.
    ///
    /// # Errors
    /// `Full` when the bound ([`crate::Config::overflow_bytes_max`]) or the disk is full, `Overloaded` when too much waits
    /// for the writer: a later try may succeed. `Storage` or `Closed` for good.
    pub async fn overflow(&self, target: Arc<str>, copies: Vec<Waiting>) -> Result<()> {
        let kept = self.on_writer(move |store| {
            if let Some(full) = store.no_room_for_overflow(&copies) {
                return Ok(Err(full));
            }
            store.write(|store| copies.iter().try_for_each(|copy| store.keep(&target, copy))).map(Ok)
        });
        kept.await?
    }

    /// The next copies for `target` behind the number `after`, with their numbers, in their order; none at the end.
    /// Cancel safe.
    ///
    /// # Errors
    /// `Overloaded`, `Closed`, or `Storage` when a row is damaged.
    pub async fn overflowed(&self, target: Arc<str>, after: u64) -> Result<Vec<(u64, Waiting)>> {
        self.on_writer(move |store| store.overflowed(&target, after)).await
    }

    /// For which targets copies wait, and how many. Cancel safe.
    ///
    /// # Errors
    /// `Overloaded` or `Closed`.
    pub async fn overflow_targets(&self) -> Result<Vec<(String, u64)>> {
        self.on_writer(|store| {
            let mut count = store
                .db
                .prepare_cached("SELECT target, count(*) FROM overflow GROUP BY target ORDER BY target")?;
            let rows = count.query_map([], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The copy of this number is settled: it goes with the next commit, as accepted events do.
    pub fn overflow_settled(&self, seq: u64) {
        self.shared.inbox.overflow_settled(seq);
    }
}

impl Store {
    fn no_room_for_overflow(&self, more: &[Waiting]) -> Option<Error> {
        let more: u64 = more.iter().map(Waiting::bytes).sum();
        let (held, max) = (self.overflow.bytes, self.config.overflow_bytes_max);
        let message = || {
            format!(
                "journal: what waits for slow targets fills its bound ({held} of {max} bytes): try again later"
            )
        };
        (held + more > max).then(|| Error::new(Kind::Full, message()))
    }

    /// Keeps a copy; to be called within [`Store::write`].
    fn keep(&mut self, target: &str, copy: &Waiting) -> Result<(), Failure> {
        let mut event = Vec::new();
        record::encode(&copy.event, &mut event);
        let (origin, key) = (encode_origin(&copy.origin), copy.key.as_ref().map(Key::as_bytes));
        let bytes = row_bytes(event.len() + origin.len(), key);
        let sum = sum(target, copy.received_ms, &origin, key, &event);
        let mut insert = self.db.prepare_cached(INSERT)?;
        insert.execute(params![sum, target, signed(bytes), signed(copy.received_ms), origin, key, event])?;
        self.overflow.bytes += bytes;
        Ok(())
    }

    fn overflowed(&self, target: &str, after: u64) -> Result<Vec<(u64, Waiting)>, Failure> {
        let mut select = self.db.prepare_cached(SELECT)?;
        let mut found = select.query(params![target, signed(after)])?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        while let Some(row) = found.next()? {
            let (seq, waiting, size) = read(row, target)?;
            bytes += size;
            page.push((seq, waiting));
            if page.len() >= PAGE_EVENTS || bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    }

    /// Deletes settled copies; to be called within [`Store::write`].
    pub(crate) fn delete_overflow(&mut self, settled: &[u64]) -> Result<(), Failure> {
        let mut delete = self.db.prepare_cached("DELETE FROM overflow WHERE seq = ? RETURNING bytes")?;
        for seq in settled {
            let mut gone = delete.query([signed(*seq)])?;
            while let Some(row) = gone.next()? {
                self.overflow.bytes = self.overflow.bytes.saturating_sub(unsigned(row, 0)?);
            }
        }
        Ok(())
    }
}

impl Waiting {
    /// About what its row counts for: known before it is encoded.
    fn bytes(&self) -> u64 {
        row_bytes(self.event.size(), self.key.as_ref().map(Key::as_bytes))
    }
}

fn read(row: &rusqlite::Row<'_>, target: &str) -> Result<(u64, Waiting, u64), Failure> {
    let seq = unsigned(row, 0)?;
    let damage = |what: &str| damaged("overflow", seq, what);
    let (crc, received_ms): (u32, _) = (row.get(1)?, unsigned(row, 2)?);
    let origin = row.get_ref(3)?.as_blob().map_err(|_| damage("has an origin of another type"))?;
    let key_bytes = row.get_ref(4)?.as_blob_or_null().map_err(|_| damage("has a key of another type"))?;
    let event = row.get_ref(5)?.as_blob().map_err(|_| damage("has an event of another type"))?;
    if sum(target, received_ms, origin, key_bytes, event) != crc {
        return Err(damage("does not have its checksum"));
    }
    let bytes = row_bytes(event.len() + origin.len(), key_bytes);
    let event = record::decode(event);
    let waiting = Waiting {
        event: event.map_err(|why| damage(&format!("holds no event that this version reads ({why})")))?,
        key: key_bytes.map(key),
        origin: decode_origin(origin).ok_or_else(|| damage("has an unreadable origin"))?,
        received_ms,
    };
    Ok((seq, waiting, bytes))
}

/// The number is SQLite's own and not known before, so it is not summed.
fn sum(target: &str, received_ms: u64, origin: &[u8], key: Option<&[u8]>, event: &[u8]) -> u32 {
    RowSum::new(received_ms).bytes(target.as_bytes()).bytes(origin).optional(key).bytes(event).finish()
}
