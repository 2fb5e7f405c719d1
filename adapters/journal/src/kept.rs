//! The table of kept events: its rows, and what is done with them inside a transaction.
//!
//! A settled event moves here in the transaction that takes it out of the queue, and keeps its sequence. What a target keeps
//! here has a sequence of its own from the same row of numbers, so that one number names one event. A row has two checksums,
//! as a dead letter's has: a list need not read payloads.

use crate::{
    events::{Head, Outcome},
    failure::Failure,
    rows::{RowSum, damaged, decode_origin, encode_origin, key, queue_sum},
    store::{Store, replay_sum, signed, unsigned},
};
use outrigger_core::{Error, Event, Fate, Key, Kind, Origin, Position, event::record};
use rusqlite::{OptionalExtension, params};
use std::{borrow::Cow, fmt::Write as _, sync::Arc};

const INSERT: &str = "INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const SELECT: &str = "SELECT seq, crc, body_crc, bytes, received_ms, settled_ms, outcome, attempts, fates, event_id, \
                      event_source, event_type, subject, origin, key, replay_of FROM kept ";
const SETTLED: &str = "SELECT q.crc, q.accepted_ms, q.key, q.event, r.of, r.crc FROM queue q \
                       LEFT JOIN replays r ON r.seq = q.seq WHERE q.seq = ?";
/// What a row costs beyond its texts and its event, for the bound in bytes.
const ROW_BYTES: usize = 256;
/// What is let go at once, at least, where the volume is short of space.
const YIELD_BYTES: u64 = 1 << 20;
/// Most rows that one step lets go.
const YIELD_ROWS: usize = 1_024;

/// A delivery that is settled, as far as its row in the queue does not tell.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) seq: u64,
    pub(crate) bytes: u64,
    pub(crate) attempts: u32,
    /// What became of it, at each target or rule.
    pub(crate) fates: Vec<(Arc<str>, Fate, u32)>,
}

/// A row, but for its number.
#[derive(Debug)]
pub(crate) struct Row {
    received_ms: u64,
    settled_ms: u64,
    outcome: String,
    attempts: u32,
    /// A line for each: place, fate, attempts.
    fates: String,
    event_id: String,
    event_source: String,
    event_type: String,
    subject: Option<String>,
    origin: Vec<u8>,
    key: Option<Vec<u8>>,
    replay_of: Option<String>,
    event: Vec<u8>,
}

/// A row without its event.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) bytes: u64,
    body_crc: u32,
    row: Row,
}

impl Row {
    /// What the target `target` keeps.
    pub(crate) fn kept_by(
        target: &Arc<str>,
        event: &Event,
        key: Option<&Key>,
        origin: &Origin,
        now_ms: u64,
    ) -> Self {
        let mut bytes = Vec::new();
        record::encode(event, &mut bytes);
        let key = key.map(|key| key.as_bytes().to_vec());
        let fates = [(target.clone(), Fate::Delivered, 1)];
        Self::new(event, bytes, key, origin, (now_ms, now_ms), &fates)
    }

    fn new(
        event: &Event,
        bytes: Vec<u8>,
        key: Option<Vec<u8>>,
        origin: &Origin,
        (received_ms, settled_ms): (u64, u64),
        fates: &[(Arc<str>, Fate, u32)],
    ) -> Self {
        let mut lines = String::new();
        for (place, fate, attempts) in fates {
            let _ = writeln!(lines, "{place} {fate} {attempts}"); // writing to a string cannot fail
        }
        Self {
            received_ms,
            settled_ms,
            outcome: Outcome::of(fates.iter().map(|(_, fate, _)| *fate)).name().to_owned(),
            attempts: fates.iter().map(|(_, _, attempts)| *attempts).max().unwrap_or(0),
            fates: lines,
            event_id: event.id().to_owned(),
            event_source: event.source().to_owned(),
            event_type: event.ty().to_owned(),
            subject: event.text("subject").map(Cow::into_owned),
            origin: encode_origin(origin),
            key,
            replay_of: None,
            event: bytes,
        }
    }

    /// The bytes that it counts for.
    pub(crate) fn bytes(&self) -> u64 {
        let texts = [&self.fates, &self.event_id, &self.event_source, &self.event_type];
        let texts: usize = texts.into_iter().chain(&self.subject).map(String::len).sum();
        (self.event.len() + self.origin.len() + texts + ROW_BYTES) as u64
    }

    fn sum(&self, seq: u64, bytes: u64, body_crc: u32) -> u32 {
        RowSum::new(seq)
            .number(body_crc.into())
            .number(bytes)
            .number(self.received_ms)
            .number(self.settled_ms)
            .bytes(self.outcome.as_bytes())
            .number(self.attempts.into())
            .bytes(self.fates.as_bytes())
            .bytes(self.event_id.as_bytes())
            .bytes(self.event_source.as_bytes())
            .bytes(self.event_type.as_bytes())
            .optional(self.subject.as_deref().map(str::as_bytes))
            .bytes(&self.origin)
            .optional(self.key.as_deref())
            .optional(self.replay_of.as_deref().map(str::as_bytes))
            .finish()
    }
}

