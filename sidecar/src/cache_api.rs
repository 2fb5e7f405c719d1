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
    audit,
    dead_api::failed,
    feed_api::Trail,
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

/// Answers a request of the owner. What is to be forgotten is written down before, and how much it was after.
pub async fn answer(
    kept: Option<&Arc<dyn Kept>>,
    request: &Parts,
    (auditor, by): Trail<'_>,
) -> Response<Full<Bytes>> {
    let Some(kept) = kept else {
        return line(StatusCode::CONFLICT, "nothing is kept: no part of cache is on in the configuration");
    };
    match (&request.method, request.uri.path()) {
        (&Method::GET, "/cache") => json_answer(StatusCode::OK, &kept.stats()),
        (&Method::POST, "/cache/invalidate") => {
            let query = request.uri.query().unwrap_or_default();
            let pairs = form_urlencoded::parse(query.as_bytes());
            let wanted: Option<Vec<_>> = pairs.map(|(name, value)| Forget::of(&name, &value)).collect();
            let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
                return line(StatusCode::BAD_REQUEST, "needed: key=, tag=, prefix= or all=true");
            };
            let verb = "cache invalidate";
            if let Err(error) = audit::note(auditor, by, verb, query).await {
                return failed(&error);
            }
            let forgotten: u64 = wanted.iter().map(|what| kept.forget(what)).sum();
            let (done, what) = (format!("{verb} (done)"), format!("{query}: {forgotten} forgotten"));
            if let Err(error) = audit::note(auditor, by, &done, &what).await {
                tracing::warn!(%error, forgotten, "it is not written down how much was forgotten");
            }
            tracing::info!(forgotten, "what was kept is forgotten, as the owner wants it");
            json_answer(StatusCode::OK, &json!({ "forgotten": forgotten }))
        }
        _ => line(StatusCode::BAD_REQUEST, "there are GET /cache and POST /cache/invalidate"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::Auditor, registry::Series};
    use http::Request;
    use outrigger_core::{BoxFuture, Error, Kind, Result};
    use serde_json::Value;
    use std::sync::Mutex;

    /// Keeps three things, and what it is told.
    #[derive(Default)]
    struct Spy {
        told: Mutex<Vec<String>>,
        is_full: bool,
    }

    impl Kept for Spy {
        fn series(&self) -> Vec<Series> {
            Vec::new()
        }

        fn stats(&self) -> Value {
            Value::Null
        }

        fn forget(&self, what: &Forget) -> u64 {
            self.told.lock().unwrap().push(format!("{what:?}"));
            3
        }
    }

    impl Auditor for Spy {
        fn note<'a>(&'a self, by: &'a str, verb: &'a str, what: &'a str) -> BoxFuture<'a, Result<()>> {
            if self.is_full {
                return Box::pin(async { Err(Error::new(Kind::Full, "no room")) });
            }
            self.told.lock().unwrap().push(format!("{by}: {verb} {what}"));
            Box::pin(async { Ok(()) })
        }
    }

    async fn invalidate(spy: &Arc<Spy>) -> StatusCode {
        let kept: Arc<dyn Kept> = spy.clone();
        let request = Request::post("/cache/invalidate?tag=a").body(()).unwrap().into_parts().0;
        answer(Some(&kept), &request, (Some(&**spy), "me")).await.status()
    }

    #[tokio::test]
    async fn who_has_what_forgotten_is_written_down_before_and_how_much_after() {
        let spy = Arc::new(Spy::default());
        assert_eq!(invalidate(&spy).await, StatusCode::OK);
        let told = spy.told.lock().unwrap();
        let after = "me: cache invalidate (done) tag=a: 3 forgotten";
        assert_eq!(*told, ["me: cache invalidate tag=a", "Tag(\"a\")", after]);
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_is_not_done() {
        let spy = Arc::new(Spy { is_full: true, ..Spy::default() });
        assert!(!invalidate(&spy).await.is_success());
        assert!(spy.told.lock().unwrap().is_empty());
    }
}
