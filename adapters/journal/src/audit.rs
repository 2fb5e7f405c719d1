//! Who replayed or dropped what: written in the transaction that does it, or before what the journal does not do itself.
//!
//! Bounded by number; the oldest go first.

use crate::{
    Journal,
    failure::Failure,
    rows::{RowSum, damaged},
    store::{Store, signed, unsigned},
};
use outrigger_core::Result;
use rusqlite::params;
use std::fmt::Write as _;

/// Most entries that one call lists.
pub const LIMIT_MAX: usize = 1_000;
/// Most characters of each text of an entry.
const TEXT_CHARS_MAX: usize = 1_024;
/// The tracing target, as of decisions about senders.
const TARGET: &str = "audit";

const INSERT: &str =
    "INSERT INTO audit (crc, at_ms, by, verb, what, count, refused, numbers) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const PRUNE: &str = "DELETE FROM audit WHERE n <= (SELECT max(n) FROM audit) - ?";
const SELECT: &str = "SELECT n, crc, at_ms, by, verb, what, count, refused, numbers FROM audit WHERE n < ? \
                      ORDER BY n DESC LIMIT ?";

/// Who wants something changed, and by what words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Who.
    pub by: String,
    /// Which ones were meant, such as a filter.
    pub what: String,
}

/// What somebody did. Texts are cut at 1,024 characters, with `…` at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its number: greater for what came later.
    pub number: u64,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// Who.
    pub by: String,
    /// What was done, such as `dead drop`.
    pub verb: String,
    /// Which ones were meant.
    pub what: String,
    /// How many it was done to.
    pub count: u64,
    /// How many stay although they were meant.
    pub refused: u64,
    /// The numbers of those that it was done to, as `1-3,7`.
    pub numbers: String,
}

impl Entry {
    /// An entry of what is done to these.
    #[must_use]
    pub fn of(verb: &str, order: &Order, done: &[u64], refused: usize) -> Self {
        Self {
            number: 0,
            at_ms: 0,
            by: cut(&order.by),
            verb: cut(verb),
            what: cut(&order.what),
            count: done.len() as u64,
            refused: refused as u64,
            numbers: cut(&ranges(done)),
        }
    }

    /// Whether it names that number.
    #[must_use]
    pub fn names(&self, number: u64) -> bool {
        self.numbers.split(',').any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let within = |first: u64, last: u64| (first..=last).contains(&number);
            first.parse().ok().zip(last.parse().ok()).is_some_and(|(first, last)| within(first, last))
        })
    }

    /// Writes the line of it that the log has, once it is durable.
    pub fn say(&self) {
        let Self { by, verb, what, count, refused, .. } = self;
        // By default the log has those of the level `warn` of this target, and these are to be seen.
        tracing::warn!(target: TARGET, audit = "changed", by, verb, what, count, refused, "changed by its owner");
    }

    fn sum(&self) -> u32 {
        let texts = [&self.by, &self.verb, &self.what, &self.numbers];
        let sum = RowSum::new(self.at_ms).number(self.count).number(self.refused);
        texts.into_iter().fold(sum, |sum, text| sum.bytes(text.as_bytes())).finish()
    }
}

impl Journal {
    /// Writes down what is done elsewhere; it is durable when this returns, and told in the log.
    ///
    /// Dropping the future leaves it open whether it was written.
    ///
    /// # Errors
    /// `Full`, `Overloaded`, `Closed` or `Storage`: then it is not to be done.
    pub async fn note(&self, entry: Entry) -> Result<()> {
        self.on_writer(move |store| {
            store.write_with_reserve(|store| store.audit(&entry))?;
            entry.say();
            Ok(())
        })
        .await
    }

    /// The entries before the number `before` (or the newest), newest first, and where to go on. Cancel safe.
    ///
    /// # Errors
    /// `Overloaded`, `Closed`, or `Storage` when a row is damaged.
    pub async fn audit(&self, before: Option<u64>, limit: usize) -> Result<(Vec<Entry>, Option<u64>)> {
        self.on_writer(move |store| store.audited(before, limit.clamp(1, LIMIT_MAX))).await
    }
}

impl Store {
    /// Writes an entry; to be called within [`Store::write`].
    pub(crate) fn audit(&mut self, entry: &Entry) -> Result<(), Failure> {
        let entry = Entry { at_ms: self.now_ms(), ..entry.clone() };
        let Entry { at_ms, by, verb, what, count, refused, numbers, .. } = &entry;
        let values =
            params![entry.sum(), signed(*at_ms), by, verb, what, signed(*count), signed(*refused), numbers];
        self.db.prepare_cached(INSERT)?.execute(values)?;
        self.db.prepare_cached(PRUNE)?.execute([signed(self.config.audit_max)])?;
        Ok(())
    }

    pub(crate) fn audited(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<u64>), Failure> {
        let mut select = self.db.prepare_cached(SELECT)?;
        let before = before.map_or(i64::MAX, signed);
        let mut found = select.query(params![before, signed(limit as u64 + 1)])?;
        let (mut entries, mut next) = (Vec::new(), None);
        while let Some(row) = found.next()? {
            if entries.len() == limit {
                next = entries.last().map(|last: &Entry| last.number);
                break;
            }
            entries.push(read(row)?);
        }
        Ok((entries, next))
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<Entry, Failure> {
    let number = unsigned(row, 0)?;
    let columns = || -> rusqlite::Result<(u32, Entry)> {
        let entry = Entry {
            number,
            at_ms: unsigned(row, 2)?,
            by: row.get(3)?,
            verb: row.get(4)?,
            what: row.get(5)?,
            count: unsigned(row, 6)?,
            refused: unsigned(row, 7)?,
            numbers: row.get(8)?,
        };
        Ok((row.get(1)?, entry))
    };
    let (sum, entry) = columns().map_err(|_| damaged("audit", number, "has a column of another type"))?;
    if entry.sum() == sum { Ok(entry) } else { Err(damaged("audit", number, "does not have its checksum")) }
}

/// Numbers as `1-3,7`, in order.
fn ranges(numbers: &[u64]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let mut text = String::new();
    for run in sorted.chunk_by(|one, next| one + 1 == *next) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = match run {
            [one] => write!(text, "{comma}{one}"),
            run => write!(text, "{comma}{}-{}", run[0], run[run.len() - 1]),
        }; // writing to a string cannot fail
    }
    text
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_ranges_and_found_in_them() {
        let entry = Entry::of("dead drop", &Order::default(), &[7, 1, 3, 2, 9], 0);
        assert_eq!((entry.numbers.as_str(), entry.count), ("1-3,7,9", 5));
        assert_eq!((0..11).filter(|number| entry.names(*number)).collect::<Vec<_>>(), [1, 2, 3, 7, 9]);
        assert!(!Entry::of("dead drop", &Order::default(), &[], 2).names(0));
    }

    #[test]
    fn texts_are_bounded() {
        let order = Order { by: "ä".repeat(2_000), what: String::new() };
        let every_other: Vec<_> = (0..5_000).map(|n| n * 2).collect();
        let entry = Entry::of("dead drop", &order, &every_other, 0);
        assert_eq!(entry.by.chars().count(), TEXT_CHARS_MAX + 1);
        assert!(entry.numbers.ends_with('…') && entry.names(2) && !entry.names(9_998));
    }
}
