use super::*;
use outrigger_testkit::SigningKey;
use proptest::prelude::*;
use serde_json::json;

fn all() -> Vec<Algorithm> {
    ALGORITHMS.iter().map(|(_, algorithm)| *algorithm).collect()
}

fn read(keys: &[Value]) -> Result<(Keys, Vec<String>), String> {
    Keys::read(json!({"keys": keys}).to_string().as_bytes(), &all())
}

/// Whether the set leads there: the key's own name, or what it is instead.
fn found(keys: &Keys, id: Option<&str>, algorithm: Algorithm) -> String {
    match keys.find(id, algorithm) {
        Found::Key(key) => key.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_token_means_the_key_of_its_name_and_algorithm() {
    let jwks = [SigningKey::rsa("r").jwk(), SigningKey::p256("e").jwk(), SigningKey::ed25519("d").jwk()];
    let (keys, left_out) = read(&jwks).unwrap();
    assert_eq!(left_out, Vec::<String>::new());
    for (id, algorithm, expected) in [
        (Some("r"), Algorithm::RS256, "the key \"r\""),
        (Some("r"), Algorithm::PS512, "the key \"r\""),
        (Some("r"), Algorithm::ES256, "OtherAlgorithm"),
        (Some("r"), Algorithm::HS256, "OtherAlgorithm"),
        (Some("e"), Algorithm::ES256, "the key \"e\""),
        (Some("e"), Algorithm::ES384, "OtherAlgorithm"),
        (Some("d"), Algorithm::EdDSA, "the key \"d\""),
        (Some("R"), Algorithm::RS256, "Absent"),
        (Some(""), Algorithm::RS256, "Absent"),
        (Some("r "), Algorithm::RS256, "Absent"),
        (None, Algorithm::RS256, "the key \"r\""),
        (None, Algorithm::HS256, "Unnamed"),
    ] {
        assert_eq!(found(&keys, id, algorithm), expected, "{id:?} {algorithm:?}");
    }
}

#[test]
fn without_a_name_only_an_only_key_is_meant() {
    let (keys, _) = read(&[SigningKey::p256("a").jwk(), SigningKey::p256("b").jwk()]).unwrap();
    assert_eq!(found(&keys, None, Algorithm::ES256), "Unnamed");
    let (keys, _) = read(&[SigningKey::p256("").jwk()]).unwrap();
    assert_eq!(found(&keys, None, Algorithm::ES256), "the issuer's key without a name");
    assert_eq!(found(&keys, Some("a"), Algorithm::ES256), "Absent");
}

#[test]
fn two_keys_of_one_name_are_told_apart_by_their_kind() {
    let (keys, _) = read(&[SigningKey::rsa("a").jwk(), SigningKey::p256("a").jwk()]).unwrap();
    assert_eq!(found(&keys, Some("a"), Algorithm::RS256), "the key \"a\"");
    assert_eq!(found(&keys, Some("a"), Algorithm::ES256), "the key \"a\"");
    assert_eq!(found(&keys, Some("a"), Algorithm::EdDSA), "OtherAlgorithm");
}

#[test]
fn a_key_that_names_its_algorithm_is_for_that_alone() {
    let mut jwk = SigningKey::rsa("a").jwk();
    jwk["alg"] = "RS512".into();
    let (keys, _) = read(&[jwk.clone()]).unwrap();
    assert_eq!(found(&keys, Some("a"), Algorithm::RS512), "the key \"a\"");
    assert_eq!(found(&keys, Some("a"), Algorithm::RS256), "OtherAlgorithm");
    let allowed = Keys::read(json!({"keys": [jwk]}).to_string().as_bytes(), &[Algorithm::RS256]);
    assert!(allowed.unwrap_err().contains("no algorithm that is allowed"));
}

#[test]
fn a_key_that_cannot_be_used_is_left_out_with_its_reason_and_spoils_no_other() {
    let good = SigningKey::p256("good").jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = SigningKey::p256("bad").jwk();
        jwk[name] = value;
        jwk
    };
    for (bad, why) in [
        (with("use", json!("enc")), "not for signatures"),
        (with("key_ops", json!(["sign"])), "not for verifying"),
        (with("alg", json!("ES384")), "no algorithm that is allowed"),
        (with("alg", json!("none")), "no algorithm that is allowed"),
        (with("alg", json!("HS256")), "no algorithm that is allowed"),
        (with("crv", json!("P-521")), "curve is not supported"),
        (with("crv", json!("secp256k1")), "kind is not supported"),
        (with("crv", json!("P-384")), "length of its curve"),
        (with("x", json!("AAAA")), "length of its curve"),
        (with("x", json!("=")), "numbers cannot be read"),
        (json!({"kty": "oct", "kid": "bad", "k": "c2VjcmV0"}), "shared secret"),
        (json!({"kty": "RSA", "kid": "bad", "n": "AQAB", "e": "AQAB"}), "shorter than 2,048 bits"),
        (json!({"kty": "new", "kid": "bad"}), "kind is not supported"),
        (json!("text"), "cannot be read"),
        (json!(null), "cannot be read"),
    ] {
        let (keys, left_out) = read(&[bad.clone(), good.clone()]).unwrap();
        assert_eq!(keys.iter().count(), 1, "{bad}");
        assert_eq!(left_out.len(), 1, "{bad}");
        assert!(left_out[0].contains(why), "{bad}: {left_out:?}");
        assert!(read(&[bad]).unwrap_err().contains(why));
    }
}

#[test]
fn what_is_no_set_or_an_empty_one_is_an_error() {
    for text in ["", "{}", "[]", "{\"keys\": {}}", "{\"keys\": []}", "<html>", "null"] {
        assert!(Keys::read(text.as_bytes(), &all()).is_err(), "{text}");
    }
}

#[test]
fn a_set_is_in_another_when_each_of_its_keys_is() {
    let (a, b) = (SigningKey::p256("a").jwk(), SigningKey::p256("b").jwk());
    let set = |keys: &[&Value]| read(&keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>()).unwrap().0;
    assert!(set(&[&a]).are_in(&set(&[&b, &a])));
    assert!(!set(&[&a, &b]).are_in(&set(&[&a])));
    let other_of_that_name = SigningKey::p256("a").jwk();
    assert!(!set(&[&a]).are_in(&set(&[&other_of_that_name])));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = Keys::read(text.as_bytes(), &all());
    }

    #[test]
    fn no_key_makes_it_panic(
        kty in "(RSA|EC|OKP|oct|x)?", crv in "(P-256|P-384|P-521|Ed25519|X25519|)", n in "[-_A-Za-z0-9=]{0,50}",
        rest in "[-_A-Za-z0-9=]{0,50}",
    ) {
        let jwk = json!({"kty": kty, "crv": crv, "n": n, "e": rest, "x": n, "y": rest, "k": n});
        let _ = read(&[jwk]);
    }
}
