//! What a namespace answers: events with their locks, and what became of each lock token. Pure.

use bytes::Bytes;
use outrigger_core::{Event, Malformed, event::json};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashMap};

/// An event with its lock.
#[derive(Debug, PartialEq)]
pub struct Received {
    /// What settles it.
    pub lock_token: String,
    /// How often it was delivered, this time included; at least 1.
    pub deliveries: u32,
    /// The event, or what should have been one. It holds a copy of its bytes: a slice of the answer would keep all of
    /// that in memory for as long as one event waits.
    pub item: Result<Event, Malformed>,
}

/// An answer with events.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// The events.
    pub events: Vec<Received>,
    /// Members without a lock token or an event: nothing can be told of them, and the service delivers them again.
    pub unreadable: usize,
}

/// What became of one lock token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// What was asked for is done.
    Done,
    /// The lock is no longer ours; with the service's code.
    Lost(String),
    /// Not now, or nothing was said of it.
    Again,
}

/// The codes that say that a lock is gone for good; what else may be said of a token may pass, or the lock ends by itself.
const LOST: [&str; 2] = ["BadToken", "TokenLost"];

#[derive(Deserialize)]
struct Events<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    #[serde(borrow)]
    broker_properties: Properties<'a>,
    #[serde(borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
    #[serde(borrow)]
    lock_token: Cow<'a, str>,
    #[serde(default = "one")]
    delivery_count: u32,
}

fn one() -> u32 {
    1
}

/// The events of an answer to `:receive`. A member that is wrong does not take the others with it.
///
/// # Errors
/// When the whole is not `{"value": […]}`, in one line.
pub fn events(body: &Bytes) -> Result<Answer, String> {
    let Events { value } =
        serde_json::from_slice(body).map_err(|error| format!("the answer is no list of events ({error})"))?;
    let mut answer = Answer { events: Vec::with_capacity(value.len()), unreadable: 0 };
    for member in value {
        match serde_json::from_str(member.get()) {
            Ok(member) => answer.events.push(received(member)),
            Err(_) => answer.unreadable += 1,
        }
    }
    Ok(answer)
}

fn received(member: Member<'_>) -> Received {
    let raw = Bytes::copy_from_slice(member.event.get().as_bytes());
    let item = json::decode(raw.clone()).map_err(|invalid| Malformed {
        raw,
        headers: Vec::new(),
        key: None,
        why: invalid.to_string(),
    });
    let Properties { lock_token, delivery_count } = member.broker_properties;
    Received { lock_token: lock_token.into_owned(), deliveries: delivery_count.max(1), item }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told<'a> {
    #[serde(borrow)]
    succeeded_lock_tokens: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    failed_lock_tokens: Vec<Failed<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failed<'a> {
    #[serde(borrow)]
    lock_token: Cow<'a, str>,
    #[serde(borrow, default)]
    error: Said<'a>,
}

#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    code: Cow<'a, str>,
}

/// What became of each of `tokens`, in their order, by the answer to a request that named them. That the answer is a 200
/// says nothing about any of them.
///
/// # Errors
/// When the whole is no such answer, in one line.
pub fn fates<'t>(body: &Bytes, tokens: impl IntoIterator<Item = &'t str>) -> Result<Vec<Fate>, String> {
    let told: Told<'_> =
        serde_json::from_slice(body).map_err(|error| format!("the answer names no lock tokens ({error})"))?;
    let mut fates: HashMap<&str, Fate> =
        told.succeeded_lock_tokens.iter().map(|token| (&**token, Fate::Done)).collect();
    for failed in &told.failed_lock_tokens {
        let code = &*failed.error.code;
        let fate = if LOST.contains(&code) { Fate::Lost(code.to_owned()) } else { Fate::Again };
        fates.insert(&failed.lock_token, fate);
    }
    Ok(tokens.into_iter().map(|token| fates.remove(token).unwrap_or(Fate::Again)).collect())
}

/// The request's body for `tokens`.
#[must_use]
pub fn lock_tokens<'t>(tokens: impl IntoIterator<Item = &'t str>) -> Bytes {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Tokens<'t> {
        lock_tokens: Vec<&'t str>,
    }
    let tokens = Tokens { lock_tokens: tokens.into_iter().collect() };
    serde_json::to_vec(&tokens).unwrap_or_default().into() // text can always be written
}

#[cfg(test)]
mod tests;
