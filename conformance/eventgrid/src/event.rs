//! Events as publishers send them, read as strictly as the service reads them, and kept as they were written.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json, value::RawValue};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::answer::Refusal;

/// The form of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, Serialize)]
pub enum Schema {
    /// Event Grid's own.
    EventGridSchema,
    /// CloudEvents 1.0 in JSON.
    CloudEventSchemaV1_0,
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its form.
    pub schema: Schema,
    /// Its id.
    pub id: String,
    /// As it was published.
    pub raw: Box<RawValue>,
    /// The same, parsed: for filters and for conversions.
    pub value: Value,
}

/// Writes an event as it was published.
pub(crate) fn as_published<S: Serializer>(event: &Event, serializer: S) -> Result<S::Ok, S::Error> {
    event.raw.serialize(serializer)
}

impl Event {
    /// One `CloudEvent` in JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn cloud(raw: &RawValue) -> Result<Self, Refusal> {
        let value = parsed(raw)?;
        let id = check_cloud(&value)?;
        Ok(Self { schema: Schema::CloudEventSchemaV1_0, id, raw: raw.to_owned(), value: value.into() })
    }

    /// One `CloudEvent` whose attributes are headers and whose data is the body.
    ///
    /// # Errors
    /// It is none.
    pub fn binary(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let mut value = Map::new();
        for (name, text) in headers {
            let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
            if name == "data" || name == "data_base64" || name == "datacontenttype" {
                return Err(Refusal::bad(format!("The header 'ce-{name}' is not allowed.")));
            }
            value.insert(name.to_owned(), percent_decoded(text.as_bytes())?.into());
        }
        if let Some(kind) = headers.get(http::header::CONTENT_TYPE) {
            let kind = kind.to_str().map_err(|_| Refusal::bad("The content type is not text."))?;
            value.insert("datacontenttype".to_owned(), kind.into());
            if is_json(kind) && !body.is_empty() {
                // Written below as it came, so that no number changes.
                let data: Box<RawValue> = serde_json::from_slice(body)
                    .map_err(|error| Refusal::bad(format!("The data is not JSON: {error}.")))?;
                return Self::with_data(&value, &data);
            }
        }
        if !body.is_empty() {
            value.insert("data_base64".to_owned(), BASE64_STANDARD.encode(body).into());
        }
        Self::cloud(&serde_json::value::to_raw_value(&value).map_err(unreadable)?)
    }

    /// One event in Event Grid's own schema, for the topic whose resource id is `topic`.
    ///
    /// # Errors
    /// It is none.
    pub fn grid(raw: &RawValue, topic: &str) -> Result<Self, Refusal> {
        let mut value = parsed(raw)?;
        let id = check_grid(&value, topic)?;
        // What the service adds on its way.
        value.insert("topic".to_owned(), topic.into());
        value.insert("metadataVersion".to_owned(), "1".into());
        value.entry("dataVersion").or_insert_with(|| "".into());
        let raw = serde_json::value::to_raw_value(&value).map_err(unreadable)?;
        Ok(Self { schema: Schema::EventGridSchema, id, raw, value: value.into() })
    }

    /// The attribute or field `name`, if it is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value.get(name)?.as_str()
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> &str {
        let name = if self.schema == Schema::EventGridSchema { "eventType" } else { "type" };
        self.text(name).unwrap_or_default()
    }

    /// The same event as a `CloudEvent`: Azure's own mapping.
    #[must_use]
    pub fn to_cloud(&self) -> Value {
        if self.schema == Schema::CloudEventSchemaV1_0 {
            return self.value.clone();
        }
        let mut cloud = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.text("topic"),
            "type": self.kind(),
            "time": self.text("eventTime"),
        });
        if let Some(subject) = self.text("subject").filter(|subject| !subject.is_empty()) {
            cloud["subject"] = subject.into();
        }
        if let Some(version) = self.text("dataVersion").filter(|version| !version.is_empty()) {
            cloud["dataschema"] = format!("#{version}").into();
        }
        if let Some(data) = self.value.get("data") {
            cloud["data"] = data.clone();
        }
        cloud
    }

    fn with_data(attributes: &Map<String, Value>, data: &RawValue) -> Result<Self, Refusal> {
        let text = serde_json::to_string(attributes).map_err(unreadable)?;
        let open = text.strip_suffix('}').unwrap_or_default();
        let comma = if attributes.is_empty() { "" } else { "," };
        let raw =
            RawValue::from_string(format!(r#"{open}{comma}"data":{}}}"#, data.get())).map_err(unreadable)?;
        Self::cloud(&raw)
    }
}

/// Whether a content type says JSON.
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

fn unreadable(error: impl std::fmt::Display) -> Refusal {
    Refusal::bad(format!("The event is not JSON: {error}."))
}

fn parsed(raw: &RawValue) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_str(raw.get()).map_err(unreadable)? {
        Value::Object(value) => Ok(value),
        _ => Err(Refusal::bad("An event must be a JSON object.")),
    }
}

