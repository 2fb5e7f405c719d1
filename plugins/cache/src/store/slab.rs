//! A dense list of nodes in chunks: nothing moves when it grows, and what is removed leaves no hole, so that the memory
//! that it has is the memory that its nodes need.

use std::ops::{Index, IndexMut};

/// Nodes of a chunk. What is unused is less than two chunks.
const CHUNK: usize = 16;

/// The place of a node. It holds until a node is removed: then the last one takes the free place.
pub(super) type Slot = u32;

/// No node.
pub(super) const NONE: Slot = Slot::MAX;

pub(super) struct Slab<N> {
    chunks: Vec<Vec<N>>,
    len: usize,
}

impl<N> Slab<N> {
    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes on the heap, without what nodes point to.
    pub(super) fn bytes(&self) -> u64 {
        let node = size_of::<N>() * CHUNK;
        (self.chunks.len() * node + self.chunks.capacity() * size_of::<Vec<N>>()) as u64
    }

    /// Puts a node at the end.
    ///
    /// # Panics
    /// With four thousand million nodes, which no bound in bytes allows.
    pub(super) fn push(&mut self, node: N) -> Slot {
        let slot = Slot::try_from(self.len).ok().filter(|slot| *slot != NONE).expect("fewer nodes than 2^32");
        if self.len == self.chunks.len() * CHUNK {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[self.len / CHUNK].push(node);
        self.len += 1;
        slot
    }

    /// Takes a node out. The last one, if it is another, has its place from now on: its former place is returned.
    pub(super) fn remove(&mut self, slot: Slot) -> (N, Option<Slot>) {
        let last = self.len - 1;
        let mut node = self.chunks[last / CHUNK].pop().expect("the last chunk with a node has the last node");
        self.len = last;
        let needed = last.div_ceil(CHUNK);
        // One chunk more than needed stays, so that a node that comes and goes at an edge allocates nothing.
        if self.chunks.len() > needed + 1 {
            self.chunks.truncate(needed + 1);
            if self.chunks.capacity() > 4 * self.chunks.len() {
                self.chunks.shrink_to(2 * self.chunks.len());
            }
        }
        if last == slot as usize {
            return (node, None);
        }
        std::mem::swap(&mut node, &mut self[slot]);
        (node, Some(Slot::try_from(last).expect("it was a slot")))
    }
}

impl<N> Index<Slot> for Slab<N> {
    type Output = N;

    fn index(&self, slot: Slot) -> &N {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

impl<N> IndexMut<Slot> for Slab<N> {
    fn index_mut(&mut self, slot: Slot) -> &mut N {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_node_fills_the_hole_and_memory_goes_back() {
        let mut slab = Slab::new();
        for node in 0..1_000_u64 {
            slab.push(node);
        }
        let full = slab.bytes();
        assert_eq!(slab.remove(3), (3, Some(999)));
        assert_eq!((slab[3], slab.len()), (999, 999));
        assert_eq!(slab.remove(998), (998, None));
        while slab.len() > 0 {
            slab.remove(0);
        }
        assert!(slab.bytes() < full / 10, "{} of {full}", slab.bytes());
    }
}
