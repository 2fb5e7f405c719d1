use proptest::prelude::*;

use super::*;
use crate::event::{
    Value,
    tests::{events, typed},
};

fn encoded(event: &Event) -> Bytes {
    let mut out = Vec::new();
    encode(event, &mut out);
    Bytes::from(out)
}

fn sample() -> Event {
    let mut event = Event::new("1", "/s", "t").unwrap();
    event.set("time", Value::String("2018-04-05T17:31:00Z")).unwrap();
    event.set("urgent", Value::Boolean(true)).unwrap();
    event.set_data(Some(Bytes::from_static(b"\0data")));
    event
}

/// These bytes are in databases: this test may get a sibling for a new version, but must never change.
#[test]
fn version_1_is_read_as_documented() {
    let event = sample();
    let mut expected = vec![1, 1, 5, 0, 34, 0, 0, 0];
    expected.extend([1, 3, 0, 1, 0, 0, 0]);
    expected.extend([2, 6, 0, 2, 0, 0, 0]);
    expected.extend([3, 3, 0, 1, 0, 0, 0]);
    expected.extend([7, 7, 0, 20, 0, 0, 0]);
    expected.extend([0, 1, 6, 4, 0, 0, 0]);
    expected.extend(b"1/st2018-04-05T17:31:00Zurgenttrue");
    expected.extend(b"\0data");
    let again = decode(&expected).unwrap();
    assert_eq!(typed(&again), typed(&event));
    assert_eq!(again, event);
    for (at, byte, what) in [
        (1, 2, "an unknown flag"),
        (2, 2, "too few attributes"),
        (3, 2, "too many attributes"),
        (4, 1, "a shorter text"),
        (8, 2, "the source first"),
        (8, 14, "an unknown name"),
        (9, 0, "an unknown type"),
        (10, 1, "a name where there is none"),
        (11, 0, "an empty id"),
    ] {
        let mut record = expected.clone();
        record[at] = byte;
        assert!(decode(&record).is_err(), "{what}");
    }
}

/// These bytes are in databases, too.
#[test]
fn version_2_is_written_and_read_as_documented() {
    let mut event = sample();
    event.set("aegdeliverycount", Value::String("0")).unwrap();
    event.set("long", Value::String(&"x".repeat(300))).unwrap();
    let mut expected = vec![2, 1, 7, 0x31, 1, 0x62, 2, 0x33, 1, 0x77, 20, 0x10, 6, 4, 0x3a, 1];
    expected.extend([0x30, 4, 0xac, 0x02]);
    expected.extend(b"1/st2018-04-05T17:31:00Zurgenttrue0long");
    expected.extend("x".repeat(300).bytes());
    expected.extend(b"\0data");
    assert_eq!(encoded(&event), expected);
    let again = decode(&expected).unwrap();
    assert_eq!(typed(&again), typed(&event));
    assert_eq!(again, event);
}

#[test]
fn a_name_that_got_its_number_later_is_read_where_it_is_spelled_out() {
    let mut record = vec![1, 0, 4, 0, 17, 0, 0, 0];
    record.extend([1, 3, 0, 1, 0, 0, 0, 2, 6, 0, 2, 0, 0, 0, 3, 3, 0, 1, 0, 0, 0, 0, 3, 12, 1, 0, 0, 0]);
    record.extend(b"1/staegeventtypeN");
    let event = decode(&record).unwrap();
    assert_eq!(event.get("aegeventtype"), Some(Value::String("N")));
    assert_eq!(decode(&encoded(&event)).unwrap(), event);
    assert!(encoded(&event).len() < record.len() - 12);
    // What always had one never is.
    let record = [&[2, 0, 4, 0x31, 1, 0x62, 2, 0x33, 1, 0x30, 7, 1][..], b"1/stsubjects"].concat();
    assert!(decode(&record).is_err());
}

#[test]
fn an_event_that_was_read_holds_nothing_of_its_record() {
    let event =
        Event::new("1", "/s", "t").unwrap().with_data("text/plain", Bytes::from_static(b"text")).unwrap();
    let record = encoded(&event);
    let again = decode(&record).unwrap();
    assert!(!record.as_ptr_range().contains(&again.data().unwrap().as_ptr()));
}

