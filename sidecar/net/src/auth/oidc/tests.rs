//! Against a real issuer: its keys, its rotations, its outages, and those who would be it.

use super::*;
use crate::client::tests::{Flaw, certified};
use outrigger_testkit::{
    Issuer, SigningKey, free_port,
    issuer::{Trouble, hs256, unix_s, unsigned},
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

const ME: &str = "https://me.example";

fn settings(issuer: &str) -> Settings {
    Settings {
        issuer: issuer.to_owned(),
        audiences: vec![ME.to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        leeway: Duration::from_secs(30),
        keys_url: None,
        ca_file: None,
        refresh_every: Duration::from_hours(1),
        refresh_min: Duration::ZERO,
        keys_age_max: Duration::from_hours(24),
        timeout: Duration::from_secs(10),
        answer_bytes_max: 64 << 10,
        tokens_max: 100,
        proxies: crate::client::Proxies::default(),
    }
}

fn running(settings: Settings) -> Arc<Oidc> {
    let oidc = Oidc::new(settings).unwrap();
    tokio::spawn(Oidc::keep(Arc::downgrade(&oidc), Rng::with_seed(1)));
    oidc
}

async fn verdict(oidc: &Oidc, token: &str) -> Result<&'static str, Why> {
    let claims = oidc.check(token.as_bytes(), unix_s()).await;
    claims.map(|claims| if claims.name() == "me" { "me" } else { "another" }).map_err(|denial| denial.why)
}

/// As whom our own tokens are known.
const KNOWN: Result<&str, Why> = Ok("me");

#[tokio::test]
async fn a_token_of_each_kind_of_key_is_believed() {
    let keys = [SigningKey::rsa("r"), SigningKey::p256("e"), SigningKey::ed25519("d")];
    let issuer = Issuer::start(&keys.each_ref()).await;
    let oidc = running(settings(&issuer.url()));
    for key in &keys {
        let token = key.token(&issuer.claims(ME, "me"));
        for _ in 0..3 {
            assert_eq!(verdict(&oidc, &token).await, KNOWN, "{}", key.algorithm());
        }
    }
    assert_eq!((issuer.discovery_asked(), issuer.keys_asked()), (1, 1));
}

#[tokio::test]
async fn a_rotated_key_counts_with_its_first_token_and_the_old_one_no_more() {
    let (old, new) = (SigningKey::p256("old"), SigningKey::p256("new"));
    let issuer = Issuer::start(&[&old]).await;
    let oidc = running(settings(&issuer.url()));
    let (first, second) = (old.token(&issuer.claims(ME, "me")), new.token(&issuer.claims(ME, "me")));
    assert_eq!(verdict(&oidc, &first).await, KNOWN);
    assert_eq!(verdict(&oidc, &second).await, Err(Why::Key));

    issuer.set_keys(&[&old, &new]);
    assert_eq!(verdict(&oidc, &second).await, KNOWN);
    assert_eq!(verdict(&oidc, &first).await, KNOWN, "both hold while both are there");

    issuer.set_keys(&[&new]);
    let third = SigningKey::p256("third").token(&issuer.claims(ME, "me"));
    assert_eq!(verdict(&oidc, &third).await, Err(Why::Key)); // has the keys fetched
    assert_eq!(verdict(&oidc, &first).await, Err(Why::Key), "what a key signed goes with the key");
    assert_eq!(verdict(&oidc, &second).await, KNOWN);
}

#[tokio::test]
async fn a_key_of_the_same_name_is_another_key() {
    let (old, new) = (SigningKey::p256("same"), SigningKey::p256("same"));
    let issuer = Issuer::start(&[&old]).await;
    let oidc = running(settings(&issuer.url()));
    let token = old.token(&issuer.claims(ME, "me"));
    assert_eq!(verdict(&oidc, &token).await, KNOWN);
    issuer.set_keys(&[&new]);
    let unknown = SigningKey::p256("unknown").token(&issuer.claims(ME, "me"));
    assert_eq!(verdict(&oidc, &unknown).await, Err(Why::Key));
    assert_eq!(verdict(&oidc, &token).await, Err(Why::Signature));
}

#[tokio::test]
async fn row_35_during_an_outage_known_keys_work_and_an_unknown_one_is_unavailable() {
    let (key, other) = (SigningKey::p256("a"), SigningKey::p256("b"));
    let issuer = Issuer::start(&[&key]).await;
    let oidc = running(Settings { tokens_max: 0, ..settings(&issuer.url()) });
    let (known, unknown) = (key.token(&issuer.claims(ME, "me")), other.token(&issuer.claims(ME, "me")));
    assert_eq!(verdict(&oidc, &known).await, KNOWN);

    issuer.trouble(Trouble::Status(500));
    assert_eq!(verdict(&oidc, &unknown).await, Err(Why::Unavailable));
    assert_eq!(verdict(&oidc, &known).await, KNOWN);

    issuer.trouble(Trouble::None);
    issuer.set_keys(&[&key, &other]);
    issuer.until_asked(2).await; // by itself, after a moment
    while verdict(&oidc, &unknown).await == Err(Why::Unavailable) {
        tokio::task::yield_now().await; // until the answer is read
    }
    assert_eq!(verdict(&oidc, &unknown).await, KNOWN);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_unavailable_until_it_is_there() {
    let key = SigningKey::p256("a");
    // A port that no client takes while nobody listens there.
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let gone = Issuer::start_at(address, &[&key]).await;
    let token = key.token(&gone.claims(ME, "me"));
    gone.end().await;
    let oidc = running(settings(&format!("http://{address}")));
    let denial = oidc.check(token.as_bytes(), unix_s()).await.unwrap_err();
    assert_eq!((denial.why, denial.why.status().as_u16()), (Why::Unavailable, 503));
    assert!(denial.retry_after.is_some(), "{denial:?}");

    let issuer = Issuer::start_at(address, &[&key]).await;
    issuer.until_asked(1).await;
    while verdict(&oidc, &token).await == Err(Why::Unavailable) {
        tokio::task::yield_now().await; // until the answer is read
    }
    assert_eq!(verdict(&oidc, &token).await, KNOWN);
}

#[tokio::test]
async fn made_up_keys_make_us_ask_once_and_not_again() {
    let key = SigningKey::p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let oidc = running(Settings { refresh_min: Duration::from_hours(1), ..settings(&issuer.url()) });
    assert_eq!(verdict(&oidc, &key.token(&issuer.claims(ME, "me"))).await, KNOWN);
    let stranger = SigningKey::p256("");
    let (mut unsettled, mut unknown) = (0, 0);
    for number in 0..50 {
        let header = json!({"alg": "ES256", "kid": format!("made up {number}")});
        let token = stranger.token_with(&header, &issuer.claims(ME, "me"));
        match verdict(&oidc, &token).await {
            Err(Why::Key) => unknown += 1,
            Err(Why::Unsettled) => unsettled += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((unknown, unsettled, issuer.keys_asked()), (1, 49, 2));
    let at_once = (0..50).map(|number| {
        let header = json!({"alg": "ES256", "kid": format!("at once {number}")});
        let token = stranger.token_with(&header, &issuer.claims(ME, "me"));
        let oidc = oidc.clone();
        tokio::spawn(async move { verdict(&oidc, &token).await })
    });
    for asked in at_once.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), Err(Why::Unsettled));
    }
    assert_eq!(issuer.keys_asked(), 2);
    assert_eq!(
        verdict(&oidc, &key.token(&issuer.claims(ME, "me"))).await,
        KNOWN,
        "who is known is served meanwhile"
    );
}

#[tokio::test]
async fn what_is_refused_by_its_claims_does_not_make_us_ask() {
    let (key, stranger) = (SigningKey::p256("a"), SigningKey::p256("made up"));
    let issuer = Issuer::start(&[&key]).await;
    let oidc = running(settings(&issuer.url()));
    assert_eq!(verdict(&oidc, &key.token(&issuer.claims(ME, "me"))).await, KNOWN);
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims(ME, "me");
        claims[name] = value;
        stranger.token(&claims)
    };
    for (token, why) in [
        (with("iss", json!("https://other.example")), Why::Issuer),
        (with("aud", json!("https://other.example")), Why::Audience),
        (with("exp", json!(unix_s() - 31)), Why::Expired),
        (with("nbf", json!(unix_s() + 300)), Why::NotYet),
    ] {
        assert_eq!(verdict(&oidc, &token).await, Err(why));
    }
    assert_eq!(issuer.keys_asked(), 1);
}

