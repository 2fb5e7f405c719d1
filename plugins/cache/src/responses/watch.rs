//! Where requests are seen that may change something: what they change is forgotten (RFC 9111, section 4.4).

use super::{Responses, ask, counts, told::Told};
use http::{
    HeaderMap, Method, Request, Response, Uri,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_body::Body as _;
use outrigger_core::{Body, BoxFuture, CallCx, Exchange, Result};
use std::sync::Arc;

/// See the module. Events pass by it untouched.
pub(super) struct Watch {
    responses: Arc<Responses>,
    inner: Arc<dyn Exchange>,
}

impl Watch {
    pub(super) fn new(responses: Arc<Responses>, inner: Arc<dyn Exchange>) -> Self {
        Self { responses, inner }
    }

    async fn seen(&self, request: Request<Body>, cx: &CallCx) -> Result<Response<Body>> {
        let method = request.method();
        let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method);
        let told = match *method {
            Method::GET | Method::HEAD => Told { detail: Some("body"), ..Told::forward("bypass") },
            _ => Told::forward("method"),
        };
        let key = if is_safe { None } else { ask::key(&self.responses.settings, &request) };
        self.responses.counts.one(counts::Outcome::Passed);
        let mut answer = self.inner.send(request, cx).await?;
        let status = answer.status();
        if let Some(key) = key.filter(|_| status.is_success() || status.is_redirection()) {
            self.responses.forget(&key);
            for other in named(answer.headers(), &key) {
                self.responses.forget(&other);
            }
        }
        told.say(answer.headers_mut());
        Ok(answer)
    }
}

impl Exchange for Watch {
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        let is_read =
            [Method::GET, Method::HEAD].contains(request.method()) && request.body().is_end_stream();
        if cx.stream.is_none() || is_read {
            return self.inner.send(request, cx);
        }
        Box::pin(self.seen(request, cx))
    }
}

/// The keys of what the answer to such a request names, where that is of the same host.
fn named(answer: &HeaderMap, key: &str) -> Vec<String> {
    let lines = [LOCATION, CONTENT_LOCATION].into_iter().filter_map(|name| answer.get(name));
    let uris = lines.filter_map(|line| line.to_str().ok()).filter_map(|line| against(ask::path(key), line));
    let ours =
        uris.filter(|uri| uri.authority().is_none_or(|at| at.as_str().eq_ignore_ascii_case(ask::host(key))));
    let paths = ours.filter_map(|uri| uri.path_and_query().map(ToString::to_string));
    paths.filter_map(|path| ask::beside(key, &path)).collect()
}

/// A reference as it is meant at a path (RFC 3986, section 5.2), but for dots, which no path that is asked for has.
fn against(path: &str, reference: &str) -> Option<Uri> {
    let reference = reference.split('#').next().unwrap_or_default();
    if reference.starts_with('/') || reference.contains("://") {
        return reference.parse().ok();
    }
    let path = path.split('?').next().unwrap_or_default();
    let (folder, _) = path.rsplit_once('/')?;
    match reference.chars().next() {
        None => path.parse().ok(),
        Some('?') => format!("{path}{reference}").parse().ok(),
        Some(_) => format!("{folder}/{reference}").parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::tests::map;

    #[test]
    fn what_an_answer_names_is_forgotten_where_it_is_of_the_same_host() {
        let named =
            |name: &'static str, value: &'static str| named(&map(&[(name, value)]), "x.test\n/a/b?c\n\n\nme");
        for (reference, path) in [
            ("/d?e", "/d?e"),
            ("http://X.test/d", "/d"),
            ("d", "/a/d"),
            ("", "/a/b"),
            ("?f", "/a/b?f"),
            ("/d#there", "/d"),
        ] {
            assert_eq!(named("location", reference), [format!("x.test\n{path}\n\n\nme")], "{reference}");
            assert_eq!(named("content-location", reference).len(), 1);
        }
        assert!(named("location", "http://other.test/d").is_empty());
    }
}
