//! Topics that are written: in both schemas, by each credential, in batches.

use crate::rig::Door;
use bytes::Bytes;
use futures_util::future::join_all;
use outrigger_core::{DeadLetter, DeadLetters as _, Event, Kind, Origin, Position, Reason, Retry, Sink as _};
use outrigger_eventgrid::{Credential, EventGridSink, Place, SecretFile, SinkConfig, encode::Schema};
use outrigger_eventgrid_fake::{
    Config, Fake, Fault, Op,
    config::{CustomTopic, TEST_KEY},
    event,
};
use std::{sync::Arc, time::SystemTime};

/// A fake with a custom topic of each schema.
fn fake() -> Fake {
    let mut config = Config::default();
    let topic = CustomTopic { input_schema: event::Schema::EventGridSchema, ..CustomTopic::default() };
    config.custom_topics.insert("grid".to_owned(), topic);
    Fake::standing(config)
}

fn namespace(fake: &Fake) -> (Door, EventGridSink) {
    let door = Door::new(fake.url(), Place::Namespace);
    let sink = EventGridSink::new(SinkConfig::new(door.endpoint.clone(), "replies", "t1"));
    (door, sink)
}

fn custom(fake: &Fake, topic: &str, schema: Schema) -> (Door, EventGridSink) {
    let door = Door::new(&format!("{}/{topic}/api/events", fake.url()), Place::Topic);
    let config = SinkConfig { schema, ..SinkConfig::new(door.endpoint.clone(), "replies", "") };
    (door, EventGridSink::new(config))
}

fn events(count: usize) -> Vec<Event> {
    let event = |n: usize| {
        Event::new(&format!("e{n}"), "/s", "t")
            .unwrap()
            .with_data("application/json", Bytes::from("[1]"))
            .unwrap()
    };
    (0..count).map(event).collect()
}

fn published(fake: &Fake) -> u64 {
    fake.grid().look(|state| state.topics["t1"]["s1"].counts.published)
}

#[tokio::test]
async fn events_that_come_while_one_is_under_way_go_together() {
    let fake = fake();
    let (_door, sink) = namespace(&fake);
    let events = events(100);
    for sent in join_all(events.iter().map(|event| sink.send(event))).await {
        sent.unwrap();
    }
    assert_eq!(published(&fake), 100);
    let counts = sink.counts();
    assert_eq!((counts.written, counts.failed), (100, 0));
    assert!(counts.requests <= 3, "{counts:?}");
    assert_eq!(sink.trouble(), None);
}

#[tokio::test]
async fn a_batch_has_no_more_events_and_bytes_than_it_may() {
    let fake = fake();
    let door = Door::new(fake.url(), Place::Namespace);
    let config = SinkConfig {
        batch_events_max: 10,
        batch_bytes_max: 500,
        buffer_bytes_max: 4096,
        ..SinkConfig::new(door.endpoint.clone(), "replies", "t1")
    };
    let sink = EventGridSink::new(config);
    let events = events(100);
    for sent in join_all(events.iter().map(|event| sink.send(event))).await {
        sent.unwrap();
    }
    let largest = fake.grid().look(|state| state.seen.iter().map(|seen| seen.body_len).max());
    assert!(largest.unwrap() <= 500, "{largest:?}");
    assert_eq!(published(&fake), 100);
}

#[tokio::test]
async fn one_event_that_is_refused_does_not_take_its_batch_with_it() {
    let fake = fake();
    let door = Door::new(fake.url(), Place::Namespace);
    let config =
        SinkConfig { batch_bytes_max: 8 << 20, ..SinkConfig::new(door.endpoint.clone(), "replies", "t1") };
    let sink = EventGridSink::new(config);
    let mut events = events(20);
    events[13].set_data(Some(Bytes::from(format!("\"{}\"", "x".repeat(1 << 20)))));
    let sent = join_all(events.iter().map(|event| sink.send(event))).await;
    for (n, sent) in sent.into_iter().enumerate() {
        match sent {
            Ok(()) => assert_ne!(n, 13),
            Err(error) => {
                assert_eq!(n, 13, "{error}");
                assert_eq!((error.kind(), error.retry()), (Kind::Invalid, Retry::Permanent));
                assert!(error.to_string().contains("413"), "{error}");
            }
        }
    }
    assert_eq!(published(&fake), 19);
    assert_eq!(sink.trouble(), None, "it is the event's fault");
}

