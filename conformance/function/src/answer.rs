//! From an action to bytes on the wire, the wrong ones included.
//!
//! A fault in the middle of an answer is a body that first gives what shall arrive, lets hyper flush it,
//! and then fails or never ends. hyper drops the connection on a failed body; [`ResetFlag`] decides
//! whether that is a FIN or an RST.

use std::io;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;

use crate::{
    program::{Action, Fault, Payload, Reply},
    wire::ResetFlag,
};

/// Whole, or going wrong on the way.
pub(crate) type AnswerBody = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// What a half-answer is made of where the program names no body.
const FAULT_BODY_BYTES: usize = 1_000;

/// The request's part in its answer, for an echo.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

/// The answer that `action` describes.
///
/// # Errors
/// The connection shall end without one ([`Fault::CloseBefore`], [`Fault::ResetBefore`]).
pub(crate) fn answer(
    action: &Action,
    question: &Question,
    reset: &ResetFlag,
) -> io::Result<Response<AnswerBody>> {
    match action.fault {
        None => Ok(whole(action, question).map(|body| Either::Left(Full::new(body)))),
        Some(Fault::ResetBefore) => {
            reset.raise();
            Err(planned())
        }
        Some(Fault::CloseBefore | Fault::Hang | Fault::Exit(_)) => Err(planned()),
        Some(fault) => Ok(half(whole(action, question), fault, reset.clone())),
    }
}

/// A plain answer of the function's own endpoints.
pub(crate) fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response
}

/// The status that `action` answers with.
pub(crate) fn status_of(action: &Action) -> StatusCode {
    let fallback = if action.redirect.is_some() { 307 } else { 200 };
    StatusCode::from_u16(action.status.unwrap_or(fallback)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn whole(action: &Action, question: &Question) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status_of(action);
    match (&action.reply, &action.body) {
        (Some(reply), _) => put_reply(&mut response, reply),
        (None, Some(payload)) => put_payload(&mut response, payload, question),
        (None, None) => {}
    }
    if let Some(location) = &action.redirect {
        put_header(&mut response, "location", location);
    }
    if let Some(retry_after) = &action.retry_after {
        put_header(&mut response, "retry-after", retry_after);
    }
    if action.close {
        put_header(&mut response, "connection", "close");
    }
    for (name, value) in &action.headers {
        put_header(&mut response, name, value);
    }
    response
}

fn half(whole: Response<Bytes>, fault: Fault, reset: ResetFlag) -> Response<AnswerBody> {
    let (mut parts, body) = whole.into_parts();
    let body = if body.is_empty() { Bytes::from(vec![b'x'; FAULT_BODY_BYTES]) } else { body };
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let sent = match fault {
        Fault::ResetBody | Fault::StallBody | Fault::Truncate => body.slice(..body.len() / 2),
        _ => Bytes::new(),
    };
    let first = stream::iter((!sent.is_empty()).then(|| Ok(Frame::data(sent))));
    let then = stream::once(async move {
        if matches!(fault, Fault::StallHeaders | Fault::StallBody) {
            std::future::pending::<()>().await;
        }
        // hyper flushes what it has whenever the body is pending, so one turn puts it on the wire.
        tokio::task::yield_now().await;
        if matches!(fault, Fault::ResetHeaders | Fault::ResetBody) {
            reset.raise();
        }
        Err(planned())
    });
    Response::from_parts(parts, Either::Right(StreamBody::new(first.chain(then)).boxed_unsync()))
}

fn put_payload(response: &mut Response<Bytes>, payload: &Payload, question: &Question) {
    *response.body_mut() = match payload {
        Payload::Text(text) => Bytes::from(text.clone()),
        Payload::Base64(text) => BASE64_STANDARD.decode(text).unwrap_or_default().into(),
        Payload::Bytes(length) => Bytes::from(vec![b'x'; *length]),
        Payload::Echo => {
            if let Some(content_type) = &question.content_type {
                response.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
            }
            question.body.clone()
        }
    };
}

/// A `CloudEvent` in an answer (HTTP binding 1.0.2, sections 3.1 and 3.2).
fn put_reply(response: &mut Response<Bytes>, reply: &Reply) {
    if reply.structured {
        let mut event = serde_json::Map::from_iter([("specversion".to_owned(), "1.0".into())]);
        event.extend(reply.attributes.iter().map(|(name, text)| (name.clone(), text.clone().into())));
        event.extend(reply.data.iter().map(|data| ("data".to_owned(), data.clone())));
        put_header(response, "content-type", "application/cloudevents+json");
        *response.body_mut() = serde_json::Value::from(event).to_string().into();
        return;
    }
    put_header(response, "ce-specversion", "1.0");
    for (name, text) in &reply.attributes {
        put_header(response, &format!("ce-{name}"), text);
    }
    if let Some(data) = &reply.data {
        put_header(response, "content-type", "application/json");
        *response.body_mut() = data.to_string().into();
    }
}

fn put_header(response: &mut Response<Bytes>, name: &str, value: &str) {
    match (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
        (Ok(name), Ok(value)) => {
            response.headers_mut().insert(name, value);
        }
        _ => eprintln!("function: {name}: {value:?} cannot be a header and is left out"),
    }
}

fn planned() -> io::Error {
    io::Error::other("as the program says")
}