impl Stored {
    pub(crate) fn read(found: &rusqlite::Row<'_>) -> Result<Self, Failure> {
        let seq = unsigned(found, 0)?;
        let damage = |_| damaged("kept", seq, "has a column of another type");
        let (sum, stored) = Self::columns(found, seq).map_err(damage)?;
        if stored.row.sum(seq, stored.bytes, stored.body_crc) != sum {
            return Err(damaged("kept", seq, "does not have its checksum"));
        }
        Ok(stored)
    }

    fn columns(found: &rusqlite::Row<'_>, seq: u64) -> rusqlite::Result<(u32, Self)> {
        let row = Row {
            received_ms: unsigned(found, 4)?,
            settled_ms: unsigned(found, 5)?,
            outcome: found.get(6)?,
            attempts: found.get(7)?,
            fates: found.get(8)?,
            event_id: found.get(9)?,
            event_source: found.get(10)?,
            event_type: found.get(11)?,
            subject: found.get(12)?,
            origin: found.get(13)?,
            key: found.get(14)?,
            replay_of: found.get(15)?,
            event: Vec::new(),
        };
        Ok((found.get(1)?, Self { seq, body_crc: found.get(2)?, bytes: unsigned(found, 3)?, row }))
    }

    /// What lists show.
    pub(crate) fn head(&self) -> Result<Head, Failure> {
        let damage = |what| damaged("kept", self.seq, what);
        let row = &self.row;
        let origin = decode_origin(&row.origin).ok_or_else(|| damage("has an unreadable origin"))?;
        let fate = |line: &str| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            Some((words.next()?, words.next()?, words.next()?.parse().ok()?))
        };
        Ok(Head {
            seq: self.seq,
            event_id: row.event_id.clone(),
            source: row.event_source.clone(),
            ty: row.event_type.clone(),
            subject: row.subject.clone(),
            outcome: Outcome::from_name(&row.outcome).ok_or_else(|| damage("has an unknown outcome"))?,
            fates: row.fates.lines().filter_map(fate).collect(),
            attempts: row.attempts,
            received_ms: row.received_ms,
            settled_ms: Some(row.settled_ms),
            origin: origin.source.to_string(),
            position: origin.position.to_string(),
            key: row.key.as_deref().map(|bytes| key(bytes).name().into_owned()),
            replay_of: row.replay_of.clone(),
            bytes: self.bytes,
        })
    }

    /// Its key, as it was queued.
    pub(crate) fn key(&self) -> Option<Key> {
        self.row.key.as_deref().map(key)
    }
}

