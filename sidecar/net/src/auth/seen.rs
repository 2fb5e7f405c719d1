//! Tokens that were verified before, known again by a fingerprint: checking a signature costs tens of microseconds, and
//! a sender uses one token thousands of times. Bounded.

use super::jwt::{Claims, Validity};
use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand,
};
use std::{collections::HashMap, sync::Arc};

/// What a token is known by: 16 bytes. Not the token itself: memory that is looked into gives nobody one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 16]);

/// Makes fingerprints: AES-GCM's authenticator over a token, under a key that is drawn at the start.
///
/// It is a universal hash (two tokens of 8 KiB collide with a chance below 2^-118, whoever chose them), three times as
/// fast as SHA-256, and fast on every processor that has AES. Its nonce is always the same, which an authenticator that
/// anybody gets to see must never do; nobody sees these, and a comparison does not tell how much was equal.
pub(super) struct Fingerprints(LessSafeKey);

/// A token that was found good.
#[derive(Debug, Clone)]
pub(super) struct Good {
    pub(super) claims: Arc<Claims>,
    pub(super) validity: Validity,
}

/// Two generations: when the younger one is full it becomes the older, and what was older is forgotten. What is used
/// moves into the younger, so it is kept, and nothing is ever searched for the least used.
#[derive(Debug)]
pub(super) struct Seen {
    young: HashMap<Fingerprint, Good>,
    old: HashMap<Fingerprint, Good>,
    generation_max: usize,
}

impl Fingerprints {
    /// Under a new key.
    pub(super) fn new() -> Self {
        let mut key = [0; 16];
        rand::fill(&mut key).expect("the system has random numbers, as TLS needs them too");
        Self(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("the key has 16 bytes")))
    }

    /// Of one token. Those that are too long for it (64 GiB) have one in common, and none of them is read.
    pub(super) fn of(&self, token: &[u8]) -> Fingerprint {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(token), &mut []);
        let bytes = tag.ok().and_then(|tag| tag.as_ref().try_into().ok());
        Fingerprint(bytes.unwrap_or_default())
    }
}

impl Seen {
    /// Remembers at most `tokens_max`; none at 0, and two at 1.
    pub(super) fn new(tokens_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation_max: tokens_max.div_ceil(2) }
    }

    /// The token, where it was found good and holds at `now_s`.
    pub(super) fn get(&mut self, token: &Fingerprint, now_s: i64) -> Option<Arc<Claims>> {
        if let Some(good) = self.young.get(token) {
            return good.validity.holds(now_s).then(|| good.claims.clone());
        }
        let good = self.old.remove(token)?;
        if !good.validity.holds(now_s) {
            return None;
        }
        let claims = good.claims.clone();
        self.put(*token, good);
        Some(claims)
    }

    pub(super) fn put(&mut self, token: Fingerprint, good: Good) {
        if self.generation_max == 0 {
            return;
        }
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, good);
    }

    /// Forgets all: a key is gone, and with it what it signed.
    pub(super) fn clear(&mut self) {
        (self.young, self.old) = (HashMap::new(), HashMap::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn good(until_s: i64) -> Good {
        Good { claims: Arc::default(), validity: Validity { from_s: 0, until_s } }
    }

    /// Any other for another number.
    fn token(number: u32) -> Fingerprint {
        Fingerprint(u128::from(number).to_le_bytes())
    }

    #[test]
    fn a_token_holds_until_its_time_and_not_before_it() {
        let mut seen = Seen::new(10);
        seen.put(token(1), Good { validity: Validity { from_s: 5, until_s: 10 }, ..good(0) });
        let holds = [4, 5, 9, 10].map(|now_s| seen.get(&token(1), now_s).is_some());
        assert_eq!(holds, [false, true, true, false]);
        seen.clear();
        assert!(seen.get(&token(1), 5).is_none());
    }

    #[test]
    fn what_is_used_is_kept_while_others_come_and_go() {
        let mut seen = Seen::new(10);
        seen.put(token(0), good(10));
        for number in 1..100 {
            seen.put(token(number), good(10));
            assert!(seen.get(&token(0), 1).is_some(), "{number}");
        }
        assert!(seen.get(&token(1), 1).is_none());
    }

    #[test]
    fn a_change_of_one_byte_is_another_token() {
        let fingerprints = Fingerprints::new();
        let token = vec![b'x'; 1_000];
        assert_eq!(fingerprints.of(&token), fingerprints.of(&token));
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] ^= 1;
            assert_ne!(fingerprints.of(&changed), fingerprints.of(&token), "{at}");
        }
        for (one, other) in [("", "\0"), ("a", "a\0"), ("a.b", "a.b.")] {
            assert_ne!(fingerprints.of(one.as_bytes()), fingerprints.of(other.as_bytes()), "{one:?}");
        }
        assert_ne!(
            fingerprints.of(&token),
            Fingerprints::new().of(&token),
            "each start has a key of its own"
        );
    }

    proptest! {
        #[test]
        fn it_never_remembers_more_than_it_may(most in 0usize..20, numbers in prop::collection::vec(0u32..40, 0..200)) {
            let mut seen = Seen::new(most);
            for number in numbers {
                if seen.get(&token(number), 1).is_none() {
                    seen.put(token(number), good(10));
                }
                prop_assert!(seen.young.len() + seen.old.len() <= most.next_multiple_of(2));
            }
        }
    }
}
