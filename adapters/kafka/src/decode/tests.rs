use outrigger_core::{
    Reply, Value,
    event::{http, json},
};
use proptest::{collection::vec, option, prelude::*};

use super::{headers::ENCODED_BYTES_MAX, *};

type Header<'a> = (&'a str, Option<&'a [u8]>);

const BINARY: [Header<'static>; 4] = [
    ("ce_specversion", Some(b"1.0")),
    ("ce_id", Some(b"1")),
    ("ce_source", Some(b"/s")),
    ("ce_type", Some(b"t")),
];

fn record<'a>(
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [Header<'a>],
) -> Record<'a, impl Iterator<Item = Header<'a>> + Clone> {
    Record {
        topic: "orders.eu-1_x",
        partition: 7,
        offset: 5_000_000_000,
        timestamp_ms: Some(1_522_949_460_007),
        key,
        value,
        headers: headers.iter().copied(),
    }
}

fn plain<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, headers: &'a [Header<'a>]) -> Event {
    decode(&record(key, value, headers), &Plain::default()).unwrap()
}

fn text(event: &Event, name: &str) -> Option<String> {
    event.text(name).map(std::borrow::Cow::into_owned)
}

#[test]
fn a_plain_record_becomes_an_event_that_says_where_it_was() {
    let event = plain(Some(b"k 1"), Some(b"{}"), &[("Content-Type", Some(b"application/json"))]);
    let all: Vec<_> = event.attributes().collect();
    let expected = [
        ("id", Value::String("orders.eu-1_x/7/5000000000")),
        ("source", Value::UriRef("/kafka/orders.eu-1_x")),
        ("type", Value::String("org.apache.kafka.record")),
        ("kafkatopic", Value::String("orders.eu-1_x")),
        ("kafkapartition", Value::Integer(7)),
        ("kafkaoffset", Value::String("5000000000")),
        ("time", Value::Timestamp("2018-04-05T17:31:00.007Z")),
        ("partitionkey", Value::String("k 1")),
        ("datacontenttype", Value::String("application/json")),
    ];
    assert_eq!(all, expected);
    assert_eq!(event.data().map(|data| &data[..]), Some(&b"{}"[..]));
}

#[test]
fn source_and_type_are_as_configured() {
    let configured =
        Plain::new("kafka://prod/{topic}#{topic}", "com.example.{topic}", Some("text/csv"), false);
    let event = decode(&record(None, Some(b"a,b"), &[]), &configured.unwrap()).unwrap();
    assert_eq!(event.source(), "kafka://prod/orders.eu-1_x#orders.eu-1_x");
    assert_eq!(event.ty(), "com.example.orders.eu-1_x");
    assert_eq!(event.datacontenttype(), Some("text/csv"));
    let default = Plain::new("/kafka/{topic}", "org.apache.kafka.record", None, false);
    assert_eq!(default, Ok(Plain::default()));
}

#[test]
fn a_configuration_that_some_record_would_not_fit_is_refused() {
    for (source, ty, content_type) in [
        ("", "t", None),
        ("/s", "", None),
        ("/a b", "t", None),
        ("/{partition}", "t", None),
        ("{topic}:x", "t", None),
        ("/s", "{offset}", None),
        ("/s", "a\u{7f}", None),
        ("/s", "t", Some("json")),
        ("/s", "t", Some("")),
    ] {
        let refused = Plain::new(source, ty, content_type, false);
        assert!(refused.is_err(), "{source} {ty} {content_type:?}");
    }
}

#[test]
fn a_key_is_told_as_text_where_it_is_text() {
    let long = "x".repeat(1024);
    let longer = "x".repeat(1025);
    for (key, name, expected) in [
        (&b"user-1"[..], "partitionkey", "user-1"),
        ("Zoë €".as_bytes(), "partitionkey", "Zoë €"),
        (long.as_bytes(), "partitionkey", &long),
        (longer.as_bytes(), "kafkakeybytes", "1025"),
        (b"", "kafkakeybase64", ""),
        (b"\0\0\0\x01", "kafkakeybase64", "AAAAAQ=="),
        (b"line\n", "kafkakeybase64", "bGluZQo="),
        (b"caf\xe9", "kafkakeybase64", "Y2Fm6Q=="),
    ] {
        let event = plain(Some(key), None, &[]);
        for other in ["partitionkey", "kafkakeybase64", "kafkakeybytes"] {
            assert_eq!(
                text(&event, other).as_deref(),
                (other == name).then_some(expected),
                "{key:?} {other}"
            );
        }
    }
    assert_eq!(plain(None, Some(b""), &[]).attributes().count(), 7);
}

