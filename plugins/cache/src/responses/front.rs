//! Before the turns: what is kept is served at once; what is not is fetched by one request, for which equal ones wait.

use super::{
    Found, Responses,
    ask::{self, Ask, Asked},
    counts,
    directives::{Directives, Word},
    filling::Fill,
    flights::{Boarded, Lead, Outcome},
    keep::{self, Came},
    page::{Freshness, Kept},
    serve,
    told::Told,
    underway::Fetching,
    update,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, IF_MODIFIED_SINCE, IF_NONE_MATCH, PRAGMA, RANGE},
};
use http_body_util::BodyExt as _;
use outrigger_core::{Body, BoxFuture, CallCx, Caller, Exchange, Result, Timeline};
use std::{sync::Arc, time::SystemTime};
use tokio::time::{Instant, timeout_at};

/// Failures for which a stale answer may stand in (RFC 5861, section 4).
const FAILED: [StatusCode; 4] = [
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// What tells the function that somebody heeds its `Surrogate-Control` (W3C's Edge Architecture).
const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");
const CAPABILITY: HeaderValue = HeaderValue::from_static("outrigger=\"Surrogate/1.0\"");

/// See the module.
#[derive(Clone)]
pub(super) struct Front {
    responses: Arc<Responses>,
    /// Waits for a turn at the function.
    inner: Arc<dyn Exchange>,
}

/// Marks a request of which it is told here what the cache did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fronted;

/// A request to the function, and what its answer is to be held against.
struct Fetch<'a> {
    asked: &'a Asked,
    /// What the client sent.
    headers: HeaderMap,
    why: &'static str,
    /// What serves if it still holds.
    kept: Option<Arc<Kept>>,
    lead: Option<Lead>,
}

impl Exchange for Front {
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        let asked = match ask::ask(&self.responses.settings, &request) {
            Ask::Look(asked) => asked,
            Ask::Past(why) => return Box::pin(self.past(request, cx, why)),
            Ask::Lacks => return Box::pin(std::future::ready(Ok(lacking(&self.responses)))),
        };
        match self.responses.served(&asked, request.headers(), Instant::now()) {
            Ok(answer) => Box::pin(std::future::ready(Ok(answer))),
            Err(found) => Box::pin(self.find(request, asked, found, cx)),
        }
    }
}

impl Front {
    pub(super) fn new(responses: Arc<Responses>, inner: Arc<dyn Exchange>) -> Self {
        Self { responses, inner }
    }

    async fn past(
        &self,
        mut request: Request<Body>,
        cx: &CallCx,
        why: &'static str,
    ) -> Result<Response<Body>> {
        self.responses.counts.one(counts::Outcome::Passed);
        request.extensions_mut().insert(Fronted);
        let mut answer = self.inner.send(request, cx).await?;
        Told { detail: Some(why), ..Told::forward("bypass") }.say(answer.headers_mut());
        Ok(answer)
    }

    /// Serves what was found and is not fresh, waits for who fetches it, or fetches it.
    async fn find(
        &self,
        request: Request<Body>,
        asked: Asked,
        found: Found,
        cx: &CallCx,
    ) -> Result<Response<Body>> {
        let responses = &self.responses;
        let wait = responses.settings.coalesce_wait;
        let last = Instant::now() + 2 * wait;
        let mut collapsed = None;
        let mut waited_for = None;
        let mut found = Some(found);
        loop {
            let now = Instant::now();
            let found = found.take().unwrap_or_else(|| responses.found_again(&asked, request.headers(), now));
            let (kept, why) = match found {
                Found::Fresh(kept) => {
                    responses.counts.one(counts::Outcome::Collapsed);
                    let told = Told {
                        forward: collapsed,
                        collapsed: collapsed.is_some(),
                        ..Told::hit(kept.fresh.ttl(now))
                    };
                    return Ok(serve::serve(&kept, &asked, request.headers(), now, told));
                }
                Found::Meanwhile(kept) => {
                    self.renew(&kept, &request, &asked, cx);
                    responses.counts.one(counts::Outcome::Stale);
                    let told =
                        Told { detail: Some("stale-while-revalidate"), ..Told::hit(kept.fresh.ttl(now)) };
                    return Ok(serve::serve(&kept, &asked, request.headers(), now, told));
                }
                Found::Stale(kept, why) => (Some(kept), why),
                Found::Nothing(why) => (None, why),
            };
            if asked.said.says(Word::OnlyIfCached) {
                return Ok(lacking(responses));
            }
            let never_fresh =
                why == "request" || kept.as_ref().is_some_and(|kept| kept.fresh.is_never_fresh());
            let flight = responses.flight(&asked, request.headers());
            // What came was not for this one: those that want the same variant wait for one another, but only once.
            let was_for_others = waited_for.as_ref() == Some(&flight);
            let alone = was_for_others
                || now >= last
                || never_fresh
                || !asked.may_lead()
                || responses.is_passed(&flight, now);
            let lead = match (!alone).then(|| responses.flights.board(flight.clone(), wait)) {
                None => None,
                Some(Boarded::Lead(lead)) => Some(lead),
                Some(Boarded::Wait(waiting)) => {
                    match timeout_at(waiting.until.min(last), waiting.ended()).await {
                        Ok(Outcome::Kept) => {
                            collapsed = Some(why);
                            waited_for = Some(flight);
                            continue;
                        }
                        Ok(Outcome::BrokenOff) | Err(_) => continue, // one of those who waited goes
                        Ok(Outcome::Alone) => None,
                    }
                }
            };
            let fetch = Fetch { asked: &asked, headers: request.headers().clone(), why, kept, lead };
            return self.fetch(request, fetch, cx).await;
        }
    }

