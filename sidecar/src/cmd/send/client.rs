//! One request of `outrigger send`: written in its mode, tried again while the ingress says "later".

use std::{cell::Cell, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use outrigger_core::{Event, event};
use outrigger_net::{
    client::{Connector, reason},
    tls::ClientTls,
};
use tokio::time::{Instant, sleep, timeout};

use crate::cli::SendMode;

/// How much of an answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The first ceiling of the wait where the ingress names no time, and the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Sends requests to one ingress.
pub(crate) struct Sender {
    client: Client<Connector, Full<Bytes>>,
    /// The ingress.
    pub to: Uri,
    /// `Bearer …`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// How events are written.
    pub mode: SendMode,
    /// How long one request is tried again.
    pub retry_for: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Whether the ingress was there once: only then is a lost connection worth waiting for.
    reached: Cell<bool>,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The events in it.
    pub events: u64,
    /// Its last outcome.
    pub outcome: Outcome,
    /// How long the last answer took.
    pub latency: Duration,
    /// The tries before the last one.
    pub retries: u64,
}

/// The end of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 2xx, with the answer's body.
    Accepted(Bytes),
    /// Another status, with the answer's first line.
    Refused(StatusCode, String),
    /// No answer: why.
    Unanswered(String),
    /// No connection: why. Nothing was sent.
    Unreachable(String),
    /// A topic did not take it: why.
    Failed(String),
}

impl Sender {
    /// A sender with a pool of its own; `tls` is used where the URL says https.
    pub(crate) fn new(
        to: Uri,
        tls: Arc<ClientTls>,
        mode: SendMode,
        retry_for: Duration,
        timeout: Duration,
    ) -> Self {
        let connector = Connector::new(tls, CONNECT_TIMEOUT);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Self { client, to, authorization: None, mode, retry_for, timeout, reached: Cell::new(false) }
    }

    /// Sends the events in one request (one event but in batch mode), until they are accepted or refused, or
    /// the time for retries is over. A retried event keeps its id, so that what was accepted after all can be
    /// told as a duplicate. Cancelled, it leaves open whether they arrived.
    pub(crate) async fn send(&self, events: &[Event]) -> Sent {
        let give_up_at = Instant::now() + self.retry_for;
        let mut retries = 0;
        loop {
            let started = Instant::now();
            let answer = timeout(self.timeout, self.attempt(events)).await;
            let latency = started.elapsed();
            let (outcome, later) = answer.unwrap_or_else(|_| {
                let waited = crate::config::units::duration_text(self.timeout);
                (Outcome::Unanswered(format!("no answer within {waited}")), None)
            });
            let wait = later.map(|named| named.unwrap_or_else(|| backoff(retries, fastrand::f64())));
            match wait.filter(|wait| Instant::now() + *wait < give_up_at) {
                Some(wait) => sleep(wait).await,
                None => return Sent { events: events.len() as u64, outcome, latency, retries },
            }
            retries += 1;
        }
    }

    /// One try: its outcome and, where another may help, when: at the named time or by backoff.
    async fn attempt(&self, events: &[Event]) -> (Outcome, Option<Option<Duration>>) {
        let response = match self.client.request(self.request(events)).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return (Outcome::Unreachable(reason(&error)), self.reached.get().then_some(None));
            }
            Err(error) => return (Outcome::Unanswered(reason(&error)), Some(None)),
        };
        self.reached.set(true);
        let status = response.status();
        let later = match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(retry_after(&response)),
            _ => None,
        };
        match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(body) if status.is_success() => (Outcome::Accepted(body.to_bytes()), None),
            // The status has said it; a body that broke off changes nothing.
            Err(_) if status.is_success() => (Outcome::Accepted(Bytes::new()), None),
            Ok(body) => (Outcome::Refused(status, first_line(&body.to_bytes())), later),
            Err(_) => (Outcome::Refused(status, String::new()), later),
        }
    }

    fn request(&self, events: &[Event]) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.to.clone();
        let body = match (self.mode, events) {
            (SendMode::Binary, [event]) => event::http::encode(event, request.headers_mut()),
            (SendMode::Structured, [event]) => {
                request
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static(event::json::CONTENT_TYPE));
                event::json::encode(event)
            }
            (SendMode::Protobuf, [event]) => {
                let one = HeaderValue::from_static(event::proto::CONTENT_TYPE);
                request.headers_mut().insert(CONTENT_TYPE, one);
                event::proto::encode(event)
            }
            (_, events) => {
                let batch = HeaderValue::from_static(event::json::BATCH_CONTENT_TYPE);
                request.headers_mut().insert(CONTENT_TYPE, batch);
                event::json::encode_batch(events)
            }
        };
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        *request.body_mut() = Full::new(body);
        request
    }
}

/// The time that the ingress names, in seconds (RFC 9110, 10.2.3; a date is not used by outrigger).
fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Full jitter below a ceiling that doubles, as in `outrigger-core`'s backoff.
fn backoff(retries: u64, dice: f64) -> Duration {
    let doublings = u32::try_from(retries.min(16)).unwrap_or(16);
    BACKOFF.0.saturating_mul(1 << doublings).min(BACKOFF.1).mul_f64(dice)
}

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(1024)]);
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_maximum() {
        let waits = [0, 1, 2, 10, u64::MAX].map(|retries| backoff(retries, 1.0).as_millis());
        assert_eq!(waits, [100, 200, 400, 5_000, 5_000]);
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn the_first_line_of_an_answer_is_fit_for_a_terminal() {
        assert_eq!(first_line(b"bad \x1b[31mid\nmore"), "bad [31mid");
        assert_eq!(first_line(&[b'x'; 5_000]).len(), 300);
        assert_eq!(first_line(b""), "");
    }
}
