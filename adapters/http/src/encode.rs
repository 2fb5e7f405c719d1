//! How an event is written into a request, in each mode. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use outrigger_core::{
    CallCx, Event,
    event::{self, Format},
};

use crate::{config::Mode, raw};

/// In lower case: the SDK for JavaScript knows its parsers by the whole text.
const JSON: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
const JSON_BATCH: HeaderValue = HeaderValue::from_static(event::json::BATCH_CONTENT_TYPE);
const PROTOBUF_BATCH: HeaderValue = HeaderValue::from_static(event::proto::BATCH_CONTENT_TYPE);
const PROTOBUF: HeaderValue = HeaderValue::from_static(event::proto::CONTENT_TYPE);

/// Sets the headers of `event` and gives back the body.
pub(crate) fn event(mode: Mode, event: &Event, cx: &CallCx, headers: &mut HeaderMap) -> Bytes {
    let (content_type, format) = match mode {
        Mode::Binary => return event::http::encode(event, headers),
        Mode::Raw => return raw::write(event, cx, headers),
        Mode::Structured => (JSON, Format::Json),
        Mode::Protobuf => (PROTOBUF, Format::Protobuf),
    };
    headers.insert(CONTENT_TYPE, content_type);
    format.encode(event)
}

/// Sets the headers of a batch of `events` and gives back the body: in JSON, but for [`Mode::Protobuf`].
pub(crate) fn batch(mode: Mode, events: &[Event], headers: &mut HeaderMap) -> Bytes {
    if mode == Mode::Protobuf {
        headers.insert(CONTENT_TYPE, PROTOBUF_BATCH);
        event::proto::encode_batch(events)
    } else {
        headers.insert(CONTENT_TYPE, JSON_BATCH);
        event::json::encode_batch(events)
    }
}