    /// Asks the function, and keeps what may be kept.
    async fn fetch(
        &self,
        mut request: Request<Body>,
        fetch: Fetch<'_>,
        cx: &CallCx,
    ) -> Result<Response<Body>> {
        let Fetch { asked, headers, why, kept, lead } = fetch;
        let responses = &self.responses;
        let fetching = responses.underway.start(&asked.key);
        let whole = !asked.head && asked.range.is_none();
        let validates = whole && kept.as_ref().is_some_and(|kept| kept.has_validator());
        if let (Some(kept), true) = (&kept, validates) {
            update::ask_about(kept, request.headers_mut());
        }
        request.headers_mut().append(SURROGATE_CAPABILITY, CAPABILITY);
        request.extensions_mut().insert(Fronted);
        let sent = Instant::now();
        let outcome = self.inner.send(request, cx).await;
        let (now, date) = (Instant::now(), SystemTime::now());
        if outcome.as_ref().map_or(true, |answer| FAILED.contains(&answer.status())) {
            return self.failed(outcome, Fetch { asked, headers, why, kept, lead }, now);
        }
        let mut told = Told::forward(why);
        let (mut parts, body) = outcome?.into_parts();
        let came = Came { status: parts.status, headers: &parts.headers, asked: sent, at: now, date };
        if let (Some(kept), true, StatusCode::NOT_MODIFIED) = (&kept, validates, parts.status) {
            let fetch = Fetch { asked, headers, why, kept: None, lead };
            responses.counts.one(counts::Outcome::Validated);
            return Ok(self.validated(kept, fetch, came, &fetching));
        }
        responses.counts.one(missed(why));
        let verdict =
            if asked.head { Err("head") } else { keep::judge(&responses.settings, asked, &headers, came) };
        let body = match verdict {
            Ok(kept) => {
                let fits =
                    http_body::Body::size_hint(&body).exact().is_none_or(|bytes| responses.takes(bytes));
                told.stored = fits;
                told.detail = (!fits).then_some("too-large");
                Fill { responses: responses.clone(), kept, fetching, lead }.body(body)
            }
            Err(why) => {
                told.detail = Some(why);
                responses.pass(lead);
                if kept.is_some() && whole && !keep::is_of_the_asking(parts.status) {
                    responses.forget(&asked.key); // the function says something else now
                }
                body
            }
        };
        told.say(&mut parts.headers);
        Ok(Response::from_parts(parts, body))
    }

    /// The function failed, or could not be asked: what is kept stands in where that is allowed.
    fn failed(
        &self,
        outcome: Result<Response<Body>>,
        fetch: Fetch<'_>,
        now: Instant,
    ) -> Result<Response<Body>> {
        let (counts, Fetch { asked, headers, why, kept, lead }) = (&self.responses.counts, fetch);
        if let Some(lead) = lead {
            lead.end(Outcome::Alone); // each hears it for itself, at once
        }
        let told = Told::forward(why);
        if let Some(kept) = kept.filter(|kept| kept.fresh.serves_on_error(now)) {
            counts.one(counts::Outcome::Stale);
            let status = outcome.ok().map(|answer| answer.status().as_u16());
            let ttl = Some(kept.fresh.ttl(now));
            let told = Told { status, ttl, detail: Some("stale-if-error"), ..told };
            let mut answer = serve::serve(&kept, asked, &headers, now, told);
            answer.extensions_mut().insert(Failed);
            return Ok(answer);
        }
        counts.one(missed(why));
        let mut answer = outcome?;
        answer.extensions_mut().insert(Failed);
        Told { detail: Some("failed"), ..told }.say(answer.headers_mut());
        Ok(answer)
    }

