//! The Kafka binding (CloudEvents Kafka Protocol Binding 1.0.2): which records are events, and both of its modes.
//!
//! A record is its headers, names with values that may be null, and a value that may be null too. No client
//! library is known here, nor a record's key: mapping it is left to whoever reads and writes records (section 3.1).

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Event, Format, Invalid, SPECVERSION, attrs::Attributes, http, http::check_version, value::Kind};

const PREFIX: &str = "ce_";
const CONTENT_TYPE: &str = "content-type";
/// So many `ce_` headers are looked through without allocating.
const HEADERS: usize = 16;

/// How a record carries its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in headers, the data as the value.
    Binary,
    /// One event as a whole, in this format.
    Structured(Format),
    /// Not at all: the record is no `CloudEvent`, nor does it say so.
    Plain,
}

/// The headers of a record that is written: names and values.
pub type Headers<'e> = Vec<(Cow<'e, str>, &'e str)>;

/// The mode of a record: structured by its `content-type`, else binary by its `ce_specversion`, else plain.
///
/// Header names are compared as they are, but for `content-type` in any case; a header that is null is not there.
///
/// # Errors
/// [`Invalid::unsupported`] when the format is none that is read here; otherwise invalid when it is a batch, which
/// this binding does not have, or when a record that says it is an event has more than one `content-type`.
pub fn mode<'a>(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Result<Mode, Invalid> {
    Found::among(PREFIX, headers).mode()
}

/// Reads the event of a record, whose value is copied once. `None`: the record is plain.
///
/// In the binary mode other headers are ignored, and a value that is null is no data. `ce_datacontenttype`, which
/// some senders add against section 3.2.1, is accepted when it says the same as `content-type` or is there alone.
///
/// # Errors
/// Those of [`mode`] and [`Format::decode`]. In the binary mode when a header is there twice, is not UTF-8 or breaks a
/// rule of its attribute, or a required attribute is not there.
pub fn read<'a>(
    headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    value: Option<&'a [u8]>,
) -> Result<Option<Event>, Invalid> {
    Found::among(PREFIX, headers).read(|| value.map(Bytes::copy_from_slice))
}

/// Writes an event in the binary mode: its headers, and the value, which is null for an event without data.
///
/// An event whose data says that it is itself an event in another format can only be told from such an event in
/// the structured mode, so it is written in that.
#[must_use]
pub fn encode(event: &Event) -> (Headers<'_>, Option<Bytes>) {
    let typed =
        event.datacontenttype().map_or(Ok(http::Mode::Binary), |text| http::named_by(text.as_bytes()));
    if typed != Ok(http::Mode::Binary) {
        let (headers, value) = encode_structured(event, Format::Json);
        return (headers, Some(value));
    }
    let mut headers = Vec::with_capacity(event.attributes.count() + 1);
    headers.push((Cow::Borrowed("ce_specversion"), SPECVERSION));
    headers.extend(event.attributes.iter().map(|attribute| (header(attribute.name), attribute.text)));
    (headers, event.data.clone())
}

/// Writes an event in the structured mode and this format: its headers, and the value.
#[must_use]
pub fn encode_structured(event: &Event, format: Format) -> (Headers<'_>, Bytes) {
    (vec![(Cow::Borrowed(CONTENT_TYPE), format.content_type())], format.encode(event))
}

fn header(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(match name {
        "id" => "ce_id",
        "source" => "ce_source",
        "type" => "ce_type",
        "datacontenttype" => CONTENT_TYPE,
        "dataschema" => "ce_dataschema",
        "subject" => "ce_subject",
        "time" => "ce_time",
        _ => return Cow::Owned([PREFIX, name].concat()),
    })
}

