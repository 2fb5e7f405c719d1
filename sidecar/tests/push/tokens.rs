//! Who may push: every way in which a token can be wrong, rotation, and an issuer that is out of reach.

use crate::{
    common::{Site, authority::Authority},
    rig::{ACCOUNT, APP_ID, AUDIENCE, At, BOTH, Rig},
};
use outrigger_testkit::{
    SigningKey,
    issuer::{Trouble, hs256, unix_s},
    process::WAIT_MAX,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Each wrong token, why it is refused, and what Pub/Sub and Event Grid are told: Event Grid drops an event that is
/// answered 401, so what the next token or the next key may mend is 503 there.
fn wrong(rig: &Rig, at: At) -> Vec<(String, &'static str, u16, u16)> {
    let (good, key) = (rig.claims(at), &rig.key);
    let public = key.jwk().to_string();
    vec![
        (key.token(&with(good.clone(), "aud", json!("https://other.example/"))), "audience", 401, 401),
        (key.token(&without(good.clone(), "aud")), "audience", 401, 401),
        (key.token(&with(good.clone(), "iss", json!("https://other.example"))), "issuer", 401, 401),
        (key.token(&with(good.clone(), "exp", json!(unix_s() - 60))), "expired", 401, 503),
        (key.token(&with(good.clone(), "nbf", json!(unix_s() + 60))), "not_yet", 401, 503),
        (key.token(&without(good.clone(), "exp")), "malformed", 401, 401),
        (key.token_with(&json!({"alg": "none"}), &good), "algorithm", 401, 401),
        (hs256(public.as_bytes(), &json!({"alg": "HS256", "kid": "first"}), &good), "algorithm", 401, 401),
        (SigningKey::rsa("first").token(&good), "signature", 401, 401),
        (SigningKey::rsa("unknown").token(&good), "key", 401, 503),
        ("opaque".to_owned(), "malformed", 401, 401),
    ]
}

#[tokio::test]
async fn a_good_token_is_let_in_and_every_wrong_one_is_refused_with_its_reason() {
    let rig = Rig::open(|site| site).await;
    for at in BOTH {
        assert_eq!(rig.send(at, Some(&rig.token(at)), "1").await.status(), at.taken(), "{at:?}");
        for (token, reason, pubsub, eventgrid) in wrong(&rig, at) {
            let before = rig.refusals(at, reason).await;
            let answer = rig.send(at, Some(&token), "2").await;
            let expected = if at == At::Pubsub { pubsub } else { eventgrid };
            assert_eq!(answer.status(), expected, "{at:?} {reason}");
            assert_eq!(rig.refusals(at, reason).await, before + 1, "{at:?} {reason}");
            assert_eq!(answer.headers().contains_key("retry-after"), false, "{at:?} {reason}");
            assert_eq!(answer.headers().contains_key("www-authenticate"), expected == 401, "{at:?} {reason}");
        }
        assert_eq!(rig.send(at, None, "2").await.status(), 401, "{at:?} without a token");
    }
    rig.function.wait_for(|stats| stats.ended == 2).await;
    let log = rig.process.log();
    let secret = rig.token(At::Pubsub);
    assert!(log.contains("other.example") && !log.contains(secret.rsplit('.').next().unwrap()));
}

#[tokio::test]
async fn a_token_of_another_account_is_refused_and_so_is_one_that_nobody_verified() {
    let rig = Rig::open(|site| site).await;
    let good = rig.claims(At::Pubsub);
    for claims in [
        with(good.clone(), "email", json!("other@p.iam.gserviceaccount.com")),
        with(good.clone(), "email", json!(ACCOUNT.to_uppercase())),
        with(good.clone(), "email_verified", json!(false)),
        with(good.clone(), "email_verified", json!("false")),
        without(good.clone(), "email_verified"),
        without(good.clone(), "email"),
    ] {
        let answer = rig.send(At::Pubsub, Some(&rig.key.token(&claims)), "1").await;
        assert_eq!(answer.status(), 403, "{claims}");
    }
    assert_eq!(rig.refusals(At::Pubsub, "rule").await, 6);
    assert_eq!(rig.send(At::Pubsub, Some(&rig.token(At::EventGrid)), "1").await.status(), 403);
    assert_eq!(rig.send(At::Pubsub, Some(&rig.key.token(&good)), "1").await.status(), 204);
    rig.function.wait_for(|stats| stats.ended == 1).await;
}

#[tokio::test]
async fn a_token_of_another_application_of_the_tenant_is_refused() {
    let rig = Rig::open(|site| site).await;
    let good = rig.claims(At::EventGrid);
    for claims in [
        with(good.clone(), "appid", json!("00000000-0000-0000-0000-000000000000")),
        without(good.clone(), "appid"),
    ] {
        let answer = rig.send(At::EventGrid, Some(&rig.key.token(&claims)), "1").await;
        assert_eq!(answer.status(), 403, "{claims}");
    }
    let second_version = with(without(good.clone(), "appid"), "azp", json!(APP_ID));
    assert_eq!(rig.send(At::EventGrid, Some(&rig.key.token(&second_version)), "1").await.status(), 200);
    rig.function.wait_for(|stats| stats.ended == 1).await;

    let anyone = Rig::open(|site| site.set("ingress.eventgrid_webhook.entra.app_id", "any")).await;
    let claims = without(anyone.claims(At::EventGrid), "appid");
    assert_eq!(anyone.send(At::EventGrid, Some(&anyone.key.token(&claims)), "1").await.status(), 200);
}

#[tokio::test]
async fn a_key_that_is_new_at_the_issuer_is_fetched_and_an_old_one_goes() {
    let rig = Rig::open(|site| site).await;
    let second = SigningKey::rsa("second");
    for at in BOTH {
        assert_eq!(rig.send(at, Some(&rig.token(at)), "1").await.status(), at.taken());
    }
    rig.issuer.set_keys(&[&second]);
    for at in BOTH {
        let (new, old) = (second.token(&rig.claims(at)), rig.token(at));
        let deadline = Instant::now() + WAIT_MAX;
        while rig.send(at, Some(&new), "2").await.status() != at.taken() {
            assert!(Instant::now() < deadline, "a rotated key is never fetched");
            sleep(Duration::from_millis(20)).await; // at most one fetch in refresh_min
        }
        let status = rig.send(at, Some(&old), "3").await.status().as_u16();
        assert!(status == 503 || status == 401, "{at:?}: {status}");
    }
}

#[tokio::test]
async fn row_35_an_issuer_out_of_reach_is_answered_503_and_known_keys_work() {
    let rig = Rig::open(|site| {
        let site = site.set("ingress.pubsub_push.tokens_max", "0");
        site.set("ingress.eventgrid_webhook.entra.tokens_max", "0")
    })
    .await;
    let second = SigningKey::rsa("second");
    for at in BOTH {
        assert_eq!(rig.send(at, Some(&rig.token(at)), "1").await.status(), at.taken());
    }
    rig.issuer.trouble(Trouble::Status(500));
    for at in BOTH {
        let answer = rig.send(at, Some(&second.token(&rig.claims(at))), "2").await;
        assert_eq!(answer.status(), 503, "{at:?}");
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(rig.send(at, Some(&rig.token(at)), "3").await.status(), at.taken());
    }
    rig.issuer.set_keys(&[&rig.key, &second]);
    rig.issuer.trouble(Trouble::None);
    for at in BOTH {
        let deadline = Instant::now() + WAIT_MAX;
        while rig.send(at, Some(&second.token(&rig.claims(at))), "4").await.status() != at.taken() {
            assert!(Instant::now() < deadline, "{at:?}: an issuer that is back is not asked");
            sleep(Duration::from_millis(20)).await; // until its keys are fetched, in a second or two
        }
    }
}

#[tokio::test]
async fn an_issuer_that_was_never_there_is_answered_503_and_a_request_without_a_token_401() {
    let rig = Rig::open(|site| {
        let site = site.set("ingress.pubsub_push.issuer", "https://localhost:1");
        site.set("ingress.eventgrid_webhook.entra.issuer", "https://localhost:1")
    })
    .await;
    for at in BOTH {
        let claims = with(rig.claims(at), "iss", json!("https://localhost:1"));
        assert_eq!(rig.send(at, Some(&rig.key.token(&claims)), "1").await.status(), 503, "{at:?}");
        assert_eq!(rig.send(at, None, "1").await.status(), 401, "{at:?}");
        let claims = with(claims, "aud", json!(AUDIENCE.trim_end_matches('/')));
        assert_eq!(
            rig.send(at, Some(&rig.key.token(&claims)), "1").await.status(),
            401,
            "{at:?}: never for us"
        );
    }
    assert_eq!(rig.function.stats().received, 0);
}

#[tokio::test]
async fn an_issuer_that_nobody_certified_is_not_believed() {
    let elsewhere = Site::at("http://127.0.0.1:1/");
    Authority::of(&elsewhere);
    let rig = Rig::open(|site| {
        std::fs::copy(elsewhere.path("ca.pem"), site.path("other.pem")).unwrap();
        site.set("ingress.pubsub_push.ca_file", "other.pem")
    })
    .await;
    assert_eq!(rig.send(At::Pubsub, Some(&rig.token(At::Pubsub)), "1").await.status(), 503);
    assert_eq!(rig.send(At::EventGrid, Some(&rig.token(At::EventGrid)), "1").await.status(), 200);
}