#[test]
fn a_null_value_is_a_tombstone_and_an_empty_one_is_not() {
    let event = plain(Some(b"k"), None, &[]);
    assert_eq!((event.get("kafkatombstone"), event.data()), (Some(Value::Boolean(true)), None));
    let event = plain(Some(b"k"), Some(b""), &[]);
    assert_eq!((event.get("kafkatombstone"), event.data()), (None, Some(&Bytes::new())));
}

#[test]
fn timestamps_of_all_sizes_have_their_place() {
    for (timestamp_ms, name, expected) in [
        (Some(0), "time", Some("1970-01-01T00:00:00.000Z")),
        (Some(-1), "time", Some("1969-12-31T23:59:59.999Z")),
        (Some(253_402_300_799_999), "time", Some("9999-12-31T23:59:59.999Z")),
        (Some(-62_167_219_200_000), "time", Some("0000-01-01T00:00:00.000Z")),
        (Some(253_402_300_800_000), "kafkatimestamp", Some("253402300800000")),
        (Some(-62_167_219_200_001), "kafkatimestamp", Some("-62167219200001")),
        (Some(i64::MIN), "kafkatimestamp", Some("-9223372036854775808")),
        (Some(i64::MAX), "kafkatimestamp", Some("9223372036854775807")),
        (None, "time", None),
    ] {
        let record = Record { timestamp_ms, ..record(None, None, &[]) };
        let event = decode(&record, &Plain::default()).unwrap();
        assert_eq!(text(&event, name).as_deref(), expected, "{timestamp_ms:?}");
        assert_eq!(event.attributes().count(), 7 + usize::from(expected.is_some()), "{timestamp_ms:?}");
    }
}

#[test]
fn headers_are_kept_as_pairs_in_ascii() {
    let headers: [Header<'_>; 8] = [
        ("a", Some(b"1")),
        ("a", Some(b"")),
        ("", None),
        ("b\"\\\n\u{ffff}", Some("€ 😀\t\u{7f}".as_bytes())),
        ("raw", Some(b"\xff\0")),
        ("content-type", Some(b"no media type")),
        ("traceparent", Some(b"00-1-2-3")),
        ("ce_id", Some(b"5")),
    ];
    let json = text(&plain(None, None, &headers), "kafkaheaders").unwrap();
    let expected = r#"[["a","1"],["a",""],["",null],["b\"\\\u000a\uffff","\u20ac \ud83d\ude00\u0009\u007f"],"#
        .to_owned()
        + r#"["raw",{"base64":"/wA="}],["content-type","no media type"],["traceparent","00-1-2-3"],["ce_id","5"]]"#;
    assert_eq!(json, expected);
    assert_eq!(text(&plain(None, None, &[]), "kafkaheaders"), None);
}

