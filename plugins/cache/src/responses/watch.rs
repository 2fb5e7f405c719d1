//! Where requests are seen that may change something: what they change is forgotten (RFC 9111, section 4.4).

use super::{Responses, ask, counts, front::Fronted, told::Told};
use http::{
    HeaderMap, Method, Request, Response, Uri,
    header::{CONTENT_LOCATION, LOCATION, UPGRADE},
};
use outrigger_core::{Body, BoxFuture, CallCx, Exchange, Result};
use std::sync::Arc;
use url::Url;

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
            Method::GET | Method::HEAD => {
                let why = if request.headers().contains_key(UPGRADE) { "upgrade" } else { "body" };
                Told { detail: Some(why), ..Told::forward("bypass") }
            }
            _ => Told::forward("method"),
        };
        let key = if is_safe { None } else { ask::key(&self.responses.settings, &request) };
        self.responses.counts.one(counts::Outcome::Passed);
        let mut unseen = Unseen { responses: &self.responses, key };
        let mut answer = self.inner.send(request, cx).await?;
        let status = answer.status();
        if let Some(key) = unseen.key.take().filter(|_| status.is_success() || status.is_redirection()) {
            self.responses.forget_url(&key);
            for other in named(answer.headers(), &key) {
                self.responses.forget_url(&other);
            }
        }
        told.say(answer.headers_mut());
        Ok(answer)
    }
}

/// A change whose answer nobody has seen: it may have been made.
struct Unseen<'r> {
    responses: &'r Responses,
    key: Option<String>,
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.responses.forget_url(&key);
        }
    }
}

impl Exchange for Watch {
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        if cx.stream.is_none() || request.extensions().get::<Fronted>().is_some() {
            return self.inner.send(request, cx);
        }
        Box::pin(self.seen(request, cx))
    }
}

/// The keys of what the answer to such a request names, where that is of the same host.
fn named(answer: &HeaderMap, key: &str) -> Vec<String> {
    let lines = [LOCATION, CONTENT_LOCATION].into_iter().flat_map(|name| answer.get_all(name));
    let lines = lines.filter_map(|line| line.to_str().ok());
    let mut paths: Vec<_> = lines.flat_map(|line| [meant(key, line), as_written(line)]).flatten().collect();
    paths.dedup();
    paths.into_iter().filter_map(|path| ask::beside(key, &path)).collect()
}

/// The path and query of a reference, as it is meant at the key's own URL (RFC 3986, section 5.2).
fn meant(key: &str, reference: &str) -> Option<String> {
    let base = Url::parse(&format!("http://{}{}", ask::host(key), ask::path(key))).ok()?;
    let url = base.join(reference).ok()?;
    let is_same = url.host() == base.host() && url.port() == base.port();
    is_same.then(|| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
}

/// The same of a path just as it stands there: what is kept under it was asked for with the same letters.
fn as_written(reference: &str) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default();
    let is_path = reference.starts_with('/') && !reference.starts_with("//");
    let uri: Uri = is_path.then(|| reference.parse().ok()).flatten()?;
    uri.path_and_query().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::tests::map;

    #[test]
    fn what_an_answer_names_is_forgotten_where_it_is_of_the_same_host() {
        let named =
            |name: &'static str, value: &'static str| named(&map(&[(name, value)]), "x.test\n/a/b?c\n\nme");
        for (reference, path) in [
            ("/d?e", "/d?e"),
            ("http://X.test/d", "/d"),
            ("d", "/a/d"),
            ("", "/a/b?c"),
            ("?f", "/a/b?f"),
            ("/d#there", "/d"),
            ("./d", "/a/d"),
            ("../d?e", "/d?e"),
            ("//x.test/d", "/d"),
            ("https://x.test/d", "/d"),
            ("/a/%2f", "/a/%2f"),
        ] {
            assert_eq!(named("location", reference), [format!("x.test\n{path}\n\nme")], "{reference}");
            assert_eq!(named("content-location", reference).len(), 1);
        }
        assert_eq!(named("location", "/{d}").len(), 2, "as it is written, and as a client writes it");
        for other in ["http://other.test/d", "//other.test/d", "http://x.test:81/d"] {
            assert!(named("location", other).is_empty(), "{other}");
        }
    }
}
