//! The HTTP binding (CloudEvents HTTP Protocol Binding 1.0.2): which mode a message is in, and the binary mode.
//!
//! The bodies of the other two modes are read and written by their [`Format`].

use ::http::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    Event, Format, Invalid, SPECVERSION,
    attrs::{
        Attribute, Attributes,
        names::{DATACONTENTTYPE, DATASCHEMA, ID, SOURCE, SUBJECT, TIME, TYPE},
    },
    media, percent,
    value::Kind,
};

const PREFIX: &str = "ce-";
const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
const CE_DATASCHEMA: HeaderName = HeaderName::from_static("ce-dataschema");
const CE_SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const CE_TIME: HeaderName = HeaderName::from_static("ce-time");
/// Headers that whoever sends it adds, such as host, length and preference: making room now is cheaper than growing.
const ADDED_LATER: usize = 4;

/// How a message carries its event or events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in headers, the data as the body.
    Binary,
    /// One event as a whole, in this format.
    Structured(Format),
    /// Any number of events together, in this format.
    Batch(Format),
}

/// The mode that the `Content-Type` names; without one it is the binary mode.
///
/// # Errors
/// [`Invalid::unsupported`] when the format is none that is read here (another than JSON and Protobuf, or JSON
/// in another charset than UTF-8); otherwise invalid when there is more than one `Content-Type`.
pub fn mode(headers: &HeaderMap) -> Result<Mode, Invalid> {
    let Some(value) = content_type(headers)? else { return Ok(Mode::Binary) };
    named_by(value.as_bytes())
}

/// The mode that this `Content-Type` names, by the rule that HTTP and Kafka share.
pub(super) fn named_by(content_type: &[u8]) -> Result<Mode, Invalid> {
    let Some(format) = after_prefix(content_type, b"application/cloudevents") else {
        return Ok(Mode::Binary);
    };
    let text = str::from_utf8(content_type).unwrap_or("application/cloudevents…");
    let (mode, format): (fn(Format) -> Mode, _) = match after_prefix(format, b"-batch") {
        Some(format) => (Mode::Batch, format),
        None => (Mode::Structured, format),
    };
    let end = format.iter().position(|b| *b == b';').unwrap_or(format.len());
    let suffix = format[..end].trim_ascii();
    if suffix.eq_ignore_ascii_case(b"+json") && media::is_utf8(text) != Some(false) {
        Ok(mode(Format::Json))
    } else if suffix.eq_ignore_ascii_case(b"+protobuf") {
        Ok(mode(Format::Protobuf))
    } else {
        Err(Invalid::unsupported_format(text))
    }
}

/// Reads an event in the binary mode.
///
/// A message without a body and without a `Content-Type` has no data; with a `Content-Type` its data is empty.
/// Headers that do not begin with `ce-` are ignored.
///
/// # Errors
/// When a header is there twice, cannot be decoded or breaks a rule of its attribute, when `ce-datacontenttype`
/// is there, or a required attribute is not.
pub fn decode(headers: &HeaderMap, body: Bytes) -> Result<Event, Invalid> {
    let mut attributes = Attributes::with_capacity(text_bytes_max(headers));
    let mut versioned = false;
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else { continue };
        if name == "datacontenttype" {
            return Err(Invalid::says("ce-datacontenttype", "must not be there; the Content-Type says it"));
        }
        let text = percent::decode(value.as_bytes())
            .map_err(|expected| Invalid::new(name, &String::from_utf8_lossy(value.as_bytes()), expected))?;
        if name == "specversion" {
            check_version(&text, &mut versioned)?;
        } else {
            attributes.push(name, Kind::String, &text)?;
        }
    }
    if !versioned {
        return Err(Invalid::missing("specversion"));
    }
    let typed = content_type(headers)?;
    if let Some(value) = typed {
        let text = value.to_str().map_err(|_| {
            Invalid::new("content-type", &String::from_utf8_lossy(value.as_bytes()), "printable ASCII")
        })?;
        attributes.push("datacontenttype", Kind::String, text)?;
    }
    let no_data = body.is_empty() && typed.is_none();
    Event::from_parts(attributes, if no_data { None } else { Some(body) })
}

/// Writes an event in the binary mode: sets its `ce-` headers and `Content-Type` in `headers`, returns the body.
///
/// An event without data has an empty body; whether it had none or empty data only the `Content-Type` can tell.
pub fn encode(event: &Event, headers: &mut HeaderMap) -> Bytes {
    let mut text = Vec::with_capacity(event.attributes.heap() + event.attributes.heap() / 4);
    let mut ends: SmallVec<[usize; 16]> = SmallVec::new();
    for attribute in event.attributes.iter() {
        if attribute.known == DATACONTENTTYPE {
            text.extend_from_slice(attribute.text.as_bytes());
        } else {
            percent::encode(attribute.text, &mut text);
        }
        ends.push(text.len());
    }
    let text = Bytes::from(text);
    headers.reserve(ends.len() + 1 + ADDED_LATER);
    headers.insert(CE_SPECVERSION, HeaderValue::from_static(SPECVERSION));
    let mut start = 0;
    for (attribute, end) in event.attributes.iter().zip(ends) {
        // All values lie in one piece of memory that the headers share. None can be refused: a media type is
        // text without control characters, and everything else is percent-encoded.
        if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(start..end)) {
            insert(headers, attribute, value);
        }
        start = end;
    }
    event.data.clone().unwrap_or_default()
}

fn insert(headers: &mut HeaderMap, attribute: Attribute<'_>, value: HeaderValue) {
    let header = match attribute.known {
        ID => CE_ID,
        SOURCE => CE_SOURCE,
        TYPE => CE_TYPE,
        DATACONTENTTYPE => CONTENT_TYPE,
        DATASCHEMA => CE_DATASCHEMA,
        SUBJECT => CE_SUBJECT,
        TIME => CE_TIME,
        _ => {
            let mut header: SmallVec<[u8; 64]> = SmallVec::from_slice(PREFIX.as_bytes());
            header.extend_from_slice(attribute.name.as_bytes());
            match HeaderName::from_bytes(&header) {
                Ok(header) => header,
                // A name has at most 255 letters and digits, which every header name may have.
                Err(_) => return,
            }
        }
    };
    headers.insert(header, value);
}

fn content_type(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Invalid> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        _ => Err(Invalid::says("content-type", "is there twice")),
    }
}

pub(super) fn check_version(text: &str, seen: &mut bool) -> Result<(), Invalid> {
    if std::mem::replace(seen, true) {
        return Err(Invalid::says("specversion", "is there twice"));
    }
    if text == SPECVERSION { Ok(()) } else { Err(Invalid::new("specversion", text, "1.0")) }
}

fn text_bytes_max(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(PREFIX) || *name == CONTENT_TYPE)
        .map(|(name, value)| {
            let known = matches!(name.as_str(), "ce-id" | "ce-source" | "ce-type" | "ce-subject" | "ce-time");
            value.len() + if known { 0 } else { name.as_str().len() - PREFIX.len() }
        })
        .sum()
}

fn after_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests;
