//! By which ways requests for a URL came, where proxies before us say anything of it: each has answers of its own, which are
//! forgotten together. Pure.

use super::ask;
use std::collections::{HashMap, HashSet};

/// Those of what is kept, and perhaps of what was. Bytes for each are in the weight of its page.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// By the key of the URL and tenant without a way.
    of: HashMap<String, HashSet<Box<str>>>,
    noted: usize,
}

/// So many more than there are pages may be of what is not kept any more, beside as many as there are pages.
const SPARE: usize = 1_024;

impl Ways {
    /// This is kept now.
    pub(super) fn note(&mut self, key: &str) {
        let way = ask::way(key);
        if !way.is_empty() {
            let is_new = self.of.entry(ask::by(key, "")).or_default().insert(way.into());
            self.noted += usize::from(is_new);
        }
    }

    /// The keys of a URL and tenant, whichever way requests come.
    pub(super) fn take(&mut self, key: &str) -> impl Iterator<Item = String> + use<> {
        let plain = ask::by(key, "");
        let ways = self.of.remove(&plain).unwrap_or_default();
        self.noted -= ways.len();
        std::iter::once(plain.clone()).chain(ways.into_iter().map(move |way| ask::by(&plain, &way)))
    }

    /// Lets go of what is not kept any more, once that is much: then each insertion has paid for it.
    pub(super) fn tidy(&mut self, pages: usize, is_kept: impl Fn(&str) -> bool) {
        if self.noted <= 2 * pages + SPARE {
            return;
        }
        self.of.retain(|plain, ways| {
            ways.retain(|way| is_kept(&ask::by(plain, way)));
            !ways.is_empty()
        });
        self.noted = self.of.values().map(HashSet::len).sum();
    }

    /// What remembering the way of a key takes, with what may be there of others that are gone.
    pub(super) fn weight(key: &str) -> u64 {
        const AROUND: usize = 128;
        if ask::way(key).is_empty() { 0 } else { 2 * (key.len() + AROUND) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize, way: usize) -> String {
        format!("h\n/{n}\nx-forwarded-user u{way}\u{1f}\ntenant\n1")
    }

    #[test]
    fn all_ways_of_a_url_are_known_and_of_no_other() {
        let mut ways = Ways::default();
        for (n, way) in [(1, 1), (1, 2), (2, 1), (1, 2)] {
            ways.note(&key(n, way));
        }
        ways.note("h\n/1\n\ntenant\n1");
        let mut taken: Vec<_> = ways.take(&key(1, 7)).collect();
        taken.sort_unstable();
        assert_eq!(taken, ["h\n/1\n\ntenant\n1".to_owned(), key(1, 1), key(1, 2)]);
        assert_eq!((ways.take(&key(1, 1)).count(), ways.take(&key(2, 1)).count(), ways.noted), (1, 2, 0));
        assert_eq!(ways.take("h\n/2\n\nother").count(), 1, "another tenant has its own");
    }

    #[test]
    fn what_is_gone_is_let_go_of() {
        let mut ways = Ways::default();
        for way in 0..10 * SPARE {
            ways.note(&key(1, way));
            ways.tidy(1, |kept| *kept == key(1, way));
            assert!(ways.noted <= SPARE + 2);
        }
        assert_eq!(ways.of.len(), 1);
    }
}
