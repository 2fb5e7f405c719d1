use super::*;
use crate::decode::{self, Message, Place};
use outrigger_core::{Code, Origin, Position, Reason, Value};
use proptest::prelude::*;

fn given(attributes: &[(&str, &str)]) -> Event {
    let mut event = Event::new("1", "/s", "t").unwrap();
    for (name, value) in attributes {
        event.set(name, Value::String(value)).unwrap();
    }
    event.with_data("text/plain", Bytes::from_static(b"x")).unwrap()
}

/// The event that a subscriber of ours would read.
fn read(outgoing: &Outgoing) -> Event {
    let message = Message {
        data: outgoing.data.clone(),
        attributes: outgoing.attributes.clone(),
        id: "9".to_owned(),
        ..Message::default()
    };
    let place = Place { subscription: "projects/p/subscriptions/s".to_owned(), topic: None };
    decode::decode(&message, &place).unwrap()
}

fn letter(item: Result<Event, Malformed>, detail: &str) -> DeadLetter {
    DeadLetter {
        item,
        key: Some(Key::new("source", b"k")),
        origin: Origin {
            source: "pubsub".into(),
            position: Position::Text("projects/p/subscriptions/s/42".to_owned()),
            headers: vec![("CloudPubSubDeadLetterSourceDeliveryCount".to_owned(), "5".to_owned())],
        },
        reason: Reason { code: Code::Exhausted, status: Some(500), detail: detail.to_owned() },
        attempts: 3,
        first_ms: 1,
        last_ms: 2,
    }
}

#[test]
fn an_event_whose_attributes_pubsub_would_refuse_is_structured() {
    assert!(!event(&given(&[])).attributes["content-type"].starts_with("application/cloudevents"));
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    let event = given(&[("long", &long)]);
    let written = super::event(&event);
    assert_eq!(written.attributes.len(), 1);
    assert_eq!(read(&written).text("long").as_deref(), Some(&*long));
    let names: Vec<String> = (0..ATTRIBUTES_MAX).map(|number| format!("a{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "v")).collect();
    assert_eq!(super::event(&given(&many)).attributes.len(), 1);
}

#[test]
fn the_partition_key_is_the_ordering_key() {
    assert_eq!(event(&given(&[("partitionkey", "k1")])).ordering_key, "k1");
    assert_eq!(structured(&given(&[("partitionkey", "k1")]), Format::Json).ordering_key, "k1");
    assert_eq!(event(&given(&[])).ordering_key, "");
}

#[test]
fn a_dead_letter_explains_itself_and_is_still_the_event() {
    let letter = letter(Ok(given(&[])), &"é".repeat(VALUE_BYTES_MAX));
    let written = dead_letter(&letter);
    assert_eq!(Ok(read(&written)), letter.item);
    assert_eq!(written.ordering_key, "k");
    let told = |name: &str| written.attributes.get(&[PREFIX, name].concat()).map(String::as_str);
    assert_eq!(told("code"), Some("exhausted"));
    assert_eq!(told("status"), Some("500"));
    assert_eq!(told("attempts"), Some("3"));
    assert_eq!(told("position"), Some("projects/p/subscriptions/s/42"));
    assert_eq!((told("first_ms"), told("last_ms"), told("left_out")), (Some("1"), Some("2"), None));
    assert_eq!(told("reason").map(str::len), Some(VALUE_BYTES_MAX));
    assert_eq!(written.attributes["CloudPubSubDeadLetterSourceDeliveryCount"], "5");
}

#[test]
fn what_could_not_be_read_is_written_as_it_came_and_what_does_not_fit_is_counted() {
    let header = |name: &str, value: &[u8]| (name.to_owned(), Bytes::copy_from_slice(value));
    let malformed = Malformed {
        raw: Bytes::from_static(b"raw"),
        headers: vec![
            header("ce-id", b"1"),
            header("ce-id", b"2"),
            header("bytes", &[0xff]),
            header("googlike", b"x"),
            header("long", "y".repeat(VALUE_BYTES_MAX + 1).as_bytes()),
        ],
        key: None,
        why: "broken".to_owned(),
    };
    let written = dead_letter(&letter(Err(malformed), "broken"));
    assert_eq!(written.data, &b"raw"[..]);
    assert_eq!(written.attributes["ce-id"], "1");
    assert_eq!(written.attributes["outrigger_left_out"], "4");
}

proptest! {
    /// Any event keeps to Pub/Sub's bounds, also as a dead letter, and is read as the same.
    #[test]
    fn any_event_comes_back(
        values in prop::collection::hash_map("[a-z]{1,12}x", "[ -~]{1,1200}", 0..110),
        is_structured: bool,
    ) {
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (&**name, &**value)).collect();
        let event = given(&values);
        let plain = if is_structured { structured(&event, Format::Json) } else { super::event(&event) };
        for written in [plain, dead_letter(&letter(Ok(event.clone()), "why"))] {
            prop_assert!(written.attributes.len() <= ATTRIBUTES_MAX);
            for (name, value) in &written.attributes {
                prop_assert!(name.len() <= NAME_BYTES_MAX && value.len() <= VALUE_BYTES_MAX);
            }
            prop_assert_eq!(&read(&written), &event);
        }
    }
}
