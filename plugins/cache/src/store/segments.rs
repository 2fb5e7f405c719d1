//! What is kept, in three lists by recency, and what has to go when there is too much: W-TinyLFU. A pure state machine
//! without a clock, a lock or chance.
//!
//! New entries come into the *window*. What falls out of it is a candidate for the *main* part (probation and, once seen
//! again there, protected). While everything fits, each is let in. Else it must have been seen more often than all those
//! together that would go for it.
//!
//! With a window as large as the whole, this is LRU, to the letter. Then the list for it is that of probation, which lets
//! everything in: so when the window becomes a smaller one, all is where it should be, and the next newcomer is judged.
//!
//! Sources: Einziger, Friedman, Manes, "TinyLFU", 2017 (window, admission); Einziger, Eytan, Friedman, Manes, "Lightweight
//! Robust Size Aware Cache Management", 2021 (a candidate against all its victims together).

use hashbrown::HashTable;

use super::{
    sketch::Sketch,
    slab::{NONE, Slab, Slot},
};

/// The window's part of the bytes, in percent, where all of it is the window: LRU.
pub(crate) const ALL: u64 = 100;
/// No bound is higher, so that a new entry beside a full store is still a number.
pub(crate) const BYTES_MOST: u64 = u64::MAX / 2;
/// The protected part of what is not the window, in percent. Half does better than the source's 80 where what is popular
/// changes, and nearly as well where it does not.
const PROTECTED: u64 = 50;
/// Entries that leave a part that became smaller, at one request: the rest follows with the next ones.
const MOVES_MAX: usize = 16;
/// Victims that one candidate is compared with. One that needs more room than these leave is not let in.
const VICTIMS_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Window,
    Probation,
    Protected,
}

struct Node<T> {
    hash: u64,
    weight: u64,
    newer: Slot,
    older: Slot,
    part: Part,
    item: T,
}

#[derive(Clone, Copy)]
struct List {
    newest: Slot,
    oldest: Slot,
    bytes: u64,
}

impl List {
    const EMPTY: Self = Self { newest: NONE, oldest: NONE, bytes: 0 };
}

/// Entries of a hash, a weight and an item each.
pub(crate) struct Segments<T> {
    table: HashTable<Slot>,
    nodes: Slab<Node<T>>,
    lists: [List; 3],
    sketch: Sketch,
    bytes: u64,
    bytes_max: u64,
    window_percent: u64,
    window_bytes_max: u64,
    protected_bytes_max: u64,
}

impl<T> Segments<T> {
    /// What an entry needs in the list, beside what its item has on the heap.
    pub(crate) const NODE_BYTES: u64 = size_of::<Node<T>>() as u64;