    /// The function says that what is kept still holds.
    fn validated(
        &self,
        kept: &Kept,
        fetch: Fetch<'_>,
        came: Came<'_>,
        fetching: &Fetching,
    ) -> Response<Body> {
        let (responses, Fetch { asked, headers, why, lead, .. }) = (&self.responses, fetch);
        let (anew, keeps_cookies) = (came.headers, responses.settings.keeps_cookies);
        let updated = update::updated(&kept.headers, anew, keeps_cookies);
        let came = Came { status: kept.status, headers: &updated, ..came };
        let verdict = keep::judge(&responses.settings, asked, &headers, came);
        let told = Told { status: Some(304), ..Told::forward(why) };
        let (kept, told) = match verdict {
            Ok(fresh) => {
                let fresh = fresh.with_body(kept.body.clone());
                let stored = responses.commit(fetching, fresh.clone());
                if let Some(lead) = lead {
                    lead.end(if stored { Outcome::Kept } else { Outcome::Alone });
                }
                let ttl = Some(fresh.fresh.ttl(came.at));
                (fresh, Told { stored, ttl, ..told })
            }
            Err(why) => {
                responses.forget(&asked.key);
                responses.pass(lead);
                let fresh = Freshness { came: came.at, age: std::time::Duration::ZERO, ..kept.fresh };
                (Kept { headers: updated.clone(), fresh, ..kept.clone() }, Told { detail: Some(why), ..told })
            }
        };
        let mut answer = serve::serve(&kept, asked, &headers, came.at, told);
        for name in anew.keys().filter(|name| !keeps_cookies && keep::sets_cookie(name)) {
            answer.headers_mut().remove(name);
            answer.headers_mut().extend(anew.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
        answer
    }

    /// Fetches anew what was served stale, beside the path and in a turn of its own; once at a time.
    fn renew(&self, kept: &Arc<Kept>, request: &Request<Body>, asked: &Asked, cx: &CallCx) {
        let flight = self.responses.flight(asked, request.headers());
        if self.responses.is_resting(&flight, Instant::now()) {
            return;
        }
        let wait = self.responses.settings.coalesce_wait;
        let Boarded::Lead(lead) = self.responses.flights.board(flight.clone(), wait) else { return };
        let mut again = Request::new(Body::default());
        *again.method_mut() = Method::GET;
        *again.uri_mut() = request.uri().clone();
        *again.headers_mut() = request.headers().clone();
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE, CACHE_CONTROL, PRAGMA] {
            again.headers_mut().remove(name);
        }
        if let Some(caller) = request.extensions().get::<Caller>() {
            again.extensions_mut().insert(caller.clone());
        }
        let asked = Asked {
            head: false,
            said: Directives::default(),
            range: None,
            conditional: false,
            ..asked.clone()
        };
        let (front, kept, headers) = (self.clone(), Some(kept.clone()), again.headers().clone());
        let cx = CallCx { deadline: None, timeline: Timeline::off(), ..cx.clone() };
        tokio::spawn(async move {
            let fetch = Fetch { asked: &asked, headers, why: "stale", kept, lead: Some(lead) };
            let answer = front.fetch(again, fetch, &cx).await;
            if answer.as_ref().map_or(true, has_failed) {
                front.responses.rest(&flight);
            }
            if let Ok(answer) = answer {
                let mut body = answer.into_body();
                while let Some(Ok(_)) = body.frame().await {}
            }
        });
    }
}

/// The function failed, and something that is kept may stand in.
#[derive(Debug, Clone, Copy)]
struct Failed;

fn has_failed(answer: &Response<Body>) -> bool {
    answer.extensions().get::<Failed>().is_some()
}

/// What a request counts as that the function is asked for this reason.
fn missed(why: &str) -> counts::Outcome {
    if why == "bypass" { counts::Outcome::Passed } else { counts::Outcome::Miss }
}

/// Nothing is kept for a client that does not want the function to be asked.
fn lacking(responses: &Responses) -> Response<Body> {
    responses.counts.one(counts::Outcome::Miss);
    serve::lacking(Told { detail: Some("only-if-cached"), ..Told::default() })
}

impl Asked {
    /// Whether equal requests may wait for it: its answer would be theirs.
    fn may_lead(&self) -> bool {
        !self.head && self.range.is_none() && !self.conditional && !self.credentials
    }
}
