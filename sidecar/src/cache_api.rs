//! What is kept of what was done, over the owner's socket.
//!
//! | request | answer |
//! |---|---|
//! | `GET /cache` | its numbers, one object with one member for each part that is on |
//! | `POST /cache/invalidate?key=…`, `?tag=…`, `?prefix=…` (each as often as wanted), `?all=true` | `{"forgotten": N}` |
//!
//! Nothing here is for the network.

use bytes::Bytes;
use http::{Method, Response, StatusCode, request::Parts};
use http_body_util::Full;
use serde_json::json;
use std::sync::Arc;

use crate::{
    admin::{json_answer, line},
    registry::Kept,
};

/// What is to be forgotten before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// What is kept under exactly this key.
    Key(String),
    /// What bears this tag.
    Tag(String),
    /// What is kept under keys that begin so.
    Prefix(String),
    /// Everything.
    All,
}

impl Forget {
    /// What `name` and its value mean; `None` where they mean nothing.
    #[must_use]
    pub fn of(name: &str, value: &str) -> Option<Self> {
        match (name, value) {
            ("key", key) => Some(Self::Key(key.to_owned())),
            ("tag", tag) => Some(Self::Tag(tag.to_owned())),
            ("prefix", prefix) => Some(Self::Prefix(prefix.to_owned())),
            ("all", "true") => Some(Self::All),
            _ => None,
        }
    }
}

/// Answers a request of the owner.
pub fn answer(kept: Option<&Arc<dyn Kept>>, request: &Parts) -> Response<Full<Bytes>> {
    let Some(kept) = kept else {
        return line(StatusCode::CONFLICT, "nothing is kept: no part of cache is on in the configuration");
    };
    match (&request.method, request.uri.path()) {
        (&Method::GET, "/cache") => json_answer(StatusCode::OK, &kept.stats()),
        (&Method::POST, "/cache/invalidate") => {
            let pairs = form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
            let wanted: Option<Vec<_>> = pairs.map(|(name, value)| Forget::of(&name, &value)).collect();
            let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
                return line(StatusCode::BAD_REQUEST, "needed: key=, tag=, prefix= or all=true");
            };
            let forgotten: u64 = wanted.iter().map(|what| kept.forget(what)).sum();
            tracing::info!(forgotten, "what was kept is forgotten, as the owner wants it");
            json_answer(StatusCode::OK, &json!({ "forgotten": forgotten }))
        }
        _ => line(StatusCode::BAD_REQUEST, "there are GET /cache and POST /cache/invalidate"),
    }
}