/// What one look at the headers finds, before any of it is checked.
pub(super) struct Found<'a> {
    /// The headers that begin with the binding's prefix, without that.
    attributes: SmallVec<[(&'a str, &'a [u8]); HEADERS]>,
    /// How much memory they need as attributes, at most.
    text_bytes: usize,
    versioned: bool,
    content_type: Option<&'a [u8]>,
    content_types: usize,
    /// A `content-type` that names a format of events.
    format: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    pub(super) fn among(
        prefix: &str,
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Self {
        let mut found = Found {
            attributes: SmallVec::new(),
            text_bytes: 0,
            versioned: false,
            content_type: None,
            content_types: 0,
            format: None,
        };
        for (header, value) in headers {
            let Some(value) = value else { continue };
            if let Some(name) = header.strip_prefix(prefix) {
                found.versioned |= name == "specversion";
                found.text_bytes += name.len() + value.len();
                found.attributes.push((name, value));
            } else if header.eq_ignore_ascii_case(CONTENT_TYPE) {
                found.typed(value);
            }
        }
        found
    }

    fn typed(&mut self, value: &'a [u8]) {
        self.content_types += 1;
        self.text_bytes += value.len();
        self.content_type = self.content_type.or(Some(value));
        if self.format.is_none() && http::named_by(value) != Ok(http::Mode::Binary) {
            self.format = Some(value);
        }
    }

    fn mode(&self) -> Result<Mode, Invalid> {
        let mode = match self.format {
            None if !self.versioned => return Ok(Mode::Plain),
            None => Mode::Binary,
            Some(format) => match http::named_by(format)? {
                http::Mode::Structured(format) => Mode::Structured(format),
                http::Mode::Binary | http::Mode::Batch(_) => {
                    return Err(Invalid::says(
                        CONTENT_TYPE,
                        "is a batch, which this binding does not have; send each event by itself",
                    ));
                }
            },
        };
        if self.content_types > 1 { Err(twice(CONTENT_TYPE)) } else { Ok(mode) }
    }

    /// The event, with the value only where it is needed.
    pub(super) fn read(&self, value: impl FnOnce() -> Option<Bytes>) -> Result<Option<Event>, Invalid> {
        match self.mode()? {
            Mode::Plain => Ok(None),
            Mode::Binary => {
                let attributes = self.attributes()?;
                Event::from_parts(attributes, value()).map(Some)
            }
            Mode::Structured(format) => match value() {
                Some(value) => format.decode(value).map(Some),
                None => Err(Invalid::says("event", "is missing; the record's value is null")),
            },
        }
    }

    /// All values in a row: looking once whether many bytes are UTF-8 is quicker than looking at each few.
    fn joined(&self) -> Vec<u8> {
        let mut joined = Vec::with_capacity(self.text_bytes);
        let values = self.attributes.iter().map(|(_, value)| *value);
        values.chain(self.content_type).for_each(|value| joined.extend_from_slice(value));
        joined
    }

    /// What is wrong when they are not text together.
    fn no_text(&self) -> Invalid {
        let no_text = self.attributes.iter().find(|(_, value)| str::from_utf8(value).is_err());
        no_text.map_or_else(
            || no_utf8(CONTENT_TYPE, self.content_type.unwrap_or_default()),
            |(name, value)| no_utf8(name, value),
        )
    }

    fn attributes(&self) -> Result<Attributes, Invalid> {
        let mut attributes = Attributes::with_capacity(self.text_bytes);
        let mut versioned = false;
        let mut datacontenttype = None;
        let joined = self.joined();
        let mut texts = Texts(str::from_utf8(&joined).map_err(|_| self.no_text())?);
        for &(name, value) in &self.attributes {
            let text = texts.next(name, value)?;
            match name {
                "specversion" => check_version(text, &mut versioned)?,
                "datacontenttype" if datacontenttype.is_some() => return Err(twice(name)),
                "datacontenttype" => datacontenttype = Some(text),
                _ => attributes.push(name, Kind::String, text)?,
            }
        }
        let content_type = self.content_type.map(|value| texts.next(CONTENT_TYPE, value)).transpose()?;
        if let (Some(said), Some(meant)) = (datacontenttype, content_type)
            && said != meant
        {
            return Err(Invalid::new("datacontenttype", said, "what the header content-type says"));
        }
        if let Some(text) = content_type.or(datacontenttype) {
            attributes.push("datacontenttype", Kind::String, text)?;
        }
        Ok(attributes)
    }
}

/// What is left of all values in a row, as text.
struct Texts<'j>(&'j str);

impl<'j> Texts<'j> {
    /// The next value, which is `value`.
    fn next(&mut self, name: &str, value: &[u8]) -> Result<&'j str, Invalid> {
        // Two values that are text only together are none.
        let (text, rest) = self.0.split_at_checked(value.len()).ok_or_else(|| no_utf8(name, value))?;
        self.0 = rest;
        Ok(text)
    }
}

fn no_utf8(name: &str, value: &[u8]) -> Invalid {
    Invalid::new(name, &String::from_utf8_lossy(value), "UTF-8")
}

fn twice(header: &str) -> Invalid {
    Invalid::says(header, "is there twice")
}

#[cfg(test)]
mod tests;
