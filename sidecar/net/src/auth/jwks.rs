//! An issuer's keys (a JWK set, RFC 7517), and which of them a token means. Pure.
//!
//! A key that cannot be used, such as one for encryption, is left out and named; it does not spoil the others. A shared
//! secret (`oct`) is always left out: whoever can read a set in public could sign with it.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use std::{fmt, sync::Arc};

/// The algorithms that there are keys for: all of them asymmetric.
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The shortest modulus that is believed, in bytes: 2,048 bits.
const MODULUS_BYTES_MIN: usize = 256;

/// The keys of one issuer.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Arc<Key>>);

/// A key that signatures can be checked by.
pub struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    jwk: Jwk,
    decoding: DecodingKey,
}

/// What a token's `kid` and `alg` lead to.
#[derive(Debug)]
pub enum Found {
    /// This key.
    Key(Arc<Key>),
    /// There is a key of that name, but it is for other algorithms.
    OtherAlgorithm,
    /// There is none of that name.
    Absent,
    /// The token names none, and there is not exactly one that it could mean.
    Unnamed,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Keys {
    /// Reads a set, and says for each key that is left out why.
    ///
    /// # Errors
    /// When it is no set, or nothing in it can be used with one of the `allowed` algorithms.
    pub fn read(json: &[u8], allowed: &[Algorithm]) -> Result<(Self, Vec<String>), String> {
        let set: Set =
            serde_json::from_slice(json).map_err(|_| "the answer is no set of keys (JWKS)".to_owned())?;
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for (index, value) in set.keys.into_iter().enumerate() {
            let name = value.get("kid").map_or_else(|| format!("number {}", index + 1), Value::to_string);
            match Key::read(value, allowed) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(why) => left_out.push(format!("key {}: {why}", name.escape_debug())),
            }
        }
        if keys.is_empty() {
            let why = left_out.first().map(|why| format!(" ({why})")).unwrap_or_default();
            return Err(format!("none of its keys can be used here{why}"));
        }
        Ok((Self(keys), left_out))
    }

    /// The key that a token with this `kid` and `alg` means.
    #[must_use]
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Found {
        let fits = |key: &&Arc<Key>| key.algorithms.contains(&algorithm);
        let Some(id) = id else {
            let mut fitting = self.0.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Found::Key(key.clone()),
                _ => Found::Unnamed,
            };
        };
        let mut named = self.0.iter().filter(|key| key.id.as_deref() == Some(id)).peekable();
        if named.peek().is_none() {
            return Found::Absent;
        }
        named.find(fits).map_or(Found::OtherAlgorithm, |key| Found::Key(key.clone()))
    }

    /// Whether every key of `self` is in `other` too, so that what was verified by `self` still holds.
    #[must_use]
    pub fn are_in(&self, other: &Self) -> bool {
        self.0.iter().all(|key| other.0.iter().any(|kept| kept.jwk == key.jwk))
    }

    /// The keys, each with its name.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().map(|key| &**key)
    }
}

impl Key {
    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    fn read(value: Value, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let jwk: Jwk = serde_json::from_value(value).map_err(|_| "it cannot be read")?;
        if jwk.common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
            return Err("it is not for signatures");
        }
        let operations = jwk.common.key_operations.as_ref();
        if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
            return Err("it is not for verifying");
        }
        let (possible, length): (&[Algorithm], usize) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (RSA, 0),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => (&[Algorithm::ES256], 65),
                EllipticCurve::P384 => (&[Algorithm::ES384], 97),
                _ => return Err("its curve is not supported"),
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (&[Algorithm::EdDSA], 32)
            }
            AlgorithmParameters::OctetKey(_) => {
                return Err("it is a shared secret, which a set must not hold");
            }
            _ => return Err("its kind is not supported"),
        };
        let named = jwk.common.key_algorithm;
        let may = |it: &&Algorithm| allowed.contains(it) && named.is_none_or(|named| named == (**it).into());
        let algorithms: Vec<_> = possible.iter().filter(may).copied().collect();
        if algorithms.is_empty() {
            return Err("it is for no algorithm that is allowed here");
        }
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|_| "its numbers cannot be read")?;
        match decoding.kind() {
            DecodingKeyKind::RsaModulusExponent { n, .. } if n.len() < MODULUS_BYTES_MIN => {
                return Err("it is shorter than 2,048 bits");
            }
            DecodingKeyKind::SecretOrDer(bytes) if bytes.len() != length => {
                return Err("its numbers do not have the length of its curve");
            }
            _ => {}
        }
        Ok(Self { id: jwk.common.key_id.clone(), algorithms, jwk, decoding })
    }
}

/// Its name: keys in public are no secret, but they are long.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "the key {id:?}"),
            None => f.write_str("the issuer's key without a name"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
