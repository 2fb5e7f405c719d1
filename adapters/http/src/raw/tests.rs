use super::*;
use outrigger_core::{Key, TargetId, Value};

fn cx(position: Position, key: Option<&[u8]>) -> CallCx {
    CallCx {
        attempt: 3,
        position,
        key: key.map(|key| Key::new("kafka", key)),
        ..CallCx::first(TargetId("function".into()))
    }
}

fn event(attributes: &[(&str, &str)]) -> Event {
    let mut event = Event::new("1", "/s", "t").unwrap();
    for (name, value) in attributes {
        event.set(name, Value::String(value)).unwrap();
    }
    event.set_data(Some(Bytes::from_static(b"\0data")));
    event
}

fn written(event: &Event, cx: &CallCx) -> (Vec<(String, String)>, Bytes) {
    let mut headers = HeaderMap::new();
    let body = write(event, cx, &mut headers);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut all: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    all.sort();
    (all, body)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_plain_record_is_its_value_with_the_connectors_headers() {
    let headers = r#"[["Trace","a"],["trace","b"],["null",null],["bin",{"base64":"/w=="}],["offset","x"],["a b","c"],["line","a\nb"]]"#;
    let event = event(&[
        ("kafkatopic", "orders"),
        ("kafkapartition", "7"),
        ("kafkaoffset", "42"),
        ("partitionkey", "k-€"),
        ("kafkaheaders", headers),
        ("datacontenttype", "application/json"),
    ]);
    let (all, body) = written(&event, &cx(Position::none(), None));
    assert_eq!(body, &b"\0data"[..]);
    let expected = [
        ("content-type", "application/json"),
        ("x-kafka-bin", "\u{fffd}"),
        ("x-kafka-key", "k-€"),
        ("x-kafka-offset", "42"),
        ("x-kafka-partition", "7"),
        ("x-kafka-trace", "a"),
        ("x-kafka-trace", "b"),
        ("x-topic", "orders"),
    ];
    assert_eq!(all, pairs(&expected));
}

#[test]
fn a_key_that_is_no_text_is_in_base64_and_says_so() {
    let plain = event(&[("kafkatopic", "t"), ("kafkakeybase64", "AP8=")]);
    let from_there = cx(Position::Offset("t/0".into(), 5), Some(b"\0\xff"));
    for (event, cx) in [(plain, cx(Position::none(), None)), (event(&[]), from_there)] {
        let (all, _) = written(&event, &cx);
        assert!(all.contains(&("x-kafka-key".to_owned(), "AP8=".to_owned())), "{all:?}");
        assert!(all.contains(&("x-kafka-key-enc".to_owned(), "b64".to_owned())), "{all:?}");
    }
}

#[test]
fn an_event_from_kafka_has_its_attributes_as_the_headers_that_it_has_there() {
    let event = event(&[("subject", "a b"), ("datacontenttype", "text/csv")]);
    let (all, body) = written(&event, &cx(Position::Offset("orders/7".into(), 42), Some(b"key")));
    assert_eq!(body, &b"\0data"[..]);
    let expected = [
        ("content-type", "text/csv"),
        ("x-kafka-ce_id", "1"),
        ("x-kafka-ce_source", "/s"),
        ("x-kafka-ce_specversion", "1.0"),
        ("x-kafka-ce_subject", "a b"),
        ("x-kafka-ce_type", "t"),
        ("x-kafka-key", "key"),
        ("x-kafka-offset", "42"),
        ("x-kafka-partition", "7"),
        ("x-topic", "orders"),
    ];
    assert_eq!(all, pairs(&expected));
}

#[test]
fn a_message_of_pubsub_is_taken_out_of_its_event() {
    let json = r#"{"subscription":"projects/p/subscriptions/s","message":{"data":"AP8=","attributes":{"color":"red"},"messageId":"m-1","publishTime":"2024-01-01T00:00:00Z","orderingKey":"k"}}"#;
    let event = Event::new("m-1", "//pubsub.googleapis.com/projects/p/topics/t", MESSAGE_PUBLISHED).unwrap();
    let event = event.with_data("application/json", Bytes::from_static(json.as_bytes())).unwrap();
    let (all, body) = written(&event, &cx(Position::none(), None));
    assert_eq!(body, &b"\0\xff"[..]);
    let expected = [
        ("content-type", "text/plain"),
        ("x-pubsub-attr-color", "red"),
        ("x-pubsub-delivery-attempt", "3"),
        ("x-pubsub-msg-id", "m-1"),
        ("x-pubsub-ordering-key", "k"),
        ("x-pubsub-publish-time", "2024-01-01T00:00:00Z"),
    ];
    assert_eq!(all, pairs(&expected));
}

#[test]
fn an_event_from_pubsub_has_its_attributes_as_those_that_it_has_there() {
    let event = event(&[("partitionkey", "k")]);
    let place = Position::Text("projects/p/subscriptions/s/m-1".to_owned());
    let (all, _) = written(&event, &cx(place, None));
    for (name, value) in
        [("x-pubsub-msg-id", "m-1"), ("x-pubsub-ordering-key", "k"), ("x-pubsub-attr-ce-id", "1")]
    {
        assert!(all.contains(&(name.to_owned(), value.to_owned())), "{name}: {all:?}");
    }
}

#[test]
fn any_other_event_is_its_data_alone() {
    let sequence = cx(Position::Sequence(5), Some(b"key"));
    assert_eq!(
        written(&event(&[]), &sequence),
        (pairs(&[("content-type", "text/plain")]), Bytes::from_static(b"\0data"))
    );
    // It says that there is a message, and there is none: it is passed as it is.
    let event = Event::new("1", "/s", MESSAGE_PUBLISHED).unwrap();
    let event = event.with_data("application/json", Bytes::from_static(b"{}")).unwrap();
    assert_eq!(written(&event, &sequence).1, &b"{}"[..]);
}
