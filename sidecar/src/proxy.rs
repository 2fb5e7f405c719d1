//! The way through by HTTP: a request goes to the function as it is, and its answer comes back, byte by byte as they
//! come.
//!
//! It enters the path at the [`Exchange`], where plugins are, and asks the [`Target`] for its turn, so readiness,
//! breaker, rate, concurrency and time-outs are those of the events. Nothing is kept in memory but what is on its way,
//! and nothing is tried again: what a request does is its sender's to know. By its rules a request may enter the
//! ingress instead, and is an event from there on.

mod answer;
mod asked;
mod headers;
mod routes;
mod tuning;
mod tunnel;
mod turns;
mod upgrade;

pub use answer::Answer;
pub use tuning::Tuning;

use crate::{
    config::{self, To},
    dispatch::{Passage, Target, now},
    ingress::{paths::Paths, webhook},
    telemetry::Metrics,
};
use answer::Refusal;
use asked::Asked;
use headers::{Ambiguous, Telling, WhoAsks};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header::UPGRADE};
use hyper::body::{Body as _, Incoming};
use outrigger_core::{Body, Caller, Drain, Error, Exchange, Kind, Plugin};
use outrigger_net::{
    auth::{Denial, Entry, Guard, Why},
    server::Remote,
    tls::Peer,
};
use routes::Routes;
use std::{sync::Arc, time::Instant};
use tokio::sync::Semaphore;
use turns::Turns;
use upgrade::Upgrade;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Its name in metrics and the audit log.
pub const NAME: &str = "proxy";

/// What the proxy works with.
pub struct Parts {
    /// Whose turns it takes.
    pub target: Arc<Target>,
    /// How the function is asked.
    pub exchange: Arc<dyn Exchange>,
    /// What may answer without a turn.
    pub plugins: Vec<Arc<dyn Plugin>>,
    /// Where requests go that are events; needed where a rule says so.
    pub paths: Option<Arc<Paths>>,
    /// Whether a certificate that was verified here is one to the ingress too: by the same authorities and rules.
    pub certificates_shared: bool,
    /// Who may enter.
    pub guard: Arc<Guard>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The headers by which a request tells where in a trace it is.
    pub hop: &'static [&'static str],
    /// Held by what outlives its connection's HTTP.
    pub drain: Drain,
}

/// The proxy; see the module.
pub struct Proxy {
    parts: Parts,
    routes: Routes,
    telling: Telling,
    turns: Turns,
    /// What reads are asked of first; none where no plugin stands before the turns.
    front: Option<Arc<dyn Exchange>>,
    upgrades: Arc<Semaphore>,
}

/// One connection's client.
pub struct Visitor {
    proxy: Arc<Proxy>,
    who: WhoAsks,
    remote: Remote,
}

impl Proxy {
    /// A proxy as the configuration says.
    #[must_use]
    pub fn new(config: &config::Proxy, parts: Parts) -> Arc<Self> {
        let tuning = Arc::new(Tuning::new(config));
        let turns =
            Turns { target: parts.target.clone(), exchange: parts.exchange.clone(), tuning, hop: parts.hop };
        Arc::new(Self {
            front: turns.behind(&parts.plugins),
            turns,
            parts,
            routes: Routes::new(config.routes.clone()),
            telling: Telling {
                x_forwarded: config.x_forwarded,
                forwarded: config.forwarded,
                trusts: config.trusts_forwarded,
            },
            upgrades: Arc::new(Semaphore::new(config.upgrades_max)),
        })
    }

    /// What of it may change from here on.
    #[must_use]
    pub fn tuning(&self) -> Arc<Tuning> {
        self.turns.tuning.clone()
    }

    /// Its answers to one connection.
    #[must_use]
    pub fn visited_by(self: &Arc<Self>, remote: Remote) -> Arc<Visitor> {
        Arc::new(Visitor { proxy: self.clone(), who: WhoAsks::of(remote), remote })
    }

