//! How often keys were seen lately, roughly and in little memory: a count-min sketch of four rows with counters of four
//! bits, all halved now and then so that what was popular once is forgotten.
//!
//! Source: Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM Transactions on Storage
//! 13(4), 2017.

/// The most that a counter counts to.
const MOST: u64 = 15;
/// Times seen for each entry of the cache, until all counters are halved. Half of the source's ten does better on nearly
/// all traces that were tried: what was seen once counts for nothing the sooner.
const AGE: u64 = 5;
const WORDS_MIN: usize = 16;
/// Multipliers that make four rows of one hash: odd numbers without a pattern.
const ROWS: [u64; 4] =
    [0xc3a5_c85c_97cb_3127, 0xb492_b66f_be98_f273, 0x9ae1_6a3b_2f90_404f, 0xcbf2_9ce4_8422_2325];

/// Sixteen counters in a word, of which each row uses four.
pub(super) struct Sketch {
    words: Vec<u64>,
    seen: u64,
}

impl Sketch {
    pub(super) const fn new() -> Self {
        Self { words: Vec::new(), seen: 0 }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        (self.words.capacity() * size_of::<u64>()) as u64
    }

    /// Counts a key, for a cache of `entries`. Grows with them, and does not shrink.
    pub(super) fn count(&mut self, hash: u64, entries: usize) {
        self.grow(entries);
        let mut counted = false;
        for row in 0..ROWS.len() {
            let (word, bit) = self.place(hash, row);
            if (self.words[word] >> bit) & MOST < MOST {
                self.words[word] += 1 << bit;
                counted = true;
            }
        }
        self.seen += u64::from(counted);
        if self.seen >= AGE * entries.max(WORDS_MIN) as u64 {
            self.age();
        }
    }

    /// How often a key was seen: never too little but for what was forgotten, seldom too much, at most 15.
    pub(super) fn seen(&self, hash: u64) -> u64 {
        if self.words.is_empty() {
            return 0;
        }
        let count = |row| {
            let (word, bit) = self.place(hash, row);
            (self.words[word] >> bit) & MOST
        };
        (0..ROWS.len()).map(count).min().unwrap_or(0)
    }

    /// One word an entry. A place in the smaller table becomes two with what it had: no count gets lost.
    fn grow(&mut self, entries: usize) {
        if self.words.is_empty() {
            self.words = vec![0; WORDS_MIN];
        }
        while self.words.len() < entries {
            self.words.reserve_exact(self.words.len());
            self.words.extend_from_within(..);
        }
    }

    fn place(&self, hash: u64, row: usize) -> (usize, u32) {
        let mixed = hash.wrapping_mul(ROWS[row]);
        let mixed = mixed ^ (mixed >> 32);
        #[expect(clippy::cast_possible_truncation, reason = "the mask keeps what fits")]
        let word = mixed as usize & (self.words.len() - 1);
        // Bits that the mask leaves alone choose one of the row's four counters.
        let counter = row as u64 * 4 + ((mixed >> 60) & 3);
        (word, u32::try_from(counter * 4).expect("below 64"))
    }

    fn age(&mut self) {
        for word in &mut self.words {
            *word = (*word >> 1) & 0x7777_7777_7777_7777;
        }
        self.seen /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        (key + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn what_was_seen_often_counts_more_than_what_was_seen_once() {
        let mut sketch = Sketch::new();
        for key in 0..1_000 {
            sketch.count(hash(key), 1_000);
        }
        (0..9).for_each(|_| sketch.count(hash(7), 1_000));
        assert_eq!(sketch.seen(hash(7)), 10);
        let too_much = (0..1_000).filter(|key| *key != 7 && sketch.seen(hash(*key)) > 1).count();
        assert!(too_much < 10, "{too_much} of 1000 are overrated");
        assert_eq!(sketch.seen(hash(5_000_000)), 0);
    }

    #[test]
    fn growth_keeps_the_counts_and_age_halves_them() {
        let mut sketch = Sketch::new();
        (0..8).for_each(|_| sketch.count(hash(1), 10));
        sketch.count(hash(2), 100_000);
        assert_eq!(sketch.seen(hash(1)), 8);
        sketch.age();
        assert_eq!((sketch.seen(hash(1)), sketch.seen(hash(2))), (4, 0));
        (0..100).for_each(|_| sketch.count(hash(3), 100_000));
        assert_eq!(sketch.seen(hash(3)), 15);
    }
}
