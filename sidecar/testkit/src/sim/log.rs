//! A partition: what was written, where the gaps are, and what is gone again.

use std::collections::BTreeMap;

/// A record as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its ordering key; records without one are unordered.
    pub key: Option<u8>,
    /// Whether it claims to be an event and is none.
    pub malformed: bool,
}

/// The records of one partition, in their order.
#[derive(Debug, Default)]
pub struct Log {
    records: BTreeMap<i64, Record>,
    low: i64,
    end: i64,
}

impl Log {
    /// Appends a record behind `gap` offsets that never hold one: markers of transactions.
    pub fn append(&mut self, gap: i64, record: Record) -> i64 {
        let offset = self.end + gap;
        self.records.insert(offset, record);
        self.end = offset + 1;
        offset
    }

    /// Ends the log with offsets that hold no record.
    pub fn end_with_gap(&mut self, gap: i64) {
        self.end += gap;
    }

    /// The first record at `offset` or behind it.
    #[must_use]
    pub fn from(&self, offset: i64) -> Option<i64> {
        self.records.range(offset..).next().map(|(offset, _)| *offset)
    }

    /// The record at `offset`, while it is there.
    #[must_use]
    pub fn get(&self, offset: i64) -> Option<&Record> {
        self.records.get(&offset)
    }

    /// The first offset that is kept.
    #[must_use]
    pub fn low(&self) -> i64 {
        self.low
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.end
    }

    /// Everything below `low` is gone. Gives back what that was.
    pub fn retain_from(&mut self, low: i64) -> Vec<i64> {
        let low = low.clamp(self.low, self.end);
        let kept = self.records.split_off(&low);
        self.low = low;
        std::mem::replace(&mut self.records, kept).into_keys().collect()
    }

    /// Of each key only the last record stays, but for the newest `fresh` offsets. Gives back what went.
    pub fn compact(&mut self, fresh: i64) -> Vec<i64> {
        let mut seen = Vec::new();
        let mut gone = Vec::new();
        for (offset, record) in self.records.iter().rev() {
            let Some(key) = record.key else { continue };
            if seen.contains(&key) && *offset < self.end - fresh {
                gone.push(*offset);
            }
            seen.push(key);
        }
        for offset in &gone {
            self.records.remove(offset);
        }
        gone
    }

    /// Every offset that holds a record.
    pub fn offsets(&self) -> impl Iterator<Item = i64> {
        self.records.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: u8) -> Record {
        Record { key: Some(key), malformed: false }
    }

    #[test]
    fn gaps_retention_and_compaction_leave_the_order_as_it_was() {
        let mut log = Log::default();
        let offsets: Vec<i64> = [1, 2, 1, 3].map(|key| log.append(1, record(key))).into();
        assert_eq!(offsets, [1, 3, 5, 7]);
        assert_eq!(log.compact(0), [1], "a later record of its key is there");
        assert_eq!(log.retain_from(4), [3]);
        log.end_with_gap(2);
        assert_eq!((log.low(), log.from(0), log.from(6), log.end()), (4, Some(5), Some(7), 10));
    }
}
