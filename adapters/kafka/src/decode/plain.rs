//! A record that is no `CloudEvent` as one: what stands where is in [`Plain`].

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use outrigger_core::{Event, Invalid, Value};
use time::OffsetDateTime;

use super::{Record, headers::Kept};

/// A longer key is not told to the function: with it, the headers of HTTP would be longer than many servers take.
const KEY_BYTES_MAX: usize = 1024;
/// A longer `content-type` is a header like any other.
const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// Room for what is always there besides id, source, type and topic: the other names, the time and the numbers.
const FIXED_BYTES: usize = 96;
/// Stands for the topic in templates.
const TOPIC: &str = "{topic}";

/// How a record that is no `CloudEvent` becomes one.
///
/// | attribute | what |
/// |---|---|
/// | `id` | `<topic>/<partition>/<offset>`: a record that comes again is the same event |
/// | `source`, `type` | as configured; by default `/kafka/<topic>` and `org.apache.kafka.record` |
/// | `time` | the record's timestamp, in milliseconds and UTC |
/// | `datacontenttype` | the first header `content-type` that is a media type, else as configured, else none |
/// | `kafkatopic`, `kafkapartition`, `kafkaoffset` | String, Integer, String (an offset has 64 bits) |
/// | `kafkatimestamp` | a timestamp before the year 0 or after 9999, in Unix milliseconds, instead of `time` |
/// | `partitionkey` | the key, when it is not empty and may be a String: UTF-8 without control characters |
/// | `kafkakeybase64` | any other key; the empty key has the empty value |
/// | `kafkakeybytes` | the length of a key of more than 1,024 bytes, which then is not told otherwise |
/// | `kafkaheaders` | all other headers as a JSON array of pairs in ASCII: a name, and a string, `null`, or `{"base64":"…"}` for what is not UTF-8 |
/// | `kafkaheadersleftout` | how many headers did not fit into the 4,096 bytes that `kafkaheaders` may have as a header of HTTP |
/// | `kafkatombstone` | `true` for a value that is null: the event has no data |
/// | `kafkaschemaid` | the schema's number, if so configured; an Integer, or a String from 2^31 on |
///
/// The data is the value, byte for byte. Where a topic is deleted and made again, offsets and so ids start again too;
/// the time tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    source: String,
    ty: String,
    content_type: Option<String>,
    schema_registry: bool,
}

impl Default for Plain {
    fn default() -> Plain {
        Plain {
            source: format!("/kafka/{TOPIC}"),
            ty: "org.apache.kafka.record".to_owned(),
            content_type: None,
            schema_registry: false,
        }
    }
}

impl Plain {
    /// Events of this source and type, in both of which `{topic}` stands for the record's topic.
    ///
    /// `content_type` is for records without one. With `schema_registry`, a value that begins with a zero byte and the
    /// four bytes of a schema's number, as serializers of schema registries write it, has that number as an attribute;
    /// a payload may begin so by chance, therefore it is not the default.
    ///
    /// # Errors
    /// When `source` is no URI-reference with any topic in it, `content_type` is no media type, a text is empty, or it
    /// has a brace that does not belong to `{topic}`.
    pub fn new(
        source: &str,
        ty: &str,
        content_type: Option<&str>,
        schema_registry: bool,
    ) -> Result<Plain, Invalid> {
        // All kinds of characters that a topic may have, and none that a scheme may begin with.
        let sample = |template: &str| template.replace(TOPIC, "_.-0aZ");
        let mut event = Event::new("1", &sample(source), &sample(ty))?;
        for (name, template) in [("source", source), ("type", ty)] {
            if sample(template).contains(['{', '}']) {
                return Err(Invalid::new(name, template, "a text whose only part in braces is {topic}"));
            }
        }
        if let Some(text) = content_type {
            event.set("datacontenttype", Value::String(text))?;
        }
        Ok(Plain {
            source: source.to_owned(),
            ty: ty.to_owned(),
            content_type: content_type.map(str::to_owned),
            schema_registry,
        })
    }