    /// Whether the guard lets the request in, which it gets back. Where the ingress has a guard of its own, that one
    /// decides about events: it may know more, such as who signed the body.
    async fn admit(&self, request: &mut Option<Request<Incoming>>, remote: Remote) -> Result<(), Refusal> {
        let guard = &self.parts.guard;
        let (mut parts, body) = request.take().expect(ONCE).into_parts();
        parts.extensions.insert(remote); // for the audit log
        let admitted = match guard.enter(&parts).await {
            Ok(Entry::Known(pass)) => {
                if self.front.is_some() {
                    parts.extensions.insert(Caller { key: pass.who().key().into() });
                }
                guard.request(&pass, &parts).inspect(|()| guard.granted(&pass, &parts, 0))
            }
            Ok(Entry::Signed(_)) => Err(Denial::new(Why::Missing, "bodies are passed through unread here")),
            Err(denial) => Err(denial),
        };
        *request = Some(Request::from_parts(parts, body));
        admitted.map_err(|denial| {
            self.parts.metrics.refused(NAME, denial.why);
            Refusal::denied(denial)
        })
    }

    /// What is refused at the door, before anything of the request is used.
    fn at_the_door(&self, request: &mut Request<Incoming>) -> Result<To, Refusal> {
        upgrade::settle_method(request)?;
        let ambiguous = |why: Ambiguous| Refusal::new(StatusCode::BAD_REQUEST, "host", why.why());
        headers::check_host(request.version(), request.headers()).map_err(ambiguous)?;
        if request.uri().authority().is_some() {
            let mut uri = std::mem::take(request.uri_mut());
            let settled = headers::settle_host(&mut uri, request.headers_mut());
            *request.uri_mut() = uri;
            settled.map_err(ambiguous)?;
        }
        match self.routes.of(request.method(), request.uri().path()) {
            Some(To::Refuse) => {
                Err(Refusal::new(StatusCode::NOT_FOUND, "route", "there is nothing at this path"))
            }
            Some(to) => Ok(to),
            None => {
                let told = "the path can be read in more than one way";
                Err(Refusal::new(StatusCode::BAD_REQUEST, "path", told))
            }
        }
    }

    /// A turn, and the rest with it. Takes the request out of its place when it is sent.
    async fn pass(
        &self,
        who: &WhoAsks,
        request: &mut Option<Request<Incoming>>,
        started: Instant,
    ) -> Result<Response<Answer>, Refusal> {
        let upgrade = self.prepare(who, request.as_mut().expect(ONCE))?;
        let whole = request.as_ref().expect(ONCE);
        let is_read = is_read(whole);
        let cx = self.turns.cx(whole, started);
        let mut watched = self.turns.watch(&cx.timeline);
        let passed = match &self.front {
            Some(front) if upgrade.is_none() && is_read => {
                let asking = front.send(request.take().expect(ONCE).map(Asked::body), &cx);
                asking.await.map(|answer| answer.map(Answer::of)).map_err(|error| Refusal::of(&error))
            }
            _ => {
                let take = || request.take().expect(ONCE).map(Asked::body);
                let taken = self.turns.take(take, &cx, started).await.map_err(|error| Refusal::of(&error));
                taken.and_then(|(answer, passage)| self.answer(answer, upgrade, passage))
            }
        };
        match &passed {
            Ok(answer) => watched.end(answer.status().as_u16()),
            Err(refusal) => watched.refused(refusal.status.as_u16(), refusal.kind),
        }
        if let Ok(answer) = &passed {
            self.parts.metrics.proxied(answer.status().as_u16(), now() - started);
        }
        passed
    }

    /// Makes the request the next hop's.
    fn prepare(&self, who: &WhoAsks, request: &mut Request<Incoming>) -> Result<Option<Upgrade>, Refusal> {
        let upgrade = Upgrade::wanted(request, &self.upgrades)?;
        headers::strip(request.headers_mut());
        headers::join_cookies(request.headers_mut());
        who.tell(self.telling, request.headers_mut());
        if let Some(upgrade) = &upgrade {
            upgrade.ask(request.headers_mut());
        }
        *request.version_mut() = Version::HTTP_11;
        Ok(upgrade)
    }

