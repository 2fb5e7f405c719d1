use super::*;
use proptest::prelude::*;

fn place() -> Place {
    Place {
        subscription: "projects/p/subscriptions/s".to_owned(),
        topic: Some("projects/p/topics/t".to_owned()),
    }
}

fn message(attributes: &[(&str, &str)], data: &'static [u8]) -> Message {
    Message {
        data: Bytes::from_static(data),
        attributes: attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        id: "42".to_owned(),
        publish_time: Some("2026-01-31T12:00:00.5Z".to_owned()),
        ordering_key: "k".to_owned(),
    }
}

#[test]
fn a_plain_message_becomes_googles_own_event() {
    let event = decode(&message(&[("b", "2"), ("a", "1")], b"hello"), &place()).unwrap();
    assert_eq!(event.ty(), MESSAGE_PUBLISHED);
    assert_eq!(event.source(), "//pubsub.googleapis.com/projects/p/topics/t");
    assert_eq!((event.id(), event.time()), ("42", Some("2026-01-31T12:00:00.5Z")));
    assert_eq!(event.datacontenttype(), Some("application/json"));
    let json = "{\"subscription\":\"projects/p/subscriptions/s\",\"message\":{\"data\":\"aGVsbG8=\",\
                \"attributes\":{\"a\":\"1\",\"b\":\"2\"},\"messageId\":\"42\",\
                \"publishTime\":\"2026-01-31T12:00:00.5Z\",\"orderingKey\":\"k\"}}";
    assert_eq!(event.data().unwrap(), json.as_bytes());
    assert_eq!(event.get("partitionkey"), Some(Value::String("k")));
}

#[test]
fn an_ordering_key_that_can_be_no_attribute_costs_no_message() {
    let message = Message { ordering_key: "a\tb".to_owned(), ..message(&[], b"x") };
    assert_eq!(decode(&message, &place()).unwrap().get("partitionkey"), None);
}

#[test]
fn without_a_topic_the_subscription_is_the_source() {
    let event = decode(&message(&[], b"x"), &Place { topic: None, ..place() }).unwrap();
    assert_eq!(event.source(), "//pubsub.googleapis.com/projects/p/subscriptions/s");
}

#[test]
fn a_cloudevent_stays_what_it_is_in_both_modes() {
    let binary = message(
        &[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t"), ("color", "red")],
        b"data",
    );
    let event = decode(&binary, &place()).unwrap();
    assert_eq!((event.id(), event.source(), event.ty()), ("1", "/s", "t"));
    assert_eq!(event.data().unwrap(), &b"data"[..]);
    assert_eq!(
        event.get("partitionkey"),
        Some(Value::String("k")),
        "so that it is the same event as if pushed"
    );
    assert_eq!(hop(&binary), [("color".to_owned(), "red".to_owned())]);
    let structured = message(
        &[("Content-Type", "application/cloudevents+json; charset=utf-8")],
        b"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"data\":7}",
    );
    assert_eq!(decode(&structured, &place()).unwrap().data().unwrap(), &b"7"[..]);
}

#[test]
fn what_says_that_it_is_an_event_and_is_none_keeps_its_bytes() {
    let broken = message(&[("ce-specversion", "1.0"), ("ce-id", "1"), ("a", "b")], b"raw");
    let malformed = decode(&broken, &place()).unwrap_err();
    assert_eq!(malformed.raw, &b"raw"[..]);
    assert_eq!(malformed.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(malformed.headers[0], ("a".to_owned(), Bytes::from_static(b"b")));
    assert_eq!(malformed.headers.len(), 3);
}

proptest! {
    /// Whatever a publisher wrote is an event with all of it, or malformed with all of it.
    #[test]
    fn nothing_is_lost_of_any_message(
        attributes in prop::collection::hash_map("(ce-)?[a-z]{1,5}|content-type|\\PC{1,4}", "\\PC{0,12}", 0..5),
        data in prop::collection::vec(any::<u8>(), 0..64),
        id in "[0-9]{1,19}",
        ordering_key in "\\PC{0,8}",
    ) {
        let message = Message { data: data.into(), attributes, id, publish_time: None, ordering_key };
        match decode(&message, &place()) {
            Err(malformed) => {
                prop_assert_eq!(&malformed.raw, &message.data);
                let headers: HashMap<String, String> = malformed
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name, String::from_utf8(value.to_vec()).unwrap()))
                    .collect();
                prop_assert_eq!(&headers, &message.attributes);
            }
            Ok(event) if event.ty() == MESSAGE_PUBLISHED && event.id() == message.id => {
                let json: serde_json::Value = serde_json::from_slice(event.data().unwrap()).unwrap();
                let inner = &json["message"];
                let data = STANDARD.decode(inner["data"].as_str().unwrap_or_default()).unwrap();
                prop_assert_eq!(&data, &message.data);
                for (name, value) in &message.attributes {
                    prop_assert_eq!(inner["attributes"][name].as_str(), Some(value.as_str()));
                }
                prop_assert_eq!(inner["orderingKey"].as_str().unwrap_or_default(), message.ordering_key);
            }
            Ok(_) => {}
        }
    }
}
