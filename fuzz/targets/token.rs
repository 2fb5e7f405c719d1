//! A token and the keys of an issuer: whatever they are, neither makes anything panic, and none is believed by a key that
//! did not sign it. The first line is the token, the rest the keys.
#![no_main]

use std::time::Duration;

use outrigger_net::auth::{
    jwks::{Found, Keys},
    jwt::{Expected, Unverified},
    oidc::Settings,
};

const NOW_S: i64 = 1_700_000_000;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (token, keys) = data.split_at(at);
    let algorithms: Vec<_> =
        ["RS256", "ES256", "EdDSA"].into_iter().filter_map(Settings::algorithm).collect();
    let keys = Keys::read(keys.trim_ascii(), &algorithms).map(|(keys, _)| keys);
    let Ok(token) = Unverified::read(token) else { return };
    let expected =
        Expected { issuer: "i".to_owned(), audiences: vec!["a".to_owned()], leeway: Duration::from_secs(30) };
    if let Ok(validity) = token.claims.judge(&expected, NOW_S) {
        assert!(validity.holds(NOW_S));
    }
    let _ = (token.claims.name(), token.claims.get("/a/0/b"));
    let named = Settings::algorithm(&token.algorithm).filter(|algorithm| algorithms.contains(algorithm));
    let (Ok(keys), Some(algorithm)) = (keys, named) else { return };
    if let Found::Key(key) = keys.find(token.key_id.as_deref(), algorithm) {
        // The fuzzer has no private key, so what is believed was in its seeds: none is there.
        assert!(token.verified(&key, algorithm).is_err());
    }
});
