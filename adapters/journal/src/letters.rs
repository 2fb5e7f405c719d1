//! The table of dead letters: its rows, and what is done with them inside a transaction.
//!
//! A row has two checksums: one over what lists and filters read, one over the body, so that a list need not
//! read bodies.

use crate::{
    dead::Head,
    failure::Failure,
    rows::{RowSum, damaged, decode_malformed, decode_origin, encode_malformed, encode_origin, key},
    store::{Entry, Store, signed, unsigned},
};
use outrigger_core::{
    Code, DeadLetter, Error, Kind, Malformed, Origin, Reason,
    event::{Event, hop, record},
};
use rusqlite::{OptionalExtension, params};

const INSERT: &str = "INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const SELECT: &str = "SELECT id, crc, body_crc, bytes, malformed, first_ms, last_ms, attempts, code, status, detail, \
                      event_id, event_source, event_type, origin, key, target FROM dead ";
/// What a letter costs beyond its body, for the bound in bytes.
const ROW_BYTES: usize = 256;

/// A dead letter as a row, but for its number.
#[derive(Debug)]
pub(crate) struct Row {
    malformed: bool,
    first_ms: u64,
    last_ms: u64,
    attempts: u32,
    code: String,
    status: Option<u16>,
    detail: String,
    event_id: String,
    event_source: String,
    event_type: String,
    origin: Vec<u8>,
    key: Option<Vec<u8>>,
    /// The target that failed it; none in files of before there were several.
    target: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// A row without its body.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: u64,
    pub(crate) bytes: u64,
    body_crc: u32,
    row: Row,
}

impl Row {
    pub(crate) fn new(letter: &DeadLetter) -> Self {
        let (body, event) = match &letter.item {
            Ok(event) => {
                let mut body = Vec::new();
                record::encode(event, &mut body);
                (body, Some(event))
            }
            Err(malformed) => (encode_malformed(malformed), None),
        };
        let attribute = |read: fn(&Event) -> &str| event.map(read).unwrap_or_default().to_owned();
        Self {
            malformed: event.is_none(),
            first_ms: letter.first_ms,
            last_ms: letter.last_ms,
            attempts: letter.attempts,
            code: letter.reason.code.name().to_owned(),
            status: letter.reason.status,
            detail: letter.reason.detail.clone(),
            event_id: attribute(Event::id),
            event_source: attribute(Event::source),
            event_type: attribute(Event::ty),
            origin: encode_origin(&letter.origin),
            key: letter.key.as_ref().map(|key| key.as_bytes().to_vec()),
            target: letter.target.as_deref().map(str::to_owned),
            body,
        }
    }

    /// The bytes that it counts for.
    pub(crate) fn bytes(&self) -> u64 {
        (self.body.len() + self.origin.len() + self.detail.len() + ROW_BYTES) as u64
    }

    fn sum(&self, id: u64, bytes: u64, body_crc: u32) -> u32 {
        let sum = RowSum::new(id)
            .number(body_crc.into())
            .number(bytes)
            .number(self.malformed.into())
            .number(self.first_ms)
            .number(self.last_ms)
            .number(self.attempts.into())
            .bytes(self.code.as_bytes())
            .number(self.status.map_or(u64::MAX, u64::from))
            .bytes(self.detail.as_bytes())
            .bytes(self.event_id.as_bytes())
            .bytes(self.event_source.as_bytes())
            .bytes(self.event_type.as_bytes())
            .bytes(&self.origin)
            .optional(self.key.as_deref());
        // Without one the sum is that of a row before there were targets.
        self.target.as_ref().map_or(sum.clone(), |target| sum.bytes(target.as_bytes())).finish()
    }
}

impl Stored {
    fn read(found: &rusqlite::Row<'_>) -> Result<Self, Failure> {
        let id = unsigned(found, 0)?;
        let damage = |_| damaged("dead", id, "has a column of another type");
        let (sum, stored) = Self::columns(found, id).map_err(damage)?;
        if stored.row.sum(id, stored.bytes, stored.body_crc) != sum {
            return Err(damaged("dead", id, "does not have its checksum"));
        }
        Ok(stored)
    }