#[test]
fn a_record_is_appended_to_what_is_there() {
    let event = Event::new("1", "/s", "t").unwrap();
    let mut out = b"before".to_vec();
    encode(&event, &mut out);
    assert_eq!(out[6..], encoded(&event));
    assert_eq!(&out[..6], b"before");
}

#[test]
fn no_data_and_empty_data_stay_apart() {
    let mut event = Event::new("1", "/s", "t").unwrap();
    assert_eq!(decode(&encoded(&event)).unwrap().data(), None);
    event.set_data(Some(Bytes::new()));
    assert_eq!(decode(&encoded(&event)).unwrap().data(), Some(&Bytes::new()));
}

#[test]
fn an_unknown_version_says_what_to_do() {
    let refused = decode(&[3, 0, 0]).unwrap_err().to_string();
    assert!(
        refused.starts_with("record: \"version 3\" is not a version that this Outrigger reads"),
        "{refused}"
    );
}

#[test]
fn what_was_accepted_once_is_read_even_if_it_would_be_refused_today() {
    let mut record = encoded(&Event::new("1", "/s", "t").unwrap()).to_vec();
    let source = record.windows(2).position(|w| w == b"/s").unwrap();
    record[source] = b'^';
    let event = decode(&record).unwrap();
    assert_eq!(event.source(), "^s");
}

#[test]
fn damage_is_an_error_and_never_another_event() {
    let mut event = Event::new("1", "/s", "t").unwrap();
    event.set("count", Value::Integer(1)).unwrap();
    let good = encoded(&event).to_vec();
    let changes: [(usize, u8, &str); 9] = [
        (1, 2, "an unknown flag"),
        (2, 2, "too few attributes"),
        (2, 5, "one attribute more"),
        (3, 0x32, "the source first"),
        (3, 0x3e, "an unknown name"),
        (3, 0x01, "an unknown type"),
        (4, 0, "an empty id"),
        (10, 200, "a name longer than the record"),
        (21, b'x', "an integer that is none"),
    ];
    for (at, byte, what) in changes {
        let mut record = good.clone();
        assert_ne!(record[at], byte, "{what}");
        record[at] = byte;
        assert!(decode(&record).is_err(), "{what}");
    }
    assert!(decode(&[]).is_err());
}

proptest! {
    #[test]
    fn every_event_goes_there_and_back_with_its_types(event in events()) {
        let again = decode(&encoded(&event)).unwrap();
        prop_assert_eq!(&again, &event);
        prop_assert_eq!(typed(&again), typed(&event));
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes: Vec<u8>, event in events(), at: prop::sample::Index, byte: u8) {
        let _ = decode(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = VERSION;
        }
        let _ = decode(&bytes);
        let mut damaged = encoded(&event).to_vec();
        let at = at.index(damaged.len());
        damaged[at] = byte;
        if let Ok(event) = decode(&damaged) {
            // Whatever is read can be written again, here and on every wire.
            prop_assert_eq!(&decode(&encoded(&event)).unwrap(), &event);
            let mut headers = ::http::HeaderMap::new();
            crate::event::http::encode(&event, &mut headers);
            prop_assert_eq!(headers.len(), event.attributes().count() + 1);
        }
    }

    #[test]
    fn a_cut_is_seen_unless_it_only_shortens_the_data(event in events(), at: prop::sample::Index) {
        let record = encoded(&event);
        let at = at.index(record.len());
        // How long the data is, the storage knows.
        let data_len = event.data().map_or(0, Bytes::len);
        match decode(&record[..at]) {
            Ok(shorter) => {
                prop_assert!(at >= record.len() - data_len);
                prop_assert_eq!(typed(&shorter), typed(&event));
                prop_assert!(event.data().unwrap().starts_with(shorter.data().unwrap()));
            }
            Err(_) => prop_assert!(at < record.len() - data_len),
        }
    }
}
