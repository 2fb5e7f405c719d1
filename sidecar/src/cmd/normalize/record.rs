//! Records, messages and requests as JSON: what an adapter is handed, where it is no JSON by itself.
//!
//! A payload is text as a string, bytes as `…_base64`, and any other JSON for the bytes that it is made of.

use std::{collections::HashMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::registry::normalize::{Message, Record};

/// Reads a record of Kafka; what it does not name is `topic`, partition 0 and `offset`.
///
/// # Errors
/// What is wrong with it, in one line.
pub(super) fn kafka(json: &Bytes, topic: Option<&str>, offset: i64) -> Result<Record, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written<'a> {
        topic: Option<String>,
        partition: Option<i32>,
        offset: Option<i64>,
        timestamp: Option<i64>,
        #[serde(borrow)]
        key: Option<&'a RawValue>,
        key_base64: Option<String>,
        #[serde(borrow)]
        value: Option<&'a RawValue>,
        value_base64: Option<String>,
        #[serde(borrow, default)]
        headers: Pairs<'a>,
    }
    let written: Written<'_> =
        serde_json::from_slice(json).map_err(|error| format!("no record of Kafka: {error}"))?;
    let topic = written.topic.or_else(|| topic.map(str::to_owned));
    Ok(Record {
        topic: topic.ok_or("the record names no topic; add it, or --topic")?,
        partition: written.partition.unwrap_or_default(),
        offset: written.offset.unwrap_or(offset),
        timestamp_ms: written.timestamp,
        key: payload("key", written.key, written.key_base64, json)?,
        value: payload("value", written.value, written.value_base64, json)?,
        headers: written.headers.bytes()?,
    })
}

/// Reads a message of Pub/Sub, alone or as `{"message", "subscription"}`, with the subscription where it has one.
///
/// # Errors
/// What is wrong with it, in one line.
pub(super) fn pubsub(json: &Bytes) -> Result<(Message, Option<String>), String> {
    #[derive(Deserialize)]
    struct Around<'a> {
        #[serde(borrow)]
        message: &'a RawValue,
        subscription: Option<String>,
    }
    /// As the API has it; some names are there in both of Google's spellings. What else is there is not looked at.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written<'a> {
        data: Option<String>,
        #[serde(borrow, rename = "data_text")]
        text: Option<&'a RawValue>,
        #[serde(default)]
        attributes: HashMap<String, String>,
        #[serde(alias = "message_id")]
        message_id: Option<String>,
        #[serde(alias = "publish_time")]
        publish_time: Option<String>,
        #[serde(alias = "ordering_key")]
        ordering_key: Option<String>,
    }
    let none = |error| format!("no message of Pub/Sub: {error}");
    let around = serde_json::from_slice::<Around<'_>>(json).ok();
    let (message, subscription) = match around {
        Some(Around { message, subscription }) => (message.get(), subscription),
        None => (std::str::from_utf8(json).map_err(|_| "no message of Pub/Sub: not UTF-8")?, None),
    };
    let written: Written<'_> = serde_json::from_str(message).map_err(none)?;
    let data = payload("data", written.text, written.data, json)?;
    let message = Message {
        data: data.unwrap_or_default(),
        attributes: written.attributes,
        id: written.message_id.ok_or("the message has no messageId")?,
        publish_time: written.publish_time,
        ordering_key: written.ordering_key.unwrap_or_default(),
    };
    Ok((message, subscription))
}

/// A request.
pub(super) struct Request {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Reads a request; `None` for a document that is something else: only a request has headers, and nothing but a body and
/// where it goes beside them.
///
/// # Errors
/// What is wrong with a header or the body, in one line.
pub(super) fn request(json: &Bytes) -> Result<Option<Request>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written<'a> {
        #[serde(rename = "method")]
        _method: Option<String>,
        #[serde(rename = "path")]
        _path: Option<String>,
        #[serde(borrow)]
        headers: Pairs<'a>,
        #[serde(borrow)]
        body: Option<&'a RawValue>,
        body_base64: Option<String>,
    }
    let Ok(written) = serde_json::from_slice::<Written<'_>>(json) else { return Ok(None) };
    let mut headers = HeaderMap::new();
    for (name, value) in written.headers.bytes()? {
        let (name, value) = header(&name, value.as_deref().unwrap_or_default())?;
        headers.append(name, value);
    }
    let body = payload("body", written.body, written.body_base64, json)?;
    Ok(Some(Request { headers, body: body.unwrap_or_default() }))
}

/// A header of HTTP.
///
/// # Errors
/// When it can be none.
pub(super) fn header(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = |what: &str| format!("the header {name:?} has {what}");
    let value = HeaderValue::from_bytes(value).map_err(|_| wrong("a value that no header can have"))?;
    Ok((name.parse().map_err(|_| wrong("a name that no header can have"))?, value))
}

/// The members of a document that is an array, else the document.
///
/// # Errors
/// When it is no JSON.
pub(super) fn members(json: &Bytes) -> Result<Vec<Bytes>, String> {
    if !json.starts_with(b"[") {
        return Ok(vec![json.clone()]);
    }
    let members: Vec<&RawValue> =
        serde_json::from_slice(json).map_err(|error| format!("no JSON: {error}"))?;
    Ok(members.into_iter().map(|raw| json.slice_ref(raw.get().as_bytes())).collect())
}

fn payload(
    name: &str,
    json: Option<&RawValue>,
    base64: Option<String>,
    document: &Bytes,
) -> Result<Option<Bytes>, String> {
    match (json.map(RawValue::get), base64) {
        (Some(_), Some(_)) => Err(format!("{name} is there twice: as text and in base64")),
        (None, Some(base64)) => {
            let bytes =
                STANDARD.decode(base64).map_err(|error| format!("{name} is not in base64: {error}"))?;
            Ok(Some(bytes.into()))
        }
        (None | Some("null"), None) => Ok(None),
        (Some(raw), None) if raw.starts_with('"') => Ok(Some(Bytes::from(string(name, raw)?))),
        (Some(raw), None) => Ok(Some(document.slice_ref(raw.as_bytes()))),
    }
}

fn string(name: &str, raw: &str) -> Result<String, String> {
    serde_json::from_str(raw).map_err(|error| format!("{name} is no text: {error}"))
}

/// Names with values, from an object or from an array of pairs; names may repeat.
#[derive(Default)]
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

type Bytesful = Vec<(String, Option<Vec<u8>>)>;

impl Pairs<'_> {
    /// A value is text, null, or `{"base64": "…"}`.
    fn bytes(self) -> Result<Bytesful, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Base64 {
            base64: String,
        }
        let value = |name: &str, raw: &str| match raw.as_bytes().first() {
            Some(b'"') => string(name, raw).map(|text| Some(text.into_bytes())),
            Some(b'n') => Ok(None),
            _ => {
                let written: Base64 = serde_json::from_str(raw).map_err(|_| {
                    format!("the header {name:?} is neither text nor null nor {{\"base64\":\"…\"}}")
                })?;
                let bytes = STANDARD.decode(written.base64);
                bytes.map(Some).map_err(|error| format!("the header {name:?} is not in base64: {error}"))
            }
        };
        let pairs = self.0.into_iter();
        pairs
            .map(|(name, raw)| {
                let value = value(&name, raw.get())?;
                Ok((name, value))
            })
            .collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of headers, or an array of pairs")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Pairs<'de>, S::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = seq.next_element::<(String, &RawValue)>()? {
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        json.deserialize_any(Either)
    }
}