#[test]
fn only_one_content_type_is_the_datas_and_the_others_are_headers() {
    let long = format!("text/plain; a={}", "x".repeat(300));
    let headers: [Header<'_>; 4] = [
        ("content-type", None),
        ("content-type", Some(long.as_bytes())),
        ("content-type", Some(b"text/plain")),
        ("content-type", Some(b"text/html")),
    ];
    let event = plain(None, Some(b"x"), &headers);
    assert_eq!(event.datacontenttype(), Some("text/plain"));
    let expected =
        format!(r#"[["content-type",null],["content-type","{long}"],["content-type","text/html"]]"#);
    assert_eq!(text(&event, "kafkaheaders"), Some(expected));
}

#[test]
fn headers_that_do_not_fit_are_counted_and_keep_out_no_others() {
    let (big, spaces, nearly) = (vec![b'x'; 5000], vec![b' '; 1400], vec![b'x'; 4052]);
    let headers: [Header<'_>; 5] = [
        ("big", Some(&big)),
        ("first", Some(b"1")),
        ("spaces", Some(&spaces)),
        ("nearly", Some(&nearly)),
        ("last", None),
    ];
    let event = plain(None, None, &headers);
    assert_eq!(text(&event, "kafkaheaders").as_deref(), Some(r#"[["first","1"],["last",null]]"#));
    assert_eq!(event.get("kafkaheadersleftout"), Some(Value::Integer(3)));
    let one_byte_less = [headers[1], ("nearly", Some(&nearly[1..]))];
    assert_eq!(plain(None, None, &one_byte_less).get("kafkaheadersleftout"), None);
    let event = plain(None, None, &headers[..1]);
    assert_eq!(
        (event.get("kafkaheaders"), event.get("kafkaheadersleftout")),
        (None, Some(Value::Integer(1)))
    );
}

#[test]
fn a_schemas_number_is_told_where_one_is_expected() {
    let registry = Plain::new("/s", "t", None, true).unwrap();
    for (value, expected) in [
        (&b"\0\0\0\x01\x02payload"[..], Some(Value::Integer(258))),
        (b"\0\0\0\0\x01", Some(Value::Integer(1))),
        (b"\0\xff\xff\xff\xff\0", Some(Value::String("4294967295"))),
        (b"\0\0\0\0", None),
        (b"\x01\0\0\0\x01", None),
        (b"", None),
    ] {
        let event = decode(&record(None, Some(value), &[]), &registry).unwrap();
        assert_eq!(event.get("kafkaschemaid"), expected, "{value:?}");
        assert_eq!(event.data().map(|data| &data[..]), Some(value));
    }
    assert_eq!(plain(None, Some(b"\0\0\0\0\x01"), &[]).get("kafkaschemaid"), None);
}

#[test]
fn an_event_stays_exactly_as_it_is() {
    let registry = Plain::new("/other", "other", Some("text/csv"), true).unwrap();
    let headers = [&BINARY[..], &[("extra", Some(b"x"))]].concat();
    let event = decode(&record(Some(b"k"), Some(b"\0\0\0\0\x01"), &headers), &registry).unwrap();
    let expected = Event::new("1", "/s", "t").unwrap();
    assert_eq!(event.attributes().collect::<Vec<_>>(), expected.attributes().collect::<Vec<_>>());
    assert_eq!(event.data().map(|data| &data[..]), Some(&b"\0\0\0\0\x01"[..]));

    let structured: [Header<'_>; 1] = [("content-type", Some(b"application/cloudevents+json"))];
    let value = json::encode(&expected);
    assert_eq!(decode(&record(Some(b"k"), Some(&value), &structured), &registry), Ok(expected));
}

#[test]
fn what_is_no_event_keeps_all_that_came() {
    let headers = [&BINARY[..1], &[("x", None), ("x", Some(b"\xff"))]].concat();
    let malformed = decode(&record(Some(b""), None, &headers), &Plain::default()).unwrap_err();
    let expected = [("ce_specversion", &b"1.0"[..]), ("x", b""), ("x", b"\xff"), (NULLS, b"1,value")];
    let kept: Vec<_> = malformed.headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
    assert_eq!(kept, expected);
    assert_eq!((malformed.raw, malformed.key), (Bytes::new(), Some(Bytes::new())));
    assert_eq!(malformed.why, "id: is missing; every event has it, and it is not empty");

    for content_type in ["application/cloudevents+json", "application/cloudevents-batch+json"] {
        let headers = [("content-type", Some(content_type.as_bytes()))];
        let malformed = decode(&record(None, Some(b"[{"), &headers), &Plain::default()).unwrap_err();
        assert_eq!((&malformed.raw[..], malformed.headers.len(), malformed.key), (&b"[{"[..], 1, None));
    }
    let nowhere = Record { topic: "no topic", ..record(None, Some(b"x"), &[]) };
    assert!(decode(&nowhere, &Plain::default()).is_err());
}

proptest! {
    #[test]
    fn no_plain_record_is_lost_and_each_passes_over_http(
        key in option::of(vec(any::<u8>(), 0..16)),
        value in option::of(vec(any::<u8>(), 0..32)),
        headers in vec((any::<String>(), option::of(vec(any::<u8>(), 0..300))), 0..12),
        timestamp_ms: Option<i64>,
        partition: i32,
        offset: i64,
        schema_registry: bool,
    ) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let configured = Plain::new("/s", "t", None, schema_registry).unwrap();
        let record = record(key.as_deref(), value.as_deref(), &headers);
        let event = decode(&Record { partition, offset, timestamp_ms, ..record }, &configured).unwrap();
        prop_assert_eq!(event.data().map(|data| &data[..]), value.as_deref());
        let mut written = Reply::default().headers;
        let body = http::encode(&event, &mut written);
        let mut again = http::decode(&written, body).unwrap();
        again.set_data(event.data().cloned());
        prop_assert_eq!(&again, &event);
        prop_assert!(written.get("ce-kafkaheaders").is_none_or(|json| json.len() <= ENCODED_BYTES_MAX));
    }
}
