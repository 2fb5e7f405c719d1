use super::*;
use crate::auth::jwks::{Found, Keys};
use outrigger_testkit::{
    SigningKey,
    issuer::{hs256, unsigned},
};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const NOW_S: i64 = 1_700_000_000;

fn expected() -> Expected {
    let audiences = vec!["me".to_owned(), "also me".to_owned()];
    Expected { issuer: "https://id.example".to_owned(), audiences, leeway: Duration::from_secs(30) }
}

fn good() -> Value {
    json!({"iss": "https://id.example", "aud": "me", "exp": NOW_S + 100, "sub": "orders"})
}

/// The good claims but for one of them; null takes it away.
fn but(name: &str, value: &Value) -> Claims {
    let mut claims = good();
    claims[name] = value.clone();
    let Value::Object(map) = claims else { unreachable!() };
    map.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn verdict(name: &str, value: &Value) -> Result<(), Why> {
    but(name, value).judge(&expected(), NOW_S).map(drop).map_err(|denial| denial.why)
}

#[test]
fn the_issuer_is_exactly_the_expected_one() {
    assert_eq!(verdict("iss", &json!("https://id.example")), Ok(()));
    for other in [
        json!(null),
        json!("https://id.example/"),
        json!("https://ID.example"),
        json!("https://id.example.evil"),
        json!(""),
        json!(["https://id.example"]),
        json!({"https://id.example": 1}),
        json!(7),
    ] {
        assert_eq!(verdict("iss", &other), Err(Why::Issuer), "{other}");
    }
}

#[test]
fn the_audience_is_or_holds_one_of_ours() {
    for ours in [json!("me"), json!("also me"), json!(["you", "me"]), json!([7, "me"])] {
        assert_eq!(verdict("aud", &ours), Ok(()), "{ours}");
    }
    for other in [
        json!(null),
        json!("you"),
        json!("me "),
        json!([]),
        json!(["you"]),
        json!({"me": 1}),
        json!([["me"]]),
    ] {
        assert_eq!(verdict("aud", &other), Err(Why::Audience), "{other}");
    }
}

#[test]
fn row_24_a_token_holds_from_nbf_to_exp_with_the_leeway_and_no_second_longer() {
    for (exp, fits) in [
        (json!(NOW_S + 1), true),
        (json!(NOW_S), true),
        (json!(NOW_S - 29), true),
        (json!(NOW_S - 30), false),
        (json!(NOW_S - 3600), false),
        (json!(0), false),
        (json!(-5), false),
        (json!(1_700_000_000.5), true),
        (json!(1e300), true),
        (json!(i64::MAX), true),
        (json!(u64::MAX), true),
    ] {
        let expected = if fits { Ok(()) } else { Err(Why::Expired) };
        assert_eq!(verdict("exp", &exp), expected, "exp {exp}");
    }
    for (nbf, fits) in [
        (json!(null), true),
        (json!(NOW_S), true),
        (json!(NOW_S + 30), true),
        (json!(NOW_S + 31), false),
        (json!(-1e300), true),
        (json!(i64::MIN), true),
        (json!(1e300), false),
    ] {
        let expected = if fits { Ok(()) } else { Err(Why::NotYet) };
        assert_eq!(verdict("nbf", &nbf), expected, "nbf {nbf}");
    }
}

#[test]
fn a_time_that_is_none_or_missing_is_malformed() {
    for exp in [json!(null), json!("1700000100"), json!([NOW_S + 5]), json!(true)] {
        assert_eq!(verdict("exp", &exp), Err(Why::Malformed), "{exp}");
    }
    assert_eq!(verdict("nbf", &json!("yesterday")), Err(Why::Malformed));
}

#[test]
fn how_long_a_token_holds_is_told_for_the_next_time() {
    let validity = but("nbf", &json!(NOW_S - 10)).judge(&expected(), NOW_S).unwrap();
    assert_eq!(validity, Validity { from_s: NOW_S - 40, until_s: NOW_S + 130 });
    let holds = [-41, -40, 129, 130].map(|after| validity.holds(NOW_S + after));
    assert_eq!(holds, [false, true, true, false]);
}

#[test]
fn a_claim_of_a_stranger_is_repeated_cut_and_escaped() {
    let long = but("iss", &json!("x".repeat(10_000))).judge(&expected(), NOW_S).unwrap_err().detail;
    assert!(long.len() < 250, "{long}");
    let evil = but("iss", &json!("a\nlevel=info \u{1b}[31m")).judge(&expected(), NOW_S).unwrap_err().detail;
    assert!(!evil.chars().any(char::is_control), "{evil:?}");
}

fn key_of(jwk: &Value, algorithm: Algorithm) -> Arc<Key> {
    let text = json!({"keys": [jwk]}).to_string();
    match Keys::read(text.as_bytes(), &[algorithm]).unwrap().0.find(jwk["kid"].as_str(), algorithm) {
        Found::Key(key) => key,
        other => panic!("{other:?}"),
    }
}

/// Appendix A.3 of RFC 7515.
#[test]
fn the_example_of_the_rfc_is_verified_and_a_changed_one_is_not() {
    let jwk = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y\
                 b290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let key = key_of(&jwk, Algorithm::ES256);
    let verify = |token: &str| Unverified::read(token.as_bytes()).unwrap().verified(&key, Algorithm::ES256);
    assert_eq!(verify(token).unwrap().get("iss"), Some(&json!("joe")));
    for changed in [
        token.replace("Kg6NU1Q", "Kg6NU1A"),
        token.replace(".DtEhU", ".AtEhU"),
        token.replace("Jqb2Ui", "Jqb2Uj"),
    ] {
        assert_ne!(changed, token);
        let verdict = Unverified::read(changed.as_bytes())
            .and_then(|token| token.verified(&key, Algorithm::ES256))
            .map_err(|denial| denial.why);
        assert!(matches!(verdict, Err(Why::Signature | Why::Malformed)), "{changed}: {verdict:?}");
    }
}

#[test]
fn each_kind_of_key_signs_and_no_other_key_of_its_kind_does() {
    let (rsa, other_rsa) = (SigningKey::rsa("a"), SigningKey::rsa("a"));
    let pss = rsa.pss(&good());
    for (token, key, algorithm, fits) in [
        (rsa.token(&good()), &rsa, Algorithm::RS256, true),
        (pss.clone(), &rsa, Algorithm::PS256, true),
        (pss, &rsa, Algorithm::RS256, false),
        (rsa.token(&good()), &other_rsa, Algorithm::RS256, false),
    ] {
        let verified =
            Unverified::read(token.as_bytes()).unwrap().verified(&key_of(&key.jwk(), algorithm), algorithm);
        assert_eq!(verified.is_ok(), fits, "{algorithm:?}");
    }
    for make in [SigningKey::p256, SigningKey::p384, SigningKey::ed25519] {
        let (key, other) = (make("a"), make("a"));
        let algorithm = crate::auth::oidc::Settings::algorithm(key.algorithm()).unwrap();
        let token = key.token(&good());
        let verify = |by: &SigningKey| {
            Unverified::read(token.as_bytes())
                .unwrap()
                .verified(&key_of(&by.jwk(), algorithm), algorithm)
                .is_ok()
        };
        assert_eq!((verify(&key), verify(&other)), (true, false), "{algorithm:?}");
    }
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let rsa = SigningKey::rsa("a");
    let header = json!({"alg": "HS256", "kid": "a"});
    for secret in [rsa.jwk().to_string(), rsa.jwk()["n"].as_str().unwrap().to_owned(), String::new()] {
        let token = hs256(secret.as_bytes(), &header, &good());
        let key = key_of(&rsa.jwk(), Algorithm::RS256);
        for algorithm in [Algorithm::HS256, Algorithm::RS256] {
            let verdict = Unverified::read(token.as_bytes()).unwrap().verified(&key, algorithm);
            assert_eq!(verdict.unwrap_err().why, Why::Signature, "{algorithm:?}");
        }
    }
}

#[test]
fn what_is_no_token_is_malformed() {
    let header = json!({"alg": "RS256"});
    let token = unsigned(&header, &good(), "AAAA");
    assert!(Unverified::read(token.as_bytes()).is_ok());
    let (head, rest) = token.split_once('.').unwrap();
    for wrong in [
        String::new(),
        "..".to_owned(),
        head.to_owned(),
        format!("{head}.{head}"),
        format!("{token}.AAAA"),
        format!("{token}.AAAA.AAAA"),
        format!("{head}=.{rest}"),
        format!(" {token}"),
        format!(".{rest}"),
        unsigned(&json!("RS256"), &good(), "AAAA"),
        unsigned(&json!({"alg": 7}), &good(), "AAAA"),
        unsigned(&json!({"kid": "a"}), &good(), "AAAA"),
        unsigned(&json!({"alg": "RS256", "kid": 7}), &good(), "AAAA"),
        unsigned(&json!({"alg": "RS256", "kid": ["a"]}), &good(), "AAAA"),
        unsigned(&json!({"alg": "RS256", "kid": "a".repeat(513)}), &good(), "AAAA"),
        unsigned(&json!({"alg": "RS256", "crit": ["b64"], "b64": false}), &good(), "AAAA"),
        unsigned(&header, &json!([1]), "AAAA"),
        unsigned(&header, &json!("text"), "AAAA"),
        unsigned(&header, &json!({"x": "y".repeat(9_000)}), "AAAA"),
    ] {
        assert_eq!(Unverified::read(wrong.as_bytes()).unwrap_err().why, Why::Malformed, "{wrong:.100}");
    }
    assert_eq!(Unverified::read(b"a.\xff.c").unwrap_err().why, Why::Malformed);
}

#[test]
fn two_algorithms_in_one_header_are_refused() {
    let token = unsigned(&json!({}), &good(), "AAAA");
    let (_, rest) = token.split_once('.').unwrap();
    let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","alg":"none"}"#);
    assert_eq!(Unverified::read(format!("{twice}.{rest}").as_bytes()).unwrap_err().why, Why::Malformed);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Unverified::read(&bytes);
    }

    #[test]
    fn no_parts_make_it_panic(header in "\\PC{0,60}", claims in "\\PC{0,60}", signature in "[-_=a-zA-Z0-9.]{0,20}") {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.{signature}", encoded(&header), encoded(&claims));
        if let Ok(token) = Unverified::read(token.as_bytes()) {
            let _ = token.claims.judge(&expected(), NOW_S);
            let _ = token.claims.name();
        }
    }

    #[test]
    fn any_time_is_judged_without_overflow(
        exp in prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)],
        nbf in prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)],
        now_s in any::<i64>(),
    ) {
        let mut claims = good();
        (claims["exp"], claims["nbf"]) = (exp, nbf);
        let Value::Object(map) = claims else { unreachable!() };
        let claims: Claims = map.into_iter().collect();
        if let Ok(validity) = claims.judge(&expected(), now_s) {
            prop_assert!(validity.holds(now_s));
        }
    }

    #[test]
    fn no_pointer_makes_it_panic(name in "[/~a01]{0,12}") {
        let claims: Claims = [("a".to_owned(), json!({"0": [1, {"~": "/"}]}))].into_iter().collect();
        let _ = claims.get(&name);
    }
}