#[tokio::test]
async fn no_trick_with_a_header_is_believed() {
    let (rsa, attacker) = (SigningKey::rsa("a"), SigningKey::rsa("a"));
    let issuer = Issuer::start(&[&rsa]).await;
    let oidc = running(settings(&issuer.url()));
    let claims = issuer.claims(ME, "me");
    assert_eq!(verdict(&oidc, &rsa.token(&claims)).await, KNOWN);
    let by_attacker = |header: Value| attacker.token_with(&header, &claims);
    let public = rsa.jwk().to_string();
    for (token, why) in [
        (unsigned(&json!({"alg": "none", "kid": "a"}), &claims, ""), Why::Algorithm),
        (unsigned(&json!({"alg": "None", "kid": "a"}), &claims, "AAAA"), Why::Algorithm),
        (unsigned(&json!({"alg": "", "kid": "a"}), &claims, "AAAA"), Why::Algorithm),
        (unsigned(&json!({"alg": "RS256", "kid": "a"}), &claims, ""), Why::Signature),
        (hs256(public.as_bytes(), &json!({"alg": "HS256", "kid": "a"}), &claims), Why::Algorithm),
        (hs256(public.as_bytes(), &json!({"alg": "RS256", "kid": "a"}), &claims), Why::Signature),
        (rsa.pss(&claims), Why::Algorithm),
        (unsigned(&json!({"alg": "ES256", "kid": "a"}), &claims, "AAAA"), Why::Algorithm),
        (by_attacker(json!({"alg": "RS256", "kid": "a"})), Why::Signature),
        (by_attacker(json!({"alg": "RS256", "kid": "a", "jwk": attacker.jwk()})), Why::Signature),
        (by_attacker(json!({"alg": "RS256", "kid": "a", "jku": "http://127.0.0.1:1/keys"})), Why::Signature),
        (by_attacker(json!({"alg": "RS256", "kid": "a", "x5u": "http://127.0.0.1:1/keys"})), Why::Signature),
        (by_attacker(json!({"alg": "RS256"})), Why::Signature),
        (by_attacker(json!({"alg": "RS256", "kid": "../../a"})), Why::Key),
        (by_attacker(json!({"alg": "RS256", "kid": "a' OR 1=1 --"})), Why::Key),
        (by_attacker(json!({"alg": "RS256", "kid": "a\u{0}"})), Why::Key),
        (by_attacker(json!({"alg": "RS256", "kid": ""})), Why::Key),
        (by_attacker(json!({"alg": "RS256", "kid": "a", "crit": ["exp"]})), Why::Malformed),
    ] {
        assert_eq!(verdict(&oidc, &token).await, Err(why), "{token:.60}");
    }
    let token = rsa.token(&claims);
    let (message, signature) = token.rsplit_once('.').unwrap();
    for changed in [format!("{message}."), message.to_owned(), format!("{message}.{}", &signature[..100])] {
        assert!(
            matches!(verdict(&oidc, &changed).await, Err(Why::Signature | Why::Malformed)),
            "{changed:.60}"
        );
    }
}

