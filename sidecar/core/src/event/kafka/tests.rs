use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::event::{
    Value,
    tests::{events, typed},
};

type Header<'a> = (&'a str, Option<&'a [u8]>);

const MINIMAL: [(&str, &str); 4] =
    [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "/s"), ("ce_type", "t")];

fn headers<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<Header<'a>> {
    pairs.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect()
}

fn minimal_and<'a>(more: &[(&'a str, &'a str)]) -> Vec<Header<'a>> {
    headers(&[&MINIMAL, more].concat())
}

fn written<'e>(headers: &'e Headers<'_>) -> impl Iterator<Item = Header<'e>> {
    headers.iter().map(|(name, value)| (name.as_ref(), Some(value.as_bytes())))
}

#[test]
fn the_content_type_or_the_version_names_the_mode() {
    for (pairs, expected) in [
        (&[][..], Mode::Plain),
        (&[("content-type", "application/json")], Mode::Plain),
        (&[("content-type", "text/plain"), ("content-type", "text/plain")], Mode::Plain),
        (&[("ce_id", "1"), ("ce_source", "/s"), ("ce_type", "t")], Mode::Plain),
        (&[("CE_specversion", "1.0")], Mode::Plain),
        (&[("ce_specversion", "1.0")], Mode::Binary),
        (&[("ce_specversion", "0.3"), ("content-type", "text/plain")], Mode::Binary),
        (&[("content-type", "application/cloudevents+json")], Mode::Structured(Format::Json)),
        (&[("content-type", "application/cloudevents+Protobuf")], Mode::Structured(Format::Protobuf)),
        (&[("Content-Type", "Application/CloudEvents+JSON; charset=UTF-8")], Mode::Structured(Format::Json)),
        (
            &[("ce_specversion", "1.0"), ("content-type", "application/cloudevents+json")],
            Mode::Structured(Format::Json),
        ),
    ] {
        assert_eq!(mode(headers(pairs)), Ok(expected), "{pairs:?}");
    }
    assert_eq!(mode([("ce_specversion", None), ("content-type", None)]), Ok(Mode::Plain));
    assert_eq!(mode([("content-type", Some(&b"text/plain; \xff"[..]))]), Ok(Mode::Plain));
}

#[test]
fn a_batch_and_a_format_that_is_not_spoken_here_are_refused() {
    for (content_type, unsupported) in [
        ("application/cloudevents-batch+json", false),
        ("application/cloudevents", true),
        ("application/cloudevents-batch+protobuf", false),
        ("application/cloudevents+avro", true),
        ("application/cloudevents-batch+avro", true),
        ("application/cloudevents+json; charset=utf-16", true),
    ] {
        let refused = read(headers(&[("content-type", content_type)]), Some(b"[]")).unwrap_err();
        assert_eq!(refused.unsupported(), unsupported, "{content_type}: {refused}");
    }
    let plain_then_event = [("content-type", "text/plain"), ("content-type", "application/cloudevents+json")];
    assert_eq!(mode(headers(&plain_then_event)).unwrap_err().to_string(), "content-type: is there twice");
}

#[test]
fn a_binary_event_is_its_headers_and_its_value() {
    let mut pairs = minimal_and(&[
        ("content-type", "text/plain"),
        ("ce_time", "2018-04-05T17:31:00Z"),
        ("ce_subject", "100% Euro € \"as it is\" %41"),
        ("ce_partitionkey", "k"),
        ("traceparent", "00-1-2-3"),
    ]);
    pairs.extend([("ce_absent", None), ("", Some(&b"\xff"[..])), ("\u{fffd}", None)]);
    let event = read(pairs, Some(b"\0\xff")).unwrap().unwrap();
    assert_eq!((event.id(), event.source(), event.ty()), ("1", "/s", "t"));
    assert_eq!(event.get("time"), Some(Value::Timestamp("2018-04-05T17:31:00Z")));
    assert_eq!(event.subject(), Some("100% Euro € \"as it is\" %41"));
    assert_eq!(event.datacontenttype(), Some("text/plain"));
    assert_eq!(event.text("partitionkey").as_deref(), Some("k"));
    assert_eq!(event.attributes().count(), 7);
    assert_eq!(event.data().map(|data| &data[..]), Some(&b"\0\xff"[..]));
}

#[test]
fn a_null_value_is_no_data_and_an_empty_one_is_empty_data() {
    let event = |value| read(minimal_and(&[("content-type", "text/plain")]), value).unwrap().unwrap();
    assert_eq!(event(None).data(), None);
    assert_eq!(event(Some(b"")).data(), Some(&Bytes::new()));
}

#[test]
fn a_second_naming_of_the_content_type_must_agree() {
    let typed = |pairs: &[_]| read(minimal_and(pairs), None).map(|event| event.unwrap());
    for pairs in [
        &[("ce_datacontenttype", "text/plain")][..],
        &[("ce_datacontenttype", "text/plain"), ("content-type", "text/plain")],
    ] {
        assert_eq!(typed(pairs).unwrap().datacontenttype(), Some("text/plain"), "{pairs:?}");
    }
    let differing = [("content-type", "text/plain"), ("ce_datacontenttype", "text/html")];
    let expected = "datacontenttype: \"text/html\" is not what the header content-type says";
    assert_eq!(typed(&differing).unwrap_err().to_string(), expected);
}

