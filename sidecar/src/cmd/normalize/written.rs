//! An event as one line: a `CloudEvent` in JSON, or the message that an adapter would send, which `--from` reads again.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::HeaderMap;
use outrigger_core::{
    Event,
    event::{http as binary, json},
};
use serde_json::{Map, Value, json, value::RawValue};
use time::OffsetDateTime;

use crate::{cli::Form, registry::normalize as adapters};

/// The line, without its end.
///
/// # Errors
/// When the form has no place for the event, in one line.
pub(super) fn line(event: &Event, form: Option<Form>) -> Result<Vec<u8>, String> {
    let said = |error: outrigger_core::Error| error.message().to_owned();
    Ok(match form {
        None => one_line(json::encode(event).to_vec()),
        Some(Form::HttpBinary) => {
            let mut headers = HeaderMap::new();
            let body = binary::encode(event, &mut headers);
            let mut named: Vec<_> = headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), Some(value.as_bytes().to_vec())))
                .collect();
            named.sort();
            object(&[
                ("headers", Some(pairs(&named))),
                payload("body", Some(&body).filter(|body| !body.is_empty())),
            ])
        }
        Some(Form::Structured) => {
            let headers = [("content-type".to_owned(), Some(json::CONTENT_TYPE.as_bytes().to_vec()))];
            object(&[("headers", Some(pairs(&headers))), payload("body", Some(&json::encode(event)))])
        }
        Some(Form::Eventgrid) => {
            let member = adapters::to_eventgrid(event, OffsetDateTime::now_utc()).map_err(said)?;
            one_line(member.to_vec())
        }
        Some(Form::Pubsub) => {
            let message = adapters::to_pubsub(event).map_err(said)?;
            let key = Some(message.ordering_key).filter(|key| !key.is_empty());
            object(&[
                ("data", Some(text(&STANDARD.encode(&message.data))).filter(|_| !message.data.is_empty())),
                ("attributes", Some(json!(message.attributes).to_string())),
                ("orderingKey", key.map(|key| text(&key))),
            ])
        }
        Some(Form::Kafka) => {
            let record = adapters::to_kafka(event).map_err(said)?;
            object(&[
                payload("key", record.key.map(Bytes::from).as_ref()),
                payload("value", record.value.as_ref()),
                ("headers", Some(pairs(&record.headers))),
            ])
        }
    })
}

/// White space between the parts of a document may be lines; a string has none.
fn one_line(mut json: Vec<u8>) -> Vec<u8> {
    json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    json
}

/// Members whose values are JSON already, in this order.
fn object(members: &[(&str, Option<String>)]) -> Vec<u8> {
    let mut out = String::from("{");
    for (name, json) in members.iter().filter_map(|(name, json)| Some((name, json.as_ref()?))) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&text(name));
        out.push(':');
        out.push_str(json);
    }
    out.push('}');
    out.into_bytes()
}

/// A payload as `record` reads it: its own JSON where that is an object or array of one line, else text or base64.
fn payload<'n>(name: &'n str, bytes: Option<&Bytes>) -> (&'n str, Option<String>) {
    let Some(bytes) = bytes else { return (name, None) };
    let base64 = match name {
        "key" => "key_base64",
        "value" => "value_base64",
        _ => "body_base64",
    };
    match std::str::from_utf8(bytes) {
        Ok(json) if is_plain_json(json) => (name, Some(json.to_owned())),
        Ok(other) => (name, Some(text(other))),
        Err(_) => (base64, Some(text(&STANDARD.encode(bytes)))),
    }
}

fn is_plain_json(text: &str) -> bool {
    text.starts_with(['{', '['])
        && !text.contains(['\n', '\r'])
        && text.ends_with(['}', ']'])
        && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Headers as an object where their names differ, else as an array of pairs.
fn pairs(headers: &[(String, Option<Vec<u8>>)]) -> String {
    let value =
        |bytes: &Option<Vec<u8>>| match bytes.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            None => Value::Null,
            Some((_, Ok(text))) => text.into(),
            Some((bytes, Err(_))) => json!({ "base64": STANDARD.encode(bytes) }),
        };
    let object: Map<_, _> = headers.iter().map(|(name, bytes)| (name.clone(), value(bytes))).collect();
    if object.len() == headers.len() {
        return Value::Object(object).to_string();
    }
    json!(headers.iter().map(|(name, bytes)| json!([name, value(bytes)])).collect::<Vec<_>>()).to_string()
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}
