//! What a timeline is about: enough to name it and to look it up, without the event itself.

use crate::{Delivery, Key, Position};
use std::sync::Arc;

/// What a timeline is about.
#[derive(Debug, Clone)]
pub struct About {
    /// An event, or a request that passes through.
    pub subject: Subject,
    /// The configured name of the source.
    pub origin: Arc<str>,
    /// Its position there.
    pub position: Position,
    /// Its ordering key.
    pub key: Option<Key>,
    /// When its source first received it, in Unix milliseconds.
    pub received_ms: u64,
    /// Three texts in one piece of memory.
    texts: Box<str>,
    first: u32,
    second: u32,
}

/// An event, or a request that passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An event: its id, source and type.
    Event,
    /// A request: its method, path and scheme.
    Request,
    /// A request of our own, for which nobody waits: the same.
    Renewal,
}

impl About {
    /// The event of a delivery. What is none is known by its position, as the event of its source that is `malformed`.
    #[must_use]
    pub fn event(delivery: &Delivery) -> Self {
        let origin = &delivery.origin;
        let about = |texts| Self::of(Subject::Event, texts, origin.source.clone(), delivery.received_ms);
        let mut about = match &delivery.item {
            Ok(event) => about(&[event.id(), event.source(), event.ty()]),
            Err(_) => about(&[&origin.position.to_string(), &origin.source, "malformed"]),
        };
        about.position.clone_from(&origin.position);
        about.key.clone_from(&delivery.key);
        about
    }

    /// A request that came in at a listener of this name: its method, path and scheme; the last is empty where it is not
    /// known.
    #[must_use]
    pub fn request(listener: &Arc<str>, request: [&str; 3], received_ms: u64) -> Self {
        Self::of(Subject::Request, &request, listener.clone(), received_ms)
    }

    /// A request of our own, as [`About::request`].
    #[must_use]
    pub fn renewal(listener: &Arc<str>, request: [&str; 3], received_ms: u64) -> Self {
        Self::of(Subject::Renewal, &request, listener.clone(), received_ms)
    }

    fn of(subject: Subject, texts: &[&str; 3], origin: Arc<str>, received_ms: u64) -> Self {
        let len = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self {
            subject,
            origin,
            position: Position::none(),
            key: None,
            received_ms,
            first: len(texts[0]),
            second: len(texts[1]),
            texts: texts.concat().into(),
        }
    }

    /// The event's id, or the request's method.
    #[must_use]
    pub fn id(&self) -> &str {
        self.texts.get(..self.first as usize).unwrap_or_default()
    }

    /// The event's source, or the request's path.
    #[must_use]
    pub fn source(&self) -> &str {
        self.texts.get(self.first as usize..(self.first + self.second) as usize).unwrap_or_default()
    }

    /// The event's type; empty of a request.
    #[must_use]
    pub fn ty(&self) -> &str {
        self.texts.get((self.first + self.second) as usize..).unwrap_or_default()
    }

    /// The bytes beyond its own size.
    pub(super) fn heap(&self) -> usize {
        let position = if let Position::Text(text) = &self.position { text.len() } else { 0 };
        self.texts.len() + position + self.key.as_ref().map_or(0, |key| key.as_bytes().len())
    }
}
