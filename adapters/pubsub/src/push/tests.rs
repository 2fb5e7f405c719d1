use super::*;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use decode::MESSAGE_PUBLISHED as PUBLISHED;
use flate2::read::GzDecoder;
use http::Request;
use outrigger_core::{Code, Kind, Reason};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::{fs::File, io::Read as _};

const TOPIC: &str = "projects/p/topics/t";
const HOP: &[&str] = &["traceparent", "tracestate"];
const SUBSCRIPTION: &str = "projects/p/subscriptions/s";

fn pushed(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Result<Event, Malformed>> {
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    match (Push { topic: TOPIC.into(), hop: HOP }).decode(&parts, body.into())? {
        Inbox::Events { mut items, batch: false, .. } if items.len() == 1 => Ok(items.remove(0)),
        other => panic!("{other:?}"),
    }
}

fn wrapped(message: &Json) -> Result<Result<Event, Malformed>> {
    pushed(&[], json!({"message": message, "subscription": SUBSCRIPTION, "deliveryAttempt": 3}).to_string())
}

fn event(message: &Json) -> Event {
    wrapped(message).unwrap().unwrap()
}

fn data(event: &Event) -> Json {
    serde_json::from_slice(event.data().unwrap()).unwrap()
}

#[test]
fn a_message_becomes_googles_own_event() {
    let message = json!({
        "data": "dGVzdA==", "attributes": {"b": "2", "a": "1"}, "messageId": "7", "message_id": "7",
        "publishTime": "2021-02-26T19:13:55.749Z", "publish_time": "2021-02-26T19:13:55.749Z", "orderingKey": "k",
    });
    let event = event(&message);
    let source = "//pubsub.googleapis.com/projects/p/topics/t";
    assert_eq!((event.id(), event.source(), event.ty()), ("7", source, PUBLISHED));
    assert_eq!(
        (event.time(), event.datacontenttype()),
        (Some("2021-02-26T19:13:55.749Z"), Some("application/json"))
    );
    assert_eq!(event.text("partitionkey").as_deref(), Some("k"));
    let mut once = message.clone();
    once.as_object_mut().unwrap().retain(|name, _| !name.contains('_'));
    assert_eq!(data(&event), json!({"subscription": SUBSCRIPTION, "message": once}));
}

#[test]
fn what_a_message_does_not_have_its_event_does_not_have() {
    let event = event(&json!({"attributes": {"a": "1"}, "message_id": "7"}));
    assert_eq!((event.time(), event.get("partitionkey")), (None, None));
    let message = json!({"attributes": {"a": "1"}, "messageId": "7"});
    assert_eq!(data(&event), json!({"subscription": SUBSCRIPTION, "message": message}));
}

/// What a redelivery of the same message differs in is no part of its event.
#[test]
fn a_redelivery_is_the_same_event() {
    let message = json!({"data": "dGVzdA==", "messageId": "7"});
    let again = json!({"deliveryAttempt": 9, "message": message, "subscription": SUBSCRIPTION});
    assert_eq!(pushed(&[], again.to_string()).unwrap().unwrap(), event(&message));
}

#[test]
fn a_message_that_is_an_event_stays_it_in_both_modes_and_both_ways() {
    let (plain, raw) = (
        "{ \"a\" : 1 }",
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"100%25","datacontenttype":"application/json","data":{ "a" : 1 }}"#,
    );
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
        ("ce-subject", "100%25"),
        ("content-type", "application/json"),
        ("other", "x"),
    ];
    let binary = json!({
        "data": STANDARD.encode(plain), "messageId": "7",
        "attributes": attributes.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
    });
    let structured = json!({
        "data": STANDARD.encode(raw), "messageId": "7",
        "attributes": {"Content-Type": "application/cloudevents+json; charset=utf-8"},
    });
    let meta = [("x-goog-pubsub-message-id", "7"), ("x-goog-pubsub-subscription-name", SUBSCRIPTION)];
    let unwrapped = pushed(&[&meta[..], &attributes[..]].concat(), plain).unwrap().unwrap();
    let format = [("content-type", "application/cloudevents+json")];
    let unwrapped_structured = pushed(&[&meta[..], &format[..]].concat(), raw).unwrap().unwrap();
    for event in [event(&binary), event(&structured), unwrapped, unwrapped_structured] {
        assert_eq!((event.id(), event.source(), event.ty()), ("1", "/s", "t"));
        assert_eq!(event.subject(), Some("100%25"), "attributes of a message are not percent-encoded");
        assert_eq!(event.data().unwrap(), plain);
        assert_eq!(event.datacontenttype(), Some("application/json"));
        assert_eq!(event.attributes().count(), 5);
    }
}

