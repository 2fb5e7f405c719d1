//! What `outrigger normalize` asks of the adapters: the readers and writers that the running path uses, and nothing else.

use crate::ingress::{
    cloudevents::CloudEvents,
    github::GitHub,
    plain::{Ids, Plain},
};
use bytes::Bytes;
use http::HeaderName;
use outrigger_core::{Event, Inbound, Malformed, Result};
use std::sync::Arc;

/// The most events of one document.
const BATCH_EVENTS_MAX: usize = 65_536;

/// A record of Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// The partition in it.
    pub partition: i32,
    /// The offset in that.
    pub offset: i64,
    /// Its time, in Unix milliseconds.
    pub timestamp_ms: Option<i64>,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
    /// Names and values, which may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A message of Pub/Sub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its data; empty is none.
    pub data: Bytes,
    /// Its attributes.
    pub attributes: std::collections::HashMap<String, String>,
    /// Its id.
    pub id: String,
    /// When it was published.
    pub publish_time: Option<String>,
    /// Its ordering key; empty is none.
    pub ordering_key: String,
}

/// Reads records of Kafka.
pub type Records = Box<dyn Fn(&Record) -> Result<Event, Malformed>>;
/// Reads messages of Pub/Sub, with the subscription by which each came.
pub type Messages = Box<dyn Fn(Message, &str) -> Result<Event, Malformed>>;

/// The reader of records: plain ones have this source and type, else those of the adapter.
///
/// # Errors
/// When a text is none that the adapter takes, or it is not compiled in.
#[cfg(feature = "kafka")]
pub fn kafka(source: Option<&str>, ty: Option<&str>) -> Result<Records> {
    use outrigger_core::{Error, Kind};
    use outrigger_kafka::decode;
    let plain = match (source, ty) {
        (None, None) => decode::Plain::default(),
        (source, ty) => {
            let (source, ty) = (source.unwrap_or("/kafka/{topic}"), ty.unwrap_or("org.apache.kafka.record"));
            decode::Plain::new(source, ty, None, false)
                .map_err(|invalid| Error::new(Kind::Invalid, invalid.to_string()))?
        }
    };
    Ok(Box::new(move |record| {
        let headers = record.headers.iter().map(|(name, value)| (&**name, value.as_deref()));
        let record = decode::Record {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers,
        };
        decode::decode(&record, &plain)
    }))
}

/// Says that Kafka is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "kafka"))]
pub fn kafka(_source: Option<&str>, _ty: Option<&str>) -> Result<Records> {
    Err(super::left_out("kafka", "its records cannot be read"))
}

/// The reader of messages, whose topic is this one where it is known.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "pubsub")]
#[expect(clippy::unnecessary_wraps, reason = "without the adapter there is an error")]
pub fn pubsub(topic: Option<String>) -> Result<Messages> {
    use outrigger_pubsub::decode;
    Ok(Box::new(move |message, subscription| {
        let Message { data, attributes, id, publish_time, ordering_key } = message;
        let message = decode::Message { data, attributes, id, publish_time, ordering_key };
        decode::decode(
            &message,
            &decode::Place { subscription: subscription.to_owned(), topic: topic.clone() },
        )
    }))
}

/// Says that Pub/Sub is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "pubsub"))]
pub fn pubsub(_topic: Option<String>) -> Result<Messages> {
    Err(super::left_out("pubsub", "its messages cannot be read"))
}

/// The reader of what a push subscription to `topic` sends.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "pubsub")]
#[expect(clippy::unnecessary_wraps, reason = "without the adapter there is an error")]
pub fn pubsub_push(topic: &str) -> Result<Arc<dyn Inbound>> {
    Ok(Arc::new(outrigger_pubsub::push::Push { topic: topic.into(), hop: &[] }))
}

/// Says that Pub/Sub is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "pubsub"))]
pub fn pubsub_push(_topic: &str) -> Result<Arc<dyn Inbound>> {
    Err(super::left_out("pubsub", "its messages cannot be read"))
}

/// The reader of what an event subscription sends.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "eventgrid")]
#[expect(clippy::unnecessary_wraps, reason = "without the adapter there is an error")]
pub fn eventgrid() -> Result<Arc<dyn Inbound>> {
    use outrigger_eventgrid::webhook::{Validation, Webhook};
    Ok(Arc::new(Webhook { batch_events_max: BATCH_EVENTS_MAX, validation: Validation::Answer }))
}

