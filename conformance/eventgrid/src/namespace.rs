//! The namespace's operations over HTTP: publish, receive, and the four that settle a lock.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use crate::{
    answer::{Body, Refusal, json_of},
    event::{Event, as_published},
    fault::Op,
    grid::{Grid, no_topic},
    queue::{RELEASE_DELAYS_S, Received, Settle, TokenError},
};

/// A body, and an event, may have so many bytes.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// Events in one publish.
const EVENTS_MAX: usize = 1000;
/// The versions of the interface.
const VERSIONS: [&str; 2] = ["2024-06-01", "2023-11-01"];

/// What a request to a namespace asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) op: Op,
    pub(crate) topic: &'a str,
    pub(crate) subscription: Option<&'a str>,
}

impl<'a> Ask<'a> {
    /// Reads a path such as `/topics/T:publish` or `/topics/T/eventsubscriptions/S:receive`.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let (target, op) = path.strip_prefix("/topics/")?.rsplit_once(':')?;
        let op = match op {
            "publish" => Op::Publish,
            "receive" => Op::Receive,
            "acknowledge" => Op::Acknowledge,
            "release" => Op::Release,
            "reject" => Op::Reject,
            "renewLock" => Op::RenewLock,
            _ => return None,
        };
        let (topic, subscription) = match target.split_once("/eventsubscriptions/") {
            Some((topic, subscription)) => (topic, Some(subscription)),
            None => (target, None),
        };
        let fits = (op == Op::Publish) == subscription.is_none();
        let plain = !topic.contains('/') && !subscription.is_some_and(|name| name.contains('/'));
        (fits && plain).then_some(Self { op, topic, subscription })
    }
}

/// Does what is asked.
///
/// # Errors
/// What the service refuses with.
pub(crate) async fn answer(
    grid: &Grid,
    ask: Ask<'_>,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response<Body>, Refusal> {
    let version = version(parts, &VERSIONS)?;
    if ask.op == Op::RenewLock && version == "2023-11-01" {
        return Err(Refusal::not_found("The api-version 2023-11-01 has no operation 'renewLock'."));
    }
    let Some(subscription) = ask.subscription else {
        return publish(grid, ask.topic, &parts.headers, body);
    };
    // Looked for first, so that a wrong name is told before a wrong parameter.
    grid.note(|state| state.queue(ask.topic, subscription).map(|_| ()))?;
    match ask.op {
        Op::Receive => receive(grid, ask.topic, subscription, parts).await,
        Op::Release => {
            let delay = release_delay(parts, version)?;
            settle(grid, ask.topic, subscription, Settle::Release(delay), parts, body)
        }
        Op::Acknowledge => settle(grid, ask.topic, subscription, Settle::Acknowledge, parts, body),
        Op::Reject => settle(grid, ask.topic, subscription, Settle::Reject, parts, body),
        _ => settle(grid, ask.topic, subscription, Settle::Renew, parts, body),
    }
}

/// The method and the version, which every operation needs.
///
/// # Errors
/// 405, or 400.
pub(crate) fn version<'a>(parts: &Parts, known: &'a [&'a str]) -> Result<&'a str, Refusal> {
    if parts.method != Method::POST {
        let message = format!("The method {} is not allowed here.", parts.method);
        return Err(Refusal { status: StatusCode::METHOD_NOT_ALLOWED, code: "MethodNotAllowed", message });
    }
    let Some(asked) = query(parts, "api-version") else {
        return Err(Refusal::bad("The query parameter 'api-version' is required."));
    };
    known.iter().find(|version| **version == asked).copied().ok_or_else(|| {
        Refusal::bad(format!("The api-version '{asked}' is not supported. Supported: {}.", known.join(", ")))
    })
}

/// A parameter of the query.
fn query(parts: &Parts, name: &str) -> Option<String> {
    let query = parts.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn number(parts: &Parts, name: &str, least: u64, most: u64, default: u64) -> Result<u64, Refusal> {
    let Some(text) = query(parts, name) else { return Ok(default) };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(Refusal::bad(format!("The parameter '{name}' must be {least} to {most}, not '{text}'."))),
    }
}

fn release_delay(parts: &Parts, version: &str) -> Result<Duration, Refusal> {
    let Some(text) = query(parts, "releaseDelayInSeconds") else { return Ok(Duration::ZERO) };
    if version == "2023-11-01" {
        return Err(Refusal::bad("The api-version 2023-11-01 has no parameter 'releaseDelayInSeconds'."));
    }
    match text.parse() {
        Ok(delay) if RELEASE_DELAYS_S.contains(&delay) => Ok(Duration::from_secs(delay)),
        _ => Err(Refusal::bad(format!(
            "The parameter 'releaseDelayInSeconds' must be one of {RELEASE_DELAYS_S:?}, not '{text}'."
        ))),
    }
}

fn publish(grid: &Grid, topic: &str, headers: &HeaderMap, body: &Bytes) -> Result<Response<Body>, Refusal> {
    if grid.look(|state| !state.topics.contains_key(topic)) {
        return Err(no_topic(topic));
    }
    let events = cloud_events(headers, body, EVENTS_MAX)?;
    let now = grid.clock.now();
    grid.change(|state| state.publish(topic, events, now))?;
    Ok(json_of(&json!({})))
}

/// The `CloudEvents` of a request, in any of the three modes.
///
/// # Errors
/// 400, 413 or 415.
pub(crate) fn cloud_events(
    headers: &HeaderMap,
    body: &Bytes,
    events_max: usize,
) -> Result<Vec<Event>, Refusal> {
    check_size(body)?;
    match content_type(headers)?.as_str() {
        "application/cloudevents+json" => Ok(vec![Event::cloud(parse(body)?)?]),
        "application/cloudevents-batch+json" => {
            let events: Vec<&RawValue> = parse(body)?;
            check_count(events.len(), events_max)?;
            events.into_iter().map(Event::cloud).collect()
        }
        _ if headers.contains_key("ce-specversion") => Ok(vec![Event::binary(headers, body)?]),
        other => {
            Err(unsupported(&format!("The content type '{other}' is no CloudEvent without ce- headers.")))
        }
    }
}

/// # Errors
/// 413.
pub(crate) fn check_size(body: &Bytes) -> Result<(), Refusal> {
    if body.len() > BYTES_MAX {
        return Err(Refusal::too_large(format!(
            "The request has {} bytes, more than {BYTES_MAX}.",
            body.len()
        )));
    }
    Ok(())
}

/// # Errors
/// 400: none, or too many.
pub(crate) fn check_count(events: usize, events_max: usize) -> Result<(), Refusal> {
    if events == 0 {
        return Err(Refusal::bad("The batch has no event."));
    }
    if events > events_max {
        return Err(Refusal::bad(format!("The batch has {events} events, more than {events_max}.")));
    }
    Ok(())
}

/// The content type without its parameters, of which only the charset UTF-8 is taken.
///
/// # Errors
/// 415.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<String, Refusal> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    match parts
        .find_map(|part| part.strip_prefix("charset=").map(|charset| charset.trim_matches('"').to_owned()))
    {
        Some(charset) if charset != "utf-8" => {
            Err(unsupported(&format!("The charset '{charset}' is not UTF-8.")))
        }
        _ => Ok(essence),
    }
}

