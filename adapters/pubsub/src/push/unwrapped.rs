//! A message whose data is the body: its metadata and attributes are headers, where the subscription writes them. Pure.

use bytes::Bytes;
use http::HeaderMap;

use crate::decode::Message;

const ID: &str = "x-goog-pubsub-message-id";
const PUBLISH_TIME: &str = "x-goog-pubsub-publish-time";
const ORDERING_KEY: &str = "x-goog-pubsub-ordering-key";
const SUBSCRIPTION: &str = "x-goog-pubsub-subscription-name";

/// Headers of the hop, which are no attributes of the message.
const HOP: [&str; 19] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "via",
];
const HOP_PREFIXES: [&str; 4] = ["x-goog-", "x-forwarded-", "x-cloud-", "x-real-"];

/// Whether the request is such a message.
pub(super) fn is(headers: &HeaderMap) -> bool {
    headers.contains_key(ID)
}

/// Reads it, and the subscription by which it came. The names of its attributes are in lower case, as headers have no other.
///
/// # Errors
/// What of its metadata cannot be read.
pub(super) fn message(headers: &HeaderMap, body: Bytes) -> Result<(Message, String), String> {
    let text = |name: &str| match headers.get(name).map(|value| std::str::from_utf8(value.as_bytes())) {
        None => Ok(String::new()),
        Some(Ok(text)) => Ok(text.to_owned()),
        Some(Err(_)) => Err(format!("the header {name} is no text in UTF-8")),
    };
    let id = text(ID)?;
    if id.is_empty() {
        return Err(format!("the header {ID} is empty"));
    }
    let is_attribute =
        |name: &str| !HOP.contains(&name) && !HOP_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let attributes = headers.keys().filter(|name| is_attribute(name.as_str())).map(|name| {
        let text = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        (name.as_str().to_owned(), text.unwrap_or_default())
    });
    let message = Message {
        data: body,
        attributes: attributes.collect(),
        id,
        publish_time: Some(text(PUBLISH_TIME)?).filter(|time| !time.is_empty()),
        ordering_key: text(ORDERING_KEY)?,
    };
    Ok((message, text(SUBSCRIPTION)?))
}
