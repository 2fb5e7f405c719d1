//! Small simulations of the store side by side, one for each choice of a window, and which of them hits more.
//!
//! Requests that all miss or all hit say nothing about which is better, so only those count on which the choices differ
//! (McNemar's test), and nothing counts before the first of them.

use super::segments::Segments;

/// Sampled requests for each entry of a simulation, until what was counted counts half.
const MEMORY: u64 = 20;
/// Entries that a simulation is taken to have at least, where its size is a measure.
const ENTRIES_MIN: usize = 64;

/// What a choice must win against the current one.
pub(super) struct Needed {
    /// Standard deviations of chance. Requests are not independent of each other, so more than a textbook asks for.
    pub(super) deviations: f64,
    /// A part of the sampled requests.
    pub(super) of_requests: f64,
    /// A part of the simulation's entries: a change costs hits itself, the more the larger the store.
    pub(super) of_entries: f64,
}

pub(super) struct Contest<const N: usize> {
    choices: [Choice; N],
    current: usize,
    /// Sampled requests since the first one on which the choices differed.
    requests: u64,
    out: Vec<()>,
}

struct Choice {
    /// In percent of the bytes.
    window: u64,
    cache: Segments<()>,
    /// Requests that this one hit and the current one did not, and the other way round.
    won: u64,
    lost: u64,
}

impl Choice {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    fn lead(&self) -> f64 {
        self.won as f64 - self.lost as f64
    }
}

impl<const N: usize> Contest<N> {
    /// The first choice is the current one.
    pub(super) fn new(bytes_max: u64, windows: [u64; N]) -> Self {
        let choice = |window| Choice { window, cache: Segments::new(bytes_max, window), won: 0, lost: 0 };
        Self { choices: windows.map(choice), current: 0, requests: 0, out: Vec::new() }
    }

    /// The current choice's window, in percent.
    pub(super) fn window(&self) -> u64 {
        self.choices[self.current].window
    }

    /// The entries of the largest simulation.
    pub(super) fn len(&self) -> usize {
        self.choices.iter().map(|choice| choice.cache.len()).max().unwrap_or(0)
    }

    /// Bytes on the heap.
    pub(super) fn own_bytes(&self) -> u64 {
        self.choices.iter().map(|choice| choice.cache.own_bytes()).sum()
    }

    /// A key was asked for.
    pub(super) fn get(&mut self, hash: u64) {
        let mut hits = [false; N];
        for (choice, hit) in self.choices.iter_mut().zip(&mut hits) {
            let found = choice.cache.find(hash, |()| true);
            *hit = found.is_some();
            if let Some(slot) = found {
                choice.cache.touch(slot);
                choice.cache.settle(&mut self.out);
            }
        }
        for (choice, hit) in self.choices.iter_mut().zip(hits) {
            choice.won += u64::from(hit && !hits[self.current]);
            choice.lost += u64::from(!hit && hits[self.current]);
        }
        let is_telling = hits.iter().any(|hit| *hit != hits[0]);
        self.requests += u64::from(is_telling || self.requests > 0);
        self.out.clear();
    }

    /// An entry of the store is new, or has another weight.
    pub(super) fn insert(&mut self, hash: u64, weight: u64) {
        for Choice { cache, .. } in &mut self.choices {
            match cache.find(hash, |()| true) {
                Some(slot) if cache.weight(slot) == weight => continue,
                Some(slot) => cache.weigh(slot, weight),
                None if weight > cache.bytes_max() => continue,
                None => _ = cache.insert(hash, weight, ()),
            }
            cache.settle(&mut self.out);
        }
        self.out.clear();
    }

    pub(super) fn remove(&mut self, hash: u64) {
        for Choice { cache, .. } in &mut self.choices {
            if let Some(slot) = cache.find(hash, |()| true) {
                cache.remove(slot);
            }
        }
    }

    /// Keeps the entries of these hashes only.
    pub(super) fn retain(&mut self, stays: impl Fn(u64) -> bool) {
        for Choice { cache, .. } in &mut self.choices {
            // From the last slot on: what takes a removed one's place was seen already.
            for slot in (0..cache.len()).rev() {
                let slot = u32::try_from(slot).expect("few entries");
                if !stays(cache.hash(slot)) {
                    cache.remove(slot);
                }
            }
        }
    }

    /// Another bound. It comes with nearly every insertion, so it looks at no entry that stays.
    pub(super) fn bound(&mut self, bytes_max: u64) {
        for Choice { cache, window, .. } in &mut self.choices {
            cache.bound(bytes_max, *window);
            cache.settle(&mut self.out);
        }
        self.out.clear();
    }

    /// Makes another choice the current one.
    pub(super) fn choose(&mut self, choice: usize) {
        self.current = choice;
        self.requests = 0;
        for choice in &mut self.choices {
            (choice.won, choice.lost) = (0, 0);
        }
    }

    /// A choice that is better than the current one.
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    pub(super) fn better(&self, needed: &Needed) -> Option<usize> {
        let leads = self.choices.iter().map(Choice::lead).enumerate();
        let (best, lead) = leads.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let differing = (self.choices[best].won + self.choices[best].lost) as f64;
        let is_better = lead > needed.deviations * differing.sqrt()
            && lead > needed.of_requests * self.requests as f64
            && lead > needed.of_entries * self.entries() as f64;
        is_better.then_some(best)
    }

    /// What was long ago counts less.
    pub(super) fn forget(&mut self) {
        if self.requests > MEMORY * self.entries() as u64 {
            self.requests /= 2;
            for choice in &mut self.choices {
                (choice.won, choice.lost) = (choice.won / 2, choice.lost / 2);
            }
        }
    }

    fn entries(&self) -> usize {
        self.choices[self.current].cache.len().max(ENTRIES_MIN)
    }
}