#[tokio::test]
async fn wrong_new_material_changes_nothing_and_is_told() {
    let key = SigningKey::p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let token = key.token(&issuer.claims(ME, "me"));
    let secret = json!({"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}).to_string();
    for trouble in [
        Trouble::Keys("<html>".to_owned()),
        Trouble::Keys("{\"keys\": []}".to_owned()),
        Trouble::Keys(secret),
        Trouble::Keys(" ".repeat(100_000)),
        Trouble::Discovery("{}".to_owned()),
        Trouble::Discovery(json!({"issuer": "https://other.example", "jwks_uri": "https://x/"}).to_string()),
        Trouble::Discovery(json!({"issuer": issuer.url(), "jwks_uri": "file:///etc/passwd"}).to_string()),
        Trouble::Discovery(
            json!({"issuer": issuer.url(), "jwks_uri": "http://169.254.169.254/"}).to_string(),
        ),
        Trouble::Status(302),
        Trouble::Status(404),
    ] {
        issuer.trouble(Trouble::None);
        let oidc = running(Settings { tokens_max: 0, ..settings(&issuer.url()) });
        assert_eq!(verdict(&oidc, &token).await, KNOWN);
        issuer.trouble(trouble.clone());
        let unknown = SigningKey::p256("b").token(&issuer.claims(ME, "me"));
        let denial = oidc.check(unknown.as_bytes(), unix_s()).await.unwrap_err();
        assert_eq!(denial.why, Why::Unavailable, "{trouble:?}");
        assert!(denial.detail.contains("127.0.0.1"), "who is at fault is named: {denial}");
        assert_eq!(verdict(&oidc, &token).await, KNOWN, "{trouble:?}");
    }
}

#[tokio::test]
async fn an_issuer_that_says_nothing_is_waited_for_so_long_and_no_longer() {
    let key = SigningKey::p256("a");
    let issuer = Issuer::start(&[&key]).await;
    issuer.trouble(Trouble::Silence);
    let oidc = running(Settings { timeout: Duration::from_millis(20), ..settings(&issuer.url()) });
    assert_eq!(verdict(&oidc, &key.token(&issuer.claims(ME, "me"))).await, Err(Why::Unavailable));
}

#[tokio::test]
async fn a_place_for_the_keys_that_is_given_is_not_discovered() {
    let key = SigningKey::p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let keys_url = Some(format!("{}/keys", issuer.url()).parse().unwrap());
    let oidc = running(Settings { keys_url, ..settings("https://elsewhere.example") });
    let mut claims = issuer.claims(ME, "me");
    claims["iss"] = "https://elsewhere.example".into();
    assert_eq!(verdict(&oidc, &key.token(&claims)).await, KNOWN);
    assert_eq!(issuer.discovery_asked(), 0);
}

#[tokio::test]
async fn a_token_that_was_believed_ends_with_its_time() {
    let key = SigningKey::p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let oidc = running(settings(&issuer.url()));
    let token = key.token(&issuer.claims(ME, "me"));
    let at = async |now_s| oidc.check(token.as_bytes(), now_s).await.map(drop).map_err(|denial| denial.why);
    let now_s = unix_s();
    assert_eq!(at(now_s).await, Ok(()));
    assert_eq!(at(now_s + 320).await, Ok(()), "within the leeway");
    assert_eq!(at(now_s + 400).await, Err(Why::Expired));
}

#[tokio::test]
async fn keys_that_are_too_old_are_believed_no_more_not_even_for_a_token_that_was_seen() {
    let key = SigningKey::p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let old = Settings { keys_age_max: Duration::from_nanos(1), ..settings(&issuer.url()) };
    let (fresh, old) = (running(settings(&issuer.url())), running(old));
    let token = key.token(&issuer.claims(ME, "me"));
    assert_eq!(verdict(&fresh, &token).await, KNOWN);
    for _ in 0..2 {
        assert_eq!(verdict(&old, &token).await, Err(Why::Unavailable));
    }
}

/// TLS before an issuer, which calls itself by that address from now on.
async fn behind_tls(issuer: &Issuer, tls: rustls::ServerConfig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (name, plain) =
        (format!("https://localhost:{}", listener.local_addr().unwrap().port()), issuer.address());
    issuer.call_itself(&name);
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(plain).await.unwrap();
                let _ = copy_bidirectional(&mut outside, &mut inside).await; // its end is the client's
            });
        }
    });
    name
}