#[tokio::test]
async fn a_custom_topic_takes_its_own_schema_and_no_other() {
    let fake = fake();
    let event = events(1).pop().unwrap();
    for (topic, schema) in [("default", Schema::CloudEvents), ("grid", Schema::EventGrid)] {
        let (_door, sink) = custom(&fake, topic, schema);
        sink.send(&event).await.unwrap();
        assert_eq!(fake.grid().look(|state| state.custom[topic].published), 1, "{topic}");
    }
    for (topic, schema) in [("default", Schema::EventGrid), ("grid", Schema::CloudEvents)] {
        let (_door, sink) = custom(&fake, topic, schema);
        let error = sink.send(&event).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent, "{topic}: {error}");
    }
}

#[tokio::test]
async fn each_credential_opens_each_place() {
    let fake = fake();
    let event = events(1).pop().unwrap();
    let now = SystemTime::now();
    for place in [Place::Namespace, Place::Topic] {
        let url = match place {
            Place::Namespace => fake.url().to_owned(),
            Place::Topic => format!("{}/api/events", fake.url()),
        };
        let door = Door::new(&url, place);
        let expires = time::OffsetDateTime::from(now) + std::time::Duration::from_mins(5);
        let signature = door.key().with_file_name("sas");
        std::fs::write(&signature, outrigger_eventgrid::sas::sign(&url, TEST_KEY, expires).unwrap()).unwrap();
        for credential in [
            Credential::Key(SecretFile::new(door.key())),
            Credential::Signed(SecretFile::new(door.key())),
            Credential::Sas(SecretFile::new(signature)),
        ] {
            let mut endpoint = door.endpoint.clone();
            let name = format!("{credential:?} at {place:?}");
            endpoint.credential = Arc::new(credential);
            let sink = EventGridSink::new(SinkConfig::new(endpoint, "replies", "t1"));
            sink.send(&event).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    assert_eq!(published(&fake), 3);
    let by: Vec<_> = fake.grid().look(|state| state.seen.iter().map(|seen| seen.by).collect());
    assert!(by.iter().all(Option::is_some), "{by:?}");
}

#[tokio::test]
async fn what_is_in_the_way_of_a_topic_is_said_and_over_with_the_next_write() {
    let fake = fake();
    let (door, sink) = namespace(&fake);
    let event = events(1).pop().unwrap();
    fake.plant(Fault { op: Some(Op::Publish), status: Some(503), ..Fault::default() });
    let error = sink.send(&event).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Temporary);
    assert!(sink.trouble().unwrap().contains("topic t1: the service cannot take it now"));
    std::fs::write(door.key(), "d3Jvbmc=").unwrap();
    let error = sink.send(&event).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Persistent);
    assert!(sink.trouble().unwrap().contains("check the key"), "{error}");
    std::fs::write(door.key(), TEST_KEY).unwrap();
    sink.send(&event).await.unwrap();
    assert_eq!(sink.trouble(), None);
    let missing = EventGridSink::new(SinkConfig::new(door.endpoint.clone(), "replies", "nowhere"));
    let error = missing.send(&event).await.unwrap_err();
    assert!(error.retry() == Retry::Persistent && error.to_string().contains("create it"), "{error}");
}

#[tokio::test]
async fn a_dead_letter_is_an_event_with_its_reason() {
    let fake = fake();
    let (_door, sink) = namespace(&fake);
    let letter = DeadLetter {
        item: Ok(events(1).pop().unwrap()),
        key: None,
        origin: Origin { source: "http".into(), position: Position::none(), headers: Vec::new() },
        target: None,
        reason: Reason { code: outrigger_core::Code::Refused, status: Some(400), detail: "no".to_owned() },
        attempts: 1,
        first_ms: 1,
        last_ms: 2,
    };
    sink.put(&letter).await.unwrap();
    let now = fake.grid().clock.now();
    let received = fake.grid().change(|state| {
        state.topics.get_mut("t1").unwrap().get_mut("s1").unwrap().receive(1, now).pop().unwrap()
    });
    let text = format!("{:?}", received.event);
    assert!(text.contains("outriggercode") && text.contains("refused"), "{text}");
}
