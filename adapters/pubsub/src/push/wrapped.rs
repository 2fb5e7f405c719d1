//! A message in the envelope that Pub/Sub wraps it in by default. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::error::Category;
use std::{borrow::Cow, collections::HashMap};

use crate::decode::Message;

/// What follows the message, such as `deliveryAttempt`, differs between two deliveries of it and is not looked at.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    message: Wrapped<'a>,
    #[serde(borrow)]
    subscription: Cow<'a, str>,
}

/// Some names are there in both of Google's spellings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped<'a> {
    #[serde(borrow)]
    data: Option<Cow<'a, str>>,
    attributes: Option<HashMap<String, String>>,
    message_id: Option<String>,
    #[serde(rename = "message_id")]
    message_id_too: Option<String>,
    publish_time: Option<String>,
    #[serde(rename = "publish_time")]
    publish_time_too: Option<String>,
    ordering_key: Option<String>,
    #[serde(rename = "ordering_key")]
    ordering_key_too: Option<String>,
}

/// Reads the envelope: the message, and the subscription by which it came.
///
/// # Errors
/// Why it is none, and what may have been sent instead.
pub(super) fn message(body: &[u8]) -> Result<(Message, String), String> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| {
        // The parser's own words repeat what it found, which may be long and nobody's to read.
        let (what, line, column) = match error.classify() {
            Category::Data => ("JSON of another shape", error.line(), error.column()),
            _ => ("no JSON", error.line(), error.column()),
        };
        format!(
            "this is no message in Pub/Sub's envelope: {what} at line {line}, column {column}; a subscription without it \
             must write its metadata as headers (--push-no-wrapper-write-metadata)"
        )
    })?;
    let Envelope { message, subscription } = envelope;
    let id = message.message_id.or(message.message_id_too).filter(|id| !id.is_empty());
    let data = message.data.map(|data| STANDARD.decode(data.as_bytes())).transpose();
    let data = data.map_err(|error| format!("the message's data is not in base64: {error}"))?;
    let message = Message {
        data: data.unwrap_or_default().into(),
        attributes: message.attributes.unwrap_or_default(),
        id: id.ok_or("the message has no messageId")?,
        publish_time: message.publish_time.or(message.publish_time_too).filter(|time| !time.is_empty()),
        ordering_key: message.ordering_key.or(message.ordering_key_too).unwrap_or_default(),
    };
    Ok((message, subscription.into_owned()))
}