#[tokio::test]
async fn an_issuer_is_believed_by_the_authorities_of_the_file_and_a_new_file_counts() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let (right, tls) = certified(folder.path(), Flaw::None);
    let other_folder = tempfile::tempdir().unwrap();
    let (wrong, _) = certified(other_folder.path(), Flaw::None);
    let name = behind_tls(&issuer, tls).await;
    let mut claims = issuer.claims(ME, "me");
    claims["iss"] = name.clone().into();
    let token = key.token(&claims);

    let believed = running(Settings { ca_file: Some(right.clone()), ..settings(&name) });
    assert_eq!(verdict(&believed, &token).await, KNOWN);
    let other = running(Settings { ca_file: Some(wrong.clone()), ..settings(&name) });
    let denial = other.check(token.as_bytes(), unix_s()).await.unwrap_err();
    assert_eq!(denial.why, Why::Unavailable);
    assert!(denial.detail.contains("authority that is not trusted here"), "{denial}");

    std::fs::copy(right, wrong).unwrap();
    issuer.until_asked(2).await; // by itself, after a moment
    while verdict(&other, &token).await == Err(Why::Unavailable) {
        tokio::task::yield_now().await; // until the answer is read
    }
    assert_eq!(verdict(&other, &token).await, KNOWN);
    let absent = Settings { ca_file: Some(folder.path().join("absent.pem")), ..settings(&name) };
    assert!(Oidc::new(absent).unwrap_err().to_string().contains("absent.pem"));
}

#[tokio::test]
async fn keys_are_fetched_no_more_once_nobody_holds_them() {
    let issuer = Issuer::start(&[&SigningKey::p256("a")]).await;
    let oidc =
        Oidc::new(Settings { refresh_every: Duration::from_millis(1), ..settings(&issuer.url()) }).unwrap();
    let kept = tokio::spawn(Oidc::keep(Arc::downgrade(&oidc), Rng::with_seed(1)));
    issuer.until_asked(3).await;
    drop(oidc);
    kept.await.unwrap();
}
