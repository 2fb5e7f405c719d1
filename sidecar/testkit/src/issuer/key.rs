//! Keys that sign any token, and what attackers make of the public ones.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

/// A key that tokens are signed with. Made anew each time.
pub struct SigningKey {
    /// Its name (`kid`), where it has one.
    pub id: Option<String>,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// RSA of 2,048 bits: RS256, and PS256 with [`SigningKey::pss`].
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn rsa(id: &str) -> Self {
        Self::of(id, Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key")))
    }

    /// ES256.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn p256(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::of(id, Pair::P256(pair.expect("a key on P-256")))
    }

    /// ES384.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn p384(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING);
        Self::of(id, Pair::P384(pair.expect("a key on P-384")))
    }

    /// `EdDSA`.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn ed25519(id: &str) -> Self {
        Self::of(id, Pair::Ed25519(Ed25519KeyPair::generate().expect("a key on Ed25519")))
    }

    fn of(id: &str, pair: Pair) -> Self {
        Self { id: (!id.is_empty()).then(|| id.to_owned()), pair }
    }

    /// The name of its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// Its public half, as a JWK (RFC 7517, RFC 8037) with `use` and without `alg`.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let point = |bytes: &[u8]| {
            let (x, y) = bytes[1..].split_at(bytes.len() / 2);
            (BASE64.encode(x), BASE64.encode(y))
        };
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let big = |number: &[u8]| BASE64.encode(number);
                json!({"kty": "RSA", "n": big(n.big_endian_without_leading_zero()), "e": big(e.big_endian_without_leading_zero())})
            }
            Pair::P256(pair) => {
                let (x, y) = point(pair.public_key().as_ref());
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            Pair::P384(pair) => {
                let (x, y) = point(pair.public_key().as_ref());
                json!({"kty": "EC", "crv": "P-384", "x": x, "y": y})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(pair.public_key().as_ref())})
            }
        };
        jwk["use"] = "sig".into();
        if let Some(id) = &self.id {
            jwk["kid"] = id.clone().into();
        }
        jwk
    }

    /// A token with these claims, and the header that fits.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let mut header = json!({"alg": self.algorithm(), "typ": "JWT"});
        if let Some(id) = &self.id {
            header["kid"] = id.clone().into();
        }
        self.token_with(&header, claims)
    }

    /// A token with any header, signed by this key whatever the header says.
    ///
    /// # Panics
    /// It cannot be signed.
    #[must_use]
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let (random, bytes) = (SystemRandom::new(), message.as_bytes());
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).expect("an RSA signature");
                signature
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, bytes).expect("a signature on a curve").as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", BASE64.encode(signature))
    }

    /// A token of an RSA key by PS256.
    ///
    /// # Panics
    /// It is another key, or it cannot be signed.
    #[must_use]
    pub fn pss(&self, claims: &Value) -> String {
        let Pair::Rsa(pair) = &self.pair else { panic!("only an RSA key signs by PS256") };
        let message = message(&json!({"alg": "PS256", "kid": self.id}), claims);
        let mut signature = vec![0; pair.public_modulus_len()];
        let signed = pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature);
        signed.expect("an RSA signature");
        format!("{message}.{}", BASE64.encode(signature))
    }
}

/// A token by HS256 with a secret: what an attacker makes from a public key.
#[must_use]
pub fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", BASE64.encode(tag))
}

/// A token with any signature.
#[must_use]
pub fn unsigned(header: &Value, claims: &Value, signature: &str) -> String {
    format!("{}.{signature}", message(header, claims))
}

/// A body's signature as GitHub writes it into `X-Hub-Signature-256`.
#[must_use]
pub fn github_signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}
