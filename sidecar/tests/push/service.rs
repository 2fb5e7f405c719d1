//! Event Grid itself, as strict as it is: the fake makes both handshakes with the shipped binary, delivers to it, and
//! tries again by its own schedule.

use crate::{
    common::{Site, authority::Authority},
    rig::{At, one, open_to_all, push},
};
use outrigger_eventgrid_fake::{
    Config, Fake, Pace, PushSettings, Setup, Standing,
    config::{CustomTopic, TEST_KEY},
    event::Schema,
    push::PushCounts,
};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::{Producer, eventgrid as testkit};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// A fake whose clock stands: `default` takes `CloudEvents`, `grid` Event Grid's own schema.
fn service() -> Setup {
    let grid = CustomTopic { input_schema: Schema::EventGridSchema, ..CustomTopic::default() };
    let custom_topics = [("default".to_owned(), CustomTopic::default()), ("grid".to_owned(), grid)].into();
    let config = Config { custom_topics, ..Config::default() };
    Setup { config, pace: Pace::Standing, ..Setup::default() }
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake::start_with(&service()).unwrap())
}

/// The endpoint of the site as Event Grid would be told it.
fn endpoint(site: &Site, query: &str) -> PushSettings {
    PushSettings::to(format!("http://{}/eventgrid{query}", site.ingress))
}

/// Publishes so many events, each with an id of its own.
async fn publish(fake: &Fake, topic: &str, prefix: &str, count: usize) {
    let event = |n: usize| {
        let id = format!("{prefix}-{n}");
        if topic == "grid" {
            json!({"id": id, "subject": "s", "eventType": "t", "eventTime": "2024-05-01T00:00:00Z", "data": {"n": n}})
        } else {
            json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t", "data": {"n": n}})
        }
    };
    let events: Vec<Value> = (0..count).map(event).collect();
    let kind = if topic == "grid" { "application/json" } else { "application/cloudevents-batch+json" };
    let headers = [(http::header::CONTENT_TYPE, kind.parse().unwrap())].into_iter().collect();
    let url = format!("{}/{topic}/api/events?api-version=2018-01-01", fake.url());
    let producer = Producer::new(&url).with_header("aeg-sas-key", TEST_KEY);
    let answer = producer.post(headers, Value::from(events).to_string()).await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
}

/// Lets the service's time pass, with every delivery that is due in it.
async fn pass(fake: &Fake, seconds: u64) {
    fake.advance(Duration::from_secs(seconds)).await;
}

fn counts(fake: &Fake, topic: &str) -> PushCounts {
    fake.grid().look(|state| state.custom[topic].subscriptions["hook"].counts.clone())
}

#[tokio::test]
async fn both_schemas_are_confirmed_and_every_event_arrives_once_alone_or_in_batches() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let _process = site.start().await;
    let fake = fake();
    let mut owed = 0;
    for topic in ["default", "grid"] {
        for max_events_per_batch in [1, 100] {
            let settings = PushSettings { max_events_per_batch, ..endpoint(&site, "") };
            assert_eq!(fake.subscribe(topic, "hook", settings).await, Standing::Active, "{topic}");
            publish(&fake, topic, &format!("{topic}-{max_events_per_batch}"), 250).await;
            pass(&fake, 0).await;
            // The service waits for ten seconds at most, and each event is synced to the disk.
            fake.wait_for(|state| {
                (state.custom[topic].subscriptions["hook"].counts.delivered == 250).then_some(())
            })
            .await;
            let counts = counts(&fake, topic);
            assert_eq!((counts.published, counts.delivered, counts.failed), (250, 250, 0), "{topic}");
            owed += 250;
            function.wait_for(|stats| stats.distinct == owed).await;
        }
    }
    assert_eq!(function.stats().repeats, 0);
}

