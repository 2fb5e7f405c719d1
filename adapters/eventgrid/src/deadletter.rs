//! The files that Azure writes its dead letters into, read so that their events can be sent again. Pure.
//!
//! Namespaces write `[{"deadLetterProperties": {…}, "event": {…}}]`; topics of the older kind write the events
//! themselves, with why they died among their members. Both hold events of either schema.

use crate::schema;
use bytes::Bytes;
use outrigger_core::{Event, Invalid, event::json};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

/// What Azure adds to a dead `CloudEvent` that stands by itself; the event that was published had none of it.
const ADDED: [&str; 5] =
    ["deadletterreason", "deliveryattempts", "lastdeliveryattempttime", "lastdeliveryoutcome", "publishtime"];

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Deserialize)]
struct Letter<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Versioned {
    specversion: Option<IgnoredAny>,
}

/// The events of a file, each for itself, in their order.
///
/// # Errors
/// When the whole is neither a JSON array nor an object.
pub fn read(file: &[u8]) -> Result<Vec<Result<Event, Invalid>>, Invalid> {
    // JSON has no place for the mark that some editors and tools put first.
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let letters: Vec<&RawValue> = match serde_json::from_slice(file) {
        Ok(letters) => letters,
        Err(error) => match serde_json::from_slice::<&RawValue>(file) {
            Ok(one) if one.get().starts_with('{') => vec![one],
            _ => return Err(Invalid::says("dead letters", &format!("are no JSON array ({error})"))),
        },
    };
    Ok(letters.into_iter().map(letter).collect())
}

fn letter(letter: &RawValue) -> Result<Event, Invalid> {
    let inner = serde_json::from_str::<Letter<'_>>(letter.get()).ok().and_then(|letter| letter.event);
    let mut event = event(inner.unwrap_or(letter))?;
    if inner.is_none() {
        for name in ADDED {
            event.remove(name);
        }
    }
    Ok(event)
}

/// An event of either schema.
fn event(raw: &RawValue) -> Result<Event, Invalid> {
    let is_cloud_event =
        serde_json::from_str::<Versioned>(raw.get()).is_ok_and(|event| event.specversion.is_some());
    let bytes = Bytes::copy_from_slice(raw.get().as_bytes());
    if is_cloud_event { json::decode(bytes) } else { schema::decode(&bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &'static str) -> Vec<Result<String, String>> {
        let read = read(text.as_bytes()).unwrap();
        let name = |event: Result<Event, Invalid>| {
            event.map(|event| format!("{} {}", event.source(), event.id())).map_err(|error| error.to_string())
        };
        read.into_iter().map(name).collect()
    }

    #[test]
    fn a_namespaces_file_gives_its_events_in_both_schemas() {
        let found = ids(
            r#"[{"deadLetterProperties":{"deadletterreason":"Maximum delivery attempts was exceeded.","deliveryattempts":2},
                 "event":{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"event":7}}},
                {"deadLetterProperties":{},"event":{"id":"2","topic":"/t","subject":"s","eventType":"t","data":null}},
                {"deadLetterProperties":{},"event":{"id":"3"}}]"#,
        );
        assert_eq!(found[..2], [Ok("/s 1".to_owned()), Ok("/t 2".to_owned())]);
        assert!(found[2].is_err() && found.len() == 3);
    }

    #[test]
    fn an_older_file_gives_its_events_without_what_azure_added() {
        let file =
            br#"[{"id":"1","source":"/s","specversion":"1.0","type":"t","subject":"x","deadletterreason":"MaxDeliveryAttemptsExceeded",
                  "deliveryattempts":30,"lastdeliveryoutcome":"NotFound","publishtime":"2026-01-01T00:00:00Z",
                  "lastdeliveryattempttime":"2026-01-02T00:00:00Z","mine":"kept"},
                 {"id":"2","topic":"/t","subject":"s","eventType":"t","eventTime":"2026-01-01T00:00:00Z","dataVersion":"1",
                  "metadataVersion":"1","deadLetterReason":"TimeToLiveExceeded","deliveryAttempts":1,"data":{"event":{}}}]"#;
        let events: Vec<_> = read(file).unwrap().into_iter().map(Result::unwrap).collect();
        let names: Vec<_> = events[0].attributes().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["id", "source", "type", "subject", "mine"]);
        assert_eq!((events[1].id(), events[1].data().unwrap().as_ref()), ("2", &br#"{"event":{}}"#[..]));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_file() {
        let letter = r#"[{"event":{"specversion":"1.0","id":"1","source":"/s","type":"t"}}]"#;
        let marked = read(format!("\u{feff}{letter}").as_bytes()).unwrap();
        assert_eq!(marked[0].as_ref().unwrap().id(), "1");
        assert!(read("\u{feff}".as_bytes()).is_err());
    }

    #[test]
    fn a_single_letter_is_a_file_and_anything_else_is_none() {
        assert_eq!(ids(r#"{"event":{"specversion":"1.0","id":"1","source":"/s","type":"t"}}"#).len(), 1);
        for text in ["", "7", "[", "<xml>"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(ids("[7, {}]").iter().all(Result::is_err));
    }
}
