//! What an event promises, and the events that the tests of every codec use.

use proptest::{collection::vec, option, prelude::*};

use super::*;

/// Events of every kind: all types of attributes, names of all lengths, data of and beside its media type.
pub(super) fn events() -> impl Strategy<Value = Event> {
    let required = ("\\PC{1,24}", uri_references(), "\\PC{1,24}");
    let known = (
        option::of(content_types()),
        option::of("[a-z]{1,5}:[a-z/?.=&~-]{0,12}(#[a-z/]{0,3})?"),
        option::of("\\PC{1,24}"),
        option::of(timestamps()),
    );
    let extensions = vec((names(), owned_values()), 0..7);
    (required, known, extensions, option::of(payloads())).prop_map(|(required, known, extensions, data)| {
        let mut event = Event::new(&required.0, &required.1, &required.2).unwrap();
        let names = ["datacontenttype", "dataschema", "subject", "time"];
        let texts = [known.0.map(str::to_owned), known.1, known.2, known.3];
        for (name, text) in names.into_iter().zip(texts) {
            if let Some(text) = text {
                event.set(name, Value::String(&text)).unwrap();
            }
        }
        for (name, (kind, text)) in &extensions {
            event.set(name, kind.value(text)).unwrap();
        }
        event.set_data(data.map(Bytes::from));
        event
    })
}

/// What the types of attributes add to equality.
pub(super) fn typed(event: &Event) -> Vec<(&str, Value<'_>)> {
    event.attributes().collect()
}

fn names() -> impl Strategy<Value = String> {
    let free = |name: &String| {
        let taken = ["id", "source", "type", "datacontenttype", "dataschema", "subject", "time"];
        !taken.contains(&name.as_str()) && name != "data" && name != "specversion"
    };
    prop_oneof!["[a-z0-9]{1,20}", "[a-z]{255}"].prop_filter("taken", free)
}

fn owned_values() -> impl Strategy<Value = (Kind, String)> {
    prop_oneof![
        any::<bool>().prop_map(|truth| (Kind::Boolean, truth.to_string())),
        any::<i32>().prop_map(|number| (Kind::Integer, number.to_string())),
        "\\PC{0,40}".prop_map(|text| (Kind::String, text)),
        "([A-Za-z0-9+/]{4}){0,6}([A-Za-z0-9+/]{2}==)?".prop_map(|text| (Kind::Binary, text)),
        "[a-z]{1,5}:[a-z/?.=&~-]{0,12}".prop_map(|text| (Kind::Uri, text)),
        uri_references().prop_map(|text| (Kind::UriRef, text)),
        timestamps().prop_map(|text| (Kind::Timestamp, text)),
    ]
}

fn uri_references() -> impl Strategy<Value = String> {
    "(https:)?(//[a-z]{1,8}(:[0-9]{1,5})?)?/[a-z0-9.~_-]{0,12}(%[0-9A-Fa-f]{2})?(\\?[a-z=&]{0,8})?(#[a-z]{0,8})?"
}

fn timestamps() -> impl Strategy<Value = String> {
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
}

fn content_types() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "application/json",
        "APPLICATION/vnd.x+JSON; charset=utf-8",
        "text/plain",
        "application/xml",
        "text/plain; charset=iso-8859-1",
        "application/octet-stream",
        r#"multipart/mixed; boundary="a b; c""#,
    ])
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let json = prop::sample::select(vec![
        "null",
        r#"{"a":[1,2.50,{"b":"\u00e9\ud83d\ude00"}],"a":-0}"#,
        "\"text\"",
        " [1 , 2]\n",
        "123456789012345678901234567890.0e1",
    ]);
    prop_oneof![
        vec(any::<u8>(), 0..64),
        any::<String>().prop_map(String::into_bytes),
        json.prop_map(Into::into)
    ]
}

fn order() -> Event {
    Event::new("1", "/orders", "order.made").unwrap()
}

#[test]
fn an_event_has_what_it_was_made_of() {
    let mut event = order().with_data("application/json", Bytes::from_static(b"{}")).unwrap();
    event.set("time", Value::String("2018-04-05T17:31:00Z")).unwrap();
    event.set("retries", Value::Integer(-5)).unwrap();
    event.set("urgent", Value::Boolean(true)).unwrap();
    assert_eq!((event.id(), event.source(), event.ty()), ("1", "/orders", "order.made"));
    assert_eq!(event.get("specversion"), Some(Value::String("1.0")));
    assert_eq!(event.get("source"), Some(Value::UriRef("/orders")));
    assert_eq!(event.get("time"), Some(Value::Timestamp("2018-04-05T17:31:00Z")));
    assert_eq!(event.get("retries"), Some(Value::Integer(-5)));
    assert_eq!(event.text("retries").as_deref(), Some("-5"));
    assert_eq!(event.text("urgent").as_deref(), Some("true"));
    assert_eq!((event.subject(), event.get("data"), event.get("absent")), (None, None, None));
    let names: Vec<_> = event.attributes().map(|(name, _)| name).collect();
    assert_eq!(names, ["id", "source", "type", "datacontenttype", "time", "retries", "urgent"]);
}

#[test]
fn an_attribute_keeps_its_place_when_it_is_set_again() {
    let mut event = order();
    for (name, text) in [("a", "1"), ("b", "2"), ("source", "/a/longer/source"), ("a", "longer"), ("b", "")] {
        event.set(name, Value::String(text)).unwrap();
    }
    let all: Vec<_> = event.attributes().map(|(name, value)| (name, value.text().into_owned())).collect();
    let all: Vec<_> = all.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(
        all,
        [("id", "1"), ("source", "/a/longer/source"), ("type", "order.made"), ("a", "longer"), ("b", "")]
    );
}

