//! What is written, held against Azure's own type of an event and against our own readers.

use super::*;
use crate::schema;
use outrigger_core::{Code, Key, Malformed, Origin, Position, Reason, Value};
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

fn event() -> Event {
    let mut event = Event::new("i1", "/shop", "com.example.order").unwrap();
    event.set("subject", Value::String("orders/1")).unwrap();
    event.set("time", Value::Timestamp("2024-05-01T00:00:00Z")).unwrap();
    event.set("dataschema", Value::String("#1.0")).unwrap();
    event.with_data("application/json", Bytes::from_static(br#"{"k": 1.0}"#)).unwrap()
}

fn value(bytes: &Bytes) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn an_event_of_the_event_grid_schema_is_what_azures_own_type_writes() {
    let written = member(&event(), Schema::EventGrid, NOW).unwrap();
    let mut theirs = azure_messaging_eventgrid::Event::new(
        Some("i1".to_owned()),
        "com.example.order",
        "orders/1",
        serde_json::json!({"k": 1.0}),
        Some("1.0".to_owned()),
    );
    theirs.event_time = datetime!(2024-05-01 0:00 UTC);
    let mut theirs = serde_json::to_value(theirs).unwrap();
    // What the service itself adds.
    for name in ["topic", "metadataVersion"] {
        assert!(theirs.as_object_mut().unwrap().remove(name).unwrap().is_null());
    }
    assert_eq!(value(&written), theirs);
    assert!(String::from_utf8(written.to_vec()).unwrap().contains(r#"{"k": 1.0}"#), "the data is untouched");
}

#[test]
fn what_is_written_in_the_event_grid_schema_is_read_as_it_was_but_for_what_has_no_place_there() {
    let mut written = value(&member(&event(), Schema::EventGrid, NOW).unwrap());
    written["topic"] = "/topic".into(); // Azure writes it when it takes the event
    let read = schema::decode(&serde_json::to_vec(&written).unwrap().into()).unwrap();
    let mut expected = event();
    expected.set("source", Value::UriRef("/topic")).unwrap();
    expected.set_data(read.data().cloned()); // this test's own writer has other blanks; the test above looks at them
    assert_eq!(read, expected);
}

#[test]
fn what_the_event_grid_schema_needs_is_filled_in_and_what_it_cannot_hold_is_refused() {
    let bare = Event::new("1", "/s", "t").unwrap();
    let expected = serde_json::json!({
        "id": "1", "subject": "/s", "eventType": "t", "eventTime": "2026-01-31T12:00:00Z", "dataVersion": ""
    });
    assert_eq!(value(&member(&bare, Schema::EventGrid, NOW).unwrap()), expected);
    for (ty, data, expected) in [
        (Some("text/plain"), &b"a\"b"[..], Some(serde_json::json!("a\"b"))),
        (Some("application/vnd.x+json; charset=utf-8"), b"[1]", Some(serde_json::json!([1]))),
        (None, b"7", Some(serde_json::json!(7))),
        (None, b"seven", None),
        (Some("application/json"), b"{", None),
        (Some("application/octet-stream"), b"abc", None),
        (Some("text/plain"), b"\xff", None),
    ] {
        let mut event = bare.clone();
        if let Some(ty) = ty {
            event.set("datacontenttype", Value::String(ty)).unwrap();
        }
        event.set_data(Some(Bytes::copy_from_slice(data)));
        let written = member(&event, Schema::EventGrid, NOW).map(|written| value(&written)["data"].clone());
        assert_eq!(written.clone().ok(), expected, "{ty:?} {data:?}");
        if let Err(error) = written {
            assert_eq!(error.kind(), Kind::Invalid);
        }
    }
}

#[test]
fn a_batch_is_an_array_of_its_members() {
    let [a, b] =
        ["1", "2"].map(|id| member(&Event::new(id, "/s", "t").unwrap(), Schema::CloudEvents, NOW).unwrap());
    assert_eq!(batch([]).as_ref(), b"[]");
    let both = json::decode_batch(batch([&a, &b])).unwrap();
    let ids: Vec<_> = both.iter().map(|event| event.as_ref().unwrap().id().to_owned()).collect();
    assert_eq!(ids, ["1", "2"]);
}

fn letter(item: Result<Event, Malformed>) -> DeadLetter {
    DeadLetter {
        item,
        key: Some(Key::new("eventgrid", b"k")),
        origin: Origin {
            source: "eventgrid".into(),
            position: Position::Text("t/s".into()),
            headers: Vec::new(),
        },
        target: None,
        reason: Reason { code: Code::Exhausted, status: Some(500), detail: "no\nluck\u{fffe}".to_owned() },
        attempts: 5,
        first_ms: 1,
        last_ms: 2,
    }
}

#[test]
fn a_dead_letter_is_the_event_with_its_reason() {
    let written = dead_letter(&letter(Ok(event()))).unwrap();
    let added = [
        ("partitionkey", "k"),
        ("outriggercode", "exhausted"),
        ("outriggerreason", "no luck "),
        ("outriggerstatus", "500"),
        ("outriggerattempts", "5"),
        ("outriggersource", "eventgrid"),
        ("outriggerposition", "t/s"),
        ("outriggerfirstms", "1"),
        ("outriggerlastms", "2"),
    ];
    let mut expected = event();
    for (name, text) in added {
        assert!(name.len() <= 20, "{name} is longer than every CloudEvents reader takes");
        expected.set(name, Value::String(text)).unwrap();
    }
    assert_eq!(written, expected);
    let again = dead_letter(&letter(Ok(written.clone()))).unwrap();
    assert_eq!(again, written, "a dead letter that dies again says so once");
}

#[test]
fn what_could_not_be_read_is_the_data_byte_for_byte_and_has_the_same_id_the_next_time() {
    let malformed = Malformed {
        raw: Bytes::from_static(b"\x00{broken"),
        headers: vec![("h".to_owned(), Bytes::from_static(b"v\xff"))],
        key: Some(Bytes::from_static(b"\x01")),
        why: "no event".to_owned(),
    };
    let one = dead_letter(&letter(Err(malformed.clone()))).unwrap();
    let two = dead_letter(&letter(Err(malformed.clone()))).unwrap();
    assert_eq!(one, two);
    assert_eq!((one.ty(), one.source()), (MALFORMED_TYPE, "/outrigger/eventgrid"));
    assert_eq!(one.data(), Some(&malformed.raw));
    assert_eq!(one.text("outriggerkeybase64").unwrap(), "AQ==");
    assert_eq!(one.text("outriggerheaders").unwrap(), "{\"h\":\"v\u{fffd}\"}");
    assert_ne!(one.id(), dead_letter(&DeadLetter { first_ms: 9, ..letter(Err(malformed)) }).unwrap().id());
}
