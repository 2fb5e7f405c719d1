//! What is kept and what goes: the whole decision, for the store in production and for `outrigger simulate cache` alike.
//! A pure state machine: the same requests in the same order come to the same end.

use super::{
    segments::{BYTES_MOST, Segments},
    trials::Trials,
};

/// Entries of a simulation, of which there are four (and two of a quarter of that at first): some 50 bytes each.
pub(crate) const SAMPLES_MAX: usize = 8_192;

/// Entries of a hash, a weight and an item each, of which the least useful go when their weights exceed the bound.
pub(crate) struct Policy<T> {
    entries: Segments<T>,
    trials: Trials,
}

impl<T> Policy<T> {
    /// What an entry needs, beside what its item has on the heap. In the weight, so that an entry that goes makes room for it.
    pub(crate) const NODE_BYTES: u64 = Segments::<T>::NODE_BYTES;

    /// `samples_max` bounds the memory of the simulations that choose the window, in entries of each.
    pub(crate) fn new(bytes_max: u64, samples_max: usize) -> Self {
        let trials = Trials::new(bytes_max, samples_max);
        Self { entries: Segments::new(bytes_max, trials.window()), trials }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The weights of all entries together: at most the bound after every call.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.bytes()
    }

    /// What the policy needs itself, on the heap, beside [`Self::NODE_BYTES`] for each entry.
    pub(crate) fn own_bytes(&self) -> u64 {
        let nodes = self.entries.len() as u64 * Self::NODE_BYTES;
        self.entries.own_bytes() - nodes + self.trials.own_bytes()
    }

    /// Another bound, for which entries may have to go, into `out`.
    pub(crate) fn set_bytes_max(&mut self, bytes_max: u64, out: &mut Vec<T>) {
        if bytes_max.min(BYTES_MOST) != self.entries.bytes_max() {
            self.trials.set_bytes_max(bytes_max);
            self.entries.bound(bytes_max, self.trials.window());
            self.settle(out);
        }
    }

    /// A request. The entry becomes a recent and a more frequent one.
    pub(crate) fn get(&mut self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        let found = self.entries.find(hash, is_it);
        self.trials.get(hash, found.map(|slot| self.entries.weight(slot)));
        if self.trials.window() != self.entries.window_percent() {
            self.entries.bound(self.entries.bytes_max(), self.trials.window());
        }
        let slot = found?;
        self.entries.touch(slot);
        Some(self.entries.item(slot))
    }

    /// An entry, without that it counts as a request.
    pub(crate) fn peek(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        self.entries.find(hash, is_it).map(|slot| self.entries.item(slot))
    }

    /// Keeps an item, in place of one that is the `same`, which is returned. What has to go for it comes into `out`: that
    /// may be the new item itself.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        weight: u64,
        item: T,
        same: impl Fn(&T, &T) -> bool,
        out: &mut Vec<T>,
    ) -> Option<T> {
        let found = self.entries.find(hash, |kept| same(kept, &item));
        if weight > self.entries.bytes_max() {
            out.push(item);
            return found.map(|slot| self.take(hash, slot));
        }
        self.trials.insert(hash, weight);
        let before = if let Some(slot) = found {
            self.entries.weigh(slot, weight);
            self.entries.touch(slot);
            Some(std::mem::replace(self.entries.item_mut(slot), item))
        } else {
            self.entries.insert(hash, weight, item);
            None
        };
        self.settle(out);
        before
    }

    fn settle(&mut self, out: &mut Vec<T>) {
        let before = out.len();
        self.entries.settle(out);
        if out.len() > before {
            self.trials.full();
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let slot = self.entries.find(hash, is_it)?;
        Some(self.take(hash, slot))
    }

    /// Takes out into `out` what is not to stay.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&T) -> bool, out: &mut Vec<T>) {
        // From the last slot on: what takes a removed one's place was seen already.
        for slot in (0..self.entries.len()).rev().filter_map(|slot| u32::try_from(slot).ok()) {
            if !stays(self.entries.item(slot)) {
                let hash = self.entries.hash(slot);
                out.push(self.take(hash, slot));
            }
        }
    }

    fn take(&mut self, hash: u64, slot: u32) -> T {
        self.trials.remove(hash);
        self.entries.remove(slot)
    }
}
