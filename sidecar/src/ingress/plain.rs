//! Any request: a `CloudEvent` stays what it is, and another becomes an event of a configured type and source.
//!
//! The data is the body, byte for byte, and its `Content-Type` the data's. The id is a header's, where one is configured
//! and there; else one is made, so that two requests are two events. Headers are not kept: they belong to the hop, and
//! hold credentials.

use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderName, Response, header::CONTENT_TYPE, request::Parts};
use outrigger_core::{
    Error, Event, Inbound, Inbox, Invalid, Outcome, Result, Value,
    event::http::{self as binary, Mode},
};
use std::sync::atomic::{AtomicU64, Ordering};

use super::cloudevents::CloudEvents;

/// Reads any request.
#[derive(Debug)]
pub struct Plain {
    /// How `CloudEvents` are read, and everything answered.
    pub events: CloudEvents,
    /// The source of the others.
    pub source: String,
    /// Their type.
    pub ty: String,
    /// The header that holds their id.
    pub id_header: Option<HeaderName>,
    /// Ids for those that bring none.
    pub ids: Ids,
}

/// Ids that no other process has given and none is given twice: random bits, and a count.
#[derive(Debug)]
pub struct Ids {
    prefix: String,
    count: AtomicU64,
}

impl Ids {
    /// Ids of this process.
    #[must_use]
    pub fn new(mut random: Rng) -> Self {
        Self { prefix: format!("{:032x}", random.u128(..)), count: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("{}-{}", self.prefix, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

impl Inbound for Plain {
    /// # Errors
    /// Status 400 or 415 when it is a `CloudEvent` that is wrong, or its id or content type can be no attribute.
    fn decode(&self, parts: &Parts, body: Bytes) -> Result<Inbox> {
        let is_event = parts.headers.contains_key("ce-specversion")
            || !matches!(binary::mode(&parts.headers), Ok(Mode::Binary));
        if is_event {
            return self.events.decode(parts, body);
        }
        let event = self.event(parts, body);
        let event = event.map_err(|invalid| Error::status(400, None, invalid.to_string()))?;
        Ok(Inbox::Events { items: vec![Ok(event)], batch: false, hop: Vec::new() })
    }

    fn answer(&self, outcome: &Outcome) -> Response<Bytes> {
        self.events.answer(outcome)
    }
}

impl Plain {
    fn event(&self, parts: &Parts, body: Bytes) -> Result<Event, Invalid> {
        let text = |name: &HeaderName| match parts.headers.get(name).map(|value| value.to_str()) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Err(_)) => Err(Invalid::says(name.as_str(), "is no printable ASCII")),
        };
        let id = self.id_header.as_ref().map(text).transpose()?.flatten();
        let id = id.map_or_else(|| self.ids.next(), str::to_owned);
        let mut event = Event::new(&id, &self.source, &self.ty)?;
        let content_type = text(&CONTENT_TYPE)?;
        if let Some(content_type) = content_type {
            event.set("datacontenttype", Value::String(content_type))?;
        }
        if !body.is_empty() || content_type.is_some() {
            event.set_data(Some(body));
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn plain() -> Plain {
        Plain {
            events: CloudEvents { batch_events_max: 8 },
            source: "/shop".to_owned(),
            ty: "shop.order".to_owned(),
            id_header: Some(HeaderName::from_static("idempotency-key")),
            ids: Ids::new(Rng::with_seed(7)),
        }
    }

    fn read(plain: &Plain, headers: &[(&str, &str)], body: &'static str) -> Result<Event> {
        let request = headers.iter().fold(Request::post("/"), |it, (name, value)| it.header(*name, *value));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match plain.decode(&parts, Bytes::from_static(body.as_bytes()))? {
            Inbox::Events { mut items, .. } => Ok(items.remove(0).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_becomes_an_event_of_the_configured_type_and_source() {
        let headers =
            [("content-type", "text/csv"), ("idempotency-key", "42"), ("authorization", "Bearer x")];
        let event = read(&plain(), &headers, "a,b").unwrap();
        assert_eq!((event.id(), event.source(), event.ty()), ("42", "/shop", "shop.order"));
        assert_eq!((event.datacontenttype(), &event.data().unwrap()[..]), (Some("text/csv"), &b"a,b"[..]));
        assert_eq!(event.attributes().count(), 4);
    }

    #[test]
    fn two_requests_without_an_id_are_two_events() {
        let plain = plain();
        let ids: Vec<_> = (0..2).map(|_| read(&plain, &[], "x").unwrap().id().to_owned()).collect();
        assert_ne!(ids[0], ids[1]);
        let other = Ids::new(Rng::with_seed(8));
        assert_ne!(ids[0], other.next());
        assert_eq!(read(&plain, &[], "").unwrap().data(), None);
    }

    #[test]
    fn a_cloudevent_stays_what_it_is_and_a_wrong_one_is_refused() {
        let structured = [("content-type", "application/cloudevents+json")];
        let body = r#"{"specversion":"1.0","id":"1","source":"/a","type":"t"}"#;
        assert_eq!(read(&plain(), &structured, body).unwrap().source(), "/a");
        let binary = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/b"), ("ce-type", "t")];
        assert_eq!(read(&plain(), &binary, "").unwrap().source(), "/b");
        assert_eq!(read(&plain(), &structured, "{}").unwrap_err().told().0, 400);
        assert_eq!(read(&plain(), &[("content-type", "json")], "{}").unwrap_err().told().0, 400);
    }
}
