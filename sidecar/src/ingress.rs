//! The way in by HTTP: a request becomes events, and its sender learns only the truth.
//!
//! Durable, the answer is 202 once every event is on storage that outlives the pod. Synchronous, it is the
//! function's own answer after one attempt. Everything else is a refusal that leaves the event with its sender.

pub mod cloudevents;
mod complaints;
pub mod confirm;
pub mod github;
pub mod paths;
pub mod plain;
mod sync;
pub mod webhook;

use crate::{admit::Keys, config::Webhook, dispatch::now, settle::unix_ms, telemetry::Metrics};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT_ENCODING, ALLOW},
    request::Parts,
};
use http_body_util::Full;
use hyper::body::Incoming;
use outrigger_core::{
    BoxFuture, Code, DeadLetter, DeadLetters, Error, Event, Inbound, Inbox, Intake, Key, Malformed, Origin,
    Outcome, Position, Reason, Refused, Result,
    event::{
        hop,
        http::{self as binary, Mode},
    },
};
use outrigger_net::{
    auth::{Attributes, Denial, Entry, Guard, Pass},
    body::{self, BodyError, BodyLimits, Budget},
};
use std::{sync::Arc, time::Duration};

pub use self::complaints::Complaints;
use self::{confirm::Confirmer, webhook::Handshake};

/// Keeps events, and what came with them and is none, on storage that outlives the pod.
pub trait Accept: Send + Sync + 'static {
    /// Keeps all of them or none; they are durable when this returns.
    ///
    /// Dropping the future leaves it open whether they were kept.
    ///
    /// # Errors
    /// `Overloaded` for a moment, `Full` or `Storage` for longer; nothing was kept.
    fn accept(
        &self,
        events: Vec<(Event, Option<Key>)>,
        letters: Vec<DeadLetter>,
    ) -> BoxFuture<'_, Result<()>>;
}

/// How a request is answered.
pub enum Answering {
    /// Once its events are durable.
    Durable {
        /// Where events and malformed members of a batch are kept.
        accept: Arc<dyn Accept>,
    },
    /// With the function's outcome.
    Sync {
        /// The way to the function.
        intake: Intake,
        /// How long a sender waits.
        timeout: Duration,
        /// Where malformed members of a batch are kept; without it a batch that has some is refused whole.
        dead: Option<Arc<dyn DeadLetters>>,
    },
}

/// One path of the HTTP ingress, for one kind of sender.
pub struct Ingress {
    /// The configured name: keys and dead letters carry it.
    pub name: Arc<str>,
    /// The one path that takes events.
    pub path: String,
    /// Who may send, and what.
    pub guard: Arc<Guard>,
    /// The bounds of a body.
    pub body: BodyLimits,
    /// What all bodies of the listener may hold until they are whole.
    pub receiving: Arc<Budget>,
    /// Who is granted leave to send by webhook.
    pub webhook: Webhook,
    /// How requests are read and answered.
    pub inbound: Arc<dyn Inbound>,
    /// Who confirms a handshake that asks for it; none where no kind of request does.
    pub confirmer: Option<Confirmer>,
    /// The ordering key.
    pub keys: Keys,
    /// When requests are answered.
    pub answering: Answering,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The headers of its hop that are kept beside an event.
    pub hop: &'static [&'static str],
    /// What was said in the log of requests that bring no events.
    pub complaints: Complaints,
}

impl Ingress {
    /// Takes a request of any path: another has decided that it belongs here.
    pub async fn take(self: Arc<Self>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != self.path
            && let Ok(path) = self.path.parse()
        {
            *request.uri_mut() = path;
        }
        self.handle(request).await
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let started = now();
        let answer = match self.enter(request).await {
            Ok(answer) => answer,
            Err(error) => {
                self.complaints.of_request(&self.name, self.inbound.refused(), &error);
                self.inbound.answer(&Outcome::Unavailable(error))
            }
        };
        let status = answer.status().as_u16();
        self.metrics.requested(status, now() - started);
        if self.inbound.refused() != Refused::Told {
            self.metrics.pushed(&self.name, status);
        }
        answer.map(Full::new)
    }

