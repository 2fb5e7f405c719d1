//! The handshakes with webhooks, within their windows. A wrong webhook is refused.

mod common;

use std::{sync::Arc, time::Duration};

use common::{
    Ask,
    webhook::{Reply, Webhook, fake, publish_grid, seconds, state, status, told, valid},
};
use outrigger_eventgrid_fake::{Fake, PushSettings, Setup, Standing, grid::State};
use serde_json::{Value, json};

#[tokio::test]
async fn a_webhook_that_echoes_the_code_is_active() {
    let fake = fake();
    let hook = Webhook::start(|told| valid(told, |_| status(200)));
    let standing = fake.subscribe("grid", "hook", PushSettings::to(hook.url())).await;
    assert_eq!(standing, Standing::Active);
    let asked = &hook.told()[0];
    let told = asked.json();
    assert_eq!(told.as_array().unwrap().len(), 1);
    assert_eq!(told[0]["eventType"], "Microsoft.EventGrid.SubscriptionValidationEvent");
    assert_eq!(asked.headers["aeg-subscription-name"], "HOOK");
    assert_eq!(asked.target, "/hook?secret=s");
    assert!(told[0]["data"]["validationUrl"].as_str().unwrap().starts_with(fake.url()));
}

#[tokio::test]
async fn a_webhook_that_answers_a_validation_wrongly_has_failed() {
    let fake = fake();
    for (answer, why) in [
        (|code: String| (202, json!({"validationResponse": code}).to_string()), "202"),
        (|code: String| (204, json!({"validationResponse": code}).to_string()), "204"),
        (|_| (200, r#"{"validationResponse": "another"}"#.to_owned()), "another validation code"),
        (|_| (401, String::new()), "401"),
    ] as [(fn(String) -> (u16, String), &str); 4]
    {
        let hook = Webhook::start(move |told| {
            let (status, body) = answer(told.code());
            Reply::Say(status, Vec::new(), body)
        });
        let standing = fake.subscribe("grid", "hook", PushSettings::to(hook.url())).await;
        let Standing::Failed(reason) = standing else { panic!("{standing:?}") };
        assert!(reason.contains(why), "{reason}");
    }
    publish_grid(&fake, "s");
    assert_eq!(state(&fake, "grid/hook")["counts"]["published"], 0);
}

#[tokio::test]
async fn the_validation_url_is_good_for_five_minutes() {
    let fake = fake();
    let hook = Webhook::start(|told| match told.event_type() {
        "SubscriptionValidation" => status(200),
        _ => status(204),
    });
    let fetch = |late: Duration| {
        fake.grid().clock.advance(late);
        let url = hook.told().last().unwrap().json()[0]["data"]["validationUrl"].clone();
        let target = url.as_str().unwrap().strip_prefix(fake.url()).unwrap().to_owned();
        Ask::bare("GET", &target).send(&fake).status
    };
    let subscribe = || fake.subscribe("grid", "hook", PushSettings::to(hook.url()));
    assert!(matches!(subscribe().await, Standing::AwaitingManualAction(_)));
    assert_eq!(fetch(Duration::from_millis(299_999)), 200);
    assert_eq!(state(&fake, "grid/hook")["standing"], "Active");

    assert!(matches!(subscribe().await, Standing::AwaitingManualAction(_)));
    assert_eq!(fetch(seconds(300)), 400);
    let failed = fake
        .wait_for(|state| match &state.custom["grid"].subscriptions["hook"].standing {
            Standing::Failed(why) => Some(why.clone()),
            _ => None,
        })
        .await;
    assert!(failed.contains("not fetched in time"), "{failed}");
    assert_eq!(Ask::bare("GET", "/eventsubscriptions/hook/validate?id=guess").send(&fake).status, 404);
}

#[tokio::test]
async fn a_handshake_ends_after_thirty_seconds_and_is_tried_three_times() {
    let fake = fake();
    let hook = Arc::new(Webhook::start(|_| Reply::Hang));
    let webhooks = PushSettings::to(hook.url());
    let subscribed = fake.subscribe("grid", "hook", webhooks);
    let clock = async {
        for ask in 1..=3 {
            told(&hook, 1).await;
            fake.grid().clock.advance(Duration::from_millis(29_999));
            assert_eq!(state(&fake, "grid/hook")["standing"], "Validating");
            fake.grid().clock.advance(Duration::from_millis(1));
            let unanswered = |state: &State| state.custom["grid"].subscriptions["hook"].unanswered == ask;
            fake.wait_for(|state| unanswered(state).then_some(())).await;
            fake.grid().clock.advance(seconds(5));
        }
    };
    let (standing, ()) = tokio::join!(subscribed, clock);
    assert!(matches!(&standing, Standing::Failed(why) if why.contains("TimedOut")), "{standing:?}");
    assert_eq!(hook.told().len(), 3);
}

#[tokio::test]
async fn a_webhook_of_cloud_events_is_asked_by_options() {
    let fake = fake();
    let subscribe = async |headers: Vec<(&'static str, &'static str)>, code: u16| {
        let hook = Webhook::start(move |_| Reply::Say(code, headers.clone(), String::new()));
        let standing = fake.subscribe("default", "hook", PushSettings::to(hook.url())).await;
        (standing, hook.told()[0].clone())
    };
    let (standing, asked) = subscribe(vec![("webhook-allowed-origin", "eventgrid.azure.net")], 200).await;
    assert_eq!(standing, Standing::Active);
    assert_eq!(asked.method, "OPTIONS");
    assert_eq!(asked.headers["webhook-request-origin"], "eventgrid.azure.net");
    assert_eq!(subscribe(vec![("webhook-allowed-origin", "*")], 204).await.0, Standing::Active);
    let (standing, _) = subscribe(vec![("webhook-allowed-origin", "example.com")], 200).await;
    assert!(matches!(&standing, Standing::Failed(why) if why.contains("example.com")), "{standing:?}");
    let (standing, _) = subscribe(vec![("webhook-allowed-origin", "*")], 405).await;
    assert!(matches!(&standing, Standing::Failed(why) if why.contains("405")), "{standing:?}");

    let (standing, asked) = subscribe(Vec::new(), 200).await;
    assert!(matches!(standing, Standing::AwaitingManualAction(_)));
    let callback = asked.headers["webhook-request-callback"].strip_prefix(fake.url()).unwrap().to_owned();
    assert_eq!(Ask::bare("GET", &callback).send(&fake).status, 200);
    assert_eq!(state(&fake, "default/hook")["standing"], "Active");
}

#[tokio::test]
async fn a_webhook_over_tls_is_reached_only_where_its_authority_is_known() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let hook = Webhook::start_tls(config, |told| valid(told, |_| status(200)));
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), made.cert.pem()).unwrap();
    let setup = |webhook_ca| Setup { webhook_ca, ..Setup::default() };
    let knows = Fake::start_with(&setup(Some(authority.path().to_owned()))).unwrap();
    let standing = knows.subscribe("default", "hook", PushSettings::to(hook.url())).await;
    assert_eq!(standing, Standing::Active);
    let does_not = Fake::start_with(&setup(None)).unwrap();
    let standing = does_not.subscribe("default", "hook", PushSettings::to(hook.url())).await;
    assert!(matches!(&standing, Standing::Failed(why) if why.contains("SocketError")), "{standing:?}");
}

