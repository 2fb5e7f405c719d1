//! The database itself: opening it, writing transactions, and the rows of the queue. Synchronous and alone:
//! one connection, owned by the writer's thread.
//!
//! The other tables are next door, each with its own `impl Store`: dead letters in `letters`, marks in `marks`.

use crate::{
    config::Config,
    counters::Counters,
    failure::Failure,
    guard::MarkFile,
    handoff::Handed,
    overflow::Held,
    reserve::Reserve,
    rows::{RowSum, damaged, key, queue_sum},
};
use outrigger_core::{Error, Event, Key, Kind, event::record};
use rusqlite::{Connection, Row, params};
use std::time::{Duration, Instant};

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const COUNT: &str = "INSERT INTO meta VALUES ('counters', ?1) ON CONFLICT DO UPDATE SET value = ?1";
const INSERT: &str = "INSERT INTO queue VALUES (?, ?, ?, ?, ?)";
const SELECT: &str = "SELECT q.seq, q.crc, q.accepted_ms, q.key, q.event, a.attempts, a.crc, i.target, i.crc, \
                      r.of, r.crc FROM queue q LEFT JOIN attempts a ON a.seq = q.seq LEFT JOIN aims i ON i.seq = q.seq \
                      LEFT JOIN replays r ON r.seq = q.seq ";
/// What a row costs beyond its event and key, for the bounds in bytes.
const ROW_BYTES: u64 = 64;

/// How often the mark is fsynced under load.
const MARK_SYNC_EVERY: Duration = Duration::from_secs(1);

/// An event to append, with the key that orders it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// Its key; `None` when it is not ordered.
    pub key: Option<Key>,
}

impl Entry {
    /// About what its row will count for: known before it is encoded.
    pub(crate) fn bytes(&self) -> u64 {
        row_bytes(self.event.size(), self.key.as_ref().map(Key::as_bytes))
    }
}

/// Rows of the queue, in the order of their sequences.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Handed>,
    /// Whether there is nothing after them.
    pub(crate) end: bool,
}

/// The open database.
pub(crate) struct Store {
    pub(crate) db: Connection,
    pub(crate) config: Config,
    /// As of the last commit, or of the transaction that is under way.
    pub(crate) counters: Counters,
    pub(crate) reserve: Reserve,
    mark: MarkFile,
    mark_synced: Instant,
    record: Vec<u8>,
    /// Rows of `aims`: mostly none, and then a settlement need not look there.
    aims: u64,
    /// The same of `replays`.
    replays: u64,
    pub(crate) overflow: Held,
}

impl Store {
    pub(crate) fn new(
        db: Connection,
        mut config: Config,
        counters: Counters,
        mark: MarkFile,
    ) -> Result<Self, Failure> {
        let rows = |count: &str| db.query_row(count, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
        let aims = rows("SELECT count(*) FROM aims")?;
        let replays = rows("SELECT count(*) FROM replays")?;
        let bytes =
            db.query_row("SELECT coalesce(sum(bytes), 0) FROM overflow", [], |row| row.get::<_, i64>(0))?;
        let overflow = Held { bytes: bytes.cast_unsigned() };
        let reserve = Reserve::open(&config);
        reserve.tighten(&mut config);
        let mark_synced = Instant::now();
        Ok(Self {
            db,
            config,
            counters,
            reserve,
            mark,
            mark_synced,
            record: Vec::new(),
            aims,
            replays,
            overflow,
        })
    }

    /// Runs `change` in a transaction and makes it durable. When this fails, nothing of it was kept, unless
    /// the failure is fatal: then nobody knows.
    pub(crate) fn write<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let before = (self.counters, self.aims, self.replays, self.overflow);
        let written = self.transact(change);
        if written.is_err() {
            (self.counters, self.aims, self.replays, self.overflow) = before;
            if !self.db.is_autocommit() {
                self.db.execute_batch("ROLLBACK")?;
            }
        }
        let value = written?;
        self.note_mark()?;
        Ok(value)
    }

    /// Writes the number of the last commit into the mark file, without an fsync.
    pub(crate) fn note_mark(&self) -> Result<(), Failure> {
        match self.mark.note(self.counters.commits) {
            Err(Failure::Full(error)) => tracing::warn!(%error, "the journal's mark stays behind"),
            noted => noted?,
        }
        Ok(())
    }

