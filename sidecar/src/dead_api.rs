//! Dead letters as people and programs see them: the shapes, and how they are asked for over the owner's socket.
//!
//! | request | answer |
//! |---|---|
//! | `GET /dead?id=…&type=…&source=…&reason=…&text=…&since_ms=…&until_ms=…&after=…&limit=…` | [`Listed`] |
//! | `GET /dead/{id}` | the [`Letter`], or 404 |
//! | `POST /dead/replay`, `POST /dead/drop` with a [`Filter`] in JSON | [`Changed`] |
//!
//! Every answer is one page: `next` says with which `after` to go on, and is null at the end.
//!
//! [`Dead`] is who answers: the journal in this process, or, in `outrigger dead`, the socket of another one.
//! Nothing here is for the network.

use std::collections::BTreeMap;

use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Method, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt as _, Full, Limited};
use outrigger_core::{BoxFuture, Code, DeadLetter, Error, Kind, Result};
use serde::{Deserialize, Serialize};

use crate::admin::{json_answer, line};

/// The letters in one answer where the filter names no limit, and the most that it may name.
pub const PAGE: u32 = 100;
/// See [`PAGE`].
pub const PAGE_MAX: u32 = 1_000;
/// The most letters that one filter may name by number.
pub const IDS_MAX: usize = 1_000;
/// The largest filter in JSON, in bytes.
const FILTER_BYTES_MAX: usize = 64 << 10;

/// Who has the dead letters. Every method may be dropped while it waits: it is then open whether it was done.
pub trait Dead: Send + Sync + 'static {
    /// The letters that the filter takes, oldest first, at most [`Filter::limit`] (or [`PAGE`]).
    ///
    /// # Errors
    /// What keeps them from being read.
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>>;

    /// One letter with its data; none when there is none of that number.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn get(&self, id: u64) -> BoxFuture<'_, Result<Option<Letter>>>;

    /// Puts the letters that the filter takes back into the queue, with no attempts counted, and writes down that `by` had it
    /// done.
    ///
    /// # Errors
    /// `Full` or `Storage`; what was not put back is still a dead letter.
    fn replay<'a>(&'a self, filter: Filter, by: &'a str) -> BoxFuture<'a, Result<Changed>>;

    /// Deletes the letters that the filter takes, and writes down that `by` had it done.
    ///
    /// # Errors
    /// What keeps them from being deleted.
    fn drop<'a>(&'a self, filter: Filter, by: &'a str) -> BoxFuture<'a, Result<Changed>>;
}

/// Which letters: those that everything given takes. An empty filter takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// The numbers; empty takes any.
    pub ids: Vec<u64>,
    /// The event's type.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// The event's source.
    pub source: Option<String>,
    /// The reason's code, one of [`Code::name`].
    pub reason: Option<String>,
    /// Part of the event's id, type, source or key, or of the reason's detail.
    pub text: Option<String>,
    /// Given up at this time or later, in Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Given up before this time, in Unix milliseconds.
    pub until_ms: Option<u64>,
    /// Only letters with a higher number: the next page.
    pub after: Option<u64>,
    /// The most letters.
    pub limit: Option<u32>,
    /// That all letters are meant, where nothing else is given: replay and drop ask for it.
    pub all: bool,
}

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The letters, oldest first; there may be none although there is a next page.
    pub letters: Vec<Summary>,
    /// The `after` of the next page.
    pub next: Option<u64>,
}

/// What a page of a replay or drop did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The letters that were replayed or dropped.
    pub done: Vec<u64>,
    /// The letters that stay although they were meant.
    pub refused: Vec<Refused>,
    /// The `after` of the next page.
    pub next: Option<u64>,
}

/// A letter that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub id: u64,
    /// Why it stays.
    pub why: String,
}

/// One dead letter in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its number: greater for letters that came later, never used again.
    pub id: u64,
    /// The event's id; empty where what came in was no event. So are the next two.
    pub event_id: String,
    /// The event's source.
    pub source: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Why it was given up, for programs.
    pub reason: String,
    /// The function's last status.
    pub status: Option<u16>,
    /// Why it was given up, for people.
    pub detail: String,
    /// How many attempts the function was given.
    pub attempts: u32,
    /// When it was first received, in Unix milliseconds.
    pub first_ms: u64,
    /// When it was given up, in Unix milliseconds.
    pub last_ms: u64,
    /// Whether what came in was no event; it cannot be replayed.
    pub malformed: bool,
    /// The source's configured name.
    pub origin: String,
    /// The position there.
    pub position: String,
    /// The ordering key, made text.
    pub key: Option<String>,
    /// The target that failed it, where there are several; a replay goes there alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What it takes on disk.
    pub bytes: u64,
}

