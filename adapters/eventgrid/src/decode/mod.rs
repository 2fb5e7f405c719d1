//! What a namespace answers: events with their locks, and what became of each lock token. Pure.

use bytes::Bytes;
use outrigger_core::{Event, Malformed, event::json};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashMap, sync::Arc};

/// An event with its lock.
#[derive(Debug, PartialEq)]
pub struct Received {
    /// What settles it.
    pub lock_token: Arc<str>,
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
struct Events<T> {
    value: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a, E> {
    #[serde(borrow)]
    broker_properties: Properties<'a>,
    event: E,
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
    let wrong = |error| format!("the answer is no list of events ({error})");
    if let Ok(Events { value }) = serde_json::from_slice::<Events<Member<'_, json::Part>>>(body) {
        let good = |member: Member<'_, json::Part>| received(&member.broker_properties, Ok(member.event.0));
        return Ok(Answer { events: value.into_iter().map(good).collect(), unreadable: 0 });
    }
    // Once more, each for itself: only where one of them is wrong.
    let Events { value } = serde_json::from_slice::<Events<&RawValue>>(body).map_err(wrong)?;
    let members = value.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok());
    let events: Vec<_> = members.map(|member| by_itself(&member)).collect();
    Ok(Answer { unreadable: value.len() - events.len(), events })
}

fn by_itself(Member { broker_properties, event }: &Member<'_, &RawValue>) -> Received {
    let raw = Bytes::copy_from_slice(event.get().as_bytes());
    let item = json::decode(raw.clone()).map_err(|invalid| Malformed {
        raw,
        headers: Vec::new(),
        key: None,
        why: invalid.to_string(),
    });
    received(broker_properties, item)
}

fn received(properties: &Properties<'_>, item: Result<Event, Malformed>) -> Received {
    let Properties { lock_token, delivery_count } = properties;
    Received { lock_token: (&**lock_token).into(), deliveries: (*delivery_count).max(1), item }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told<'a> {
    #[serde(borrow)]
    succeeded_lock_tokens: Vec<Text<'a>>,
    #[serde(borrow)]
    failed_lock_tokens: Vec<Failed<'a>>,
}

/// Within a list, only a type of its own is borrowed.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

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
pub fn fates<'t>(
    body: &Bytes,
    tokens: impl IntoIterator<Item = &'t str, IntoIter: Clone>,
) -> Result<Vec<Fate>, String> {
    let Told { succeeded_lock_tokens: succeeded, failed_lock_tokens: failed } =
        serde_json::from_slice(body).map_err(|error| format!("the answer names no lock tokens ({error})"))?;
    let tokens = tokens.into_iter();
    // Mostly all succeed and are named in the order in which they were asked for.
    if failed.is_empty() && tokens.clone().eq(succeeded.iter().map(|Text(token)| &**token)) {
        return Ok(vec![Fate::Done; succeeded.len()]);
    }
    let mut fates: HashMap<&str, Fate> = succeeded.iter().map(|Text(token)| (&**token, Fate::Done)).collect();
    for failed in &failed {
        let code = &*failed.error.code;
        let fate = if LOST.contains(&code) { Fate::Lost(code.to_owned()) } else { Fate::Again };
        fates.insert(&failed.lock_token, fate);
    }
    Ok(tokens.map(|token| fates.remove(token).unwrap_or(Fate::Again)).collect())
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