    /// The function's answer, for the client.
    fn answer(
        &self,
        mut answer: Response<Body>,
        upgrade: Option<Upgrade>,
        passage: Passage,
    ) -> Result<Response<Answer>, Refusal> {
        let bridged = upgrade.as_ref().is_some_and(Upgrade::is_bridged);
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            if bridged && answer.status().is_success() {
                let error = Error::new(Kind::BadAnswer, "the function did not take the WebSocket up");
                return Err(Refusal::of(&error));
            }
            turns::settle(&mut answer);
            return Ok(answer.map(|body| Answer::passing(body, passage)));
        }
        let to = answer.headers().get(UPGRADE).cloned();
        let taken_up = upgrade.filter(|upgrade| upgrade.is_taken_up(answer.headers()));
        let (Some(upgrade), Some(to)) = (taken_up, to) else {
            let error =
                Error::new(Kind::BadAnswer, "the function switched to a protocol that nobody asked for");
            return Err(Refusal::of(&error));
        };
        let function = hyper::upgrade::on(&mut answer);
        *answer.version_mut() = Version::HTTP_11;
        headers::strip(answer.headers_mut());
        *answer.status_mut() = upgrade.tell(to, answer.headers_mut());
        let (client, held) = upgrade.held();
        let held = (held, self.parts.drain.clone());
        tunnel::open(client, function, self.turns.tuning.rest_max.get(), held);
        Ok(answer.map(|_| Answer::default()))
    }
}

const ONCE: &str = "a request is there until it is sent";

impl Visitor {
    /// Answers one request.
    pub fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Answer>> + Send + 'static {
        // Used in its place: by value it would be copied from one future into the next.
        let mut request = Some(request);
        async move {
            let started = now();
            match self.enter(&mut request, started).await {
                Ok(answer) => answer,
                Err(refusal) => {
                    if let Some(refused) = request.take() {
                        let (parts, body) = refused.into_parts();
                        outrigger_net::body::linger(&parts.headers, body);
                    }
                    self.refuse(&refusal, started)
                }
            }
        }
    }

    async fn enter(
        &self,
        request: &mut Option<Request<Incoming>>,
        started: Instant,
    ) -> Result<Response<Answer>, Refusal> {
        let proxy = &self.proxy;
        let to = proxy.at_the_door(request.as_mut().expect(ONCE));
        let head = request.as_ref().expect(ONCE);
        let ingress = proxy.parts.paths.as_ref().map(|paths| paths.of(head.uri().path()));
        // A webhook's handshake shows no token by its specification, and the ingress answers it without one.
        let decided_there = matches!(to, Ok(To::Ingress))
            && (ingress.is_some_and(|ingress| !ingress.guard.is_open())
                || webhook::asks_leave(head.method(), head.headers()));
        if !decided_there && !proxy.parts.guard.is_open() {
            // Before any other refusal: who is not known is not told either whether a path is there. Boxed, so that a
            // connection that rests keeps no room for it.
            Box::pin(proxy.admit(request, self.remote)).await?;
        }
        match (to?, ingress) {
            (To::Ingress, Some(ingress)) => {
                let mut request = request.take().expect(ONCE);
                request.extensions_mut().insert(self.remote);
                if !proxy.parts.certificates_shared {
                    // Any authority can write any name: to the ingress, another's is nobody's.
                    request.extensions_mut().remove::<Arc<Peer>>();
                }
                let answer = Box::pin(ingress.clone().take(request)).await;
                Ok(answer.map(Answer::whole))
            }
            _ => proxy.pass(&self.who, request, started).await,
        }
    }

    fn refuse(&self, refusal: &Refusal, started: Instant) -> Response<Answer> {
        self.proxy.parts.metrics.proxy_refused(refusal.reason);
        self.proxy.parts.metrics.proxied(refusal.status.as_u16(), now() - started);
        tracing::debug!(
            status = refusal.status.as_u16(),
            refusal.reason,
            refusal.detail,
            "not passed through"
        );
        let mut answer = refusal.answer();
        if self.proxy.front.is_some()
            && let Ok(told) = HeaderValue::try_from(format!("outrigger; detail={}", refusal.reason))
        {
            answer.headers_mut().append(CACHE_STATUS, told); // on every answer (RFC 9211)
        }
        answer
    }
}

/// Whether it can be answered by what was answered before.
fn is_read(request: &Request<Incoming>) -> bool {
    [Method::GET, Method::HEAD].contains(request.method()) && request.body().is_end_stream()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of what `handle` gives back.
    fn bytes<A>(_: impl Fn(Arc<Visitor>, Request<Incoming>) -> A) -> usize {
        std::mem::size_of::<A>()
    }

    #[test]
    fn what_a_connection_keeps_for_its_requests_is_small() {
        let bytes = bytes(Visitor::handle);
        assert!(bytes <= 1024, "each connection keeps {bytes} bytes for the request that it has or had");
    }
}
