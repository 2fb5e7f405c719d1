//! The Pub/Sub binding (Google's draft for `CloudEvents`): which messages are events, and both of its modes.
//!
//! A message is its attributes, names with values of text, and data, which may be empty. An attribute `content-type`
//! that names the format of an event says that the data is one; else the attributes `ce-…` are the event's own.
//! Values are not percent-encoded. No client library is known here, nor a message's ordering key.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Event, Format, Invalid, SPECVERSION, http, kafka::Found};

const PREFIX: &str = "ce-";
const CONTENT_TYPE: &str = "content-type";

/// The attributes of a message that is written: names and values.
pub type Attributes<'e> = Vec<(Cow<'e, str>, &'e str)>;

/// Reads the event of a message, whose data is not copied. `None`: the message is no `CloudEvent`, nor does it say so.
///
/// In the binary mode other attributes are ignored, and empty data is none, as Pub/Sub does not tell them apart.
/// `content-type` is taken in any case, and `ce-datacontenttype`, which some senders write instead, when it says the
/// same or is there alone.
///
/// # Errors
/// When the message says that it is an event and is none: a batch, a format that is not read here, an attribute that
/// breaks a rule of the specification or is missing.
pub fn read<'a>(
    attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    data: &Bytes,
) -> Result<Option<Event>, Invalid> {
    let attributes = attributes.into_iter().map(|(name, value)| (name, Some(value.as_bytes())));
    Found::among(PREFIX, attributes).read(|| Some(data.clone()).filter(|data| !data.is_empty()))
}

/// Whether an attribute of this name is part of an event.
#[must_use]
pub fn is_of_event(name: &str) -> bool {
    name.starts_with(PREFIX) || name.eq_ignore_ascii_case(CONTENT_TYPE)
}

/// Writes an event in the binary mode: its attributes, and the data, which is empty for an event without data.
///
/// An event whose data says that it is itself an event in another format can only be told from such an event in
/// the structured mode, so it is written in that.
#[must_use]
pub fn encode(event: &Event) -> (Attributes<'_>, Bytes) {
    let typed =
        event.datacontenttype().map_or(Ok(http::Mode::Binary), |text| http::named_by(text.as_bytes()));
    if typed != Ok(http::Mode::Binary) {
        return encode_structured(event, Format::Json);
    }
    let mut attributes = Vec::with_capacity(event.attributes.count() + 1);
    attributes.push((Cow::Borrowed("ce-specversion"), SPECVERSION));
    attributes.extend(event.attributes.iter().map(|attribute| (named(attribute.name), attribute.text)));
    (attributes, event.data.clone().unwrap_or_default())
}

/// Writes an event in the structured mode and this format: its attributes, and the data.
#[must_use]
pub fn encode_structured(event: &Event, format: Format) -> (Attributes<'_>, Bytes) {
    (vec![(Cow::Borrowed(CONTENT_TYPE), format.content_type())], format.encode(event))
}

fn named(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(match name {
        "id" => "ce-id",
        "source" => "ce-source",
        "type" => "ce-type",
        "datacontenttype" => CONTENT_TYPE,
        "dataschema" => "ce-dataschema",
        "subject" => "ce-subject",
        "time" => "ce-time",
        _ => return Cow::Owned([PREFIX, name].concat()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn event() -> Event {
        let mut event = Event::new("1", "/s", "t").unwrap();
        event.set("subject", Value::String("Euro € 100%")).unwrap();
        event.set("myextension", Value::String("x")).unwrap();
        event.with_data("application/json", Bytes::from_static(b"{}")).unwrap()
    }

    fn again((attributes, data): (Attributes<'_>, Bytes)) -> Result<Option<Event>, Invalid> {
        read(attributes.iter().map(|(name, value)| (&**name, *value)), &data)
    }

    #[test]
    fn both_modes_give_back_the_event() {
        assert_eq!(again(encode(&event())), Ok(Some(event())));
        for format in [Format::Json, Format::Protobuf] {
            assert_eq!(again(encode_structured(&event(), format)), Ok(Some(event())));
        }
    }

    #[test]
    fn values_are_not_percent_encoded() {
        let event = event();
        let (attributes, _) = encode(&event);
        assert!(attributes.contains(&(Cow::Borrowed("ce-subject"), "Euro € 100%")));
        assert!(attributes.contains(&(Cow::Borrowed("content-type"), "application/json")));
    }

    #[test]
    fn each_spelling_of_the_content_type_is_taken() {
        let base = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
        for name in ["content-type", "Content-Type", "ce-datacontenttype"] {
            let read = read(base.into_iter().chain([(name, "text/plain")]), &Bytes::from_static(b"x"));
            assert_eq!(read.unwrap().unwrap().datacontenttype(), Some("text/plain"), "{name}");
        }
        let twice = [("content-type", "text/plain"), ("ce-datacontenttype", "text/html")];
        read(base.into_iter().chain(twice), &Bytes::new()).unwrap_err();
    }

    #[test]
    fn a_message_that_is_no_event_is_told_from_a_broken_one() {
        assert_eq!(read([("color", "red")], &Bytes::from_static(b"x")), Ok(None));
        assert_eq!(read([("content-type", "text/plain")], &Bytes::new()), Ok(None));
        read([("ce-specversion", "1.0"), ("ce-id", "1")], &Bytes::new()).unwrap_err();
        read([("content-type", "application/cloudevents-batch+json")], &Bytes::from_static(b"[]"))
            .unwrap_err();
        read([("content-type", "application/cloudevents+json")], &Bytes::new()).unwrap_err();
    }
}