    pub(crate) fn new(bytes_max: u64, window_percent: u64) -> Self {
        let mut segments = Self {
            table: HashTable::new(),
            nodes: Slab::new(),
            lists: [List::EMPTY; 3],
            sketch: Sketch::new(),
            bytes: 0,
            bytes_max: 0,
            window_percent: 0,
            window_bytes_max: 0,
            protected_bytes_max: 0,
        };
        segments.bound(bytes_max, window_percent);
        segments
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The weights of all entries together.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the lists, the table and the sketch need themselves, on the heap.
    pub(crate) fn own_bytes(&self) -> u64 {
        self.nodes.bytes() + self.table.allocation_size() as u64 + self.sketch.bytes()
    }

    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<Slot> {
        let same = |slot: &Slot| {
            let node = &self.nodes[*slot];
            node.hash == hash && is_it(&node.item)
        };
        self.table.find(hash, same).copied()
    }

    pub(crate) fn item(&self, slot: Slot) -> &T {
        &self.nodes[slot].item
    }

    pub(crate) fn item_mut(&mut self, slot: Slot) -> &mut T {
        &mut self.nodes[slot].item
    }

    pub(crate) fn weight(&self, slot: Slot) -> u64 {
        self.nodes[slot].weight
    }

    pub(crate) fn hash(&self, slot: Slot) -> u64 {
        self.nodes[slot].hash
    }

    /// The entry was asked for: it counts, and is the newest of its list.
    pub(crate) fn touch(&mut self, slot: Slot) {
        self.sketch.count(self.nodes[slot].hash, self.nodes.len());
        let part = match self.nodes[slot].part {
            _ if self.is_lru() => Part::Probation,
            Part::Window => Part::Window,
            Part::Probation | Part::Protected => Part::Protected,
        };
        self.move_to(slot, part);
        self.demote();
    }

    /// A new entry, which must not be there yet. [`Self::settle`] comes next.
    pub(crate) fn insert(&mut self, hash: u64, weight: u64, item: T) -> Slot {
        self.sketch.count(hash, self.nodes.len() + 1);
        let node = Node { hash, weight, newer: NONE, older: NONE, part: Part::Window, item };
        let slot = self.nodes.push(node);
        self.table.insert_unique(hash, slot, |slot| self.nodes[*slot].hash);
        self.bytes += weight;
        if weight > self.window_bytes_max && !self.is_lru() {
            // It goes through the window at once, and does not drive out all that is in it.
            self.link_oldest(slot, Part::Window);
        } else {
            self.link(slot, Part::Window);
        }
        slot
    }

    /// Another weight for an entry. [`Self::settle`] comes next.
    pub(crate) fn weigh(&mut self, slot: Slot, weight: u64) {
        let node = &mut self.nodes[slot];
        let before = std::mem::replace(&mut node.weight, weight);
        let part = node.part;
        let list = &mut self.lists[part as usize];
        list.bytes = list.bytes - before + weight;
        self.bytes = self.bytes - before + weight;
    }

    /// Takes an entry out. The last slot's entry has its slot afterwards.
    pub(crate) fn remove(&mut self, slot: Slot) -> T {
        self.unlink(slot);
        let hash = self.nodes[slot].hash;
        if let Ok(found) = self.table.find_entry(hash, |at| *at == slot) {
            found.remove();
        }
        let (node, moved) = self.nodes.remove(slot);
        self.bytes -= node.weight;
        if let Some(from) = moved {
            self.moved(from, slot);
        }
        if self.table.capacity() > 8 * self.nodes.len().max(8) {
            self.table.shrink_to(2 * self.nodes.len(), |slot| self.nodes[*slot].hash);
        }
        node.item
    }

    /// Another bound or window. [`Self::settle`] comes next; what a window is too small for leaves it little by little.
    pub(crate) fn bound(&mut self, bytes_max: u64, window_percent: u64) {
        let bytes_max = bytes_max.min(BYTES_MOST);
        self.bytes_max = bytes_max;
        self.window_percent = window_percent;
        let window = percent(bytes_max, window_percent);
        self.window_bytes_max = if self.is_lru() { 0 } else { window };
        self.protected_bytes_max = percent(bytes_max - window, PROTECTED);
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub(crate) fn window_percent(&self) -> u64 {
        self.window_percent
    }

    fn is_lru(&self) -> bool {
        self.window_percent == ALL
    }

    /// Evicts into `out` until the bound holds, and moves some of what a part is too small for.
    pub(crate) fn settle(&mut self, out: &mut Vec<T>) {
        let mut moves = 0;
        loop {
            let over = self.bytes.saturating_sub(self.bytes_max);
            let window = self.list(Part::Window);
            let is_full = window.bytes > self.window_bytes_max;
            if is_full && over > 0 && !self.is_lru() {
                let weight = self.nodes[window.oldest].weight;
                if self.deserves(window.oldest, weight) {
                    self.evict(weight, out);
                    self.move_to(self.list(Part::Window).oldest, Part::Probation);
                } else {
                    out.push(self.remove(window.oldest));
                }
            } else if over > 0 {
                self.evict(over, out);
            } else if is_full && moves < MOVES_MAX {
                self.move_to(window.oldest, Part::Probation);
                moves += 1;
            } else {
                return self.demote();
            }
        }
    }

    fn demote(&mut self) {
        for _ in 0..MOVES_MAX {
            let protected = self.list(Part::Protected);
            if protected.bytes <= self.protected_bytes_max {
                return;
            }
            self.move_to(protected.oldest, Part::Probation);
        }
    }

    /// Evicts at least `bytes`: first what is on probation, last the window.
    fn evict(&mut self, bytes: u64, out: &mut Vec<T>) {
        let enough = self.bytes.saturating_sub(bytes);
        while self.bytes > enough {
            let oldest = [Part::Probation, Part::Protected, Part::Window].map(|part| self.list(part).oldest);
            let Some(slot) = oldest.into_iter().find(|slot| *slot != NONE) else { return };
            out.push(self.remove(slot));
        }
    }

    /// Whether a candidate was seen more often than those together that have to go for it.
    fn deserves(&self, candidate: Slot, needed: u64) -> bool {
        let seen = self.sketch.seen(self.nodes[candidate].hash);
        let (mut freed, mut victims_seen) = (0, 0);
        let mut lists = [Part::Probation, Part::Protected].map(|part| self.list(part).oldest).into_iter();
        let mut victim = NONE;
        for _ in 0..VICTIMS_MAX {
            while victim == NONE {
                let Some(oldest) = lists.next() else { return false };
                victim = oldest;
            }
            let node = &self.nodes[victim];
            freed += node.weight;
            victims_seen += self.sketch.seen(node.hash).max(1);
            if victims_seen >= seen {
                return false;
            }
            if freed >= needed {
                return true;
            }
            victim = node.newer;
        }
        false
    }

    fn list(&self, part: Part) -> List {
        self.lists[part as usize]
    }

    fn move_to(&mut self, slot: Slot, part: Part) {
        self.unlink(slot);
        self.link(slot, part);
    }

    fn link(&mut self, slot: Slot, part: Part) {
        let list = &mut self.lists[part as usize];
        let before = std::mem::replace(&mut list.newest, slot);
        if before == NONE {
            list.oldest = slot;
        } else {
            self.nodes[before].newer = slot;
        }
        let node = &mut self.nodes[slot];
        (node.part, node.newer, node.older) = (part, NONE, before);
        list.bytes += node.weight;
    }

    fn link_oldest(&mut self, slot: Slot, part: Part) {
        let list = &mut self.lists[part as usize];
        let before = std::mem::replace(&mut list.oldest, slot);
        if before == NONE {
            list.newest = slot;
        } else {
            self.nodes[before].older = slot;
        }
        let node = &mut self.nodes[slot];
        (node.part, node.newer, node.older) = (part, before, NONE);
        list.bytes += node.weight;
    }

    fn unlink(&mut self, slot: Slot) {
        let Node { newer, older, part, weight, .. } = self.nodes[slot];
        let list = &mut self.lists[part as usize];
        list.bytes -= weight;
        if newer == NONE {
            list.newest = older;
        } else {
            self.nodes[newer].older = older;
        }
        if older == NONE {
            list.oldest = newer;
        } else {
            self.nodes[older].newer = newer;
        }
    }

    /// The node that was at `from` is at `to` now: its neighbours and the table learn it.
    fn moved(&mut self, from: Slot, to: Slot) {
        let Node { hash, newer, older, part, .. } = self.nodes[to];
        let list = &mut self.lists[part as usize];
        if newer == NONE {
            list.newest = to;
        } else {
            self.nodes[newer].older = to;
        }
        if older == NONE {
            list.oldest = to;
        } else {
            self.nodes[older].newer = to;
        }
        if let Some(slot) = self.table.find_mut(hash, |at| *at == from) {
            *slot = to;
        }
    }
}

fn percent(bytes: u64, percent: u64) -> u64 {
    bytes / 100 * percent + bytes % 100 * percent / 100
}
