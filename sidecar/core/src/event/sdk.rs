//! Conversions to and from `cloudevents::Event`, which users of the CloudEvents SDK for Rust hold.
//!
//! The SDK's event is looser and narrower than ours: it checks no names, knows three types of extensions, keeps
//! times in UTC and JSON as a tree. So both ways can fail, and these things change on the way to it:
//! - Binary, URI, URI-reference and Timestamp extensions become strings;
//! - a time is the same moment, written in UTC; a URI in `dataschema` is normalized;
//! - a JSON payload is parsed: white space goes, the order of members and numbers beyond 64 bits may change.
//!   Payloads that are not what their type says stay the bytes they are.
//!
//! Nothing of this is on the path from broker to function, where the payload stays as it is.

use std::time::SystemTime;

use bytes::Bytes;
use cloudevents::{
    AttributesReader, AttributesWriter, Data,
    event::{ExtensionValue, SpecVersion, TryIntoTime, TryIntoUrl},
};

use super::{Event, Invalid, SPECVERSION, Value, media};

impl TryFrom<&Event> for cloudevents::Event {
    type Error = Invalid;

    /// # Errors
    /// When the SDK cannot read `time` or `dataschema`: it takes fewer URIs than RFC 3986 has.
    fn try_from(event: &Event) -> Result<Self, Invalid> {
        let mut sdk = cloudevents::Event::default();
        // A default event happened now; this one says itself when, if it does.
        sdk.set_time(None::<SystemTime>);
        for (name, value) in event.attributes() {
            let text = value.text().into_owned();
            match (name, value) {
                ("id", _) => drop(sdk.set_id(text)),
                ("source", _) => drop(sdk.set_source(text)),
                ("type", _) => drop(sdk.set_type(text)),
                ("datacontenttype", _) => drop(sdk.set_datacontenttype(Some(text))),
                ("subject", _) => drop(sdk.set_subject(Some(text))),
                ("time", _) => {
                    let time = text.as_str().into_time();
                    sdk.set_time(Some(
                        time.map_err(|_| Invalid::new(name, &text, "a time that the SDK reads"))?,
                    ));
                }
                ("dataschema", _) => {
                    let uri = text.as_str().into_url();
                    sdk.set_dataschema(Some(
                        uri.map_err(|_| Invalid::new(name, &text, "a URI that the SDK reads"))?,
                    ));
                }
                (_, Value::Boolean(truth)) => sdk.set_extension(name, truth),
                (_, Value::Integer(number)) => sdk.set_extension(name, i64::from(number)),
                _ => sdk.set_extension(name, text),
            }
        }
        if let Some(data) = event.data() {
            sdk.set_data_unchecked(sdk_data(event.datacontenttype(), data));
        }
        Ok(sdk)
    }
}

impl TryFrom<&cloudevents::Event> for Event {
    type Error = Invalid;

    /// JSON data without a `datacontenttype` gets `application/json`.
    ///
    /// # Errors
    /// When an attribute breaks a rule of the specification, an integer does not fit 32 bits, or the version is
    /// not 1.0 (`EventBuilderV10::from` makes a 1.0 event out of a 0.3 one).
    fn try_from(sdk: &cloudevents::Event) -> Result<Event, Invalid> {
        if sdk.specversion() != SpecVersion::V10 {
            return Err(Invalid::new("specversion", sdk.specversion().as_str(), SPECVERSION));
        }
        let mut event = Event::new(sdk.id(), sdk.source(), sdk.ty())?;
        let known = [
            ("datacontenttype", sdk.datacontenttype()),
            ("dataschema", sdk.dataschema().map(AsRef::as_ref)),
            ("subject", sdk.subject()),
        ];
        for (name, text) in known {
            if let Some(text) = text {
                event.set(name, Value::String(text))?;
            }
        }
        if let Some(time) = sdk.time() {
            event.set("time", Value::Timestamp(&time.to_rfc3339().replace("+00:00", "Z")))?;
        }
        for (name, value) in sdk.iter_extensions() {
            if event.get(name).is_some() {
                return Err(Invalid::says(name, "is there twice, as an attribute and as an extension"));
            }
            match value {
                ExtensionValue::String(text) => event.set(name, Value::String(text))?,
                ExtensionValue::Boolean(truth) => event.set(name, Value::Boolean(*truth))?,
                ExtensionValue::Integer(number) => {
                    let number = i32::try_from(*number)
                        .map_err(|_| Invalid::new(name, &number.to_string(), "a whole number of 32 bits"))?;
                    event.set(name, Value::Integer(number))?;
                }
            }
        }
        if matches!(sdk.data(), Some(Data::Json(_))) && event.datacontenttype().is_none() {
            event.set("datacontenttype", Value::String("application/json"))?;
        }
        event.set_data(sdk.data().map(our_data));
        Ok(event)
    }
}

fn sdk_data(content_type: Option<&str>, data: &Bytes) -> Data {
    let text = str::from_utf8(data).ok();
    match (content_type, text) {
        (Some(ty), Some(text)) if media::is_json(ty) => {
            serde_json::from_str(text).map_or_else(|_| Data::Binary(data.to_vec()), Data::Json)
        }
        (Some(ty), Some(text)) if media::is_text(ty) => Data::String(text.to_owned()),
        _ => Data::Binary(data.to_vec()),
    }
}

fn our_data(data: &Data) -> Bytes {
    match data {
        Data::Binary(bytes) => Bytes::copy_from_slice(bytes),
        Data::String(text) => Bytes::copy_from_slice(text.as_bytes()),
        Data::Json(value) => Bytes::from(value.to_string()),
    }
}

#[cfg(test)]
mod tests;
