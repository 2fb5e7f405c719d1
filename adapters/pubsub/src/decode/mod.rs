//! What a message is: an event as it stands, a message that becomes one, or one that could not be read. Pure.
//!
//! A `CloudEvent` stays as it is, but that its ordering key becomes its `partitionkey`. Any other message becomes Google's own event for it, of the type
//! [`MESSAGE_PUBLISHED`], as a push subscription that is turned into an event has it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use outrigger_core::{Event, Invalid, Malformed, Value, event::pubsub};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};

/// The type of the event of a message that is none.
pub const MESSAGE_PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";
/// The attribute by which a journal, a function and another sidecar know an event's key.
pub(crate) const KEY: &str = "partitionkey";
/// What the source of such an event begins with.
const HOST: &str = "//pubsub.googleapis.com/";

/// A message as it was received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its data, which may be empty.
    pub data: Bytes,
    /// Its attributes.
    pub attributes: HashMap<String, String>,
    /// The id that Pub/Sub gave it.
    pub id: String,
    /// When it was published, by RFC 3339.
    pub publish_time: Option<String>,
    /// Its ordering key; empty is none.
    pub ordering_key: String,
}

impl Message {
    /// Its bytes, as bounds count them.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.data.len() + attributes + self.id.len() + self.ordering_key.len()
    }
}

/// Where a message comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `projects/P/subscriptions/S`.
    pub subscription: String,
    /// `projects/P/topics/T`, where it is known; else the subscription stands in the source.
    pub topic: Option<String>,
}

/// Reads the event of a message, pulled or pushed. Its ordering key is its `partitionkey`, unless it has one of its own.
///
/// # Errors
/// When the message says that it is a `CloudEvent` and is none, or its own values can be no attribute of an event.
pub fn decode(message: &Message, place: &Place) -> Result<Event, Malformed> {
    let attributes = message.attributes.iter().map(|(name, value)| (&**name, &**value));
    let read = match pubsub::read(attributes, &message.data) {
        Ok(None) => published(message, place),
        Ok(Some(event)) => Ok(event),
        Err(why) => Err(why),
    };
    let mut event = read.map_err(|why| malformed(message, &why))?;
    if !message.ordering_key.is_empty() && event.get(KEY).is_none() {
        // One with control characters can be no attribute, and is the message's key all the same.
        let _ = event.set(KEY, Value::String(&message.ordering_key));
    }
    Ok(event)
}

/// The attributes of a `CloudEvent`'s message that are no part of the event, such as those that Google's dead-letter
/// policy adds; by name.
#[must_use]
pub fn hop(message: &Message) -> Vec<(String, String)> {
    let others = message.attributes.iter().filter(|(name, _)| !pubsub::is_of_event(name));
    let mut hop: Vec<_> = others.map(|(name, value)| (name.clone(), value.clone())).collect();
    hop.sort_unstable();
    hop
}

/// Those of these names, of a message whose attributes are a part of the event.
#[must_use]
pub fn kept(message: &Message, names: &[&str]) -> Vec<(String, String)> {
    let kept = names.iter().filter_map(|name| message.attributes.get_key_value(*name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The message as what it came as, with the reason why it is no event.
pub(crate) fn malformed(message: &Message, why: &impl std::fmt::Display) -> Malformed {
    let mut headers: Vec<_> =
        message.attributes.iter().map(|(name, value)| (name.clone(), Bytes::from(value.clone()))).collect();
    headers.sort_unstable();
    let key = Some(&message.ordering_key).filter(|key| !key.is_empty());
    Malformed {
        raw: message.data.clone(),
        headers,
        key: key.map(|key| Bytes::from(key.clone())),
        why: why.to_string(),
    }
}

/// Google's own event of a message.
fn published(message: &Message, place: &Place) -> Result<Event, Invalid> {
    // A name may have a percent sign, which no URI has alone.
    let source = [HOST, &place.topic.as_ref().unwrap_or(&place.subscription).replace('%', "%25")].concat();
    let mut event = Event::new(&message.id, &source, MESSAGE_PUBLISHED)?;
    if let Some(time) = &message.publish_time {
        event.set("time", Value::Timestamp(time))?;
    }
    let data = Data {
        subscription: &place.subscription,
        message: Inner {
            data: Base64(&message.data),
            attributes: message.attributes.iter().map(|(name, value)| (&**name, &**value)).collect(),
            message_id: &message.id,
            publish_time: message.publish_time.as_deref(),
            ordering_key: &message.ordering_key,
        },
    };
    // Text, numbers and maps of text: nothing that JSON has not.
    let json = serde_json::to_vec(&data).unwrap_or_default();
    event.with_data("application/json", json.into())
}

/// `MessagePublishedData`, as JSON; what is empty is left out, as everywhere in Google's JSON.
#[derive(Serialize)]
struct Data<'a> {
    subscription: &'a str,
    message: Inner<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inner<'a> {
    #[serde(skip_serializing_if = "Base64::is_empty")]
    data: Base64<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'a str, &'a str>,
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_time: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    ordering_key: &'a str,
}

struct Base64<'a>(&'a Bytes);

impl Base64<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests;
