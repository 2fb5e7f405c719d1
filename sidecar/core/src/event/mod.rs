//! The event: CloudEvents 1.0 with the payload as the bytes that came.
//!
//! [`Event`] keeps its attributes compactly and its data untouched; [`http`], [`json`], [`proto`], [`kafka`] and [`pubsub`]
//! read and write it, [`record`] stores it, [`sdk`] converts it to and from `cloudevents::Event`. Whatever is read is checked
//! against every rule of the specification, and what is wrong is an [`Invalid`].
//!
//! Not here: transports, keys, what an event is worth. Limits on sizes belong to whoever reads from the network.

pub mod hop;
pub mod http;
pub mod json;
pub mod kafka;
pub mod lineage;
pub mod proto;
pub mod pubsub;
pub mod record;
pub mod sdk;

mod attrs;
mod check;
mod format;
mod invalid;
mod media;
mod percent;
mod uri;
mod value;

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use attrs::Attributes;
pub use attrs::postmark::Postmark;
pub use format::Format;
pub use invalid::Invalid;
pub use uri::reference;
use value::Kind;
pub use value::Value;

/// The version of the specification that every event here has.
pub const SPECVERSION: &str = "1.0";

/// A `CloudEvent` of version 1.0: attributes that satisfy the specification, and data that nobody changes.
///
/// Two events are equal when their attributes have the same names and canonical texts and their data the same
/// bytes: that is all that every wire keeps. A clone copies the attributes and shares the data.
#[derive(Clone, PartialEq)]
pub struct Event {
    attributes: Attributes,
    data: Option<Bytes>,
}

impl Event {
    /// An event with the attributes that every event has, and without data.
    ///
    /// # Errors
    /// When one is empty, `source` is no URI-reference, or another rule of the specification is broken.
    pub fn new(id: &str, source: &str, ty: &str) -> Result<Event, Invalid> {
        let mut attributes = Attributes::with_capacity(id.len() + source.len() + ty.len());
        attributes.push("id", Kind::String, id)?;
        attributes.push("source", Kind::UriRef, source)?;
        attributes.push("type", Kind::String, ty)?;
        Event::from_parts(attributes, None)
    }

    /// Identifies the event within its source; never empty.
    #[must_use]
    pub fn id(&self) -> &str {
        self.attributes.required(0)
    }

    /// Where the event happened, a URI-reference; never empty. With the id it identifies a duplicate.
    #[must_use]
    pub fn source(&self) -> &str {
        self.attributes.required(1)
    }

    /// What kind of event it is (the attribute `type`); never empty.
    #[must_use]
    pub fn ty(&self) -> &str {
        self.attributes.required(2)
    }

    /// What the event is about, within its source.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.attributes.text("subject")
    }

    /// When it happened: RFC 3339, as its sender wrote it.
    #[must_use]
    pub fn time(&self) -> Option<&str> {
        self.attributes.text("time")
    }

    /// The media type of the data.
    #[must_use]
    pub fn datacontenttype(&self) -> Option<&str> {
        self.attributes.text("datacontenttype")
    }

    /// The URI of the schema that the data follows.
    #[must_use]
    pub fn dataschema(&self) -> Option<&str> {
        self.attributes.text("dataschema")
    }

    /// Any attribute by its name, `specversion` included.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        if name == "specversion" { Some(Value::String(SPECVERSION)) } else { self.attributes.get(name) }
    }

    /// The canonical text of any attribute, `specversion` included.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let text = if name == "specversion" { Some(SPECVERSION) } else { self.attributes.text(name) };
        text.map(Cow::Borrowed)
    }

    /// Sets an attribute, or replaces it at its place.
    ///
    /// An attribute that the specification defines takes a [`Value::String`] for its own type too, and
    /// `specversion` only what it is.
    ///
    /// # Errors
    /// When the name is not made of `a-z` and `0-9`, the value breaks a rule, or there would be more than 256
    /// attributes. The event is then as before.
    pub fn set(&mut self, name: &str, value: Value<'_>) -> Result<(), Invalid> {
        if name == "specversion" && value.text() == SPECVERSION {
            return Ok(());
        }
        self.attributes.set(name, value.kind(), &value.text())
    }

    /// Makes room for attributes with `bytes` of names and values together, so that setting them moves nothing.
    pub fn reserve(&mut self, bytes: usize) {
        self.attributes.reserve(bytes);
    }

    /// Removes an attribute. False when it is not there, or is one that every event has and so stays.
    pub fn remove(&mut self, name: &str) -> bool {
        self.attributes.remove(name)
    }

    /// All attributes but `specversion`: `id`, `source`, `type`, then the others in the order they came.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.attributes.iter().map(|a| (a.name, a.kind.value(a.text)))
    }

    /// The payload as it came. `None` is no data, which is not the same as empty data or a JSON `null`.
    ///
    /// It may share its memory with the request or batch that it came in.
    #[must_use]
    pub fn data(&self) -> Option<&Bytes> {
        self.data.as_ref()
    }

    /// Replaces the payload and leaves `datacontenttype` as it is.
    pub fn set_data(&mut self, data: Option<Bytes>) {
        self.data = data;
    }

    /// Gives the payload memory of its own: a slice keeps the whole request or batch that it came in.
    pub fn own_data(&mut self) {
        if let Some(data) = &mut self.data {
            *data = Bytes::copy_from_slice(data);
        }
    }

    /// The event with this payload of this media type.
    ///
    /// # Errors
    /// When `content_type` is no media type (RFC 2046).
    pub fn with_data(mut self, content_type: &str, data: Bytes) -> Result<Event, Invalid> {
        self.attributes.set("datacontenttype", Kind::String, content_type)?;
        self.data = Some(data);
        Ok(self)
    }

    /// How many bytes the event holds, its attributes and its data together: what a bound on memory counts.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Event>() + self.attributes.heap() + self.data.as_ref().map_or(0, Bytes::len)
    }

    fn from_parts(attributes: Attributes, data: Option<Bytes>) -> Result<Event, Invalid> {
        Ok(Event { attributes: attributes.finished()?, data })
    }
}

impl fmt::Debug for Event {
    /// Attributes and the length of the data; never the data, which may be secret and long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut event = f.debug_struct("Event");
        for attribute in self.attributes.iter() {
            event.field(attribute.name, &attribute.text);
        }
        event.field("data_bytes", &self.data.as_ref().map(Bytes::len)).finish()
    }
}

#[cfg(test)]
mod tests;
