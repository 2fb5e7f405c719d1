//! The public vectors of the JSON format: each gets the verdict that its name says, and the SDK's reading agrees.
//!
//! They are cloudevents/conformance's, branch `format-tests`, in `cloudevents/json` of the shared data.

#![allow(clippy::disallowed_methods, reason = "tests read files, the core does not")]

use std::fs;

use bytes::Bytes;
use outrigger_core::event::{Event, json};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Vectors {
    tests: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    event: Option<Box<RawValue>>,
    batch: Option<Box<RawValue>>,
}

/// The vectors of a file, by id; nothing, and a line that says so, where the shared data is absent.
fn vectors(test: &str, file: &str) -> Option<Vec<(String, Bytes)>> {
    let path = outrigger_testkit::shared(test, &format!("data/cloudevents/json/{file}"))?;
    let vectors: Vectors = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(!vectors.tests.is_empty());
    let raw = |v: Vector| (v.id, Bytes::from(v.event.or(v.batch).unwrap().get().to_owned()));
    Some(vectors.tests.into_iter().map(raw).collect())
}

#[test]
fn every_valid_event_is_read_as_the_sdk_reads_it_and_survives_a_round_trip() {
    let name = "every_valid_event_is_read_as_the_sdk_reads_it_and_survives_a_round_trip";
    let Some(vectors) = vectors(name, "valid-events.json") else { return };
    assert_eq!(vectors.len(), 10);
    for (id, input) in vectors {
        let event = json::decode(input.clone()).unwrap_or_else(|e| panic!("{id}: {e}"));
        let theirs: cloudevents::Event = serde_json::from_slice(&input).unwrap();
        assert_eq!(cloudevents::Event::try_from(&event).unwrap(), theirs, "{id}");
        assert_eq!(json::decode(json::encode(&event)).unwrap(), event, "{id}");
    }
}

#[test]
fn every_invalid_event_is_refused() {
    let Some(vectors) = vectors("every_invalid_event_is_refused", "invalid-events.json") else { return };
    assert_eq!(vectors.len(), 25);
    for (id, input) in vectors {
        assert!(json::decode(input).is_err(), "{id}");
    }
}

#[test]
fn every_valid_batch_is_read_whole() {
    let Some(vectors) = vectors("every_valid_batch_is_read_whole", "valid-batches.json") else { return };
    assert_eq!(vectors.len(), 5);
    for (id, input) in vectors {
        let theirs: Vec<cloudevents::Event> = serde_json::from_slice(&input).unwrap();
        let members = json::decode_batch(input).unwrap_or_else(|e| panic!("{id}: {e}"));
        let events: Vec<Event> =
            members.into_iter().map(|m| m.unwrap_or_else(|(_, e)| panic!("{id}: {e}"))).collect();
        let ours: Vec<_> = events.iter().map(|e| cloudevents::Event::try_from(e).unwrap()).collect();
        assert_eq!(ours, theirs, "{id}");
        let again = json::decode_batch(json::encode_batch(&events)).unwrap();
        assert_eq!(again.into_iter().map(Result::unwrap).collect::<Vec<_>>(), events, "{id}");
    }
}

#[test]
fn every_invalid_batch_is_refused_or_has_a_refused_member() {
    let name = "every_invalid_batch_is_refused_or_has_a_refused_member";
    let Some(vectors) = vectors(name, "invalid-batches.json") else { return };
    assert_eq!(vectors.len(), 3);
    for (id, input) in vectors {
        let refused = json::decode_batch(input).map_or(true, |members| members.iter().any(Result::is_err));
        assert!(refused, "{id}");
    }
}
