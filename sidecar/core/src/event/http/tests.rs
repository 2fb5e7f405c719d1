use proptest::{collection::vec, prelude::*};

use super::*;
use crate::event::{Value, tests::events};

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

const MINIMAL: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];

fn minimal_and(more: &[(&str, &str)]) -> HeaderMap {
    headers(&[&MINIMAL, more].concat())
}

#[test]
fn the_content_type_names_the_mode() {
    for (content_type, expected) in [
        ("application/json", Mode::Binary),
        ("text/plain; a=application/cloudevents+json", Mode::Binary),
        ("application/cloudevent", Mode::Binary),
        ("application/cloudevents+json", Mode::Structured(Format::Json)),
        ("Application/CloudEvents+JSON; charset=UTF-8", Mode::Structured(Format::Json)),
        ("application/cloudevents+json ; x=y", Mode::Structured(Format::Json)),
        ("application/cloudevents+protobuf", Mode::Structured(Format::Protobuf)),
        ("application/cloudevents-batch+PROTOBUF; x=y", Mode::Batch(Format::Protobuf)),
        ("application/cloudevents-batch+json", Mode::Batch(Format::Json)),
        ("APPLICATION/CLOUDEVENTS-BATCH+JSON;charset=\"utf-8\"", Mode::Batch(Format::Json)),
    ] {
        assert_eq!(mode(&headers(&[("content-type", content_type)])), Ok(expected), "{content_type}");
    }
    assert_eq!(mode(&HeaderMap::new()), Ok(Mode::Binary));
}

#[test]
fn a_format_that_is_not_spoken_here_is_unsupported() {
    for content_type in [
        "application/cloudevents",
        "application/cloudevents; charset=utf-8",
        "application/cloudevents+avro",
        "application/cloudevents-batch+protobuffer",
        "application/cloudevents-batch",
        "application/cloudevents+jsonx",
        "application/cloudevents+json; charset=utf-16",
        "application/cloudevents+xml; é",
    ] {
        let refused = mode(&headers(&[("content-type", content_type)])).unwrap_err();
        assert!(refused.unsupported(), "{content_type}: {refused}");
    }
}

#[test]
fn two_content_types_are_refused_but_not_as_unsupported() {
    let twice =
        minimal_and(&[("content-type", "text/plain"), ("content-type", "application/cloudevents+json")]);
    assert!(!mode(&twice).unwrap_err().unsupported());
    assert!(decode(&twice, Bytes::new()).is_err());
}