#[tokio::test]
async fn a_subscription_whose_url_lacks_the_secret_is_not_made() {
    let function = Function::start(Program::default());
    let site =
        open_to_all(&function).set("ingress.eventgrid_webhook", "{path: /eventgrid, secret_file: secret}");
    std::fs::write(site.path("secret"), "s3cret").unwrap();
    let _process = site.start().await;
    let fake = fake();
    for topic in ["default", "grid"] {
        let wrong = fake.subscribe(topic, "hook", endpoint(&site, "?access_token=guess")).await;
        // An OPTIONS request grants an origin and shows nothing, so CloudEvents come as far as their deliveries.
        if topic == "grid" {
            assert!(matches!(&wrong, Standing::Failed(why) if why.contains("401")), "{wrong:?}");
        }
        let right = fake.subscribe(topic, "hook", endpoint(&site, "?access_token=s3cret")).await;
        assert_eq!(right, Standing::Active, "{topic}");
        publish(&fake, topic, topic, 1).await;
        pass(&fake, 0).await;
        assert_eq!(counts(&fake, topic).delivered, 1, "{topic}");
    }
    function.wait_for(|stats| stats.distinct == 2).await;
}

#[tokio::test]
async fn a_validation_url_of_the_service_is_followed() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function).set(
        "ingress.eventgrid_webhook",
        "{path: /eventgrid, auth: none, validation: follow, validation_hosts: [localhost], validation_ca_file: ca.pem}",
    );
    Authority::of(&site).issue(&site, "server", |_| {});
    let _process = site.start().await;
    let tls = Some((site.path("server.pem"), site.path("server.key")));
    let fake = Fake::start_with(&Setup { name: Some("localhost".to_owned()), tls, ..service() }).unwrap();
    let standing = fake.subscribe("grid", "hook", endpoint(&site, "")).await;
    // The answer has no code: the subscription waits, and is active as soon as its URL was fetched.
    assert!(matches!(standing, Standing::AwaitingManualAction(_) | Standing::Active), "{standing:?}");
    fake.wait_for(|state| {
        (state.custom["grid"].subscriptions["hook"].standing == Standing::Active).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_published_while_the_sidecar_is_away_arrives_when_it_is_back() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let mut process = site.start().await;
    let fake = fake();
    let settings = PushSettings { max_events_per_batch: 10, dead_letter: true, ..endpoint(&site, "") };
    assert_eq!(fake.subscribe("default", "hook", settings).await, Standing::Active);
    process.kill().await;
    publish(&fake, "default", "away", 25).await;
    pass(&fake, 0).await;
    assert_eq!(counts(&fake, "default").failed, 25);
    let _process = site.start().await;
    publish(&fake, "default", "fresh", 1).await;
    pass(&fake, 10).await;
    assert_eq!((counts(&fake, "default").delivered, counts(&fake, "default").dead_lettered), (26, 0));
    function.wait_for(|stats| stats.distinct == 26).await;
}

#[tokio::test]
async fn a_function_that_fails_costs_the_service_no_event() {
    let function = Function::start(Program::default());
    function.set_program(Program::default().rule(Rule::new(Match::any(), Action::status(503)).until(2)));
    let site = open_to_all(&function).set("delivery.backoff.initial", "1ms");
    let _process = site.start().await;
    let fake = fake();
    let settings = PushSettings { dead_letter: true, ..endpoint(&site, "") };
    assert_eq!(fake.subscribe("default", "hook", settings).await, Standing::Active);
    publish(&fake, "default", "failing", 5).await;
    pass(&fake, 0).await;
    let counts = counts(&fake, "default");
    assert_eq!((counts.delivered, counts.failed), (5, 0), "kept before they are tried");
    function.wait_for(|stats| stats.statuses.get(&200) == Some(&5)).await;
}

/// Without storage that outlives the pod, a topic is where that rests which can never be delivered.
#[tokio::test]
async fn without_a_journal_a_topic_keeps_what_is_malformed_or_refused() {
    let refuses = Rule::new(Match::id("bad"), Action::status(400));
    let function = Function::start(Program::default().rule(refuses));
    let grid = testkit::EventGrid::start();
    let graves = grid.subscription("graves", "watch");
    let site = open_to_all(&function)
        .set("journal.storage", "ephemeral")
        .set("eventgrid.endpoint", grid.url())
        .set("eventgrid.key_file", "key")
        .set("dead_letters.eventgrid_topic", "graves");
    std::fs::write(site.path("key"), testkit::EventGrid::KEY).unwrap();
    let _process = site.start().await;
    let batch = format!("[{},{},{{}}]", one(At::EventGrid, "good"), one(At::EventGrid, "bad"));
    assert_eq!(push(&site, At::EventGrid, batch).await.status(), 200);
    assert_eq!(function.stats().statuses, [(200, 1), (400, 1)].into());
    graves.until(|counts| counts.published == 2).await;
}