impl Store {
    /// Keeps events that are about to be taken out of the queue; to be called within [`Store::write`], before that. One that
    /// cannot be kept is told, and goes without: it is settled all the same.
    pub(crate) fn keep_settled(&mut self, ended: &[Ended], now_ms: u64) -> Result<(), Failure> {
        for one in ended {
            match self.settled_row(one, now_ms) {
                Ok(row) => {
                    if !self.insert_kept(one.seq, &row)? {
                        self.counters.expired += 1; // larger than all that may be kept
                    }
                }
                Err(Failure::Damaged(error)) => {
                    self.counters.expired += 1;
                    tracing::error!(%error, "a settled event cannot be kept");
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn settled_row(&self, ended: &Ended, now_ms: u64) -> Result<Row, Failure> {
        let seq = ended.seq;
        let mut select = self.db.prepare_cached(SETTLED)?;
        let mut found = select.query([signed(seq)])?;
        let damage = |what: &str| damaged("queue", seq, what);
        let Some(row) = found.next()? else { return Err(damage("is gone")) };
        let (sum, received_ms): (u32, _) = (row.get(0)?, unsigned(row, 1)?);
        let (key, bytes): (Option<Vec<u8>>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        if queue_sum(seq, received_ms, key.as_deref(), &bytes) != sum {
            return Err(damage("does not have its checksum"));
        }
        let replay_of: Option<String> = row.get(4)?;
        if replay_of.as_ref().map(|of| replay_sum(seq, of)) != row.get::<_, Option<u32>>(5)? {
            return Err(damaged("replays", seq, "does not have its checksum"));
        }
        let event = record::decode(&bytes);
        let event =
            event.map_err(|why| damage(&format!("holds no event that this version reads ({why})")))?;
        let origin = Origin {
            source: self.config.name.clone(),
            position: Position::Sequence(seq),
            headers: Vec::new(),
        };
        let mut row = Row::new(&event, bytes, key, &origin, (received_ms, now_ms), &ended.fates);
        row.attempts = row.attempts.max(ended.attempts);
        row.replay_of = replay_of;
        Ok(row)
    }

    /// Keeps what a target keeps here; to be called within [`Store::write`]. The outer result ends the transaction, the
    /// inner one only this event: it is larger than all that may be kept.
    pub(crate) fn keep_for_target(&mut self, row: &Row) -> Result<Result<(), Error>, Failure> {
        self.counters.last_seq += 1;
        if self.insert_kept(self.counters.last_seq, row)? {
            return Ok(Ok(()));
        }
        let (bytes, max) = (row.bytes(), self.config.keep_bytes_max);
        let message =
            format!("journal: an event of {bytes} bytes can never be kept: the bound is {max} bytes");
        Ok(Err(Error::new(Kind::Invalid, message)))
    }

    /// Whether there is room for it at all; what is older makes some.
    fn insert_kept(&mut self, seq: u64, row: &Row) -> Result<bool, Failure> {
        let (bytes, max) = (row.bytes(), self.config.keep_bytes_max);
        if bytes > max {
            return Ok(false);
        }
        let too_much = (self.counters.kept_bytes + bytes).saturating_sub(max);
        if too_much > 0 {
            let oldest = self.oldest_kept(|_, _, freed| freed < too_much)?;
            self.delete_kept(&oldest)?;
        }
        let body_crc = crc32fast::hash(&row.event);
        let mut insert = self.db.prepare_cached(INSERT)?;
        insert.execute(params![
            signed(seq),
            row.sum(seq, bytes, body_crc),
            body_crc,
            signed(bytes),
            signed(row.received_ms),
            signed(row.settled_ms),
            row.outcome,
            row.attempts,
            row.fates,
            row.event_id,
            row.event_source,
            row.event_type,
            row.subject,
            row.origin,
            row.key,
            row.replay_of,
            row.event,
        ])?;
        self.counters.kept += 1;
        self.counters.kept_bytes += bytes;
        Ok(true)
    }

    /// The oldest kept events with their bytes, as long as `more` says so: it is told when the next was settled, how many there
    /// are already, and their bytes.
    pub(crate) fn oldest_kept(
        &self,
        more: impl Fn(u64, usize, u64) -> bool,
    ) -> Result<Vec<(u64, u64)>, Failure> {
        let mut select =
            self.db.prepare_cached("SELECT seq, settled_ms, bytes FROM kept ORDER BY settled_ms, bytes")?;
        let mut found = select.query([])?;
        let (mut oldest, mut freed) = (Vec::new(), 0);
        while let Some(row) = found.next()? {
            if !more(unsigned(row, 1)?, oldest.len(), freed) {
                break;
            }
            let bytes = unsigned(row, 2)?;
            freed += bytes;
            oldest.push((unsigned(row, 0)?, bytes));
        }
        Ok(oldest)
    }

    /// Deletes kept events, given with their bytes; to be called within [`Store::write`].
    pub(crate) fn delete_kept(&mut self, gone: &[(u64, u64)]) -> Result<(), Failure> {
        let mut delete = self.db.prepare_cached("DELETE FROM kept WHERE seq = ?")?;
        for (seq, bytes) in gone {
            delete.execute([signed(*seq)])?;
            self.counters.kept = self.counters.kept.saturating_sub(1);
            self.counters.kept_bytes = self.counters.kept_bytes.saturating_sub(*bytes);
            self.counters.expired += 1;
        }
        Ok(())
    }

    /// Lets go of the oldest kept events, so that there is space for about `growth` bytes. Whether there were any.
    pub(crate) fn yield_kept(&mut self, growth: u64) -> Result<bool, Failure> {
        if self.counters.kept == 0 {
            return Ok(false);
        }
        let enough = growth.saturating_mul(2).max(YIELD_BYTES);
        let oldest = self.oldest_kept(|_, rows, freed| rows < YIELD_ROWS && freed < enough)?;
        self.write_with_reserve(|store| store.delete_kept(&oldest))?;
        Ok(!oldest.is_empty())
    }

    /// A kept event without its payload.
    pub(crate) fn kept(&self, seq: u64) -> Result<Option<Stored>, Failure> {
        let mut select = self.db.prepare_cached(&format!("{SELECT} WHERE seq = ?"))?;
        let mut found = select.query([signed(seq)])?;
        found.next()?.map(Stored::read).transpose()
    }

    /// What selects those after a sequence, in order.
    pub(crate) fn kept_after() -> String {
        format!("{SELECT} WHERE seq > ? ORDER BY seq")
    }

    /// The event itself.
    pub(crate) fn kept_event(&self, stored: &Stored) -> Result<Event, Failure> {
        let damage = |what: &str| damaged("kept", stored.seq, what);
        let mut select = self.db.prepare_cached("SELECT event FROM kept WHERE seq = ?")?;
        let bytes: Option<Vec<u8>> = select.query_row([signed(stored.seq)], |row| row.get(0)).optional()?;
        let bytes = bytes.ok_or_else(|| damage("is gone"))?;
        if crc32fast::hash(&bytes) != stored.body_crc {
            return Err(damage("does not have its event's checksum"));
        }
        let event = record::decode(&bytes);
        event.map_err(|why| damage(&format!("holds no event that this version reads ({why})")))
    }
}