/// One dead letter with everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its number.
    pub id: u64,
    /// Why it was given up, for programs.
    pub reason: String,
    /// The function's last status.
    pub status: Option<u16>,
    /// Why it was given up, for people.
    pub detail: String,
    /// How many attempts the function was given.
    pub attempts: u32,
    /// When it was first received, in Unix milliseconds.
    pub first_ms: u64,
    /// When it was given up, in Unix milliseconds.
    pub last_ms: u64,
    /// The source's configured name.
    pub origin: String,
    /// The position there.
    pub position: String,
    /// The transport's headers: of the hop for an event, all of them for what was none. Values are made text.
    pub headers: Vec<(String, String)>,
    /// The ordering key, made text.
    pub key: Option<String>,
    /// The target that failed it, where there are several; a replay goes there alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The event's attributes; empty where what came in was no event.
    pub attributes: BTreeMap<String, String>,
    /// Whether what came in was no event.
    pub malformed: bool,
    /// The payload; none where the event had none.
    #[serde(with = "as_base64", rename = "data_base64")]
    pub data: Option<Vec<u8>>,
}

impl Letter {
    /// The letter number `id` in full.
    #[must_use]
    pub fn new(id: u64, letter: &DeadLetter) -> Self {
        let mut headers = letter.origin.headers.clone();
        let mut attributes = BTreeMap::new();
        let data = match &letter.item {
            Ok(event) => {
                attributes.extend(
                    event.attributes().map(|(name, value)| (name.to_owned(), value.text().into_owned())),
                );
                event.data()
            }
            Err(malformed) => {
                let as_text = |(name, value): &(String, Bytes)| {
                    (name.clone(), String::from_utf8_lossy(value).into_owned())
                };
                headers.extend(malformed.headers.iter().map(as_text));
                Some(&malformed.raw)
            }
        };
        Self {
            id,
            reason: letter.reason.code.name().to_owned(),
            status: letter.reason.status,
            detail: letter.reason.detail.clone(),
            attempts: letter.attempts,
            first_ms: letter.first_ms,
            last_ms: letter.last_ms,
            origin: letter.origin.source.to_string(),
            position: letter.origin.position.to_string(),
            headers,
            key: letter.key.as_ref().map(|key| key.name().into_owned()),
            target: letter.target.as_deref().map(str::to_owned),
            attributes,
            malformed: letter.item.is_err(),
            data: data.map(|data| data.to_vec()),
        }
    }
}

impl Filter {
    /// Whether it takes every letter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let texts = [&self.ty, &self.source, &self.reason, &self.text];
        let times = self.since_ms.or(self.until_ms);
        self.ids.is_empty() && times.is_none() && texts.into_iter().all(Option::is_none)
    }

    /// The filter as a query.
    #[must_use]
    pub fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.ids.iter().map(|id| ("id", id.to_string())));
        let texts =
            [("type", &self.ty), ("source", &self.source), ("reason", &self.reason), ("text", &self.text)];
        query.extend_pairs(texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))));
        let limit = self.limit.map(u64::from);
        let numbers = [
            ("since_ms", self.since_ms),
            ("until_ms", self.until_ms),
            ("after", self.after),
            ("limit", limit),
        ];
        query
            .extend_pairs(numbers.into_iter().filter_map(|(name, number)| Some((name, number?.to_string()))));
        query.finish()
    }

    /// The filter of a query.
    ///
    /// # Errors
    /// `Invalid`, with the name that is unknown or whose value is.
    pub fn of_query(query: &str) -> Result<Self> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let number = || value.parse::<u64>().map_err(|_| invalid(format!("{name}={value} is no number")));
            match &*name {
                "id" => filter.ids.push(number()?),
                "type" => filter.ty = Some(value.into_owned()),
                "source" => filter.source = Some(value.into_owned()),
                "reason" => filter.reason = Some(value.into_owned()),
                "text" => filter.text = Some(value.into_owned()),
                "since_ms" => filter.since_ms = Some(number()?),
                "until_ms" => filter.until_ms = Some(number()?),
                "after" => filter.after = Some(number()?),
                "limit" => filter.limit = Some(u32::try_from(number()?).unwrap_or(u32::MAX)),
                _ => {
                    let known = "id, type, source, reason, text, since_ms, until_ms, after, limit";
                    return Err(invalid(format!("{name} is no filter; there are {known}")));
                }
            }
        }
        filter.checked()
    }

    /// The filter, when its reason exists and its bounds hold.
    ///
    /// # Errors
    /// `Invalid`, with what may stand there.
    pub fn checked(self) -> Result<Self> {
        if let Some(reason) = &self.reason
            && Code::from_name(reason).is_none()
        {
            let known = Code::ALL.map(Code::name).join(", ");
            return Err(invalid(format!("{reason:?} is no reason; there are {known}")));
        }
        if self.ids.len() > IDS_MAX {
            return Err(invalid(format!(
                "{} numbers at once; at most {IDS_MAX} may be given",
                self.ids.len()
            )));
        }
        Ok(self)
    }
}

