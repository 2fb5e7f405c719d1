use proptest::{collection::vec, prelude::*};

use super::*;
use crate::event::{
    Value, media,
    tests::{events, typed},
};

/// An event with these members beside the required ones.
fn minimal_and(members: &str) -> Result<Event, Invalid> {
    let comma = if members.is_empty() { "" } else { "," };
    decode(Bytes::from(format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{comma}{members}}}"#
    )))
}

fn data_of(members: &str) -> Option<Bytes> {
    minimal_and(members).unwrap_or_else(|e| panic!("{members}: {e}")).data().cloned()
}

#[test]
fn attributes_have_the_types_that_json_gives_them() {
    let event = minimal_and(r#""a":true,"b":-2147483648,"c":"x\u20ac""#).unwrap();
    assert_eq!(event.get("a"), Some(Value::Boolean(true)));
    assert_eq!(event.get("b"), Some(Value::Integer(i32::MIN)));
    assert_eq!(event.get("c"), Some(Value::String("x€")));
    let event =
        minimal_and(r#""time":"2018-04-05T17:31:00Z","dataschema":"a:b","\u0061":"escaped name""#).unwrap();
    assert_eq!(event.get("time"), Some(Value::Timestamp("2018-04-05T17:31:00Z")));
    assert_eq!(event.get("dataschema"), Some(Value::Uri("a:b")));
    assert_eq!(event.get("a"), Some(Value::String("escaped name")));
}

#[test]
fn a_null_attribute_is_absent() {
    let event = minimal_and(r#""time":null,"x":null,"y":"there","data_base64":null"#).unwrap();
    assert_eq!((event.time(), event.get("x"), event.data()), (None, None, None));
    assert_eq!(event.get("y"), Some(Value::String("there")));
    assert_eq!(event.attributes().count(), 4);
}

#[test]
fn a_json_payload_stays_the_slice_of_the_input_that_it_is() {
    let input = Bytes::from_static(
        br#"{ "data" : {"b" : [1.0, 1e400, "\ud800"], "b":null} , "specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
    );
    let event = decode(input.clone()).unwrap();
    let data = event.data().unwrap();
    assert_eq!(data, br#"{"b" : [1.0, 1e400, "\ud800"], "b":null}"#.as_slice());
    assert_eq!(data.as_ptr() as usize - input.as_ptr() as usize, 11);
    assert_eq!(event.datacontenttype(), Some("application/json"), "what was implied is explicit");
}

#[test]
fn the_media_type_says_what_data_is() {
    for (members, expected) in [
        (r#""data":null"#, "null"),
        (r#""data":"text""#, "\"text\""),
        (r#""data":"{}","datacontenttype":"application/json""#, "\"{}\""),
        (r#""data":[1],"datacontenttype":"Application/Vnd.X+JSON; charset=utf-8""#, "[1]"),
        (r#""data":"Simple text","datacontenttype":"text/plain""#, "Simple text"),
        (r#""datacontenttype":"text/xml","data":"<a b=\"\u20ac\"/>\n""#, "<a b=\"€\"/>\n"),
        (r#""datacontenttype":"text/plain","data":"""#, ""),
        (r#""data_base64":"TWE=""#, "Ma"),
        (r#""data_base64":"\/\/8=","datacontenttype":"text\/plain""#, "\u{0}"),
        (r#""data_base64":"""#, ""),
    ] {
        let expected = if expected == "\u{0}" { b"\xff\xff".as_slice() } else { expected.as_bytes() };
        assert_eq!(data_of(members).as_deref(), Some(expected), "{members}");
    }
    assert_eq!(data_of(""), None);
    assert_eq!(minimal_and(r#""data_base64":"TWE=""#).unwrap().datacontenttype(), None);
}

#[test]
fn a_part_of_a_document_is_the_event_that_it_is_by_itself_with_data_of_its_own() {
    for members in [
        r#""data":{"a": 1}"#,
        r#""datacontenttype":"text/plain","data":"plain""#,
        r#""datacontenttype":"text/plain","data":"esc\n\u20ac""#,
        r#""data_base64":"TWE=","x":true"#,
        "\"subject\":\"s\"",
    ] {
        let event = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t",{members}}}"#);
        let document = Bytes::from(format!("[{event}, {event}]"));
        let parts: Vec<Part> = serde_json::from_slice(&document).unwrap();
        let alone = decode(Bytes::from(event)).unwrap();
        assert!(parts.len() == 2 && parts.iter().all(|Part(part)| *part == alone), "{members}");
        let outside = |data: &Bytes| !document.as_ptr_range().contains(&data.as_ptr());
        assert!(parts[1].0.data().is_none_or(outside), "{members}");
    }
    for wrong in
        ["[7]", r#"[{"id":"1"}]"#, r#"[{"specversion":"1.0","id":"1","source":"/s","type":"t","x":[]}]"#]
    {
        assert!(serde_json::from_slice::<Vec<Part>>(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn an_unescaped_text_payload_is_not_copied_either() {
    let input = Bytes::from_static(
        br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"text"}"#,
    );
    let event = decode(input.clone()).unwrap();
    assert!(input.as_ptr_range().contains(&event.data().unwrap().as_ptr()));
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_place() {
    for (members, place) in [
        (r#""id":"2""#, "id"),
        (r#""x":1,"x":1"#, "x"),
        (r#""x":null,"x":1"#, "x"),
        (r#""x":1,"\u0078":1"#, "x"),
        (r#""specversion":"1.0""#, "specversion"),
        (r#""data":1,"data":1"#, "data"),
        (r#""data_base64":null,"data_base64":"""#, "data_base64"),
        (r#""data":null,"data_base64":"""#, "data_base64"),
        (r#""data_base64":"TWE""#, "data_base64"),
        (r#""data_base64":"T-E=""#, "data_base64"),
        (r#""data_base64":1"#, "data_base64"),
        (r#""datacontenttype":"text/plain","data":{}"#, "data"),
        (r#""datacontenttype":"text/plain","data":null"#, "data"),
        (r#""datacontenttype":"text/plain","data":"\ud800""#, "data"),
        (r#""x":1.5"#, "x"),
        (r#""x":1.0"#, "x"),
        (r#""x":2147483648"#, "x"),
        (r#""x":-2147483649"#, "x"),
        (r#""x":18446744073709551615"#, "x"),
        (r#""x":{}"#, "x"),
        (r#""x":[[[[]]]]"#, "x"),
        (r#""subject":1"#, "subject"),
        (r#""x":"\u0007""#, "x"),
        (r#""x":"\uffff""#, "x"),
        (r#""X":"y""#, "attribute"),
        (r#""data_base32":"y""#, "attribute"),
        (r#""":"y""#, "attribute"),
        (r#""x":"\ud800""#, "json"),
        (r#""x""#, "json"),
        (r#""x":tru"#, "json"),
    ] {
        let refused = minimal_and(members).unwrap_err();
        assert_eq!(refused.at(), place, "{members}: {refused}");
    }
}

#[test]
fn what_is_no_object_is_refused_and_not_echoed() {
    for input in ["", " ", "null", "1", "\"secret\"", "[]", "{", "{}", "{} {}", "{\"secret\"}", "\u{feff}{}"]
    {
        let refused = decode(Bytes::from(input)).unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{input}: {refused}");
    }
    assert_eq!(
        decode(Bytes::from_static(b"{\"a\":\"\xff\"}")).unwrap_err().to_string(),
        "json: is not UTF-8"
    );
    assert_eq!(decode(Bytes::from("null")).unwrap_err().to_string(), "json: is not an object");
}

#[test]
fn a_megabyte_of_nesting_neither_overflows_the_stack_nor_is_accepted_where_it_has_no_place() {
    const DEPTH: usize = 500_000;
    let (open, close) = ("[".repeat(DEPTH), "]".repeat(DEPTH));
    assert_eq!(minimal_and(&format!(r#""x":{open}{close}"#)).unwrap_err().at(), "x");
    assert_eq!(minimal_and(&format!(r#""data":{open}"#)).unwrap_err().at(), "json");
    assert!(decode(Bytes::from(open.clone())).is_err());
    assert!(decode_batch(Bytes::from(open.clone())).is_err());
    let objects = r#"{"a":"#.repeat(200_000);
    assert_eq!(minimal_and(&format!(r#""data":{objects}"#)).unwrap_err().at(), "json");
    // Payloads are not ours to judge: one that is JSON passes, however deep, and comes out the same.
    let event = minimal_and(&format!(r#""data":{open}{close}"#)).unwrap();
    assert_eq!(event.data().unwrap().len(), 2 * DEPTH);
    assert_eq!(decode(encode(&event)).unwrap(), event);
}

#[test]
fn the_media_type_and_the_bytes_say_how_a_payload_is_written() {
    for (content_type, data, member) in [
        (Some("application/json"), "{\"a\" : 1}", r#","data":{"a" : 1}}"#),
        (Some("application/json"), "{\"a\":", r#","data_base64":"eyJhIjo="}"#),
        (Some("application/json"), "", r#","data_base64":""}"#),
        (Some("a/x+JSON; q=1"), "null", r#","data":null}"#),
        (Some("text/plain"), "a\"\u{0}€", r#","data":"a\"\u0000€"}"#),
        (Some("text/plain"), "", r#","data":""}"#),
        (Some("text/plain; charset=latin1"), "a", r#","data_base64":"YQ=="}"#),
        (Some("image/svg+xml"), "<a/>", r#","data":"<a/>"}"#),
        (Some("application/x; charset=utf-8"), "a", r#","data":"a"}"#),
        (Some("application/octet-stream"), "a", r#","data_base64":"YQ=="}"#),
        (None, "{}", r#","data_base64":"e30="}"#),
    ] {
        let mut event = Event::new("1", "/s", "t").unwrap();
        if let Some(content_type) = content_type {
            event.set("datacontenttype", Value::String(content_type)).unwrap();
        }
        event.set_data(Some(Bytes::from(data)));
        let json = encode(&event);
        let json = str::from_utf8(&json).unwrap();
        assert!(json.ends_with(member), "{content_type:?} {data:?}: {json}");
        assert_eq!(decode(Bytes::from(json.to_owned())).unwrap(), event);
    }
    let text =
        Event::new("1", "/s", "t").unwrap().with_data("text/plain", Bytes::from_static(b"\xff")).unwrap();
    assert!(encode(&text).ends_with(br#""data_base64":"/w=="}"#));
}

#[test]
fn long_binary_data_is_written_whole() {
    for len in [3071, 3072, 3073, 10_000] {
        let data: Vec<u8> = (0..=255).cycle().take(len).collect();
        let event = Event::new("1", "/s", "t").unwrap().with_data("image/png", data.into()).unwrap();
        assert_eq!(decode(encode(&event)).unwrap(), event, "{len} bytes");
    }
}

#[test]
fn a_bad_member_of_a_batch_comes_back_as_its_bytes_beside_the_good_ones() {
    let good = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let batch = format!(r#" [ {good} , "not an object",{{"id" : 1}}, {good} ] "#);
    let members = decode_batch(Bytes::from(batch)).unwrap();
    assert_eq!(members.len(), 4);
    assert_eq!(members[0].as_ref().unwrap(), members[3].as_ref().unwrap());
    assert_eq!(members[1].as_ref().unwrap_err().0, "\"not an object\"");
    assert_eq!(members[2].as_ref().unwrap_err().0, "{\"id\" : 1}");
    assert_eq!(decode_batch(Bytes::from_static(b"[]")).unwrap().len(), 0);
    assert_eq!(encode_batch([]), "[]");
}

#[test]
fn what_is_no_array_is_no_batch() {
    for input in ["", "{}", "null", "[", "[1", "[1,]", "[1 2]", "[] []", "[\u{1}]"] {
        assert!(decode_batch(Bytes::from(input)).is_err(), "{input}");
    }
    assert!(decode_batch(Bytes::from_static(b"[\"\xff\"]")).is_err());
}

#[test]
fn the_number_of_events_in_a_batch_is_bounded() {
    let batch = |count: usize| Bytes::from(format!("[{}1]", "1,".repeat(count - 1)));
    assert_eq!(decode_batch(batch(BATCH_MAX)).unwrap().len(), BATCH_MAX);
    let refused = decode_batch(batch(BATCH_MAX + 1)).unwrap_err();
    assert_eq!(refused.to_string(), "batch: has more than 65536 events");
}

/// The white space around a JSON payload is not part of the value, and is all that a round trip may lose.
fn without_outer_space(mut event: Event) -> Event {
    let json = event.datacontenttype().is_some_and(media::is_json);
    let trimmed = event.data().and_then(|data| {
        let text =
            str::from_utf8(data).ok().filter(|t| serde_json::from_str::<serde::de::IgnoredAny>(t).is_ok())?;
        Some(Bytes::copy_from_slice(text.trim_matches([' ', '\n', '\r', '\t']).as_bytes()))
    });
    if json && trimmed.is_some() {
        event.set_data(trimmed);
    }
    event
}

proptest! {
    #[test]
    fn every_event_goes_there_and_back(event in events()) {
        let again = decode(encode(&event)).unwrap();
        prop_assert_eq!(&again, &without_outer_space(event.clone()));
        for (name, value) in typed(&event) {
            if matches!(value, Value::Boolean(_) | Value::Integer(_)) {
                prop_assert_eq!(again.get(name), Some(value));
            }
        }
    }

    #[test]
    fn every_batch_goes_there_and_back(batch in vec(events(), 0..5)) {
        let again = decode_batch(encode_batch(&batch)).unwrap();
        let again: Vec<_> = again.into_iter().map(|member| member.unwrap()).collect();
        prop_assert_eq!(again, batch.into_iter().map(without_outer_space).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_it_panic(input: Vec<u8>, event in events(), cut: prop::sample::Index, byte: u8) {
        let _ = decode(Bytes::from(input.clone()));
        let _ = decode_batch(Bytes::from(input));
        // Nearly an event is more likely to get far than anything.
        let mut damaged = encode(&event).to_vec();
        let at = cut.index(damaged.len());
        damaged[at] = byte;
        let _ = decode(Bytes::from(damaged.clone()));
        damaged.truncate(at);
        prop_assert!(decode(Bytes::from(damaged)).is_err());
    }
}
