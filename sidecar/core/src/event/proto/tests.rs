//! Against a second reader and writer: messages that `prost` derives from a transcript of `cloudevents.proto`.

use std::collections::BTreeMap;

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use base64::Engine as _;
use proptest::{collection::vec, prelude::*};
use prost::Message as _;

use super::*;
use crate::event::{Value, tests::events};

#[derive(Clone, PartialEq, prost::Message)]
struct CloudEvent {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    source: String,
    #[prost(string, tag = "3")]
    spec_version: String,
    #[prost(string, tag = "4")]
    r#type: String,
    #[prost(btree_map = "string, message", tag = "5")]
    attributes: BTreeMap<String, AttributeValue>,
    #[prost(oneof = "Data", tags = "6, 7, 8")]
    data: Option<Data>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Data {
    #[prost(bytes, tag = "6")]
    Binary(Vec<u8>),
    #[prost(string, tag = "7")]
    Text(String),
    #[prost(message, tag = "8")]
    Proto(Any),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes, tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AttributeValue {
    #[prost(oneof = "Attr", tags = "1, 2, 3, 4, 5, 6, 7")]
    attr: Option<Attr>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Attr {
    #[prost(bool, tag = "1")]
    Boolean(bool),
    #[prost(int32, tag = "2")]
    Integer(i32),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(bytes, tag = "4")]
    Bytes(Vec<u8>),
    #[prost(string, tag = "5")]
    Uri(String),
    #[prost(string, tag = "6")]
    UriRef(String),
    #[prost(message, tag = "7")]
    Timestamp(Timestamp),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CloudEventBatch {
    #[prost(message, repeated, tag = "1")]
    events: Vec<CloudEvent>,
}

fn theirs() -> CloudEvent {
    let (id, source, r#type) = ("1".to_owned(), "/s".to_owned(), "t".to_owned());
    CloudEvent { id, source, spec_version: "1.0".to_owned(), r#type, ..CloudEvent::default() }
}

fn read(theirs: &CloudEvent) -> Result<Event, Invalid> {
    decode(theirs.encode_to_vec().into())
}

fn with(name: &str, attr: Attr) -> CloudEvent {
    let attributes = [(name.to_owned(), AttributeValue { attr: Some(attr) })].into();
    CloudEvent { attributes, ..theirs() }
}

fn moment(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

/// The bytes of an attribute, whatever the bits of its base64 say that no byte needs.
fn bytes(text: &str) -> Vec<u8> {
    super::write::BASE64.decode(text).unwrap()
}

#[test]
fn each_type_of_attribute_is_read_as_what_it_is() {
    for (attr, expected) in [
        (Attr::Boolean(false), Value::Boolean(false)),
        (Attr::Integer(i32::MIN), Value::Integer(i32::MIN)),
        (Attr::String("Euro € 100%".to_owned()), Value::String("Euro € 100%")),
        (Attr::Bytes(vec![0, 255]), Value::Binary("AP8=")),
        (Attr::Uri("urn:a:b".to_owned()), Value::Uri("urn:a:b")),
        (Attr::UriRef("../a?b".to_owned()), Value::UriRef("../a?b")),
        (
            Attr::Timestamp(Timestamp { seconds: -1, nanos: 500_000_000 }),
            Value::Timestamp("1969-12-31T23:59:59.5Z"),
        ),
    ] {
        assert_eq!(read(&with("x", attr)).unwrap().get("x"), Some(expected));
    }
    let time = Attr::Timestamp(Timestamp { seconds: 253_402_300_799, nanos: 1 });
    assert_eq!(read(&with("time", time)).unwrap().time(), Some("9999-12-31T23:59:59.000000001Z"));
    let text = Attr::String("2018-04-05T17:31:00+02:00".to_owned());
    assert_eq!(read(&with("time", text)).unwrap().time(), Some("2018-04-05T17:31:00+02:00"));
}

#[test]
fn what_is_no_event_says_why() {
    let empty = CloudEvent { id: String::new(), ..theirs() };
    let wrong_version = CloudEvent { spec_version: "0.3".to_owned(), ..theirs() };
    let unset = CloudEvent { spec_version: String::new(), ..theirs() };
    for (message, at) in [
        (empty, "id"),
        (wrong_version, "specversion"),
        (unset, "specversion"),
        (with("id", Attr::String("2".to_owned())), "id"),
        (with("Upper", Attr::Boolean(true)), "attribute"),
        (with("data", Attr::Boolean(true)), "data"),
        (with("", Attr::Boolean(true)), "attribute"),
        (with("time", Attr::String("lunchtime".to_owned())), "time"),
        (with("time", Attr::Integer(5)), "time"),
        (with("x", Attr::String("a\nb".to_owned())), "x"),
        (with("x", Attr::Timestamp(Timestamp { seconds: 253_402_300_800, nanos: 0 })), "timestamp"),
        (with("x", Attr::Timestamp(Timestamp { seconds: 0, nanos: -1 })), "timestamp"),
    ] {
        assert_eq!(read(&message).unwrap_err().at(), at, "{message:?}");
    }
    let whole = theirs().encode_to_vec();
    for (bytes, what) in [
        (&whole[..whole.len() - 1], "protobuf: is malformed"),
        (b"\x0f", "protobuf: is malformed"), // a type of the wire that does not exist
        (b"\x0b\x0c", "protobuf: is malformed"), // a group
        (b"\x08\x01", "id: is not of the type"), // a number
        (b"\x0a\x02\xff\xff", "id: is not UTF-8"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "protobuf: is malformed"), // more than 64 bits
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "protobuf: is malformed"),     // longer than all memory
    ] {
        let said = decode(Bytes::copy_from_slice(bytes)).unwrap_err().to_string();
        assert!(said.starts_with(what), "{said}");
    }
    let twice = [&whole[..], b"\x0a\x012"].concat();
    assert_eq!(decode(twice.into()).unwrap_err().to_string(), "id: is there twice");
    let two_kinds_of_data = [&whole[..], b"\x32\x01a\x3a\x01b"].concat();
    assert_eq!(decode(two_kinds_of_data.into()).unwrap_err().to_string(), "data: is there twice");
}

#[test]
fn fields_that_are_not_known_and_values_that_are_not_set_are_passed_over() {
    let unknown =
        [&theirs().encode_to_vec()[..], b"\x9a\x06\x01x\x98\x06\x05\x91\x06\0\0\0\0\0\0\0\0\x95\x06\0\0\0\0"];
    assert_eq!(decode(unknown.concat().into()).unwrap(), Event::new("1", "/s", "t").unwrap());
    let attributes = [("x".to_owned(), AttributeValue { attr: None })].into();
    assert_eq!(read(&CloudEvent { attributes, ..theirs() }).unwrap().get("x"), None);
}

#[test]
fn no_data_and_empty_data_are_different() {
    assert_eq!(read(&theirs()).unwrap().data(), None);
    for data in [Data::Binary(Vec::new()), Data::Text(String::new())] {
        let event = read(&CloudEvent { data: Some(data), ..theirs() }).unwrap();
        assert_eq!(event.data(), Some(&Bytes::new()));
        assert_eq!(decode(encode(&event)).unwrap(), event);
    }
}

#[test]
fn a_message_keeps_its_bytes_and_its_type() {
    let any = |type_url: &str| {
        Some(Data::Proto(Any { type_url: type_url.to_owned(), value: b"\x08\x01".to_vec() }))
    };
    let plain = CloudEvent { data: any("type.googleapis.com/a.B"), ..theirs() };
    let event = read(&plain).unwrap();
    assert_eq!(event.datacontenttype(), Some("application/protobuf"));
    assert_eq!(event.dataschema(), Some("type.googleapis.com/a.B"));
    assert_eq!(event.data(), Some(&Bytes::from_static(b"\x08\x01")));
    assert_eq!(CloudEvent::decode(encode(&event)).unwrap().data, plain.data);

    let schema = Attr::Uri("https://registry/1".to_owned());
    let other = CloudEvent { data: any("type.googleapis.com/a.B"), ..with("dataschema", schema) };
    let event = read(&other).unwrap();
    assert_eq!(event.dataschema(), Some("https://registry/1"));
    assert_eq!(event.text(TYPE_URL).as_deref(), Some("type.googleapis.com/a.B"));
    let again = CloudEvent::decode(encode(&event)).unwrap();
    assert_eq!((again.data, again.attributes.contains_key(TYPE_URL)), (other.data, false));

    let untyped = read(&CloudEvent { data: any(""), ..theirs() }).unwrap();
    assert_eq!((untyped.dataschema(), untyped.datacontenttype()), (None, Some("application/protobuf")));
}

#[test]
fn a_time_that_no_timestamp_holds_stays_the_text_that_it_is() {
    for text in ["1990-12-31T23:59:60Z", "2018-04-05T17:31:00.0123456789Z", "0000-01-01T00:00:00Z"] {
        let mut event = Event::new("1", "/s", "t").unwrap();
        event.set("time", Value::String(text)).unwrap();
        assert_eq!(decode(encode(&event)).unwrap(), event, "{text}");
    }
}

#[test]
fn a_bad_member_of_a_batch_leaves_the_others_alone() {
    let bad = CloudEvent { id: String::new(), ..theirs() };
    let batch = CloudEventBatch { events: vec![theirs(), bad.clone(), theirs()] };
    let members = decode_batch(batch.encode_to_vec().into()).unwrap();
    assert_eq!(members.len(), 3);
    let (raw, why) = members[1].as_ref().unwrap_err();
    assert_eq!((&raw[..], why.at()), (&bad.encode_to_vec()[..], "id"));
    assert!(members[0].is_ok() && members[2].is_ok());
    assert_eq!(decode_batch(Bytes::new()), Ok(Vec::new()));
    assert!(decode_batch(Bytes::from_static(b"\x0a\x05a")).is_err());
    let many = b"\x0a\0".repeat(BATCH_MAX + 1);
    assert_eq!(decode_batch(many.into()).unwrap_err().to_string(), "batch: has more than 65536 events");
}

#[test]
fn an_event_has_at_most_256_attributes() {
    let value = AttributeValue { attr: Some(Attr::Boolean(true)) };
    let attributes = (0..254).map(|n| (format!("a{n}"), value.clone())).collect();
    let refused = read(&CloudEvent { attributes, ..theirs() }).unwrap_err();
    assert!(refused.to_string().contains("at most 256"), "{refused}");
}

proptest! {
    #[test]
    fn every_event_goes_there_and_back(event in events()) {
        let again = decode(encode(&event)).unwrap();
        prop_assert_eq!(again.data(), event.data());
        prop_assert_eq!(again.attributes().count(), event.attributes().count());
        for (name, value) in event.attributes() {
            match (value, again.get(name).unwrap()) {
                (Value::Timestamp(then), Value::Timestamp(now)) => prop_assert_eq!(moment(then), moment(now)),
                (Value::Timestamp(then), Value::String(now)) => prop_assert_eq!(then, now),
                (Value::Binary(then), Value::Binary(now)) => prop_assert_eq!(bytes(then), bytes(now)),
                (then, now) => prop_assert_eq!(then, now),
            }
        }
        prop_assert_eq!(&decode(encode(&again)).unwrap(), &again);
    }

    #[test]
    fn another_reads_what_is_written_here(event in events()) {
        let theirs = CloudEvent::decode(encode(&event)).unwrap();
        prop_assert_eq!(&theirs.id, event.id());
        prop_assert_eq!(&theirs.source, event.source());
        prop_assert_eq!(&theirs.r#type, event.ty());
        prop_assert_eq!(theirs.attributes.len() + 3, event.attributes().count());
        let data = match &theirs.data {
            None => None,
            Some(Data::Binary(bytes)) => Some(&bytes[..]),
            Some(Data::Text(text)) => Some(text.as_bytes()),
            Some(Data::Proto(any)) => Some(&any.value[..]),
        };
        prop_assert_eq!(data, event.data().map(|data| &data[..]));
        for (name, value) in &theirs.attributes {
            let ours = event.get(name).unwrap();
            match value.attr.as_ref().unwrap() {
                Attr::Boolean(truth) => prop_assert_eq!(ours, Value::Boolean(*truth)),
                Attr::Integer(number) => prop_assert_eq!(ours, Value::Integer(*number)),
                Attr::Bytes(theirs) => prop_assert_eq!(theirs, &bytes(&ours.text())),
                Attr::Uri(text) => prop_assert_eq!(ours, Value::Uri(text)),
                Attr::UriRef(text) => prop_assert_eq!(ours, Value::UriRef(text)),
                Attr::String(text) => prop_assert_eq!(&*ours.text(), text),
                Attr::Timestamp(Timestamp { seconds, nanos }) => {
                    let ours = moment(&ours.text());
                    prop_assert_eq!((ours.unix_timestamp(), i64::from(ours.nanosecond())), (*seconds, i64::from(*nanos)));
                }
            }
        }
    }

    #[test]
    fn batches_go_there_and_back(events in vec(events(), 0..5)) {
        let theirs = CloudEventBatch::decode(encode_batch(&events)).unwrap();
        prop_assert_eq!(theirs.events.len(), events.len());
        let members = decode_batch(theirs.encode_to_vec().into()).unwrap();
        let again: Vec<Event> = members.into_iter().map(Result::unwrap).collect();
        let once: Vec<Event> = events.iter().map(|event| decode(encode(event)).unwrap()).collect();
        prop_assert_eq!(again, once);
    }

    #[test]
    fn nothing_that_can_be_read_panics_or_changes_on_its_way(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(event) = decode(Bytes::from(bytes)) {
            prop_assert_eq!(decode(encode(&event)).unwrap(), event);
        }
    }
}
