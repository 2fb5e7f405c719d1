//! Publishing to a custom topic: `POST /api/events`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode, header, request::Parts};
use serde_json::value::RawValue;

use crate::{
    answer::{Body, Refusal, empty},
    event::{Event, Schema},
    grid::{Grid, no_topic},
    namespace::{check_count, check_size, cloud_events, content_type, parse, version},
};

/// Events in one publish.
const EVENTS_MAX: usize = 5000;
/// The versions of the interface.
const VERSIONS: [&str; 1] = ["2018-01-01"];

/// The topic that a request is for, if it is for one: the service tells them apart by host name, and so does this, by
/// its first label; a client without names writes `/NAME/api/events`; what is left is for the topic `default`.
pub(crate) fn named(parts: &Parts) -> Option<&str> {
    let path = parts.uri.path();
    if path == "/api/events" {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let label = host.split_once('.').map(|(label, _)| label).unwrap_or_default();
        let is_name = label.starts_with(|first: char| first.is_ascii_alphabetic());
        return Some(if is_name { label } else { "default" });
    }
    let name = path.strip_prefix('/')?.strip_suffix("/api/events")?;
    (!name.contains('/')).then_some(name)
}

/// The id under which Azure's resource manager would know the topic; the `source` of its events.
#[must_use]
pub fn resource_id(topic: &str) -> String {
    format!(
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/outrigger\
         /providers/Microsoft.EventGrid/topics/{topic}"
    )
}

/// Takes the events.
///
/// # Errors
/// What the service refuses with.
pub(crate) fn answer(
    grid: &Grid,
    topic: &str,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response<Body>, Refusal> {
    version(parts, &VERSIONS)?;
    let schema = grid.look(|state| state.custom.get(topic).map(|custom| custom.input_schema));
    let events = match schema.ok_or_else(|| no_topic(topic))? {
        Schema::CloudEventSchemaV1_0 => cloud_events(&parts.headers, body, EVENTS_MAX)?,
        Schema::EventGridSchema => grid_events(topic, parts, body)?,
    };
    let now = grid.clock.now();
    grid.change(|state| {
        let custom = state.custom.get_mut(topic).ok_or_else(|| no_topic(topic))?;
        custom.published += events.len() as u64;
        for event in events.into_iter().map(Arc::new) {
            for push in custom.subscriptions.values_mut() {
                push.publish(event.clone(), now);
            }
        }
        Ok(())
    })?;
    Ok(empty(StatusCode::OK))
}

fn grid_events(topic: &str, parts: &Parts, body: &Bytes) -> Result<Vec<Event>, Refusal> {
    check_size(body)?;
    let content_type = content_type(&parts.headers)?;
    if content_type != "application/json" {
        let message = format!("The topic takes EventGridSchema as application/json, not '{content_type}'.");
        return Err(Refusal::bad(message));
    }
    let events: Vec<&RawValue> = parse(body)?;
    check_count(events.len(), EVENTS_MAX)?;
    let id = resource_id(topic);
    events.into_iter().map(|event| Event::grid(event, &id)).collect()
}
