use outrigger_core::{Code, Origin, Position, Reason, Value};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::decode::{Plain, Record, decode};

fn letter(item: Result<Event, Malformed>) -> DeadLetter {
    DeadLetter {
        item,
        key: None,
        origin: Origin {
            source: "orders".into(),
            position: Position::Text("orders/1/5".to_owned()),
            headers: Vec::new(),
        },
        target: None,
        reason: Reason { code: Code::Refused, status: Some(422), detail: "no such order".to_owned() },
        attempts: 3,
        first_ms: 1000,
        last_ms: 2000,
    }
}

fn an_event() -> Event {
    let event = Event::new("1", "/s", "t").unwrap();
    event.with_data("application/json", Bytes::from_static(b"{ }")).unwrap()
}

fn shown(record: &Outgoing<'_>) -> Vec<(String, Option<String>)> {
    let text = |bytes: &Cow<'_, [u8]>| String::from_utf8_lossy(bytes).into_owned();
    record.headers.iter().map(|(name, value)| (name.clone().into_owned(), value.as_ref().map(text))).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

fn record<'a, H>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, headers: H) -> Record<'a, H> {
    Record { topic: "t", partition: 0, offset: 0, timestamp_ms: Some(0), key, value, headers }
}

#[test]
fn a_dead_letter_is_its_event_and_why_it_was_given_up() {
    let mut letter = letter(Ok(an_event()));
    letter.key = Some(Key::new("orders", b"\0k\xff"));
    letter.origin.headers =
        [("traceparent", "00-1"), ("ce_id", "2"), ("outrigger_code", "x"), ("Content-Type", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let record = dead_letter(&letter);
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "1"),
        ("ce_source", "/s"),
        ("ce_type", "t"),
        ("content-type", "application/json"),
        ("traceparent", "00-1"),
        ("outrigger_code", "refused"),
        ("outrigger_reason", "no such order"),
        ("outrigger_status", "422"),
        ("outrigger_attempts", "3"),
        ("outrigger_source", "orders"),
        ("outrigger_position", "orders/1/5"),
        ("outrigger_first_ms", "1000"),
        ("outrigger_last_ms", "2000"),
    ];
    assert_eq!(shown(&record), pairs(&expected));
    assert_eq!(record.key.as_deref(), Some(&b"\0k\xff"[..]));
    assert_eq!(record.value.as_deref(), Some(&b"{ }"[..]));
}

#[test]
fn what_is_not_known_is_not_said() {
    let mut letter = letter(Ok(an_event()));
    letter.origin.position = Position::none();
    letter.reason.status = None;
    let record = dead_letter(&letter);
    assert_eq!(record.key, None);
    assert!(
        !record.headers.iter().any(|(name, _)| name == "outrigger_status" || name == "outrigger_position")
    );
}

#[test]
fn a_reply_has_its_own_key_or_the_one_it_is_given() {
    let mut reply = an_event();
    assert_eq!(event(&reply, Some(b"given")).key.as_deref(), Some(&b"given"[..]));
    assert_eq!(event(&reply, None).key, None);
    reply.set("partitionkey", Value::String("own")).unwrap();
    assert_eq!(event(&reply, Some(b"given")).key.as_deref(), Some(&b"own"[..]));
}

#[test]
fn what_came_over_another_transport_is_written_too() {
    let headers = vec![("content-type".to_owned(), Bytes::from_static(b"a/b"))];
    let malformed =
        Malformed { raw: Bytes::from_static(b"x"), headers, key: None, why: "no event".to_owned() };
    let mut letter = letter(Err(malformed));
    letter.key = Some(Key::new("http", b"k"));
    let record = dead_letter(&letter);
    assert_eq!(shown(&record)[..1], pairs(&[("content-type", "a/b")]));
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"k"[..]), Some(&b"x"[..])));
}

#[test]
fn marks_that_nobody_here_wrote_change_nothing() {
    let raw = Bytes::from_static(b"x");
    let headers = vec![(NULLS.to_owned(), Bytes::from_static(b"9,-1,x,,\xff"))];
    let letter = letter(Err(Malformed { raw, headers, key: None, why: String::new() }));
    assert_eq!(dead_letter(&letter).value.as_deref(), Some(&b"x"[..]));
}

proptest! {
    #[test]
    fn a_malformed_record_is_written_as_it_came(
        key in option::of(vec(any::<u8>(), 0..8)),
        value in option::of(vec(any::<u8>(), 0..16)),
        headers in vec((prop_oneof![Just(NULLS.to_owned()), any::<String>()], option::of(vec(any::<u8>(), 0..8))), 0..6),
    ) {
        let came = [("ce_specversion", Some(&b"1.0"[..]))];
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let headers: Vec<_> = came.into_iter().chain(headers).collect();
        let came = record(key.as_deref(), value.as_deref(), headers.iter().copied());
        let letter = letter(Err(decode(&came, &Plain::default()).unwrap_err()));
        let written = dead_letter(&letter);
        let as_written = written.headers.iter().map(|(name, value)| (name.as_ref(), value.as_deref()));
        prop_assert_eq!(as_written.take(headers.len()).collect::<Vec<_>>(), headers.clone());
        prop_assert_eq!(&written.headers[headers.len()].0, "outrigger_code");
        prop_assert_eq!(written.key.as_deref(), key.as_deref());
        prop_assert_eq!(written.value.as_deref(), value.as_deref());
    }

    #[test]
    fn a_plain_record_that_became_a_dead_letter_is_read_as_the_same_event(
        value in option::of(vec(any::<u8>(), 0..16)),
        key in option::of(vec(any::<u8>(), 0..8)),
    ) {
        let came = record(key.as_deref(), value.as_deref(), std::iter::once(("a", None)));
        let given_up = decode(&came, &Plain::default()).unwrap();
        let letter = letter(Ok(given_up.clone()));
        let written = dead_letter(&letter);
        let headers = written.headers.iter().map(|(name, value)| (name.as_ref(), value.as_deref()));
        let again = record(None, written.value.as_deref(), headers);
        prop_assert_eq!(decode(&again, &Plain::default()), Ok(given_up));
    }
}
