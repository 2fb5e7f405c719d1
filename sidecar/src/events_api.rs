//! Events, waiting and kept, as they are asked for over the owner's socket; and who changed what.
//!
//! | request | answer |
//! |---|---|
//! | `GET /events?seq=…&id=…&type=…&source=…&subject=…&key=…&outcome=…&target=…&since_ms=…&until_ms=…&after=…&limit=…` | [`Listed`] |
//! | `GET /events/show?what=…`, a sequence or an event's id | the [`Shown`], or 404 |
//! | `POST /events/replay` with a [`Replay`] in JSON | [`Changed`] |
//! | `GET /events/audit?before=…&limit=…` | [`Audited`], newest first |
//!
//! Pages are as those of dead letters. [`Events`] is who answers: the journal in this process, or, in `outrigger events`, the
//! socket of another one.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Response, StatusCode, request::Parts};
use http_body_util::Full;
use outrigger_core::{BoxFuture, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    admin::{json_answer, line},
    audit::Entry,
    dead_api::{Changed, IDS_MAX, PAGE, PAGE_MAX, as_base64, body_of, failed, invalid},
};

/// The names of outcomes.
pub const OUTCOMES: [&str; 5] = ["waiting", "delivered", "dead-letter", "discarded", "settled"];
/// The fields of a filter that are numbers in a query.
const NUMBERS: [&str; 5] = ["seq", "since_ms", "until_ms", "after", "limit"];

/// Who has the events. Every method may be dropped while it waits: it is then open whether it was done.
pub trait Events: Send + Sync + 'static {
    /// The events that the filter takes, oldest first, at most [`Filter::limit`] (or [`PAGE`]).
    ///
    /// # Errors
    /// What keeps them from being read.
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>>;

    /// The event of that sequence, or else the newest of that id; none when there is none.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn show<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<Option<Shown>>>;

    /// Brings copies of the kept events that it means into the queue, and writes down that `by` had it done.
    ///
    /// # Errors
    /// `Full` or `Storage`; then nothing was brought.
    fn replay<'a>(&'a self, replay: Replay, by: &'a str) -> BoxFuture<'a, Result<Changed>>;

    /// Who changed what, newest first.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn audit(&self, page: AuditPage) -> BoxFuture<'_, Result<Audited>>;
}

/// Which events: those that everything given takes. An empty filter takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// The sequences; empty takes any.
    pub seq: Vec<u64>,
    /// The event's id.
    pub id: Option<String>,
    /// The event's type.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// The event's source.
    pub source: Option<String>,
    /// The event's subject.
    pub subject: Option<String>,
    /// The ordering key, made text.
    pub key: Option<String>,
    /// What became of it, one of [`OUTCOMES`].
    pub outcome: Option<String>,
    /// A target, or the rule that discarded it.
    pub target: Option<String>,
    /// Received at this time or later, in Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Received before this time, in Unix milliseconds.
    pub until_ms: Option<u64>,
    /// Only events with a higher sequence: the next page.
    pub after: Option<u64>,
    /// The most events.
    pub limit: Option<u32>,
    /// That all events are meant, where nothing else is given: a replay asks for it.
    pub all: bool,
}

/// A replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// Which events.
    pub filter: Filter,
    /// The target that they go to alone; none is wherever the rules say.
    pub to: Option<String>,
    /// Only tells which ones they are.
    pub dry_run: bool,
}

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The events, oldest first; there may be none although there is a next page.
    pub events: Vec<Summary>,
    /// The `after` of the next page.
    pub next: Option<u64>,
}

/// One event in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its sequence: greater for events that came later, never used again.
    pub seq: u64,
    /// The event's id.
    pub event_id: String,
    /// The event's source.
    pub source: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The event's subject.
    pub subject: Option<String>,
    /// What became of it, one of [`OUTCOMES`].
    pub outcome: String,
    /// The same at each target, or the rule that discarded it.
    pub targets: Vec<AtTarget>,
    /// The most attempts at any of them.
    pub attempts: u32,
    /// When it was accepted, or kept by a target, in Unix milliseconds.
    pub received_ms: u64,
    /// When it was settled, in Unix milliseconds.
    pub settled_ms: Option<u64>,
    /// The source's configured name, as far as it is known.
    pub origin: String,
    /// The position there.
    pub position: String,
    /// The ordering key, made text.
    pub key: Option<String>,
    /// What it is a copy of that was brought once more.
    pub replay_of: Option<String>,
    /// What it takes on disk.
    pub bytes: u64,
}

/// What became of an event at one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtTarget {
    /// The target, or the rule that discarded it.
    pub name: String,
    /// `delivered`, `duplicate` (it had it before), `dead-letter:` and its reason, `discarded`, `queued` (it waits in the target's own queue), or `aimed` (it is
    /// for that one alone, and waits).
    pub outcome: String,
    /// How many attempts it was given.
    pub attempts: u32,
}

/// One event with everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What a list has of it.
    #[serde(flatten)]
    pub summary: Summary,
    /// The event's attributes.
    pub attributes: BTreeMap<String, String>,
    /// What happened to it, in order.
    pub history: Vec<Happened>,
    /// The sequences of others with the same id, where it was asked for by that.
    pub same_id: Vec<u64>,
    /// The payload; none where the event has none.
    #[serde(with = "as_base64", rename = "data_base64")]
    pub data: Option<Vec<u8>>,
}

