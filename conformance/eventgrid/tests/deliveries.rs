//! Deliveries to webhooks: what they look like, which statuses end an event, the schedule of the others, batches,
//! filters and dead letters. A wrong webhook loses its events.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use common::{
    Ask, BATCH, event,
    webhook::{Reply, Webhook, fake, publish_grid, seconds, state, status, told, valid},
};
use outrigger_eventgrid_fake::{
    Fake, PushSettings, Standing,
    config::TEST_KEY,
    event::Schema,
    filter::{Advanced, Filter, Operator},
    topic::resource_id,
};
use serde_json::{Value, json};

fn publish(fake: &Fake, events: &[Value]) {
    let ask = Ask::bare("POST", "/api/events?api-version=2018-01-01").header("aeg-sas-key", TEST_KEY);
    let answer = ask.body(BATCH, json!(events).to_string()).send(fake);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A webhook of `default` that is active and answers events with what `reply` says.
async fn active(
    fake: &Fake,
    settings: impl FnOnce(&mut PushSettings),
    reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> Arc<Webhook> {
    let count = AtomicUsize::new(0);
    let hook = Webhook::start(move |told| valid(told, |_| reply(count.fetch_add(1, SeqCst))));
    let mut wanted = PushSettings::to(hook.url());
    settings(&mut wanted);
    assert_eq!(fake.subscribe("default", "hook", wanted).await, Standing::Active);
    Arc::new(hook)
}

#[tokio::test]
async fn a_cloud_event_is_delivered_as_it_was_published_with_the_services_headers() {
    let fake = fake();
    let own = |settings: &mut PushSettings| {
        settings.headers.insert("x-own".to_owned(), "mine".to_owned());
        settings.bearer = Some("token".to_owned());
    };
    let hook = active(&fake, own, |_| status(204)).await;
    publish(&fake, &[event("1"), event("2")]);
    fake.advance(seconds(0)).await;
    let told = hook.notifications();
    assert_eq!(told.len(), 2, "one event in each request");
    let first = told.iter().find(|told| told.json()["id"] == "1").unwrap();
    assert_eq!(first.json(), event("1"));
    let headers = &first.headers;
    for (name, value) in [
        ("content-type", "application/cloudevents+json; charset=utf-8"),
        ("aeg-subscription-name", "HOOK"),
        ("aeg-delivery-count", "0"),
        ("aeg-metadata-version", "1"),
        ("x-own", "mine"),
        ("authorization", "Bearer token"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert_eq!(headers["aeg-output-event-id"].len(), 36);
    assert_eq!(state(&fake, "default/hook")["counts"]["delivered"], 2);
}

#[tokio::test]
async fn an_event_of_event_grids_schema_is_delivered_in_an_array_or_mapped() {
    let fake = fake();
    let hook = Webhook::start(|told| valid(told, |_| status(200)));
    let mapped = PushSettings {
        delivery_schema: Some(Schema::CloudEventSchemaV1_0),
        ..PushSettings::to(format!("{}&mapped", hook.url()))
    };
    assert_eq!(fake.subscribe("grid", "own", PushSettings::to(hook.url())).await, Standing::Active);
    assert_eq!(fake.subscribe("grid", "mapped", mapped).await, Standing::Active);
    publish_grid(&fake, "s");
    fake.advance(seconds(0)).await;
    let told = hook.notifications();
    let (mapped, own): (Vec<_>, Vec<_>) = told.iter().partition(|told| told.target.ends_with("mapped"));
    assert_eq!(own[0].headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(own[0].headers["aeg-data-version"], "1.0");
    assert_eq!(own[0].json()[0]["topic"], resource_id("grid"));
    assert_eq!(own[0].json()[0]["metadataVersion"], "1");
    let expected = json!({
        "specversion": "1.0", "id": "1", "source": resource_id("grid"), "type": "t", "subject": "s",
        "time": "2024-05-01T00:00:00Z", "dataschema": "#1.0", "data": {"k": 1},
    });
    assert_eq!(mapped[0].json(), expected);
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_again_by_the_schedule() {
    let fake = fake();
    let hook = active(&fake, |_| {}, |_| status(500)).await;
    publish(&fake, &[event("1")]);
    fake.advance(seconds(0)).await;
    let hour = 3600;
    let steps = [10, 30, 60, 300, 600, 1800, hour, 3 * hour, 6 * hour, 12 * hour];
    for (done, step) in steps.into_iter().enumerate() {
        assert_eq!(hook.notifications().len(), done + 1);
        fake.advance(Duration::from_millis(step * 1000 - 1)).await;
        assert_eq!(hook.notifications().len(), done + 1, "not before {step} s have passed");
        fake.advance(Duration::from_millis(1)).await;
    }
    let counts: Vec<_> =
        hook.notifications().iter().map(|told| told.headers["aeg-delivery-count"].clone()).collect();
    assert_eq!(counts, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"][..counts.len()]);
}

#[tokio::test]
async fn an_event_ends_after_a_day_or_after_its_attempts_and_is_a_dead_letter() {
    let fake = fake();
    let hook = active(&fake, |settings| settings.dead_letter = true, |_| status(500)).await;
    publish(&fake, &[event("day")]);
    fake.advance(seconds(25 * 3600)).await;
    assert_eq!(hook.notifications().len(), 11, "the last after 82,000 s; the next would be after a day");
    let file = state(&fake, "default/hook/dead-letters");
    assert_eq!(file, json!([]), "looked at only when the next attempt is due: {file}");
    fake.advance(seconds(24 * 3600)).await;
    let file = state(&fake, "default/hook/dead-letters");
    assert_eq!((&file[0]["id"], &file[0]["deadletterreason"]), (&json!("day"), &json!("TimeToLiveExceeded")));

    let hook = active(
        &fake,
        |settings| (settings.dead_letter, settings.max_delivery_attempts) = (true, 2),
        |_| status(404),
    )
    .await;
    publish(&fake, &[event("attempts")]);
    fake.advance(seconds(10)).await;
    assert_eq!(hook.notifications().len(), 2);
    assert_eq!(state(&fake, "default/hook/dead-letters"), json!([]), "written after five minutes");
    fake.advance(seconds(300)).await;
    let letter = &state(&fake, "default/hook/dead-letters")[0];
    assert_eq!(letter["deadletterreason"], "MaxDeliveryAttemptsExceeded");
    assert_eq!(letter["deliveryattempts"], 2);
    assert_eq!(letter["lastdeliveryoutcome"], "NotFound");
    assert_eq!(letter["lasthttpstatuscode"], 404);
    assert_eq!(letter["data"], event("attempts")["data"]);
    fake.advance(seconds(24 * 3600)).await;
    assert_eq!(hook.notifications().len(), 2);
}

#[tokio::test]
async fn statuses_that_say_never_drop_the_event_at_once() {
    for code in [400, 401, 403, 413] {
        let fake = fake();
        let hook = active(&fake, |_| {}, move |_| status(code)).await;
        publish(&fake, &[event("1")]);
        fake.advance(seconds(48 * 3600)).await;
        assert_eq!(hook.notifications().len(), 1, "{code}");
        assert_eq!(state(&fake, "default/hook")["counts"]["dropped"], 1, "{code}");
    }
}

#[tokio::test]
async fn busy_and_timed_out_webhooks_are_left_alone_for_longer() {
    for (code, wait) in [(503, 30), (408, 120), (429, 10), (302, 10), (205, 10)] {
        let fake = fake();
        let hook = active(&fake, |_| {}, move |n| status(if n == 0 { code } else { 200 })).await;
        publish(&fake, &[event("1")]);
        fake.advance(Duration::from_millis(wait * 1000 - 1)).await;
        assert_eq!(hook.notifications().len(), 1, "{code}");
        fake.advance(Duration::from_millis(1)).await;
        assert_eq!(hook.notifications().len(), 2, "{code}");
        assert_eq!(state(&fake, "default/hook")["counts"]["delivered"], 1, "{code}");
    }
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_in_thirty_seconds_has_not_got_the_event() {
    let fake = fake();
    let hook = active(&fake, |_| {}, |n| if n == 0 { Reply::Hang } else { status(200) }).await;
    hook.wait_for(1);
    publish(&fake, &[event("1")]);
    told(&hook, 1).await;
    fake.grid().clock.advance(Duration::from_millis(29_999));
    assert_eq!(state(&fake, "default/hook")["in_flight"], 1);
    fake.grid().clock.advance(Duration::from_millis(1));
    fake.wait_for(|state| {
        (state.custom["default"].subscriptions["hook"].attempts().len() == 1).then_some(())
    })
    .await;
    assert_eq!(state(&fake, "default/hook/attempts")[0]["outcome"], "TimedOut");
    fake.advance(seconds(10)).await;
    assert_eq!(state(&fake, "default/hook")["counts"]["delivered"], 1);
}

#[tokio::test]
async fn a_webhook_that_breaks_off_is_tried_again() {
    let fake = fake();
    let hook = active(&fake, |_| {}, |n| if n < 2 { Reply::Close } else { status(202) }).await;
    publish(&fake, &[event("1")]);
    fake.advance(seconds(60)).await;
    assert_eq!(state(&fake, "default/hook")["counts"]["delivered"], 1);
    assert!(hook.notifications().len() >= 3);
}

#[tokio::test]
async fn batches_are_bounded_by_count_and_by_size_and_end_together() {
    let fake = fake();
    let failed = AtomicBool::new(false);
    let hook = Webhook::start(move |told| {
        valid(told, |told| {
            let fails = told.json()[2].is_object() && !failed.swap(true, SeqCst);
            status(if fails { 500 } else { 200 })
        })
    });
    let bounds =
        PushSettings { max_events_per_batch: 3, preferred_batch_kb: 1, ..PushSettings::to(hook.url()) };
    assert_eq!(fake.subscribe("default", "hook", bounds).await, Standing::Active);
    publish(&fake, &["1", "2", "3", "4"].map(event));
    fake.advance(seconds(10)).await;
    let mut sizes: Vec<_> =
        hook.notifications().iter().map(|told| told.json().as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 3, 3], "all three are sent again");
    let content_type = &hook.notifications()[0].headers["content-type"];
    assert_eq!(content_type, "application/cloudevents-batch+json; charset=utf-8");

    let mut long = event("long");
    long["data"] = "x".repeat(2000).into();
    publish(&fake, &[event("5"), long, event("6")]);
    fake.advance(seconds(0)).await;
    let mut ids: Vec<Vec<_>> = hook.notifications()[3..]
        .iter()
        .map(|told| {
            let event = |event: &Value| event["id"].as_str().unwrap().to_owned();
            told.json().as_array().unwrap().iter().map(event).collect()
        })
        .collect();
    ids.sort();
    assert_eq!(ids, [["5"], ["6"], ["long"]], "a long event goes by itself");
}

#[tokio::test]
async fn a_subscription_gets_what_its_filter_wants() {
    let fake = fake();
    let filtered = |settings: &mut PushSettings| {
        let key = "data.n".to_owned();
        let more =
            Advanced { operator_type: Operator::NumberGreaterThan, key, value: json!(1), values: Vec::new() };
        settings.filter = Filter {
            included_event_types: vec!["T".to_owned()],
            advanced_filters: vec![more],
            ..Filter::default()
        };
    };
    let hook = active(&fake, filtered, |_| status(200)).await;
    let with = |id: &str, n: u64, kind: &str| {
        let mut event = event(id);
        event["data"]["n"] = n.into();
        event["type"] = kind.into();
        event
    };
    publish(&fake, &[with("1", 1, "t"), with("2", 2, "t"), with("3", 3, "u")]);
    fake.advance(seconds(0)).await;
    let ids: Vec<_> = hook.notifications().iter().map(|told| told.json()["id"].clone()).collect();
    assert_eq!(ids, ["2"]);
}

#[tokio::test]
async fn a_subscription_that_is_taken_away_says_so_and_delivers_no_more() {
    let fake = fake();
    let hook = active(&fake, |_| {}, |_| status(200)).await;
    hook.wait_for(1);
    assert!(fake.unsubscribe("default", "hook"));
    hook.wait_for(1);
    assert_eq!(hook.told()[1].event_type(), "SubscriptionDeletion");
    assert_eq!(hook.told()[1].json()["type"], "Microsoft.EventGrid.SubscriptionDeletedEvent");
    publish(&fake, &[event("1")]);
    fake.advance(seconds(60)).await;
    assert!(hook.notifications().is_empty());
}
