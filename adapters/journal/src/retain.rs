//! What is discarded by rules that the user named: dead letters by age, marks by age and number, kept events by age and bytes.
//!
//! A little at a time, from the oldest on, so that no append waits long for it.

use crate::{
    config::milliseconds,
    failure::Failure,
    store::{Store, signed, unsigned},
};

/// Most rows of each table that one step discards.
const STEP_ROWS: u64 = 256;

/// What one step discarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Discarded {
    pub(crate) letters: u64,
    pub(crate) marks: u64,
    pub(crate) kept: u64,
}

impl Discarded {
    /// Whether there may be more to discard at once.
    pub(crate) fn may_go_on(self) -> bool {
        [self.letters, self.marks, self.kept].contains(&STEP_ROWS)
    }
}

impl Store {
    /// Whether time alone can make anything discardable.
    pub(crate) fn ages(&self) -> bool {
        self.counters.marks > 0
            || self.counters.kept > 0
            || (self.counters.dead > 0 && self.config.dead_age_max.is_some())
    }

    /// One step. It writes only when there is something to discard.
    pub(crate) fn retain(&mut self) -> Result<Discarded, Failure> {
        let letters = self.old_letters()?;
        let marks = self.old_marks()?;
        let kept = self.old_kept()?;
        if letters.is_none() && marks.is_none() && kept.is_empty() {
            return Ok(Discarded::default());
        }
        self.write_with_reserve(|store| {
            let mut discarded = Discarded::default();
            if let Some((last, count, bytes)) = letters {
                store.db.prepare_cached("DELETE FROM dead WHERE id <= ?")?.execute([signed(last)])?;
                store.counters.dead -= count;
                store.counters.dead_bytes = store.counters.dead_bytes.saturating_sub(bytes);
                discarded.letters = count;
            }
            if let Some((last, count)) = marks {
                store.db.prepare_cached("DELETE FROM marks WHERE n <= ?")?.execute([signed(last)])?;
                store.counters.marks -= count;
                discarded.marks = count;
            }
            store.delete_kept(&kept)?;
            discarded.kept = kept.len() as u64;
            Ok(discarded)
        })
    }

    /// The oldest letters that are too old: the last one's number, how many, and their bytes.
    fn old_letters(&self) -> Result<Option<(u64, u64, u64)>, Failure> {
        let Some(age_max) = self.config.dead_age_max else { return Ok(None) };
        let since = self.now_ms().saturating_sub(milliseconds(age_max));
        let mut select = self.db.prepare_cached("SELECT id, last_ms, bytes FROM dead ORDER BY id LIMIT ?")?;
        let mut found = select.query([signed(STEP_ROWS)])?;
        let mut old = None;
        while let Some(row) = found.next()? {
            if unsigned(row, 1)? >= since {
                break;
            }
            let (_, count, bytes) = old.unwrap_or_default();
            old = Some((unsigned(row, 0)?, count + 1, bytes + unsigned(row, 2)?));
        }
        Ok(old)
    }

    /// The oldest kept events that are too old or too many, with their bytes.
    fn old_kept(&self) -> Result<Vec<(u64, u64)>, Failure> {
        if self.counters.kept == 0 {
            return Ok(Vec::new());
        }
        let since = self.now_ms().saturating_sub(milliseconds(self.config.keep_age_max));
        let too_much = self.counters.kept_bytes.saturating_sub(self.config.keep_bytes_max);
        let step = usize::try_from(STEP_ROWS).unwrap_or(usize::MAX);
        self.oldest_kept(|settled_ms, row, bytes| row < step && (settled_ms < since || bytes < too_much))
    }

    /// The oldest marks that are too old or too many: the last one's number, and how many.
    fn old_marks(&self) -> Result<Option<(u64, u64)>, Failure> {
        let since = self.marks_since();
        let too_many = self.counters.marks.saturating_sub(self.config.marks_max);
        let mut select = self.db.prepare_cached("SELECT n, at_ms FROM marks ORDER BY n LIMIT ?")?;
        let mut found = select.query([signed(STEP_ROWS)])?;
        let mut old = None;
        while let Some(row) = found.next()? {
            let (_, count) = old.unwrap_or_default();
            if unsigned(row, 1)? >= since && count >= too_many {
                break;
            }
            old = Some((unsigned(row, 0)?, count + 1));
        }
        Ok(old)
    }
}
