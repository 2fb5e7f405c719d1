//! What the store says that it has on the heap is what the allocator says: so a bound in bytes is one of memory.

use std::{alloc::System, sync::Arc};

use outrigger_cache::store::Store;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that the allocator gave since, and had not back yet.
fn heap(region: &Region<System>) -> u64 {
    let change = region.change();
    (change.bytes_allocated - change.bytes_deallocated) as u64
}

/// One test, so that no other allocates meanwhile.
#[test]
fn the_bytes_are_those_on_the_heap_and_the_bound_holds_for_them() {
    for (size, bytes_max) in
        [(0, 1 << 20), (100, 200_000), (1_000, 1 << 20), (1_000, 16 << 20), (20_000, 4 << 20)]
    {
        let region = Region::new(ALLOCATOR);
        let store = Store::seeded(bytes_max, 7);
        let number_max = 3 * bytes_max / (size + 100);
        for number in 0..number_max {
            let value: Arc<[u8]> = vec![0; usize::try_from(size).unwrap()].into();
            // An `Arc` has two counters beside its value.
            store.insert(format!("GET https://shop.example/items/{number}"), value, size + 16);
            if number % 1_000 == 0 || number + 1 == number_max {
                let (said, heap) = (store.bytes(), heap(&region));
                let least = said.saturating_sub(said / 10 + 1_000);
                assert!(heap >= least && heap <= said + said / 10 + 1_000, "{size}: {heap} of {said} said");
                assert!(said <= bytes_max, "{size}: {said} of {bytes_max}");
            }
        }
        assert!(store.evicted() > 0 && store.bytes() > bytes_max / 2, "{size}: {store:?}");
        store.retain(|_, _| false);
        let (said, heap) = (store.bytes(), heap(&region));
        assert!(heap <= bytes_max / 5 && said <= bytes_max / 5, "{size}: {heap} and {said} when empty");
        drop(store);
    }
}
