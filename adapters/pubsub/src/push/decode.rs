//! From a message to the event that it is, or to the event that Google makes of it. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use outrigger_core::{
    Event, Invalid, Malformed, Value,
    event::{
        http::{self as binding, Mode},
        json,
    },
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

/// The type that Google gives an event that is made of a message.
pub const PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";

/// A message of Pub/Sub.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its data; none is no data, and then it has attributes.
    pub data: Option<Bytes>,
    /// Its attributes, each once.
    pub attributes: Vec<(String, String)>,
    /// Its id within the topic; never empty.
    pub id: String,
    /// When it was published, in RFC 3339; empty where that is not known.
    pub publish_time: String,
    /// What keeps messages in order; empty is none.
    pub ordering_key: String,
    /// The subscription by which it came, as `projects/P/subscriptions/S`.
    pub subscription: String,
}

/// The event of a message of `topic`, which is named as `projects/P/topics/T`.
///
/// One that says it is a `CloudEvent`, by attributes `ce-*` with `ce-specversion` or by a structured content type, is that
/// event. Any other becomes Google's `messagePublished`, whose data is JSON that holds the message. Its ordering key is
/// the `partitionkey` of either, unless the event has one of its own.
///
/// # Errors
/// The message, where it says that it is an event and is none.
pub fn event(message: Message, topic: &str) -> Result<Event, Malformed> {
    let made = match mode(&message) {
        Ok(Mode::Structured) => json::decode(message.data.clone().unwrap_or_default()),
        Ok(Mode::Batch) => Err(Invalid::says("content-type", "is a batch, and a message holds one event")),
        Ok(Mode::Binary) if message.attribute("ce-specversion").is_some() => binary(&message),
        Ok(Mode::Binary) => published(&message, topic),
        Err(why) => Err(why),
    };
    let keyed = made.and_then(|mut event| {
        if !message.ordering_key.is_empty() && event.get("partitionkey").is_none() {
            event.set("partitionkey", Value::String(&message.ordering_key))?;
        }
        Ok(event)
    });
    keyed.map_err(|why| malformed(message, &why))
}

impl Message {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// The media type of the data: implementations write its name in three ways.
    fn content_type(&self) -> Option<&str> {
        let any_case = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("content-type");
        let spelled = self.attributes.iter().find(any_case).map(|(_, text)| text.as_str());
        spelled.or_else(|| self.attribute("ce-datacontenttype"))
    }
}

fn mode(message: &Message) -> Result<Mode, Invalid> {
    let Some(content_type) = message.content_type() else { return Ok(Mode::Binary) };
    let value = HeaderValue::from_str(content_type);
    let value = value.map_err(|_| Invalid::new("content-type", content_type, "a media type"))?;
    binding::mode(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
}

/// An event whose attributes are the message's: as they are, without the percent-encoding of HTTP.
fn binary(message: &Message) -> Result<Event, Invalid> {
    let needed = |name: &str| {
        let text = message.attribute(&format!("ce-{name}")).filter(|text| !text.is_empty());
        text.ok_or_else(|| Invalid::says(name, "is missing; every event has it, and it is not empty"))
    };
    let version = needed("specversion")?;
    if version != "1.0" {
        return Err(Invalid::new("specversion", version, "1.0"));
    }
    let mut event = Event::new(needed("id")?, needed("source")?, needed("type")?)?;
    for (name, text) in &message.attributes {
        let Some(name) = name.strip_prefix("ce-") else { continue };
        if !matches!(name, "specversion" | "id" | "source" | "type" | "datacontenttype") {
            event.set(name, Value::String(text))?;
        }
    }
    if let Some(content_type) = message.content_type() {
        event.set("datacontenttype", Value::String(content_type))?;
    }
    event.set_data(message.data.clone());
    Ok(event)
}

/// Google's own mapping.
fn published(message: &Message, topic: &str) -> Result<Event, Invalid> {
    // A topic's name may have a percent sign, which no URI has alone.
    let source = format!("//pubsub.googleapis.com/{}", topic.replace('%', "%25"));
    let mut event = Event::new(&message.id, &source, PUBLISHED)?;
    if !message.publish_time.is_empty() {
        event.set("time", Value::String(&message.publish_time))?;
    }
    let data = Published { subscription: &message.subscription, message: Inner(message) };
    let data = serde_json::to_vec(&data).map_err(|error| Invalid::says("data", &error.to_string()))?;
    event.with_data("application/json", Bytes::from(data))
}

#[derive(Serialize)]
struct Published<'a> {
    subscription: &'a str,
    message: Inner<'a>,
}

/// What is empty is left out, as Google does.
struct Inner<'a>(&'a Message);

impl Serialize for Inner<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let mut map = serializer.serialize_map(None)?;
        if let Some(data) = &message.data {
            map.serialize_entry("data", &STANDARD.encode(data))?;
        }
        if !message.attributes.is_empty() {
            map.serialize_entry("attributes", &Attributes(&message.attributes))?;
        }
        map.serialize_entry("messageId", &message.id)?;
        let further = [("publishTime", &message.publish_time), ("orderingKey", &message.ordering_key)];
        for (name, text) in further.into_iter().filter(|(_, text)| !text.is_empty()) {
            map.serialize_entry(name, text)?;
        }
        map.end()
    }
}

struct Attributes<'a>(&'a [(String, String)]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, text)))
    }
}

fn malformed(message: Message, why: &Invalid) -> Malformed {
    let headers = message.attributes.into_iter().map(|(name, text)| (name, Bytes::from(text)));
    Malformed {
        raw: message.data.unwrap_or_default(),
        headers: headers.collect(),
        key: Some(Bytes::from(message.ordering_key)).filter(|key| !key.is_empty()),
        why: why.to_string(),
    }
}