#[test]
fn what_every_event_has_cannot_be_removed() {
    let mut event = order();
    event.set("a", Value::String("1")).unwrap();
    event.set("b", Value::String("2")).unwrap();
    assert!(!event.remove("id") && !event.remove("specversion") && !event.remove("absent"));
    assert!(event.remove("a") && !event.remove("a"));
    assert_eq!(event.text("b").as_deref(), Some("2"));
}

/// No URI, but every event of Azure Event Grid has it.
#[test]
fn a_version_as_azure_writes_it_is_a_dataschema() {
    let mut event = order();
    event.set("dataschema", Value::String("#1.0")).unwrap();
    assert_eq!(event.get("dataschema"), Some(Value::Uri("#1.0")));
    for other in ["#", "#a b", "#a#b", "1.0"] {
        assert!(event.set("dataschema", Value::String(other)).is_err(), "{other}");
    }
    assert!(event.set("a", Value::Uri("#1.0")).is_err(), "of other attributes it is none");
}

#[test]
fn an_attribute_that_breaks_a_rule_changes_nothing() {
    let before = {
        let mut event = order();
        event.set("a", Value::String("1")).unwrap();
        event
    };
    for (name, value) in [
        ("id", Value::String("")),
        ("id", Value::Integer(25)),
        ("source", Value::String("a b")),
        ("type", Value::String("a\u{7f}")),
        ("specversion", Value::String("0.3")),
        ("datacontenttype", Value::String("xyz")),
        ("dataschema", Value::String("/relative")),
        ("subject", Value::String("")),
        ("time", Value::String("lunchtime")),
        ("time", Value::Uri("a:b")),
        ("data", Value::String("x")),
        ("data_base64", Value::String("x")),
        ("", Value::String("x")),
        ("MyExtension", Value::String("x")),
        ("my.extension", Value::String("x")),
        ("a", Value::String("\u{ffff}")),
        ("a", Value::Binary("TWE")),
        ("a", Value::Uri("/relative")),
        ("a", Value::UriRef("a b")),
        ("a", Value::Timestamp("2018")),
        (&"a".repeat(256), Value::String("x")),
    ] {
        let mut event = before.clone();
        let refused = event.set(name, value);
        assert!(refused.is_err(), "{name}: {value:?}");
        assert_eq!(typed(&event), typed(&before), "{name}: {value:?}");
        event.set("b", Value::String("2")).unwrap();
        assert_eq!(event.text("b").as_deref(), Some("2"), "after {name}: {value:?}");
    }
}

#[test]
fn the_number_of_attributes_is_bounded() {
    let mut event = order();
    let refused = (0..300).find_map(|n| event.set(&format!("a{n}"), Value::Integer(n)).err().map(|e| (n, e)));
    let (count, invalid) = refused.unwrap();
    assert_eq!(count, 253);
    assert_eq!(invalid.to_string(), "a253: is one attribute too many; an event has at most 256");
}

#[test]
fn events_are_equal_when_every_wire_would_carry_the_same() {
    let mut a = order();
    a.set("x", Value::Integer(1)).unwrap();
    a.set("y", Value::Uri("a:b")).unwrap();
    let mut b = order();
    b.set("y", Value::String("a:b")).unwrap();
    assert_ne!(a, b);
    b.set("x", Value::String("1")).unwrap();
    assert_eq!(a, b);
    b.set_data(Some(Bytes::new()));
    assert_ne!(a, b);
    b.set_data(None);
    b.set("y", Value::String("a:c")).unwrap();
    assert_ne!(a, b);
}

#[test]
fn debugging_shows_the_length_of_the_data_and_never_the_data() {
    let event = order().with_data("text/plain", Bytes::from_static(b"secret")).unwrap();
    let shown = format!("{event:?}");
    assert_eq!(
        shown,
        r#"Event { id: "1", source: "/orders", type: "order.made", datacontenttype: "text/plain", data_bytes: Some(6) }"#
    );
}

#[test]
fn the_size_counts_attributes_and_data() {
    let mut event = order();
    let empty = event.size();
    event.set_data(Some(Bytes::from(vec![0; 1000])));
    assert_eq!(event.size(), empty + 1000);
    event.set("note", Value::String(&"x".repeat(500))).unwrap();
    assert!(event.size() >= empty + 1500);
    let spread =
        (0..100).map(|n| event.set(&format!("a{n}"), Value::Integer(n))).collect::<Result<Vec<_>, _>>();
    assert!(spread.is_ok() && event.size() >= empty + 1500 + 100 * 12);
}

proptest! {
    #[test]
    fn setting_and_removing_agree_with_a_list(
        event in events(),
        steps in vec((prop::sample::select(vec!["a", "b", "subject", "source"]), option::of("[a-z]{1,30}")), 0..20),
    ) {
        let mut event = event;
        let mut model: Vec<(String, String)> =
            event.attributes().map(|(name, value)| (name.to_owned(), value.text().into_owned())).collect();
        for (name, text) in steps {
            let place = model.iter().position(|(n, _)| n == name);
            match (text, place) {
                (Some(text), place) => {
                    event.set(name, Value::String(&text)).unwrap();
                    match place {
                        Some(place) => model[place].1 = text,
                        None => model.push((name.to_owned(), text)),
                    }
                }
                (None, place) => {
                    let removable = place.filter(|_| name != "source");
                    prop_assert_eq!(event.remove(name), removable.is_some());
                    removable.map(|place| model.remove(place));
                }
            }
        }
        let all: Vec<_> =
            event.attributes().map(|(name, value)| (name.to_owned(), value.text().into_owned())).collect();
        prop_assert_eq!(all, model);
    }
}