    async fn enter(&self, request: Request<Incoming>) -> Result<Response<Bytes>> {
        let (parts, mut incoming) = request.into_parts();
        if let Some(answer) = self.shakes_hands(&parts) {
            body::linger(&parts.headers, incoming);
            return Ok(answer);
        }
        // Before anything else is said: who is not known is not told what is here.
        let entry = match self.guard.enter(&parts).await {
            Ok(entry) => entry,
            Err(denial) => {
                body::linger(&parts.headers, incoming);
                return Ok(self.refuse(&denial));
            }
        };
        let misplaced = self.misplaced(&parts);
        if let (Some(answer), Entry::Known(_)) = (&misplaced, &entry) {
            let answer = answer.clone();
            body::linger(&parts.headers, incoming);
            return Ok(answer);
        }
        let body = match self.collect(&parts, &mut incoming).await {
            Ok(body) => body,
            Err(error) => {
                body::linger(&parts.headers, incoming);
                return Ok(self.unread(&error));
            }
        };
        let pass = match entry {
            Entry::Known(pass) => Ok(pass),
            Entry::Signed(pending) => self.guard.body(&pending, &parts, &body),
        };
        let pass = match pass {
            Ok(pass) => pass,
            Err(denial) => return Ok(self.refuse(&denial)),
        };
        if let Some(answer) = misplaced {
            return Ok(answer);
        }
        let (items, batch, told) = match self.inbound.decode(&parts, body)? {
            Inbox::Events { items, batch, hop } => (items, batch, hop),
            Inbox::Answer(answer) => return Ok(answer),
            Inbox::Confirm { answer, url } => {
                if let Some(confirmer) = &self.confirmer {
                    confirmer.confirm(url);
                }
                return Ok(answer);
            }
        };
        if let Err(denial) = self.may_send(&pass, &parts, &items) {
            return Ok(self.refuse(&denial));
        }
        let hop = self.hop_of(&parts, told, batch.then_some(items.len()));
        drop((parts, incoming)); // a sender who waits must not also hold the buffer that its request was read into
        let outcome = match &self.answering {
            Answering::Durable { accept } => self.keep(&**accept, items, &hop).await,
            Answering::Sync { intake, timeout, dead } => {
                self.wait(intake, *timeout, dead.as_deref(), items, &hop, batch).await
            }
        };
        Ok(self.inbound.answer(&outcome.unwrap_or_else(Outcome::Unavailable)))
    }

    /// What somebody is told who is known, and whose request is none that brings events.
    fn misplaced(&self, parts: &Parts) -> Option<Response<Bytes>> {
        if parts.uri.path() != self.path {
            let line = format!("events are taken at {}", self.path);
            return Some(cloudevents::text(StatusCode::NOT_FOUND, &line));
        }
        (parts.method != Method::POST).then(|| {
            let asked = parts.method == Method::OPTIONS;
            by_post(if asked { StatusCode::OK } else { StatusCode::METHOD_NOT_ALLOWED })
        })
    }

    /// Answers a sender of webhooks who asks for leave to send, known or not, and grants it where it may have it.
    fn shakes_hands(&self, parts: &Parts) -> Option<Response<Bytes>> {
        if parts.method != Method::OPTIONS || parts.uri.path() != self.path {
            return None;
        }
        let mut answer = by_post(StatusCode::OK);
        match webhook::handshake(&self.webhook, &parts.headers) {
            Handshake::No => return None,
            Handshake::Refused(why) => {
                self.metrics.webhook_refused(why);
                let origin = parts.headers.get(webhook::REQUEST_ORIGIN);
                tracing::debug!(
                    ?origin,
                    listener = &*self.name,
                    reason = why.name(),
                    "a webhook's handshake was refused"
                );
            }
            Handshake::Granted(headers) => answer.headers_mut().extend(headers),
        }
        Some(answer)
    }

    /// Whether the sender may send all of it: what is refused in part would be sent again whole.
    fn may_send(&self, pass: &Pass, parts: &Parts, items: &[Result<Event, Malformed>]) -> Result<(), Denial> {
        let in_body = binary::mode(&parts.headers).is_ok_and(|mode| mode != Mode::Binary);
        for event in items.iter().filter_map(|item| item.as_ref().ok()) {
            self.guard.event(pass, parts, Attributes { source: event.source(), ty: event.ty(), in_body })?;
        }
        self.guard.granted(pass, parts, items.len());
        Ok(())
    }

    /// What a sender is told who may not enter; the guard has told the operator.
    fn refuse(&self, denial: &Denial) -> Response<Bytes> {
        self.metrics.refused(&self.name, denial.why);
        match self.inbound.refused() {
            Refused::Drops => denial.careful_answer(),
            Refused::Told | Refused::Repeats => denial.answer(),
        }
    }

