//! The numbers that every writing transaction carries, in one row of `meta`.
//!
//! They make an open fast (nothing is counted by reading it), keep sequences from being used twice, and number
//! the commits, by which a missing one is found.

/// The numbers, as of one commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Commits so far.
    pub(crate) commits: u64,
    /// The last sequence given to an event. Sequences start at 1 and are never used twice.
    pub(crate) last_seq: u64,
    /// The last number given to a dead letter.
    pub(crate) last_dead: u64,
    /// The last number given to a mark.
    pub(crate) last_mark: u64,
    /// Events in `queue`.
    pub(crate) pending: u64,
    /// Their bytes, by [`crate::store::event_bytes`].
    pub(crate) pending_bytes: u64,
    /// Letters in `dead`.
    pub(crate) dead: u64,
    /// Their bytes.
    pub(crate) dead_bytes: u64,
    /// Marks in `marks`.
    pub(crate) marks: u64,
    /// Events in `kept`.
    pub(crate) kept: u64,
    /// Their bytes.
    pub(crate) kept_bytes: u64,
    /// Kept events that went since the open: not stored.
    pub(crate) expired: u64,
}

const FIELDS: usize = 11;
const BYTES: usize = FIELDS * 8 + 4;
/// Before events were kept.
const FIELDS_2: usize = 9;

impl Counters {
    pub(crate) fn encode(&self) -> [u8; BYTES] {
        let mut out = [0; BYTES];
        for (field, place) in self.fields().into_iter().zip(out.as_chunks_mut::<8>().0) {
            *place = field.to_le_bytes();
        }
        let sum = crc32fast::hash(&out[..FIELDS * 8]);
        out[FIELDS * 8..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// `None` when the bytes are not what was written, by this version or the one before.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, sum) = bytes.split_last_chunk::<4>()?;
        let (chunks, rest) = numbers.as_chunks::<8>();
        let is_whole = rest.is_empty() && crc32fast::hash(numbers) == u32::from_le_bytes(*sum);
        if !is_whole || ![FIELDS_2, FIELDS].contains(&chunks.len()) {
            return None;
        }
        let mut numbers = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk));
        let mut next = || numbers.next();
        Some(Self {
            commits: next()?,
            last_seq: next()?,
            last_dead: next()?,
            last_mark: next()?,
            pending: next()?,
            pending_bytes: next()?,
            dead: next()?,
            dead_bytes: next()?,
            marks: next()?,
            kept: next().unwrap_or(0),
            kept_bytes: next().unwrap_or(0),
            expired: 0,
        })
    }

    fn fields(&self) -> [u64; FIELDS] {
        [
            self.commits,
            self.last_seq,
            self.last_dead,
            self.last_mark,
            self.pending,
            self.pending_bytes,
            self.dead,
            self.dead_bytes,
            self.marks,
            self.kept,
            self.kept_bytes,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written_and_any_flipped_bit_is_found() {
        let counters = Counters {
            commits: 1,
            last_seq: 2,
            last_dead: 3,
            last_mark: 4,
            pending: 5,
            pending_bytes: 6,
            dead: 7,
            dead_bytes: 8,
            marks: u64::MAX,
            kept: 9,
            kept_bytes: 10,
            expired: 0,
        };
        let bytes = counters.encode();
        assert_eq!(Counters::decode(&bytes), Some(counters));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Counters::decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(Counters::decode(&bytes[..BYTES - 1]), None);
    }

    #[test]
    fn numbers_of_before_events_were_kept_are_read() {
        let counters = Counters { commits: 1, marks: 9, ..Counters::default() };
        let mut bytes = counters.encode()[..FIELDS_2 * 8].to_vec();
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        assert_eq!(Counters::decode(&bytes), Some(counters));
        bytes[0] ^= 1;
        assert_eq!(Counters::decode(&bytes), None);
    }
}