    fn columns(found: &rusqlite::Row<'_>, id: u64) -> rusqlite::Result<(u32, Self)> {
        let row = Row {
            malformed: found.get(4)?,
            first_ms: unsigned(found, 5)?,
            last_ms: unsigned(found, 6)?,
            attempts: found.get(7)?,
            code: found.get(8)?,
            status: found.get(9)?,
            detail: found.get(10)?,
            event_id: found.get(11)?,
            event_source: found.get(12)?,
            event_type: found.get(13)?,
            origin: found.get(14)?,
            key: found.get(15)?,
            target: found.get(16)?,
            body: Vec::new(),
        };
        Ok((found.get(1)?, Self { id, body_crc: found.get(2)?, bytes: unsigned(found, 3)?, row }))
    }

    /// What lists show.
    pub(crate) fn head(&self) -> Result<Head, Failure> {
        let row = &self.row;
        let origin = self.origin()?;
        Ok(Head {
            id: self.id,
            event_id: row.event_id.clone(),
            source: row.event_source.clone(),
            ty: row.event_type.clone(),
            malformed: row.malformed,
            code: row.code.clone(),
            status: row.status,
            detail: row.detail.clone(),
            attempts: row.attempts,
            first_ms: row.first_ms,
            last_ms: row.last_ms,
            origin: origin.source.to_string(),
            position: origin.position.to_string(),
            key: row.key.as_deref().map(|bytes| key(bytes).name().into_owned()),
            target: row.target.clone(),
            bytes: self.bytes,
        })
    }

    fn origin(&self) -> Result<Origin, Failure> {
        decode_origin(&self.row.origin).ok_or_else(|| self.damage("has an unreadable origin"))
    }

    fn damage(&self, what: &str) -> Failure {
        damaged("dead", self.id, what)
    }
}

impl Store {
    /// Keeps a letter; to be called within [`Store::write`].
    ///
    /// The outer result ends the transaction, the inner one only this letter: its bound is reached.
    pub(crate) fn put(&mut self, row: &Row) -> Result<Result<(), Error>, Failure> {
        if let Some(full) = self.no_room_for_letters(row.bytes()) {
            return Ok(Err(full));
        }
        self.insert(row)?;
        Ok(Ok(()))
    }

    fn insert(&mut self, row: &Row) -> Result<(), Failure> {
        self.counters.last_dead += 1;
        self.counters.dead += 1;
        self.counters.dead_bytes += row.bytes();
        let (id, body_crc) = (self.counters.last_dead, crc32fast::hash(&row.body));
        let mut insert = self.db.prepare_cached(INSERT)?;
        insert.execute(params![
            signed(id),
            row.sum(id, row.bytes(), body_crc),
            body_crc,
            signed(row.bytes()),
            row.malformed,
            signed(row.first_ms),
            signed(row.last_ms),
            row.attempts,
            row.code,
            row.status,
            row.detail,
            row.event_id,
            row.event_source,
            row.event_type,
            row.origin,
            row.key,
            row.body,
            row.target,
        ])?;
        Ok(())
    }

    /// Keeps letters and appends events, all of them or none; to be called within [`Store::write`]. As
    /// [`Store::append`] returns.
    pub(crate) fn accept(
        &mut self,
        entries: &[Entry],
        letters: &[Row],
        now_ms: u64,
        sizes: &mut Vec<u64>,
    ) -> Result<Result<u64, Error>, Failure> {
        if !letters.is_empty()
            && let Some(full) = self.no_room_for_letters(letters.iter().map(Row::bytes).sum())
        {
            return Ok(Err(full));
        }
        let appended = self.append(entries, now_ms, sizes)?;
        if appended.is_ok() {
            letters.iter().try_for_each(|letter| self.insert(letter))?;
        }
        Ok(appended)
    }