    async fn collect(&self, parts: &Parts, incoming: &mut Incoming) -> Result<Bytes, BodyError> {
        body::collect_within(&parts.headers, incoming, &self.body, &self.receiving).await
    }

    /// What a sender is told whose body could not be read.
    fn unread(&self, error: &BodyError) -> Response<Bytes> {
        let again = matches!(error, BodyError::NoRoom { .. }).then_some(Duration::from_secs(1));
        let told = Error::status(error.status(), again, error.to_string());
        self.complaints.of_request(&self.name, self.inbound.refused(), &told);
        let mut answer = self.inbound.answer(&Outcome::Unavailable(told));
        if matches!(error, BodyError::UnsupportedEncoding { .. }) {
            // Tells a sender that it is the encoding, not the format, and which to take (RFC 9110, section 12.5.3).
            answer.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(body::ACCEPT_ENCODING));
        }
        answer
    }

    /// What is kept of the hop, told by the message itself or else by headers, and how many events it brought together.
    fn hop_of(
        &self,
        parts: &Parts,
        told: Vec<(String, String)>,
        batch: Option<usize>,
    ) -> Vec<(String, String)> {
        let mut kept = if told.is_empty() { crate::registry::hop_of(self.hop, &parts.headers) } else { told };
        if let Some(events) = batch
            && !kept.is_empty()
        {
            kept.push((hop::BATCH.to_owned(), events.to_string()));
        }
        kept
    }

    async fn keep(
        &self,
        accept: &dyn Accept,
        items: Vec<Result<Event, Malformed>>,
        hop: &[(String, String)],
    ) -> Result<Outcome> {
        let (mut events, mut malformed) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match item {
                Ok(mut event) => {
                    let key = self.keys.of(&self.name, &event);
                    hop::keep(&mut event, hop); // on disk there is only the event
                    events.push((event, key));
                }
                Err(member) => malformed.push(member),
            }
        }
        let letters = malformed.iter().map(|member| self.letter(member.clone())).collect();
        let (count, dead) = (events.len(), malformed.len());
        // All or nothing: a sender who is refused sends again, and would leave the same letters each time.
        accept.accept(events, letters).await?;
        self.buried(&malformed.iter().collect::<Vec<_>>());
        self.metrics.accepted(count);
        Ok(Outcome::Accepted { events: count, dead })
    }

    /// Keeps the malformed members of a batch, before any other is tried. Sent again they would be malformed again,
    /// so without a home for them their sender is told at once.
    async fn bury(
        &self,
        home: Option<&dyn DeadLetters>,
        items: &[Result<Event, Malformed>],
    ) -> Result<usize> {
        let malformed: Vec<&Malformed> = items.iter().filter_map(|item| item.as_ref().err()).collect();
        let Some(first) = malformed.first() else { return Ok(0) };
        let Some(home) = home else {
            let detail =
                format!("a member of the batch is no event, and nothing of it was tried: {}", first.why);
            return Err(Error::status(400, None, detail));
        };
        let letters: Vec<_> = malformed.iter().map(|&malformed| self.letter(malformed.clone())).collect();
        try_join_all(letters.iter().map(|letter| home.put(letter))).await?;
        self.buried(&malformed);
        Ok(letters.len())
    }

    /// Counts and says what was kept as dead letters.
    fn buried(&self, malformed: &[&Malformed]) {
        for _ in malformed {
            self.metrics.dead(Code::Malformed);
        }
        if let Some(first) = malformed.first() {
            self.complaints.of_members(&self.name, malformed.len(), first);
        }
    }

    fn letter(&self, malformed: Malformed) -> DeadLetter {
        let now = unix_ms();
        DeadLetter {
            target: None,
            reason: not_an_event(malformed.why.clone()),
            item: Err(malformed),
            key: None,
            origin: self.origin(),
            attempts: 0,
            first_ms: now,
            last_ms: now,
        }
    }

    fn origin(&self) -> Origin {
        Origin { source: self.name.clone(), position: Position::none(), headers: Vec::new() }
    }
}

/// How events are sent.
fn by_post(status: StatusCode) -> Response<Bytes> {
    let mut answer = cloudevents::text(status, "events are sent by POST");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    answer
}

fn not_an_event(why: String) -> Reason {
    Reason { code: Code::Malformed, status: Some(400), detail: why }
}