    fn transact<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        self.db.prepare_cached(BEGIN)?.execute([])?;
        let value = change(self)?;
        self.counters.commits += 1;
        self.db.prepare_cached(COUNT)?.execute([self.counters.encode()])?;
        self.db.prepare_cached(COMMIT)?.execute([])?; // the fsync
        Ok(value)
    }

    /// Appends the events; to be called within [`Store::write`]. Returns the last sequence before them, and
    /// leaves the bytes of each in `sizes`.
    ///
    /// The outer result ends the transaction, the inner one only this append: the queue's bound is reached.
    pub(crate) fn append(
        &mut self,
        entries: &[Entry],
        now_ms: u64,
        sizes: &mut Vec<u64>,
    ) -> Result<Result<u64, Error>, Failure> {
        let (held, max) = (self.counters.pending_bytes, self.config.bytes_max);
        let more: u64 = entries.iter().map(Entry::bytes).sum();
        if held + more > max {
            let message =
                format!("journal: the queue fills its bound ({held} of {max} bytes): try again later");
            return Ok(Err(Error::new(Kind::Full, message)));
        }
        let before = self.counters.last_seq;
        let mut insert = self.db.prepare_cached(INSERT)?;
        for entry in entries {
            self.record.clear();
            record::encode(&entry.event, &mut self.record);
            let key = entry.key.as_ref().map(Key::as_bytes);
            self.counters.last_seq += 1;
            let seq = self.counters.last_seq;
            let sum = queue_sum(seq, now_ms, key, &self.record);
            insert.execute(params![signed(seq), sum, signed(now_ms), key, self.record])?;
            sizes.push(row_bytes(self.record.len(), key));
        }
        self.counters.pending += entries.len() as u64;
        self.counters.pending_bytes += sizes[sizes.len() - entries.len()..].iter().sum::<u64>();
        Ok(Ok(before))
    }

    /// Deletes settled events, given with their bytes; to be called within [`Store::write`].
    ///
    /// Neighbours go in one statement: most events settle nearly in order.
    pub(crate) fn delete(&mut self, settled: &mut [(u64, u64)]) -> Result<(), Failure> {
        settled.sort_unstable();
        let mut events = self.db.prepare_cached("DELETE FROM queue WHERE seq BETWEEN ? AND ?")?;
        let mut attempts = self.db.prepare_cached("DELETE FROM attempts WHERE seq BETWEEN ? AND ?")?;
        for run in settled.chunk_by(|(seq, _), (next, _)| seq + 1 == *next) {
            let range = params![signed(run[0].0), signed(run[run.len() - 1].0)];
            let deleted = events.execute(range)?;
            if deleted != run.len() {
                let what = format!("and its neighbours: {deleted} rows are there instead of {}", run.len());
                return Err(damaged("queue", run[0].0, &what));
            }
            attempts.execute(range)?;
            if self.aims > 0 {
                let mut aims = self.db.prepare_cached("DELETE FROM aims WHERE seq BETWEEN ? AND ?")?;
                self.aims = self.aims.saturating_sub(aims.execute(range)? as u64);
            }
            if self.replays > 0 {
                let mut replays = self.db.prepare_cached("DELETE FROM replays WHERE seq BETWEEN ? AND ?")?;
                self.replays = self.replays.saturating_sub(replays.execute(range)? as u64);
            }
            self.counters.pending -= run.len() as u64;
            let bytes: u64 = run.iter().map(|(_, bytes)| bytes).sum();
            self.counters.pending_bytes = self.counters.pending_bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    /// Has an event be for one target alone; to be called within [`Store::write`].
    pub(crate) fn aim(&mut self, seq: u64, target: &str) -> Result<(), Failure> {
        let mut insert = self.db.prepare_cached("INSERT INTO aims VALUES (?, ?, ?)")?;
        insert.execute(params![signed(seq), aim_sum(seq, target), target])?;
        self.aims += 1;
        Ok(())
    }

    /// Has an event be one that is brought once more on purpose, as a copy of `of`; to be called within [`Store::write`].
    pub(crate) fn mark_replay(&mut self, seq: u64, of: &str) -> Result<(), Failure> {
        let mut insert = self.db.prepare_cached("INSERT INTO replays VALUES (?, ?, ?)")?;
        insert.execute(params![signed(seq), replay_sum(seq, of), of])?;
        self.replays += 1;
        Ok(())
    }

    /// Remembers how often an event was tried; to be called within [`Store::write`].
    pub(crate) fn note_attempts(&mut self, seq: u64, attempts: u32) -> Result<(), Failure> {
        let sum = attempts_sum(seq, attempts);
        let mut upsert = self.db.prepare_cached("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?)")?;
        upsert.execute(params![signed(seq), sum, attempts])?;
        Ok(())
    }

    /// The events after `after`, up to a bound in events and bytes but at least one.
    pub(crate) fn page(&self, after: u64, events_max: usize, bytes_max: usize) -> Result<Page, Failure> {
        let mut select = self.db.prepare_cached(&Self::queue_after())?;
        let mut found = select.query([signed(after)])?;
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(row) = found.next()? {
            let row = handed(row)?;
            bytes += row.bytes;
            page.rows.push(row);
            if page.rows.len() >= events_max || bytes >= bytes_max as u64 {
                return Ok(page);
            }
        }
        page.end = true;
        Ok(page)
    }

    /// What selects those after a sequence, in order.
    pub(crate) fn queue_after() -> String {
        format!("{SELECT} WHERE q.seq > ? ORDER BY q.seq")
    }

    /// The event of a row that this selects.
    pub(crate) fn handed(row: &Row<'_>) -> Result<Handed, Failure> {
        handed(row)
    }

    /// The events with these sequences, as far as they are there.
    pub(crate) fn rows(&self, seqs: &[u64]) -> Result<Vec<Handed>, Failure> {
        let mut select = self.db.prepare_cached(&format!("{SELECT} WHERE q.seq = ?"))?;
        let mut rows = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let mut found = select.query([signed(*seq)])?;
            while let Some(row) = found.next()? {
                rows.push(handed(row)?);
            }
        }
        Ok(rows)
    }

    /// Copies the log into the database. With `truncate` the log is emptied as well, else it is used again
    /// from its start, which spares the file system from growing it. The mark goes to disk on the way, but under
    /// load not each time: an older one only finds less.
    pub(crate) fn checkpoint(&mut self, truncate: bool) -> Result<(), Failure> {
        let mode =
            if truncate { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "PRAGMA wal_checkpoint(PASSIVE)" };
        self.db.prepare_cached(mode)?.query_row([], |_| Ok(()))?;
        if truncate || self.mark_synced.elapsed() >= MARK_SYNC_EVERY {
            self.mark.sync()?;
            self.mark_synced = Instant::now();
        }
        Ok(())
    }

    /// How many frames of the log were written since it was last copied.
    pub(crate) fn log_frames(&self) -> Result<u64, Failure> {
        let mut look = self.db.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
        let (frames, copied) =
            look.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
        Ok(if frames > copied { frames.cast_unsigned() } else { 0 })
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.config.clock)()
    }
}