/// Answers a request of the owner, `by` name, for dead letters.
pub async fn answer<B>(dead: &dyn Dead, parts: &Parts, body: B, by: &str) -> Response<Full<Bytes>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let answered = match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/dead") => list(dead, parts.uri.query().unwrap_or_default()).await,
        (&Method::GET, path) => return one(dead, path).await,
        (&Method::POST, path @ ("/dead/replay" | "/dead/drop")) => change(dead, path, body, by).await,
        _ => {
            return line(
                StatusCode::NOT_FOUND,
                "there are GET /dead, GET /dead/{id}, POST /dead/replay and /dead/drop",
            );
        }
    };
    answered.map_or_else(|error| failed(&error), |value| json_answer(StatusCode::OK, &value))
}

async fn list(dead: &dyn Dead, query: &str) -> Result<serde_json::Value> {
    let filter = Filter::of_query(query)?;
    let limit = filter.limit.unwrap_or(PAGE).min(PAGE_MAX);
    dead.list(Filter { limit: Some(limit), ..filter }).await.map(|listed| serde_json::json!(listed))
}

async fn one(dead: &dyn Dead, path: &str) -> Response<Full<Bytes>> {
    let Some(id) = path.strip_prefix("/dead/").and_then(|id| id.parse().ok()) else {
        return line(StatusCode::NOT_FOUND, "a dead letter has a number: GET /dead/{id}");
    };
    match dead.get(id).await {
        Ok(Some(letter)) => json_answer(StatusCode::OK, &serde_json::json!(letter)),
        Ok(None) => line(StatusCode::NOT_FOUND, &format!("there is no dead letter {id}")),
        Err(error) => failed(&error),
    }
}

async fn change<B>(dead: &dyn Dead, path: &str, body: B, by: &str) -> Result<serde_json::Value>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let filter = body_of::<Filter, B>(body).await?.checked()?;
    if filter.is_empty() && !filter.all {
        return Err(invalid("an empty filter needs \"all\": true".to_owned()));
    }
    let filter = Filter { limit: Some(filter.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX)), ..filter };
    let changed = match path {
        "/dead/replay" => dead.replay(filter, by).await?,
        _ => dead.drop(filter, by).await?,
    };
    Ok(serde_json::json!(changed))
}

/// The filter in JSON, or what holds one, that is the body.
pub(crate) async fn body_of<T, B>(body: B) -> Result<T>
where
    T: serde::de::DeserializeOwned,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body =
        Limited::new(body, FILTER_BYTES_MAX).collect().await.map_err(|error| invalid(error.to_string()))?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|error| invalid(format!("the body is no filter in JSON: {error}")))
}

pub(crate) fn failed(error: &Error) -> Response<Full<Bytes>> {
    let status = match error.kind() {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Overloaded | Kind::Full | Kind::Closed => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    line(status, &error.to_string())
}

pub(crate) fn invalid(message: String) -> Error {
    Error::new(Kind::Invalid, message)
}

pub(crate) mod as_base64;
#[cfg(feature = "journal")]
mod journal;
#[cfg(test)]
mod tests;