pub(crate) fn unsupported(message: &str) -> Refusal {
    let (status, code) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType");
    Refusal { status, code, message: message.to_owned() }
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("The body cannot be read: {error}.")))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    broker_properties: BrokerProperties,
    #[serde(serialize_with = "as_published")]
    event: Arc<Event>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BrokerProperties {
    lock_token: String,
    delivery_count: u32,
}

impl From<Received> for Details {
    fn from(Received { token, delivery_count, event }: Received) -> Self {
        Self { broker_properties: BrokerProperties { lock_token: token, delivery_count }, event }
    }
}

/// Waits for events, and answers with an empty list when none came.
async fn receive(
    grid: &Grid,
    topic: &str,
    subscription: &str,
    parts: &Parts,
) -> Result<Response<Body>, Refusal> {
    let max = usize::try_from(number(parts, "maxEvents", 1, 100, 1)?).unwrap_or(1);
    let wait = Duration::from_secs(number(parts, "maxWaitTime", 10, 120, 60)?);
    let deadline = grid.clock.now().plus(wait);
    let _waiting = Receiving::new(grid, topic, subscription);
    loop {
        let mut changes = grid.changes();
        let now = grid.clock.now();
        let (received, due) = grid.note(|state| {
            let queue = state.queue(topic, subscription)?;
            Ok((queue.receive(max, now), queue.next_due(now)))
        })?;
        if !received.is_empty() || now >= deadline {
            let value: Vec<_> = received.into_iter().map(Details::from).collect();
            return Ok(json_of(&json_list(&value)));
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = grid.clock.sleep_until(due.map_or(deadline, |due| due.min(deadline))) => {}
        }
    }
}

/// A receive that waits; the client may go away meanwhile.
struct Receiving<'a>(&'a Grid, &'a str, &'a str);

impl<'a> Receiving<'a> {
    fn new(grid: &'a Grid, topic: &'a str, subscription: &'a str) -> Self {
        let receiving = Self(grid, topic, subscription);
        receiving.count(|count| *count += 1);
        receiving
    }

    fn count(&self, count: impl FnOnce(&mut u32)) {
        let Self(grid, topic, subscription) = *self;
        grid.change(|state| {
            if let Ok(queue) = state.queue(topic, subscription) {
                count(&mut queue.receiving);
            }
        });
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.count(|count| *count = count.saturating_sub(1));
    }
}

fn json_list<T: Serialize>(value: &T) -> impl Serialize {
    #[derive(Serialize)]
    struct List<T> {
        value: T,
    }
    List { value }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LockTokens {
    lock_tokens: Vec<String>,
}

/// Does the same with each token, and says of each what came of it.
fn settle(
    grid: &Grid,
    topic: &str,
    subscription: &str,
    how: Settle,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response<Body>, Refusal> {
    check_size(body)?;
    let content_type = content_type(&parts.headers)?;
    if content_type != "application/json" {
        return Err(unsupported(&format!("The content type '{content_type}' is not application/json.")));
    }
    let LockTokens { lock_tokens } = parse(body)?;
    if lock_tokens.is_empty() {
        return Err(Refusal::bad("The list 'lockTokens' is empty."));
    }
    let now = grid.clock.now();
    let results: Vec<Result<(), TokenError>> = grid.change(|state| {
        let queue = state.queue(topic, subscription)?;
        Ok(lock_tokens.iter().map(|token| queue.settle(token, how, now)).collect())
    })?;
    let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
    for (token, result) in lock_tokens.iter().zip(results) {
        match result {
            Ok(()) => succeeded.push(token),
            Err(error) => failed.push(error.json(token)),
        }
    }
    Ok(json_of(&json!({"succeededLockTokens": succeeded, "failedLockTokens": failed})))
}