/// Something that happened to an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// What, for people.
    pub what: String,
}

/// Which part of what was changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditPage {
    /// Only what came before that number: the next page.
    pub before: Option<u64>,
    /// The most entries.
    pub limit: Option<u32>,
}

/// A page of what was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// The entries, newest first.
    pub entries: Vec<Entry>,
    /// The `before` of the next page.
    pub next: Option<u64>,
}

impl Filter {
    /// Whether it takes every event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let bounds = Self { after: None, limit: None, all: false, ..self.clone() };
        bounds == Self::default()
    }

    /// The filter, when its outcome exists and its bounds hold.
    ///
    /// # Errors
    /// `Invalid`, with what may stand there.
    pub fn checked(self) -> Result<Self> {
        if let Some(outcome) = &self.outcome
            && !OUTCOMES.contains(&outcome.as_str())
        {
            return Err(invalid(format!("{outcome:?} is no outcome; there are {}", OUTCOMES.join(", "))));
        }
        if self.seq.len() > IDS_MAX {
            return Err(invalid(format!(
                "{} numbers at once; at most {IDS_MAX} may be given",
                self.seq.len()
            )));
        }
        Ok(self)
    }
}

/// What is asked, as a query: whatever is given, by its name.
#[must_use]
pub fn query(asked: &impl Serialize) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let Ok(Value::Object(fields)) = serde_json::to_value(asked) else { return String::new() };
    for (name, value) in &fields {
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            match value {
                Value::String(text) => drop(query.append_pair(name, text)),
                Value::Number(number) => drop(query.append_pair(name, &number.to_string())),
                _ => {}
            }
        }
    }
    query.finish()
}

/// What a query asks.
fn of_query<T: serde::de::DeserializeOwned>(query: &str) -> Result<T> {
    let mut fields = serde_json::Map::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let value = if NUMBERS.contains(&&*name) || name == "before" {
            json!(text.parse::<u64>().map_err(|_| invalid(format!("{name}={text} is no number")))?)
        } else {
            json!(text)
        };
        match (&*name, fields.get_mut(&*name)) {
            ("seq", Some(Value::Array(known))) => known.push(value),
            ("seq", _) => drop(fields.insert(name.into_owned(), json!([value]))),
            _ => drop(fields.insert(name.into_owned(), value)),
        }
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| invalid(format!("the query: {error}")))
}

/// Answers a request of the owner, `by` name, for events. A replay may name one of `targets`.
pub async fn answer<B>(
    events: &dyn Events,
    parts: &Parts,
    body: B,
    (by, targets): (&str, &[String]),
) -> Response<Full<Bytes>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let query = parts.uri.query().unwrap_or_default();
    let answered = match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/events") => list(events, query).await,
        (&Method::GET, "/events/show") => return one(events, query).await,
        (&Method::GET, "/events/audit") => audited(events, query).await,
        (&Method::POST, "/events/replay") => replay(events, body, by, targets).await,
        _ => {
            return line(
                StatusCode::NOT_FOUND,
                "there are GET /events, /events/show, /events/audit, and POST /events/replay",
            );
        }
    };
    answered.map_or_else(|error| failed(&error), |value| json_answer(StatusCode::OK, &value))
}

async fn list(events: &dyn Events, query: &str) -> Result<Value> {
    let filter = of_query::<Filter>(query)?.checked()?;
    let limit = filter.limit.unwrap_or(PAGE).min(PAGE_MAX);
    events.list(Filter { limit: Some(limit), ..filter }).await.map(|listed| json!(listed))
}

async fn one(events: &dyn Events, query: &str) -> Response<Full<Bytes>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let Some(what) = pairs.find_map(|(name, value)| (name == "what").then_some(value)) else {
        return line(StatusCode::BAD_REQUEST, "needed: what=, a sequence or an event's id");
    };
    match events.show(&what).await {
        Ok(Some(shown)) => json_answer(StatusCode::OK, &json!(shown)),
        Ok(None) => line(StatusCode::NOT_FOUND, &format!("there is no event {what}")),
        Err(error) => failed(&error),
    }
}

async fn audited(events: &dyn Events, query: &str) -> Result<Value> {
    let page = of_query::<AuditPage>(query)?;
    let limit = page.limit.unwrap_or(PAGE).min(PAGE_MAX);
    events.audit(AuditPage { limit: Some(limit), ..page }).await.map(|audited| json!(audited))
}

async fn replay<B>(events: &dyn Events, body: B, by: &str, targets: &[String]) -> Result<Value>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Replay { filter, to, dry_run } = body_of(body).await?;
    let filter = filter.checked()?;
    if filter.is_empty() && !filter.all {
        return Err(invalid("an empty filter needs \"all\": true".to_owned()));
    }
    if let Some(to) = to.as_ref().filter(|to| !targets.contains(to)) {
        return Err(invalid(format!("{to:?} is no target; there are {}", targets.join(", "))));
    }
    let filter = Filter { limit: Some(filter.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX)), ..filter };
    events.replay(Replay { filter, to, dry_run }, by).await.map(|changed| json!(changed))
}

#[cfg(feature = "journal")]
mod journal;
#[cfg(test)]
mod tests;