#[test]
fn what_a_message_tells_of_its_hop_is_beside_its_event() {
    let hop = |attributes: Json| {
        let (parts, ()) = Request::post("/").body(()).unwrap().into_parts();
        let message = json!({"data": "", "messageId": "7", "attributes": attributes});
        let body = json!({"message": message, "subscription": SUBSCRIPTION}).to_string();
        match (Push { topic: TOPIC.into(), hop: HOP }).decode(&parts, body.into()).unwrap() {
            Inbox::Events { items, hop, .. } => (items.into_iter().next().unwrap().unwrap(), hop),
            other => panic!("{other:?}"),
        }
    };
    let told = [("traceparent".to_owned(), "00-1".to_owned())];
    assert_eq!(hop(json!({"traceparent": "00-1", "a": "1"})).1, told);
    let (event, of_event) = hop(json!({
        "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t",
        "ce-traceparent": "00-2", "traceparent": "00-1",
    }));
    assert_eq!((of_event, event.text("traceparent").as_deref()), (told.to_vec(), Some("00-2")));
    assert_eq!(hop(json!({"a": "1"})).1, []);
}

#[test]
fn an_events_own_key_goes_before_the_ordering_key() {
    let of = |attributes: Json| {
        event(&json!({"data": "", "messageId": "7", "orderingKey": "k", "attributes": attributes}))
    };
    let mut attributes = json!({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"});
    assert_eq!(of(attributes.clone()).text("partitionkey").as_deref(), Some("k"));
    attributes["ce-partitionkey"] = "own".into();
    assert_eq!(of(attributes).text("partitionkey").as_deref(), Some("own"));
}

#[test]
fn an_unwrapped_message_is_the_same_event_as_a_wrapped_one() {
    let headers = [
        ("x-goog-pubsub-message-id", "7"),
        ("x-goog-pubsub-publish-time", "2021-02-26T19:13:55.749Z"),
        ("x-goog-pubsub-ordering-key", "k"),
        ("x-goog-pubsub-subscription-name", SUBSCRIPTION),
        ("content-type", "text/plain"),
        ("region", "eu"),
        ("host", "outrigger.example"),
        ("user-agent", "CloudPubSub-Google"),
        ("authorization", "Bearer s3cret"),
        ("content-length", "4"),
        ("x-forwarded-for", "10.0.0.1"),
    ];
    let unwrapped = pushed(&headers, "test").unwrap().unwrap();
    let wrapped = event(&json!({
        "data": "dGVzdA==", "messageId": "7", "publishTime": "2021-02-26T19:13:55.749Z", "orderingKey": "k",
        "attributes": {"content-type": "text/plain", "region": "eu"},
    }));
    assert_eq!(data(&unwrapped), data(&wrapped));
    let attributes = |event: &Event| {
        event.attributes().map(|(name, value)| format!("{name}={}", value.text())).collect::<Vec<_>>()
    };
    assert_eq!(attributes(&unwrapped), attributes(&wrapped));
}

#[test]
fn what_says_it_is_an_event_and_is_none_is_malformed_with_its_message() {
    for (attributes, at) in [
        (json!({"ce-specversion": "1.0"}), "id"),
        (json!({"ce-specversion": "0.3", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}), "specversion"),
        (
            json!({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-time": "x"}),
            "time",
        ),
        (
            json!({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-A_b": "x"}),
            "attribute",
        ),
        (json!({"content-type": "application/cloudevents+json"}), "json"),
        (json!({"content-type": "application/cloudevents+xml"}), "content-type"),
        (json!({"content-type": "application/cloudevents-batch+json"}), "content-type"),
    ] {
        let message = json!({"data": "Ww==", "messageId": "7", "orderingKey": "k", "attributes": attributes});
        let malformed = wrapped(&message).unwrap().unwrap_err();
        assert!(malformed.why.starts_with(&format!("{at}:")), "{malformed:?}");
        assert_eq!((malformed.raw.as_ref(), malformed.key.as_deref()), (&b"["[..], Some(&b"k"[..])));
        assert_eq!(malformed.headers.len(), attributes.as_object().unwrap().len());
    }
    let untimed = wrapped(&json!({"data": "", "messageId": "7", "publishTime": "yesterday"})).unwrap();
    assert!(untimed.unwrap_err().why.starts_with("time:"));
}

#[test]
fn what_pubsub_never_sends_stays_with_whoever_sent_it() {
    for body in [
        "",
        "test",
        "[]",
        "{}",
        r#"{"message":{},"subscription":"s"}"#,
        r#"{"message":{"messageId":""},"subscription":"s"}"#,
        r#"{"message":{"messageId":"1","data":"%"},"subscription":"s"}"#,
        r#"{"message":{"messageId":"1","messageId":"2"},"subscription":"s"}"#,
        r#"{"message":{"messageId":"1"}}"#,
    ] {
        let error = pushed(&[], body).unwrap_err();
        assert_eq!(error.http_status(), Some(400), "{body}");
    }
    assert!(pushed(&[], "test").unwrap_err().message().contains("--push-no-wrapper-write-metadata"));
    let secret = pushed(&[], format!("{:?}", "s3cret".repeat(1000))).unwrap_err();
    assert!(!secret.message().contains("s3cret"), "{secret}");
    assert_eq!(pushed(&[("x-goog-pubsub-message-id", "")], "x").unwrap_err().http_status(), Some(400));
}

#[test]
fn only_what_is_done_is_acknowledged() {
    let push = Push { topic: TOPIC.into(), hop: HOP };
    let status = |outcome: &Outcome| push.answer(outcome).status().as_u16();
    assert_eq!(status(&Outcome::Accepted { events: 1, dead: 0 }), 204);
    assert_eq!(status(&Outcome::Accepted { events: 0, dead: 1 }), 204);
    assert_eq!(status(&Outcome::Settled { settlements: vec![Settlement::Ack(None)], dead: 0 }), 204);
    let rejected =
        Settlement::Reject(Reason { code: Code::Refused, status: Some(400), detail: String::new() });
    for settlement in [rejected, Settlement::Release { after: None }] {
        assert_eq!(status(&Outcome::Settled { settlements: vec![settlement], dead: 0 }), 503);
    }
    for kind in [Kind::Invalid, Kind::Overloaded, Kind::Full, Kind::Storage, Kind::Closed, Kind::TimedOut] {
        assert!(status(&Outcome::Unavailable(Error::new(kind, ""))) >= 400, "{kind:?}");
    }
}

#[test]
fn every_public_payload_passes_byte_for_byte() {
    let Some(folder) = outrigger_testkit::shared("pubsub push: every public payload", "data/events") else {
        return;
    };
    let mut count = 0;
    for name in ["github-webhooks.jsonl.gz", "aws-lambda.jsonl.gz", "google.jsonl.gz"] {
        let mut lines = String::new();
        GzDecoder::new(File::open(folder.join(name)).unwrap()).read_to_string(&mut lines).unwrap();
        for line in lines.lines() {
            let event = event(&json!({"data": STANDARD.encode(line), "messageId": "7"}));
            let kept = STANDARD.decode(data(&event)["message"]["data"].as_str().unwrap()).unwrap();
            assert_eq!(kept, line.as_bytes());
            // Google's own examples of what is pushed are read as they are.
            let payload: Json = serde_json::from_str(line).unwrap();
            if payload["file"].as_str().unwrap().contains("MessagePublishedData") {
                let event = pushed(&[], payload["body"].to_string()).unwrap().unwrap();
                assert_eq!(event.id(), "message-id");
                assert_eq!(data(&event)["message"]["data"], payload["body"]["message"]["data"]);
                count += 1;
            }
        }
    }
    assert_eq!(count, 3, "of Google's examples");
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = pushed(&[], body);
    }

    #[test]
    fn any_message_is_an_event_or_malformed_and_keeps_its_data(
        data in prop::collection::vec(any::<u8>(), 0..40),
        attributes in prop::collection::hash_map("(ce-(id|source|type|specversion|x)|content-type|a)", "\\PC{0,6}", 0..6),
        ordering_key in "\\PC{0,6}",
    ) {
        let data = Bytes::from(data);
        let message = Message { data: data.clone(), attributes, id: "7".to_owned(), ordering_key, publish_time: None };
        let place = Place { subscription: SUBSCRIPTION.to_owned(), topic: Some(TOPIC.to_owned()) };
        match super::event(&message, &place) {
            Ok(event) if event.ty() == PUBLISHED && event.id() == "7" => {
                let kept: Json = serde_json::from_slice(event.data().unwrap()).unwrap();
                let kept = kept["message"]["data"].as_str().map(|text| STANDARD.decode(text).unwrap());
                prop_assert_eq!(kept.unwrap_or_default(), data);
            }
            Ok(event) => prop_assert_eq!(event.data().cloned().unwrap_or_default(), data),
            Err(malformed) => prop_assert_eq!(malformed.raw, data),
        }
    }
}