/// Says that Event Grid is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "eventgrid"))]
pub fn eventgrid() -> Result<Arc<dyn Inbound>> {
    Err(super::left_out("eventgrid", "its events cannot be read"))
}

/// The events of what a namespace of Event Grid answers; `None` where the document is no such answer.
#[must_use]
pub fn eventgrid_answer(body: &Bytes) -> Option<Vec<Result<Event, Malformed>>> {
    #[cfg(feature = "eventgrid")]
    if let Ok(answer) = outrigger_eventgrid::decode::events(body) {
        let unreadable = || Malformed {
            raw: Bytes::new(),
            headers: Vec::new(),
            key: None,
            why: "a member of the answer has no lock token or no event".to_owned(),
        };
        let events = answer.events.into_iter().map(|received| received.item);
        return Some(events.chain((0..answer.unreadable).map(|_| Err(unreadable()))).collect());
    }
    let _ = body;
    None
}

/// The reader of what a service of AWS sends.
///
/// # Errors
/// When the adapter is not compiled in.
pub fn aws(service: crate::config::Service, queue: Option<String>) -> Result<Arc<dyn Inbound>> {
    super::push::aws(service, queue, BATCH_EVENTS_MAX, &[])
}

/// The reader of GitHub's webhooks.
#[must_use]
pub fn github() -> Arc<dyn Inbound> {
    Arc::new(GitHub { answers: CloudEvents { batch_events_max: BATCH_EVENTS_MAX } })
}

/// The reader of any request.
#[must_use]
pub fn http(source: String, ty: String, id_header: Option<HeaderName>, ids: Ids) -> Arc<dyn Inbound> {
    Arc::new(Plain { events: CloudEvents { batch_events_max: BATCH_EVENTS_MAX }, source, ty, id_header, ids })
}

/// What a record of Kafka is written with.
pub struct Produced {
    /// The key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
    /// Names and values, which may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// What a message of Pub/Sub is written with.
pub struct Published {
    /// The data.
    pub data: Bytes,
    /// The attributes, by name.
    pub attributes: std::collections::BTreeMap<String, String>,
    /// The ordering key; empty is none.
    pub ordering_key: String,
}

/// The event as a record of Kafka.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "kafka")]
#[expect(clippy::unnecessary_wraps, reason = "without the adapter there is an error")]
pub fn to_kafka(event: &Event) -> Result<Produced> {
    let record = outrigger_kafka::encode::event(event, None);
    let headers = record.headers.into_iter();
    let headers = headers.map(|(name, value)| (name.into_owned(), value.map(std::borrow::Cow::into_owned)));
    Ok(Produced {
        key: record.key.map(std::borrow::Cow::into_owned),
        value: record.value,
        headers: headers.collect(),
    })
}

/// Says that Kafka is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "kafka"))]
pub fn to_kafka(_event: &Event) -> Result<Produced> {
    Err(super::left_out("kafka", "its records cannot be written"))
}

/// The event as a message of Pub/Sub.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "pubsub")]
#[expect(clippy::unnecessary_wraps, reason = "without the adapter there is an error")]
pub fn to_pubsub(event: &Event) -> Result<Published> {
    let message = outrigger_pubsub::encode::event(event);
    let attributes = message.attributes.into_iter().collect();
    Ok(Published { data: message.data, attributes, ordering_key: message.ordering_key })
}

/// Says that Pub/Sub is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "pubsub"))]
pub fn to_pubsub(_event: &Event) -> Result<Published> {
    Err(super::left_out("pubsub", "its messages cannot be written"))
}

/// The event in Event Grid's own schema. `now` is the time of one that has none.
///
/// # Errors
/// `Invalid` where that has no place for its data, or the adapter is not compiled in.
#[cfg(feature = "eventgrid")]
pub fn to_eventgrid(event: &Event, now: time::OffsetDateTime) -> Result<Bytes> {
    use outrigger_eventgrid::encode::{Schema, member};
    member(event, Schema::EventGrid, now)
}

/// Says that Event Grid is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "eventgrid"))]
pub fn to_eventgrid(_event: &Event, _now: time::OffsetDateTime) -> Result<Bytes> {
    Err(super::left_out("eventgrid", "its events cannot be written"))
}
