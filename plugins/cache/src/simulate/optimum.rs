//! The hits that no policy can beat, as it would have to know the future.
//!
//! With equal sizes it is exact: of what is there and what comes, that goes which is asked for last (Belady's MIN, with the
//! right not to take what comes). With different sizes the optimum is hard to find (it is NP-hard), and a bound above it
//! stands in: each hit needs its entry's bytes from one request to the next, and all hits together have `bytes` at each
//! request; the cheapest are taken until that is used up.
//!
//! Sources: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966;
//! Berger, Beckmann, Harchol-Balter, "Practical Bounds on Optimal Caching with Variable Object Sizes", SIGMETRICS 2018,
//! where the bound is called PFOO-L.

use std::collections::{BTreeSet, HashMap};

use super::trace::{Request, Trace};

pub(super) struct Optimum {
    pub(super) hits: u64,
    pub(super) is_exact: bool,
}

pub(super) fn hits(trace: &Trace, bytes: u64) -> Optimum {
    match trace.size() {
        Some(size) => Optimum { hits: belady(trace.requests(), bytes / size), is_exact: true },
        None => Optimum { hits: bound(trace.requests(), bytes), is_exact: false },
    }
}

/// For each request, when its key is asked for next; `len` where never.
fn next(requests: &[Request]) -> Vec<usize> {
    let mut later = HashMap::new();
    let mut next: Vec<_> = requests
        .iter()
        .enumerate()
        .rev()
        .map(|(at, request)| later.insert(request.key, at).unwrap_or(requests.len()))
        .collect();
    next.reverse();
    next
}

fn belady(requests: &[Request], entries_max: u64) -> u64 {
    let entries_max = usize::try_from(entries_max).unwrap_or(usize::MAX);
    let next = next(requests);
    // When each entry that is kept is asked for: no two at the same time.
    let mut kept = BTreeSet::new();
    let mut hits = 0;
    for (at, next) in next.iter().enumerate() {
        hits += u64::from(kept.remove(&at));
        if *next < requests.len() {
            kept.insert(*next);
            if kept.len() > entries_max {
                kept.pop_last();
            }
        }
    }
    hits
}

/// An entry may have another size at each request; its least one counts, so that the bound stays one.
fn bound(requests: &[Request], bytes: u64) -> u64 {
    let mut least: HashMap<u64, u64> = HashMap::new();
    for request in requests {
        least.entry(request.key).and_modify(|size| *size = request.bytes.min(*size)).or_insert(request.bytes);
    }
    let mut costs: Vec<u128> = next(requests)
        .iter()
        .enumerate()
        .filter(|(_, next)| **next < requests.len())
        .map(|(at, next)| (u128::from(least[&requests[at].key]), (next - at) as u128))
        .filter(|(size, _)| *size <= u128::from(bytes))
        .map(|(size, time)| size * time)
        .collect();
    costs.sort_unstable();
    let all = u128::from(bytes) * requests.len() as u128;
    let mut used = 0;
    let taken = costs.iter().take_while(|cost| {
        used += **cost;
        used <= all
    });
    // The first one that does not fit could be hit in part: a bound counts it.
    (taken.count() + 1).min(costs.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(keys: &[u64], bytes: impl Fn(u64) -> u64) -> Vec<Request> {
        keys.iter().map(|key| Request { key: *key, bytes: bytes(*key) }).collect()
    }

    /// The most hits there can be, by following every choice at every request.
    fn best(requests: &[Request], bytes: u64) -> u64 {
        let mut sizes: Vec<(u64, u64)> =
            requests.iter().map(|request| (request.key, request.bytes)).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let place = |key: u64| sizes.iter().position(|(known, _)| *known == key).unwrap();
        let weight = |kept: usize| -> u64 {
            sizes.iter().enumerate().filter(|(at, _)| kept >> at & 1 == 1).map(|(_, (_, size))| size).sum()
        };
        // The most hits so far, for each set of keys that may be kept now.
        let mut states = HashMap::from([(0, 0)]);
        for request in requests {
            let asked = 1 << place(request.key);
            let mut after = HashMap::new();
            for (kept, hits) in states {
                let hits = hits + u64::from(kept & asked != 0);
                let all = kept | asked;
                for choice in (0..1 << sizes.len()).filter(|choice| choice & !all == 0) {
                    if weight(choice) <= bytes {
                        after
                            .entry(choice)
                            .and_modify(|most: &mut u64| *most = hits.max(*most))
                            .or_insert(hits);
                    }
                }
            }
            states = after;
        }
        states.into_values().max().unwrap_or(0)
    }

    #[test]
    fn beladys_textbook_example_with_the_right_to_take_nothing() {
        let keys = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1];
        let trace = Trace::of(requests(&keys, |_| 1));
        let found = hits(&trace, 3);
        // The textbook's 9 faults of 20 are those of one that must take each page that comes; no hit fewer here.
        assert!(found.hits >= 11 && found.is_exact);
        assert_eq!(found.hits, best(trace.requests(), 3));
    }

    #[test]
    fn with_equal_sizes_it_is_the_best_of_all_choices_and_else_never_below_it() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut is_less_than_all = 0;
        for _ in 0..200 {
            let keys: Vec<_> = (0..12).map(|_| random.u64(0..4)).collect();
            let equal = Trace::of(requests(&keys, |_| 2));
            assert_eq!(hits(&equal, 5).hits, best(equal.requests(), 5), "{keys:?}");
            let different = Trace::of(requests(&keys, |key| key + 1));
            let (found, best) = (hits(&different, 3).hits, best(different.requests(), 3));
            assert!(found >= best && found <= 11, "{keys:?}: {found} and {best}");
            is_less_than_all += u64::from(found < bound(different.requests(), u64::MAX >> 8));
        }
        assert!(is_less_than_all > 20, "the bound says little: {is_less_than_all} of 200");
    }
}
