//! Calling the function with an event: encode, exchange, decode. One attempt; the lanes decide about more.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header::CONTENT_LENGTH,
    uri::PathAndQuery,
};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use outrigger_core::{Body, BoxFuture, Call, CallCx, Error, Event, Exchange, Kind, Reply, Result, Timeline};
use tokio::time::timeout;

use crate::{
    batch::{self, Outcome},
    config::{Config, Mode, Replies},
    decode, encode,
};

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// RFC 7240's header with Knative's preference: whoever honours it answers with a reply event.
const PREFER_REPLY: HeaderValue = HeaderValue::from_static("reply");

/// How much of a failure's body is told.
const DETAIL_BYTES_MAX: usize = 1024;
/// How much more is read to keep the connection; a longer failure costs it.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// How long a body is waited for that decides nothing: a failure's words, a reply that nobody wants.
const UNWANTED_TIMEOUT: Duration = Duration::from_secs(1);

/// The function, as the lanes call it.
pub struct FunctionCall {
    exchange: Arc<dyn Exchange>,
    path: Uri,
    mode: Mode,
    replies: Replies,
    reply_bytes_max: usize,
}

impl FunctionCall {
    /// Calls the function of `config` through `exchange`: a [`crate::Client`], or what is wrapped around it.
    #[must_use]
    pub fn new(config: &Config, exchange: Arc<dyn Exchange>) -> FunctionCall {
        let path = config.url.path_and_query().cloned();
        FunctionCall {
            exchange,
            path: path.unwrap_or_else(|| PathAndQuery::from_static("/")).into(),
            mode: config.mode,
            replies: config.replies,
            reply_bytes_max: config.reply_bytes_max,
        }
    }

    async fn one(&self, events: &[Event], cx: &CallCx) -> Result<Vec<Reply>> {
        let [event] = events else {
            let what = format!("the function takes one event per call and was given {}", events.len());
            return Err(Error::new(Kind::Invalid, what));
        };
        let answer = self.exchange.send(self.request(event, cx), cx).await?;
        if !answer.status().is_success() {
            return Err(failure(answer).await);
        }
        let reply = match self.replies {
            Replies::Used => self.reply(answer).await?,
            Replies::Ignored => ignore(answer, self.reply_bytes_max).await,
        };
        Ok(vec![reply])
    }

    /// Calls the function with all of `events` in one request; an outcome for each. A reply event is refused: nobody could
    /// tell what it replies to.
    ///
    /// Dropping the future abandons the attempt; the function may have seen the events all the same.
    pub(crate) async fn batch(&self, events: &[Event], cx: &CallCx) -> Vec<Outcome> {
        let answer = self.answer_to(events, cx).await;
        match &answer {
            Ok((status, body)) => batch::outcome(events, Ok((*status, body))),
            Err(error) => batch::outcome(events, Err(error.clone())),
        }
    }

    async fn answer_to(&self, events: &[Event], cx: &CallCx) -> Result<(u16, Bytes)> {
        let mut headers = HeaderMap::new();
        let data = encode::batch(self.mode, events, &mut headers);
        carry(&cx.timeline, &mut headers);
        let answer = self.exchange.send(self.post(headers, data), cx).await?;
        if !answer.status().is_success() {
            return Err(failure(answer).await);
        }
        let (parts, body) = answer.into_parts();
        let status = parts.status.as_u16();
        if decode::claims_event(status, &parts.headers) {
            return Err(decode::bad_reply(status, "a batch has no reply"));
        }
        read(body, self.reply_bytes_max).await?.map(|body| (status, body)).ok_or_else(|| {
            let most = self.reply_bytes_max;
            let why =
                format!("status {status}, but its answer is larger than the {most} bytes that are allowed");
            Error::new(Kind::BadAnswer, why)
        })
    }

    fn request(&self, event: &Event, cx: &CallCx) -> Request<Body> {
        let mut headers = HeaderMap::new();
        let data = encode::event(self.mode, event, cx, &mut headers);
        if self.replies == Replies::Used && self.mode != Mode::Raw {
            headers.insert(PREFER, PREFER_REPLY);
        }
        carry(&cx.timeline, &mut headers);
        self.post(headers, data)
    }

    fn post(&self, headers: HeaderMap, data: Bytes) -> Request<Body> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        if data.is_empty() {
            // Of a longer body hyper knows the exact size and says it; of none it says nothing.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request.map(|()| Full::new(data).map_err(|never: Infallible| match never {}).boxed_unsync())
    }

    /// A reply over the bound is a failure where it was to be an event. An ordinary function's answer is
    /// only not kept then: the event was delivered, and running it again would not make the body smaller.
    async fn reply(&self, answer: Response<Body>) -> Result<Reply> {
        let (parts, body) = answer.into_parts();
        let status = parts.status.as_u16();
        match read(body, self.reply_bytes_max).await? {
            Some(body) => decode::reply(status, parts.headers, body),
            None if decode::claims_event(status, &parts.headers) => {
                let why = format!("it is larger than the {} bytes that are allowed", self.reply_bytes_max);
                Err(decode::bad_reply(status, &why))
            }
            None => {
                tracing::debug!(status, bytes_max = self.reply_bytes_max, "an answer too large to keep");
                Ok(Reply { status, ..Reply::default() })
            }
        }
    }
}

/// Tells the function where in a trace it is called.
fn carry(timeline: &Timeline, headers: &mut HeaderMap) {
    timeline.carry(&mut |name, value| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    });
}

impl Call for FunctionCall {
    /// Calls the function with one event; for 2xx its reply.
    ///
    /// # Errors
    /// Those of the exchange; [`Kind::Status`] for another status, with up to 1 KiB of its body and its
    /// `Retry-After`; [`Kind::BadAnswer`] for a reply event that is too large or none;
    /// [`Kind::Invalid`] for any number of events but one.
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(self.one(events, cx))
    }
}

/// The whole body, or `None` when it is larger than `bytes_max`; the rest is then not read.
async fn read(mut body: Body, bytes_max: usize) -> Result<Option<Bytes>> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Ok(None);
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if piece.len() > bytes_max - first.len() - more.len() {
            return Ok(None);
        }
        if first.is_empty() {
            first = piece; // most answers are one piece, which needs no copy
        } else {
            more.extend_from_slice(&piece);
        }
    }
    Ok(Some(if more.is_empty() { first } else { [first, more.freeze()].concat().into() }))
}

/// Reads a body that nobody wants, for its connection's sake only: its errors change nothing.
async fn ignore(answer: Response<Body>, bytes_max: usize) -> Reply {
    let status = answer.status().as_u16();
    let _ = timeout(UNWANTED_TIMEOUT, read(answer.into_body(), bytes_max)).await;
    Reply { status, ..Reply::default() }
}

/// The error of an answer that is no success.
async fn failure(answer: Response<Body>) -> Error {
    let (parts, body) = answer.into_parts();
    let mut start = Vec::new();
    let _ = timeout(UNWANTED_TIMEOUT, read_start(body, &mut start)).await;
    let detail =
        if parts.status.is_redirection() { decode::redirect(&parts.headers) } else { decode::detail(&start) };
    Error::status(parts.status.as_u16(), decode::retry_after(&parts.headers, SystemTime::now()), detail)
}

async fn read_start(mut body: Body, start: &mut Vec<u8>) {
    let mut received = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(piece) = frame.into_data() else { continue };
        received += piece.len();
        let kept = piece.len().min(DETAIL_BYTES_MAX - start.len());
        start.extend_from_slice(&piece[..kept]);
        if received > DRAIN_BYTES_MAX {
            return;
        }
    }
}