    /// The event of a record.
    ///
    /// # Errors
    /// When the topic is none that Kafka allows, so that an attribute cannot have it.
    pub(super) fn event<'a, H>(&self, record: &Record<'a, H>) -> Result<Event, Invalid>
    where
        H: Iterator<Item = (&'a str, Option<&'a [u8]>)> + Clone,
    {
        let mut event = self.placed(record.topic, record.partition, record.offset)?;
        if let Some(timestamp_ms) = record.timestamp_ms {
            set_time(&mut event, timestamp_ms)?;
        }
        if let Some(key) = record.key {
            set_key(&mut event, key)?;
        }
        self.set_headers(&mut event, record.headers.clone())?;
        if let Some(id) = record.value.filter(|_| self.schema_registry).and_then(schema_id) {
            match i32::try_from(id) {
                Ok(id) => event.set("kafkaschemaid", Value::Integer(id))?,
                Err(_) => event.set("kafkaschemaid", Value::String(&id.to_string()))?,
            }
        }
        match record.value {
            Some(value) => event.set_data(Some(Bytes::copy_from_slice(value))),
            None => event.set("kafkatombstone", Value::Boolean(true))?,
        }
        Ok(event)
    }

    fn placed(&self, topic: &str, partition: i32, offset: i64) -> Result<Event, Invalid> {
        // All three texts in one piece of memory.
        let mut text = String::with_capacity(self.source.len() + self.ty.len() + 3 * topic.len() + 33);
        expand(&self.source, topic, &mut text);
        let source_end = text.len();
        expand(&self.ty, topic, &mut text);
        let ty_end = text.len();
        // Writing to a String cannot fail.
        let _ = write!(text, "{topic}/{partition}/");
        let offset_start = text.len();
        let _ = write!(text, "{offset}");
        let mut event = Event::new(&text[ty_end..], &text[..source_end], &text[source_end..ty_end])?;
        event.reserve(topic.len() + FIXED_BYTES);
        event.set("kafkatopic", Value::String(topic))?;
        event.set("kafkapartition", Value::Integer(partition))?;
        event.set("kafkaoffset", Value::String(&text[offset_start..]))?;
        Ok(event)
    }

    fn set_headers<'a>(
        &self,
        event: &mut Event,
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<(), Invalid> {
        let mut kept = Kept::default();
        let mut typed = false;
        for (name, value) in headers {
            if !typed && let Some(text) = content_type(name, value) {
                typed = event.set("datacontenttype", Value::String(text)).is_ok();
                if typed {
                    continue;
                }
            }
            kept.push(name, value);
        }
        if let Some(text) = self.content_type.as_deref().filter(|_| !typed) {
            event.set("datacontenttype", Value::String(text))?;
        }
        let (json, left_out) = kept.finish();
        if let Some(json) = json {
            event.set("kafkaheaders", Value::String(&json))?;
        }
        if left_out > 0 {
            event.set("kafkaheadersleftout", Value::Integer(left_out))?;
        }
        Ok(())
    }
}

fn expand(template: &str, topic: &str, out: &mut String) {
    for (n, part) in template.split(TOPIC).enumerate() {
        if n > 0 {
            out.push_str(topic);
        }
        out.push_str(part);
    }
}

fn content_type<'a>(name: &str, value: Option<&'a [u8]>) -> Option<&'a str> {
    let value = value.filter(|value| value.len() <= CONTENT_TYPE_BYTES_MAX)?;
    if name.eq_ignore_ascii_case("content-type") { str::from_utf8(value).ok() } else { None }
}

fn set_key(event: &mut Event, key: &[u8]) -> Result<(), Invalid> {
    if key.len() > KEY_BYTES_MAX {
        let bytes = i32::try_from(key.len()).unwrap_or(i32::MAX);
        return event.set("kafkakeybytes", Value::Integer(bytes));
    }
    let text = str::from_utf8(key).ok().filter(|text| !text.is_empty());
    match text.map(|text| event.set("partitionkey", Value::String(text))) {
        Some(Ok(())) => Ok(()),
        _ => event.set("kafkakeybase64", Value::Binary(&STANDARD.encode(key))),
    }
}

/// The number of a schema, before which a zero byte stands.
fn schema_id(value: &[u8]) -> Option<u32> {
    let (&[0, a, b, c, d], _) = value.split_first_chunk()? else { return None };
    Some(u32::from_be_bytes([a, b, c, d]))
}

fn set_time(event: &mut Event, timestamp_ms: i64) -> Result<(), Invalid> {
    match rfc_3339(timestamp_ms) {
        Some(text) => event.set("time", Value::String(str::from_utf8(&text).unwrap_or_default())),
        None => event.set("kafkatimestamp", Value::String(&timestamp_ms.to_string())),
    }
}

/// The time in UTC, such as `2018-04-05T17:31:00.000Z`; `None` when its year has not four digits.
fn rfc_3339(timestamp_ms: i64) -> Option<[u8; 24]> {
    let time = OffsetDateTime::from_unix_timestamp(timestamp_ms.div_euclid(1000)).ok()?;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    digits(&mut text[..4], u32::try_from(time.year()).ok().filter(|year| *year <= 9999)?);
    digits(&mut text[5..7], u8::from(time.month()).into());
    digits(&mut text[8..10], time.day().into());
    digits(&mut text[11..13], time.hour().into());
    digits(&mut text[14..16], time.minute().into());
    digits(&mut text[17..19], time.second().into());
    digits(&mut text[20..23], u32::try_from(timestamp_ms.rem_euclid(1000)).ok()?);
    Some(text)
}

fn digits(places: &mut [u8], mut number: u32) {
    for place in places.iter_mut().rev() {
        *place = b"0123456789"[number as usize % 10];
        number /= 10;
    }
}