fn required<'a>(value: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    match value.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
        _ => Err(Refusal::bad(format!("The attribute '{name}' is required and must be a non-empty string."))),
    }
}

fn timestamp(value: &Map<String, Value>, name: &str) -> Result<(), Refusal> {
    let text = value.get(name).and_then(Value::as_str).unwrap_or_default();
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::bad(format!("The attribute '{name}' must be a timestamp of RFC 3339."))),
    }
}

fn check_cloud(value: &Map<String, Value>) -> Result<String, Refusal> {
    if required(value, "specversion")? != "1.0" {
        return Err(Refusal::bad("The attribute 'specversion' must be '1.0'."));
    }
    let id = required(value, "id")?;
    required(value, "source")?;
    required(value, "type")?;
    if value.get("time").is_some_and(|time| !time.is_null()) {
        timestamp(value, "time")?;
    }
    for name in ["subject", "dataschema", "datacontenttype"] {
        if value.get(name).is_some_and(|text| !text.is_null()) {
            required(value, name)?;
        }
    }
    match (value.get("data"), value.get("data_base64")) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad("An event has 'data' or 'data_base64', not both."));
        }
        (None, Some(bytes)) if bytes.as_str().is_none_or(|text| BASE64_STANDARD.decode(text).is_err()) => {
            return Err(Refusal::bad("The attribute 'data_base64' is not base64."));
        }
        _ => {}
    }
    for (name, attribute) in value.iter().filter(|(name, _)| *name != "data" && *name != "data_base64") {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            let message = format!("The attribute name '{name}' has other characters than a-z and 0-9.");
            return Err(Refusal::bad(message));
        }
        if attribute.is_object()
            || attribute.is_array()
            || attribute.as_f64().is_some_and(|n| n.fract() != 0.0)
        {
            let message = format!("The attribute '{name}' must be a string, a boolean or a whole number.");
            return Err(Refusal::bad(message));
        }
    }
    Ok(id.to_owned())
}

fn check_grid(value: &Map<String, Value>, topic: &str) -> Result<String, Refusal> {
    let id = required(value, "id")?;
    required(value, "subject")?;
    required(value, "eventType")?;
    timestamp(value, "eventTime")?;
    if value.get("dataVersion").is_some_and(|version| !version.is_string()) {
        return Err(Refusal::bad("The property 'dataVersion' must be a string."));
    }
    match value.get("metadataVersion") {
        None | Some(Value::Null) => {}
        Some(version) if version == "1" => {}
        Some(_) => return Err(Refusal::bad("The property 'metadataVersion' must be absent or '1'.")),
    }
    match value.get("topic") {
        None | Some(Value::Null) => {}
        Some(named) if named == topic || named == "" => {}
        Some(_) => return Err(Refusal::bad(format!("The property 'topic' must be absent or '{topic}'."))),
    }
    Ok(id.to_owned())
}

/// The value of a `ce-` header (CloudEvents over HTTP, 3.1.3.2).
fn percent_decoded(text: &[u8]) -> Result<String, Refusal> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let (b'%', [high, low, after @ ..]) = (first, after) {
            let (Some(high), Some(low)) = (hex(*high), hex(*low)) else {
                return Err(Refusal::bad("A ce- header has a '%' without two hexadecimal digits."));
            };
            bytes.push(high * 16 + low);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| Refusal::bad("A ce- header is not UTF-8."))
}