/// The bytes that a row of the queue counts for.
pub(crate) fn row_bytes(event_bytes: usize, key: Option<&[u8]>) -> u64 {
    (event_bytes + key.map_or(0, <[u8]>::len)) as u64 + ROW_BYTES
}

/// SQLite's integers are signed; ours are far below the point where that matters.
pub(crate) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn attempts_sum(seq: u64, attempts: u32) -> u32 {
    RowSum::new(seq).number(attempts.into()).finish()
}

fn aim_sum(seq: u64, target: &str) -> u32 {
    RowSum::new(seq).bytes(target.as_bytes()).finish()
}

pub(crate) fn replay_sum(seq: u64, of: &str) -> u32 {
    RowSum::new(seq).bytes(of.as_bytes()).finish()
}

fn handed(row: &Row<'_>) -> Result<Handed, Failure> {
    let seq = unsigned(row, 0)?;
    let damage = |what: &str| damaged("queue", seq, what);
    let (sum, accepted_ms): (u32, _) = (row.get(1)?, unsigned(row, 2)?);
    let key_bytes = row.get_ref(3)?.as_blob_or_null().map_err(|_| damage("has a key of another type"))?;
    let event = row.get_ref(4)?.as_blob().map_err(|_| damage("has an event of another type"))?;
    if queue_sum(seq, accepted_ms, key_bytes, event) != sum {
        return Err(damage("does not have its checksum"));
    }
    let attempts = row.get::<_, Option<u32>>(5)?;
    if attempts.map(|attempts| attempts_sum(seq, attempts)) != row.get::<_, Option<u32>>(6)? {
        return Err(damaged("attempts", seq, "does not have its checksum"));
    }
    let target = row.get::<_, Option<String>>(7)?;
    if target.as_ref().map(|target| aim_sum(seq, target)) != row.get::<_, Option<u32>>(8)? {
        return Err(damaged("aims", seq, "does not have its checksum"));
    }
    let replay_of = row.get::<_, Option<String>>(9)?;
    if replay_of.as_ref().map(|of| replay_sum(seq, of)) != row.get::<_, Option<u32>>(10)? {
        return Err(damaged("replays", seq, "does not have its checksum"));
    }
    let bytes = row_bytes(event.len(), key_bytes);
    let key = key_bytes.map(key);
    let event = record::decode(event);
    let event = event.map_err(|why| damage(&format!("holds no event that this version reads ({why})")))?;
    let (target, replay_of) = (target.map(Into::into), replay_of.map(Into::into));
    let attempts = attempts.unwrap_or(0);
    Ok(Handed { seq, event, key, target, replay_of, attempts, accepted_ms, bytes })
}