#[test]
fn a_binary_message_becomes_the_event_that_it_carries() {
    let message = headers(&[
        ("CE-Type", "io.cloudevents.test"),
        ("ce-specversion", "1.0"),
        ("ce-id", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-source", "https://cloudevents.io"),
        ("ce-time", "2018-04-05T17:31:00Z"),
        ("ce-extinteger", "10"),
        ("ce-quoted", r#""two \"words\"""#),
        ("ce-empty", ""),
        ("content-type", "Application/JSON"),
        ("traceparent", "00-1-2-3"),
        ("cel-x", "ignored"),
    ]);
    let body = Bytes::from_static(b" {\"a\" : 1}\n");
    let event = decode(&message, body.clone()).unwrap();
    assert_eq!(event.id(), "Euro € 😀");
    assert_eq!(event.get("time"), Some(Value::Timestamp("2018-04-05T17:31:00Z")));
    assert_eq!(event.get("extinteger"), Some(Value::String("10")));
    assert_eq!(event.get("quoted"), Some(Value::String("two \"words\"")));
    assert_eq!(event.get("empty"), Some(Value::String("")));
    assert_eq!(event.datacontenttype(), Some("Application/JSON"));
    assert_eq!(event.attributes().count(), 8);
    assert_eq!(event.data().unwrap().as_ptr(), body.as_ptr(), "the payload is not copied");
}

#[test]
fn an_empty_body_is_data_only_with_a_content_type() {
    assert_eq!(decode(&minimal_and(&[]), Bytes::new()).unwrap().data(), None);
    let typed = decode(&minimal_and(&[("content-type", "text/plain")]), Bytes::new()).unwrap();
    assert_eq!(typed.data(), Some(&Bytes::new()));
    let untyped = decode(&minimal_and(&[]), Bytes::from_static(b"x")).unwrap();
    assert_eq!((untyped.datacontenttype(), untyped.data().unwrap().as_ref()), (None, b"x".as_slice()));
}

#[test]
fn a_binary_message_that_breaks_a_rule_is_refused_with_its_place() {
    for (header, place) in [
        (("ce-datacontenttype", "text/plain"), "ce-datacontenttype"),
        (("ce-id", "2"), "id"),
        (("ce-specversion", "1.0"), "specversion"),
        (("ce-data", "x"), "data"),
        (("ce-data_base64", "eA=="), "attribute"),
        (("ce-my-extension", "x"), "attribute"),
        (("ce-", "x"), "attribute"),
        (("ce-subject", ""), "subject"),
        (("ce-subject", "%"), "subject"),
        (("ce-subject", "a%0Ab"), "subject"),
        (("ce-subject", "%C0%A0"), "subject"),
        (("ce-subject", "\"open"), "subject"),
        (("ce-time", "lunchtime"), "time"),
        (("ce-dataschema", "/relative"), "dataschema"),
        (("content-type", "xyz"), "datacontenttype"),
        (("content-type", ""), "datacontenttype"),
        (("content-type", "text/é"), "content-type"),
    ] {
        let refused = decode(&minimal_and(&[header]), Bytes::new()).unwrap_err();
        assert_eq!(refused.at(), place, "{header:?}: {refused}");
    }
    let twice = minimal_and(&[("ce-x", "1"), ("CE-X", "1")]);
    assert_eq!(decode(&twice, Bytes::new()).unwrap_err().to_string(), "x: is there twice");
}

#[test]
fn what_every_event_has_must_be_there() {
    for (missing, _) in MINIMAL {
        let mut message = minimal_and(&[]);
        message.remove(missing);
        let refused = decode(&message, Bytes::new()).unwrap_err();
        assert_eq!(refused.at(), &missing["ce-".len()..]);
        message.insert(HeaderName::from_bytes(missing.as_bytes()).unwrap(), HeaderValue::from_static(""));
        assert!(decode(&message, Bytes::new()).is_err(), "{missing} is empty");
    }
    let mut old = minimal_and(&[]);
    old.insert("ce-specversion", HeaderValue::from_static("0.3"));
    assert_eq!(decode(&old, Bytes::new()).unwrap_err().to_string(), r#"specversion: "0.3" is not 1.0"#);
}

#[test]
fn an_event_is_written_with_percent_encoding_and_replaces_what_was_there() {
    let mut event = Event::new("Euro € 😀", "/s", "a\"b").unwrap();
    event.set("datacontenttype", Value::String("text/plain; charset=utf-8")).unwrap();
    event.set("count", Value::Integer(-1)).unwrap();
    event.set_data(Some(Bytes::from_static(b"hello")));
    let mut message = headers(&[("ce-id", "old"), ("content-type", "old/type"), ("x-other", "kept")]);
    assert_eq!(encode(&event, &mut message), "hello");
    let expected = headers(&[
        ("ce-specversion", "1.0"),
        ("ce-id", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-source", "/s"),
        ("ce-type", "a%22b"),
        ("content-type", "text/plain; charset=utf-8"),
        ("ce-count", "-1"),
        ("x-other", "kept"),
    ]);
    assert_eq!(message, expected);
}

proptest! {
    #[test]
    fn every_event_goes_there_and_back(event in events()) {
        let mut message = HeaderMap::new();
        let body = encode(&event, &mut message);
        let mut expected = event.clone();
        // Without a body only the Content-Type can say that there are data, and it says so.
        if body.is_empty() {
            expected.set_data(event.datacontenttype().map(|_| Bytes::new()));
        }
        prop_assert_eq!(decode(&message, body).unwrap(), expected);
    }

    #[test]
    fn no_headers_make_it_panic(
        pairs in vec(("(ce-)?[a-z0-9_-]{1,9}|ce-id|ce-source|ce-type|content-type", vec(0x20..=0xffu8, 0..20)), 0..12),
        body: Vec<u8>,
    ) {
        let mut message = minimal_and(&[]);
        for (name, value) in pairs {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&value)) {
                message.insert(name, value);
            }
        }
        let _ = mode(&message);
        if let Ok(event) = decode(&message, Bytes::from(body)) {
            let mut again = HeaderMap::new();
            let body = encode(&event, &mut again);
            prop_assert_eq!(decode(&again, body).unwrap(), event);
        }
    }
}