#[test]
fn a_record_that_says_it_is_an_event_and_is_none_is_refused() {
    for (more, expected) in [
        (("ce_id", "2"), "id: is there twice"),
        (("ce_specversion", "1.0"), "specversion: is there twice"),
        (("ce_subject", ""), "subject: is empty; leave it out or give it a value"),
        (
            ("ce_time", "lunchtime"),
            "time: \"lunchtime\" is not an RFC 3339 timestamp with seconds and offset",
        ),
        (("ce_My", "x"), "attribute: \"My\" is not a name of lower-case letters a-z and digits"),
        (("ce_", "x"), "attribute: \"\" is not a name of lower-case letters a-z and digits"),
        (("ce_data", "x"), "data: is no attribute that can be added"),
    ] {
        let refused = read(minimal_and(&[more]), None).unwrap_err();
        assert_eq!(refused.to_string(), expected, "{more:?}");
    }
    for (name, _) in &MINIMAL[1..] {
        let without = headers(&MINIMAL).into_iter().filter(|(other, _)| other != name);
        let refused = read(without, None).unwrap_err();
        assert_eq!(Some(refused.at()), name.strip_prefix(PREFIX), "{refused}");
    }
    for twice in ["ce_datacontenttype", "content-type"] {
        let refused = read(minimal_and(&[(twice, "text/plain"), (twice, "text/plain")]), None).unwrap_err();
        assert!(refused.to_string().ends_with(": is there twice"), "{refused}");
    }
    let latin = [minimal_and(&[]), vec![("ce_subject", Some(&b"caf\xe9"[..]))]].concat();
    assert_eq!(read(latin, None).unwrap_err().to_string(), "subject: \"caf\u{fffd}\" is not UTF-8");
    let old = headers(&[("ce_specversion", "0.3"), ("ce_id", "1"), ("ce_source", "/s"), ("ce_type", "t")]);
    assert_eq!(read(old, None).unwrap_err().to_string(), "specversion: \"0.3\" is not 1.0");
}

#[test]
fn a_structured_event_is_its_value_alone() {
    let pairs = headers(&[("content-type", "application/cloudevents+json"), ("ce_id", "another")]);
    let text = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","n":5,"data":{"a": 1.0}}"#;
    let event = read(pairs.clone(), Some(text)).unwrap().unwrap();
    assert_eq!((event.id(), event.get("n")), ("1", Some(Value::Integer(5))));
    assert_eq!(event.data().map(|data| &data[..]), Some(&br#"{"a": 1.0}"#[..]));
    assert!(read(pairs.clone(), Some(b"{")).is_err());
    let refused = read(pairs, None).unwrap_err();
    assert_eq!(refused.to_string(), "event: is missing; the record's value is null");
}

#[test]
fn an_event_about_an_event_is_written_in_the_structured_mode() {
    for content_type in ["application/cloudevents+json", "Application/CloudEvents-batch+avro"] {
        let event = Event::new("1", "/s", "t").unwrap();
        let event = event.with_data(content_type, Bytes::from_static(b"[]")).unwrap();
        let (headers, value) = encode(&event);
        assert_eq!(headers, [("content-type".into(), Format::Json.content_type())]);
        assert_eq!(read(written(&headers), value.as_deref()).unwrap().unwrap(), event);
    }
}

/// Names near those that mean something, so that arbitrary headers reach every branch.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("content-type".to_owned()),
        prop::sample::select(vec!["specversion", "id", "source", "type", "datacontenttype", "time", "x", ""])
            .prop_map(|name| format!("ce_{name}")),
        any::<String>(),
    ]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"1.0".to_vec()),
        Just(b"application/cloudevents+json".to_vec()),
        "[a-z/]{0,12}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #[test]
    fn every_event_goes_there_and_back_in_the_binary_mode(event in events()) {
        let (headers, value) = encode(&event);
        prop_assert_eq!(value.is_none(), event.data().is_none());
        prop_assert_eq!(read(written(&headers), value.as_deref()).unwrap().unwrap(), event);
    }

    #[test]
    fn every_event_goes_there_and_back_in_the_structured_mode(event in events(), protobuf in any::<bool>()) {
        let format = if protobuf { Format::Protobuf } else { Format::Json };
        let (headers, value) = encode_structured(&event, format);
        let again = read(written(&headers), Some(&value)).unwrap().unwrap();
        // White space around a JSON value is what that format does not keep; of times, Protobuf keeps the moment.
        let expected = format.decode(format.encode(&event)).unwrap();
        prop_assert_eq!(again.data(), expected.data());
        prop_assert_eq!(typed(&again), typed(&expected));
    }

    #[test]
    fn no_headers_and_no_value_make_it_panic_or_change_the_data(
        pairs in vec((names(), option::of(values())), 0..12),
        value in option::of(vec(any::<u8>(), 0..32)),
    ) {
        let pairs = || pairs.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let outcome = read(pairs(), value.as_deref());
        match mode(pairs()) {
            Ok(Mode::Plain) => prop_assert_eq!(outcome, Ok(None)),
            Ok(Mode::Binary) => if let Ok(event) = outcome {
                let event = event.unwrap();
                prop_assert_eq!(event.data().map(|data| &data[..]), value.as_deref());
            },
            Ok(Mode::Structured(_)) => {}
            Err(refused) => prop_assert_eq!(outcome, Err(refused)),
        }
    }
}
