//! Who may come in, and with what.

use super::*;
use aws_lc_rs::{
    hmac,
    rsa::{KeySize, PublicKeyComponents},
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};

#[test]
fn who_does_not_identify_himself_does_not_come_in() {
    let fake = fake();
    let right = structured(&event("1"));
    taken(&fake, &right);
    let bare = right.clone().without("authorization");
    refused(&fake, &bare, 401, "Authorization");
    refused(&fake, &bare.clone().header("authorization", "SharedAccessKey d3Jvbmc="), 401, "key");
    refused(&fake, &bare.clone().header("authorization", "Bearer eyJ.other.token"), 401, "token");
    refused(&fake, &bare.clone().header("authorization", "Basic dTpw"), 401, "scheme");
    refused(&fake, &bare.clone().header("aeg-sas-key", TEST_KEY), 401, "Authorization");
    taken(&fake, &bare.header("authorization", &format!("Bearer {TEST_TOKEN}")));
}

#[test]
fn a_custom_topic_takes_its_own_credentials_only() {
    let fake = fake();
    let bare = Ask::bare("POST", EVENTS).body(BATCH, json!([event("1")]).to_string());
    refused(&fake, &bare, 401, "aeg-sas-key");
    refused(&fake, &bare.clone().header("aeg-sas-key", "d3Jvbmc="), 401, "key");
    let key = format!("SharedAccessKey {TEST_KEY}");
    refused(&fake, &bare.clone().header("authorization", &key), 401, "scheme");
    taken(&fake, &bare.clone().header("aeg-sas-key", TEST_KEY));
    taken(&fake, &bare.header("authorization", &format!("Bearer {TEST_TOKEN}")));
}

/// A shared access signature, as the service's documentation makes it.
fn signature(resource: &str, expiry: &str, key: &str) -> String {
    let code = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let signed = format!("r={}&e={}", code(resource), code(expiry));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(key).unwrap());
    format!("{signed}&s={}", code(&BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()))))
}

#[test]
fn a_signature_must_be_of_the_key_for_the_resource_and_not_expired() {
    let fake = fake();
    let (url, later) = (format!("{}{EVENTS}", fake.url()), "2100-01-01 00:00:00+00:00");
    let ask = |token: &str| {
        Ask::bare("POST", EVENTS).header("aeg-sas-token", token).body(BATCH, json!([event("1")]).to_string())
    };
    taken(&fake, &ask(&signature(&url, later, TEST_KEY)));
    refused(&fake, &ask(&signature(&url, later, "d3Jvbmc=")), 401, "signed with no key");
    refused(&fake, &ask(&signature(&url, "2020-01-01 00:00:00+00:00", TEST_KEY)), 401, "expired");
    refused(&fake, &ask(&signature(&url, "soon", TEST_KEY)), 401, "cannot be read");
    let other = "https://other.westus-1.eventgrid.azure.net/api/events";
    refused(&fake, &ask(&signature(other, later, TEST_KEY)), 401, "another resource");
    refused(&fake, &ask("r=a&e=b"), 401, "&s=");
    let tampered = signature(&url, later, TEST_KEY).replace("2100", "2200");
    refused(&fake, &ask(&tampered), 401, "signed with no key");

    let topic = format!("{}/topics/t1", fake.url());
    let on_namespace = |token: &str| {
        let header = format!("SharedAccessSignature {token}");
        structured(&event("1")).without("authorization").header("authorization", &header)
    };
    taken(&fake, &on_namespace(&signature(&topic, later, TEST_KEY)));
    let other = format!("{}/topics/t", fake.url());
    refused(&fake, &on_namespace(&signature(&other, later, TEST_KEY)), 401, "another resource");
}

#[test]
fn a_token_must_be_signed_by_the_issuer_for_event_grid_and_valid_now() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let other = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public: PublicKeyComponents<Vec<u8>> = pair.public_key().into();
    let url64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "RSA", "kid": "k", "n": url64(&public.n), "e": url64(&public.e)});
    let audience = "https://eventgrid.azure.net".to_owned();
    let issuer = Issuer { name: "https://sts/".to_owned(), jwks: json!({"keys": [jwk]}), audience };
    let access = Access { issuer: Some(issuer), ..Access::default() };
    let fake = Fake::standing(Config { access, ..Config::default() });
    let now = fake.grid().clock.now().ms() / 1000;
    let jwt = |pair: &RsaKeyPair, head: Value, changed: Value| {
        let mut claims = json!({
            "iss": "https://sts/", "aud": "https://eventgrid.azure.net", "exp": now + 60, "nbf": now,
        });
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        let signed =
            format!("{}.{}", url64(head.to_string().as_bytes()), url64(claims.to_string().as_bytes()));
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", url64(&signature))
    };
    let head = || json!({"alg": "RS256", "kid": "k"});
    let ask = |token: String| {
        let header = format!("Bearer {token}");
        structured(&event("1")).without("authorization").header("authorization", &header)
    };
    taken(&fake, &ask(jwt(&pair, head(), json!({}))));
    refused(&fake, &ask(jwt(&other, head(), json!({}))), 401, "wrong signature");
    refused(&fake, &ask(jwt(&pair, json!({"alg": "none", "kid": "k"}), json!({}))), 401, "RS256");
    refused(&fake, &ask(jwt(&pair, json!({"alg": "RS256", "kid": "x"}), json!({}))), 401, "no key");
    refused(&fake, &ask(jwt(&pair, head(), json!({"iss": "https://evil/"}))), 401, "another issuer");
    refused(&fake, &ask(jwt(&pair, head(), json!({"aud": "https://vault"}))), 401, "another audience");
    refused(&fake, &ask(jwt(&pair, head(), json!({"exp": now}))), 401, "expired");
    refused(&fake, &ask(jwt(&pair, head(), json!({"nbf": now + 1}))), 401, "not valid yet");
    refused(&fake, &ask("a.b".to_owned()), 401, "not a signed JWT");
}
