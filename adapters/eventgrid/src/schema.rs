//! From the Event Grid schema to an event. Pure.

use bytes::Bytes;
use outrigger_core::{Event, Invalid, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow, default)]
    event_time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads one event of the Event Grid schema: `topic` becomes the source, `eventType` the type, `eventTime` the time,
/// `dataVersion` V the dataschema `#V`, as Azure itself maps them; the data stays as it came. Without a topic, which
/// Azure adds when it takes an event, the subject is the source, too.
///
/// # Errors
/// When it is no object with `id` and `eventType`, or what it says breaks a rule of CloudEvents.
pub fn read(event: &[u8]) -> Result<Event, Invalid> {
    let member: Member<'_> = serde_json::from_slice(event)
        .map_err(|error| Invalid::new("event", &error.to_string(), "an event of the Event Grid schema"))?;
    let (subject, topic) = (given(member.subject.as_deref()), given(member.topic.as_deref()));
    let mut read = Event::new(&member.id, topic.or(subject).unwrap_or(""), &member.event_type)?;
    if let Some(subject) = subject {
        read.set("subject", Value::String(subject))?;
    }
    if let Some(time) = given(member.event_time.as_deref()) {
        read.set("time", Value::Timestamp(time))?;
    }
    if let Some(version) = given(member.data_version.as_deref()) {
        read.set("dataschema", Value::String(&format!("#{version}")))?;
    }
    match member.data.filter(|data| data.get() != "null") {
        Some(data) => read.with_data("application/json", Bytes::copy_from_slice(data.get().as_bytes())),
        None => Ok(read),
    }
}

/// What is empty says nothing.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_mapped_as_azure_maps_it() {
        let event = read(
            br#"{"id":"i","topic":"/subscriptions/s","subject":"blobs/a","eventType":"Microsoft.Storage.BlobCreated",
                 "eventTime":"2017-06-26T18:41:00.9584103Z","dataVersion":"1","metadataVersion":"1","data":{"n": 1.0}}"#,
        )
        .unwrap();
        assert_eq!(
            (event.id(), event.source(), event.ty()),
            ("i", "/subscriptions/s", "Microsoft.Storage.BlobCreated")
        );
        assert_eq!(event.subject(), Some("blobs/a"));
        assert_eq!(event.time(), Some("2017-06-26T18:41:00.9584103Z"));
        assert_eq!(event.dataschema(), Some("#1"));
        assert_eq!(event.datacontenttype(), Some("application/json"));
        assert_eq!(event.data().unwrap().as_ref(), br#"{"n": 1.0}"#);
        assert_eq!(event.text("metadataversion"), None);
    }

    #[test]
    fn what_is_empty_is_left_out_and_what_is_needed_is_asked_for() {
        let event =
            read(br#"{"id":"i","subject":"s","topic":"","eventType":"t","dataVersion":"","data":null}"#)
                .unwrap();
        assert_eq!((event.source(), event.subject(), event.dataschema()), ("s", Some("s"), None));
        assert_eq!((event.data(), event.datacontenttype()), (None, None));
        for bad in [
            &b"{}"[..],
            b"[]",
            br#"{"id":"i"}"#,
            br#"{"id":"i","eventType":"t"}"#,
            br#"{"id":"i","topic":"/t","eventType":"t","eventTime":"today"}"#,
        ] {
            assert!(read(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