#[test]
fn a_webhook_is_set_up_within_the_services_bounds() {
    let fake = fake();
    let put = |topic: &str, settings: Value| {
        let mut whole = json!({"endpoint": "http://127.0.0.1:1/"});
        whole.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let mut ask = Ask::bare("PUT", &format!("/_/custom/{topic}/hook"));
        ask.body = whole.to_string().into_bytes();
        ask.send(&fake)
    };
    assert_eq!(put("grid", json!({"max_events_per_batch": 5000, "preferred_batch_kb": 1024})).status, 202);
    let headers: Value =
        (0..11).map(|n| (format!("x{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    for (topic, settings, why) in [
        ("grid", json!({"endpoint": "http://example.com/"}), "https"),
        ("grid", json!({"endpoint": "no url"}), "endpoint"),
        ("grid", json!({"max_events_per_batch": 5001}), "max_events_per_batch"),
        ("grid", json!({"max_events_per_batch": 0}), "max_events_per_batch"),
        ("grid", json!({"preferred_batch_kb": 1025}), "preferred_batch_kb"),
        ("grid", json!({"max_delivery_attempts": 31}), "max_delivery_attempts"),
        ("grid", json!({"time_to_live_min": 1441}), "time_to_live_min"),
        ("grid", json!({"headers": headers}), "ten"),
        ("grid", json!({"headers": {"x": "v".repeat(4097)}}), "4096"),
        ("default", json!({"delivery_schema": "EventGridSchema"}), "CloudEvents"),
        ("nowhere", json!({}), "nowhere"),
        ("grid", json!({"batch": 1}), "batch"),
    ] {
        let answer = put(topic, settings);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains(why), "{answer:?} should say {why}");
    }
}