    fn no_room_for_letters(&self, more: u64) -> Option<Error> {
        let (held, max) = (self.counters.dead_bytes, self.config.dead_bytes_max);
        let message = || {
            format!("journal: the dead letters fill their bound ({held} of {max} bytes): replay or drop some")
        };
        (held + more > max).then(|| Error::new(Kind::Full, message()))
    }

    /// Visits the letters after `after` in order, until `visit` says false. True when none is left.
    pub(crate) fn each_dead(
        &self,
        after: u64,
        mut visit: impl FnMut(Stored) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        let mut select = self.db.prepare_cached(&format!("{SELECT} WHERE id > ? ORDER BY id"))?;
        let mut found = select.query([signed(after)])?;
        while let Some(row) = found.next()? {
            if !visit(Stored::read(row)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The letter without its body.
    pub(crate) fn dead(&self, id: u64) -> Result<Option<Stored>, Failure> {
        let mut select = self.db.prepare_cached(&format!("{SELECT} WHERE id = ?"))?;
        let mut found = select.query([signed(id)])?;
        found.next()?.map(Stored::read).transpose()
    }

    /// The whole letter.
    pub(crate) fn letter(&self, stored: &Stored) -> Result<DeadLetter, Failure> {
        let row = &stored.row;
        let code = Code::from_name(&row.code).ok_or_else(|| stored.damage("has an unknown code"))?;
        Ok(DeadLetter {
            item: self.item(stored)?,
            key: row.key.as_deref().map(key),
            origin: stored.origin()?,
            target: row.target.as_deref().map(Into::into),
            reason: Reason { code, status: row.status, detail: row.detail.clone() },
            attempts: row.attempts,
            first_ms: row.first_ms,
            last_ms: row.last_ms,
        })
    }

    fn item(&self, stored: &Stored) -> Result<Result<Event, Malformed>, Failure> {
        let mut select = self.db.prepare_cached("SELECT body FROM dead WHERE id = ?")?;
        let body: Option<Vec<u8>> = select.query_row([signed(stored.id)], |row| row.get(0)).optional()?;
        let body = body.ok_or_else(|| stored.damage("is gone"))?;
        if crc32fast::hash(&body) != stored.body_crc {
            return Err(stored.damage("does not have its body's checksum"));
        }
        if stored.row.malformed {
            let malformed = decode_malformed(&body);
            return malformed.map(Err).ok_or_else(|| stored.damage("has an unreadable body"));
        }
        let event = record::decode(&body);
        event.map(Ok).map_err(|why| stored.damage(&format!("holds no event that this version reads ({why})")))
    }

    /// Deletes a letter; to be called within [`Store::write`].
    pub(crate) fn delete_dead(&mut self, stored: &Stored) -> Result<(), Failure> {
        self.db.prepare_cached("DELETE FROM dead WHERE id = ?")?.execute([signed(stored.id)])?;
        self.counters.dead -= 1;
        self.counters.dead_bytes = self.counters.dead_bytes.saturating_sub(stored.bytes);
        Ok(())
    }

    /// Moves a letter back into the queue, for the target that failed it alone; to be called within [`Store::write`]. Returns its new sequence, or
    /// why it stays: it is no event, or the queue is full.
    pub(crate) fn replay(&mut self, stored: &Stored) -> Result<Result<u64, String>, Failure> {
        let mut event = match self.item(stored)? {
            Ok(event) => event,
            Err(malformed) => return Ok(Err(format!("it is no event: {}", malformed.why))),
        };
        hop::keep(&mut event, &stored.origin()?.headers); // so that its trace goes on
        let entry = Entry { event, key: stored.row.key.as_deref().map(key) };
        let now_ms = self.now_ms();
        match self.append(std::slice::from_ref(&entry), now_ms, &mut Vec::new())? {
            Ok(before) => {
                if let Some(target) = &stored.row.target {
                    self.aim(before + 1, target)?;
                }
                self.mark_replay(before + 1, &format!("dead letter {}", stored.id))?;
                self.delete_dead(stored)?;
                Ok(Ok(before + 1))
            }
            Err(full) => Ok(Err(full.to_string())),
        }
    }
}
