//! The fake's own endpoints, below `/_/`: what tests set up, move, plant and read. The README lists them.
//!
//! There is no access control: the fake listens on loopback and is for tests.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Response, StatusCode, request::Parts};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    answer::{Body, Refusal, empty, json_of},
    auth::Access,
    config::{CustomTopic, NamespaceTopic, check_name},
    fault::Fault,
    grid::State,
    push::{Push, PushSettings},
    queue::{Queue, QueueSettings},
    server::Shared,
};

type Answer = Result<Response<Body>, Refusal>;

/// Answers a request below `/_/`.
pub(crate) async fn handle(parts: &Parts, body: &Bytes, shared: &Arc<Shared>) -> Response<Body> {
    let path = parts.uri.path().strip_prefix("/_/").unwrap_or_default();
    let names: Vec<&str> = path.split('/').collect();
    let answer = match names.as_slice() {
        ["topics", ..] => topics(&parts.method, &names[1..], body, shared),
        ["custom", ..] => custom(&parts.method, &names[1..], body, shared),
        _ => general(&parts.method, path, body, shared).await,
    };
    answer.unwrap_or_else(|refusal| refusal.answer())
}

async fn general(method: &Method, path: &str, body: &Bytes, shared: &Arc<Shared>) -> Answer {
    let grid = &shared.grid;
    match (method, path) {
        (&Method::GET, "health") => Ok(empty(StatusCode::OK)),
        (&Method::GET, "clock") => {
            Ok(json_of(&json!({"now": grid.clock.now(), "ms": grid.clock.now().ms()})))
        }
        (&Method::POST, "advance") => {
            let Advance { seconds, settle } = read(body)?;
            let by = Duration::try_from_secs_f64(seconds).map_err(|error| Refusal::bad(error.to_string()))?;
            shared.webhooks.advance(by, settle).await;
            Ok(json_of(&json!({"now": grid.clock.now()})))
        }
        (&Method::GET, "faults") => Ok(grid.look(|state| json_of(&state.faults.planted()))),
        (&Method::POST, "faults") => {
            let fault: Fault = read(body)?;
            fault.check().map_err(Refusal::bad)?;
            grid.note(|state| state.faults.plant(fault));
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (&Method::DELETE, "faults") => {
            grid.note(|state| state.faults.clear());
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (&Method::PUT, "access") => {
            let access: Access = read(body)?;
            grid.note(|state| state.access = access);
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (&Method::GET, "requests") => Ok(grid.look(|state| json_of(&state.seen))),
        (&Method::DELETE, "requests") => {
            grid.note(|state| state.seen.clear());
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(unknown()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
    #[serde(default = "yes")]
    settle: bool,
}

const fn yes() -> bool {
    true
}

/// Below `/_/topics/`: `TOPIC` and `TOPIC/SUBSCRIPTION`, and what can be done with them.
fn topics(method: &Method, names: &[&str], body: &Bytes, shared: &Shared) -> Answer {
    let grid = &shared.grid;
    let now = grid.clock.now();
    match (method, names) {
        (&Method::PUT, [topic]) => {
            check_name(topic).map_err(Refusal::bad)?;
            let settings: NamespaceTopic = read(body)?;
            settings.subscriptions.values().try_for_each(QueueSettings::check).map_err(Refusal::bad)?;
            grid.change(|state| state.put_topic(topic, &settings));
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (&Method::DELETE, [topic]) => gone(grid.change(|state| state.topics.remove(*topic).is_some())),
        (&Method::PUT, [topic, name]) => {
            check_name(topic).and_then(|()| check_name(name)).map_err(Refusal::bad)?;
            let settings: QueueSettings = read(body)?;
            settings.check().map_err(Refusal::bad)?;
            grid.change(|state| state.put_queue(topic, name, settings));
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (&Method::DELETE, [topic, name]) => gone(grid.change(|state| {
            state.topics.get_mut(*topic).is_some_and(|queues| queues.remove(*name).is_some())
        })),
        (&Method::GET, [topic, name]) => grid.note(|state| {
            let queue = state.queue(topic, name)?;
            queue.lapse(now);
            Ok(json_of(&queue_json(queue)))
        }),
        (&Method::GET, [topic, name, "acknowledged"]) => {
            grid.note(|state| Ok(json_of(&state.queue(topic, name)?.acknowledged())))
        }
        (&Method::GET, [topic, name, "dead-letters"]) => {
            grid.note(|state| Ok(json_of(&state.queue(topic, name)?.dead_letters(now))))
        }
        (&Method::POST, [topic, name, "lose-locks"]) => {
            grid.change(|state| state.queue(topic, name).map(|queue| queue.lose_locks(now)))?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(unknown()),
    }
}

/// A queue subscription as a test reads it.
#[must_use]
pub(crate) fn queue_json(queue: &Queue) -> Value {
    let (waiting, locked) = queue.left();
    json!({
        "counts": queue.counts,
        "waiting": waiting,
        "locked": locked,
        "receiving": queue.receiving,
        "settings": queue.settings,
    })
}

/// Below `/_/custom/`: the same for custom topics and their webhooks.
fn custom(method: &Method, names: &[&str], body: &Bytes, shared: &Shared) -> Answer {
    let grid = &shared.grid;
    let now = grid.clock.now();
    match (method, names) {
        (&Method::PUT, [topic]) => {
            check_name(topic).map_err(Refusal::bad)?;
            let settings: CustomTopic = read(body)?;
            if !settings.subscriptions.is_empty() {
                return Err(Refusal::bad("Make its subscriptions one by one: each takes a handshake."));
            }
            grid.change(|state| state.put_custom(topic, &settings));
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (&Method::DELETE, [topic]) => gone(grid.change(|state| state.custom.remove(*topic).is_some())),
        (&Method::GET, [topic]) => grid.look(|state| {
            let custom = state.custom.get(*topic).ok_or_else(unknown)?;
            let names: Vec<_> = custom.subscriptions.keys().collect();
            let (schema, published) = (custom.input_schema, custom.published);
            Ok(json_of(&json!({"input_schema": schema, "published": published, "subscriptions": names})))
        }),
        (&Method::PUT, [topic, name]) => {
            check_name(name).map_err(Refusal::bad)?;
            let settings: PushSettings = read(body)?;
            shared.webhooks.subscribe(topic, name, settings).map_err(Refusal::bad)?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        (&Method::DELETE, [topic, name]) => gone(shared.webhooks.unsubscribe(topic, name)),
        (&Method::GET, [topic, name]) => {
            grid.look(|state| Ok(json_of(&push_json(push(state, topic, name)?))))
        }
        (&Method::GET, [topic, name, "attempts"]) => {
            grid.look(|state| Ok(json_of(&push(state, topic, name)?.attempts())))
        }
        (&Method::GET, [topic, name, "dead-letters"]) => {
            grid.look(|state| Ok(json_of(&push(state, topic, name)?.dead_letters(now))))
        }
        _ => Err(unknown()),
    }
}

/// A webhook subscription as a test reads it.
#[must_use]
pub(crate) fn push_json(push: &Push) -> Value {
    let (waiting, in_flight) = push.left();
    json!({
        "standing": push.standing,
        "unanswered": push.unanswered,
        "counts": push.counts,
        "waiting": waiting,
        "in_flight": in_flight,
        "next_due": push.next_due(),
        "settings": push.settings,
    })
}

fn push<'a>(state: &'a State, topic: &str, name: &str) -> Result<&'a Push, Refusal> {
    state.custom.get(topic).and_then(|custom| custom.subscriptions.get(name)).ok_or_else(unknown)
}

fn gone(was_there: bool) -> Answer {
    if was_there { Ok(empty(StatusCode::NO_CONTENT)) } else { Err(unknown()) }
}

/// An empty body is an empty object.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { &body[..] };
    serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))
}

fn unknown() -> Refusal {
    Refusal::not_found("Not known to the fake; its README lists what is.")
}
