//! The [`Exchange`] to whoever takes events by POST beside the function: our token, and the rules of the CloudEvents
//! webhooks (HTTP 1.1 Web Hooks for Event Delivery 1.0.2).
//!
//! - Leave to send (section 4): asked for by OPTIONS before the first event, and again after an answer that takes it back.
//!   Consent is `WebHook-Allowed-Origin`, never the status. Its rate, in requests per minute, is kept.
//! - 410 (section 2.2): it is retired, and is left alone for [`Rules::retired_wait`]; its events wait.
//!
//! Both are errors of kind `Unreachable`: no attempt of the event, as nothing of it was sent or judged. What 415 and 429
//! with `Retry-After` mean is decided as for the function (`outrigger_core::decide`).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Empty};
use outrigger_core::{Body, BoxFuture, CallCx, Error, Exchange, Kind, Result, decide::rate::Rate};
use outrigger_net::token::TokenFile;
use tokio::time::{Instant, sleep_until};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// What is kept to beside the exchange itself.
#[derive(Debug)]
pub struct Rules {
    /// Who we are; none says nothing.
    pub token: Option<TokenFile>,
    /// As which origin leave is asked for; none asks not.
    pub origin: Option<HeaderValue>,
    /// How long it is left alone once it says that it is retired.
    pub retired_wait: Duration,
}

/// An exchange within these rules.
pub struct Outward {
    inner: Arc<dyn Exchange>,
    url: Uri,
    /// The URL for people: its query may hold a secret, and what is told here reaches logs and senders.
    shown: String,
    rules: Rules,
    /// What it granted us; one at a time asks.
    leave: tokio::sync::Mutex<Option<Leave>>,
    retired_until: Mutex<Option<Instant>>,
}

struct Leave {
    rate: Option<Rate>,
}

impl Outward {
    /// Requests to `url` through `inner`, within `rules`.
    #[must_use]
    pub fn new(url: Uri, inner: Arc<dyn Exchange>, rules: Rules) -> Self {
        let (leave, retired_until) = (tokio::sync::Mutex::default(), Mutex::default());
        let query = if url.query().is_some() { "?…" } else { "" };
        let text = url.to_string();
        let shown = [text.split('?').next().unwrap_or_default(), query].concat();
        Self { inner, url, shown, rules, leave, retired_until }
    }

    async fn within(&self, mut request: Request<Body>, cx: &CallCx) -> Result<Response<Body>> {
        self.not_retired()?;
        if let Some(origin) = &self.rules.origin {
            self.turn(origin, cx).await?;
        }
        if let Some(token) = self.authorization() {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let answer = self.inner.send(request, cx).await?;
        match answer.status() {
            StatusCode::GONE => Err(self.retired().await),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.leave.lock().await.take(); // it may have taken it back: the next asks anew
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    /// Waits for leave to send one event, within the granted rate.
    async fn turn(&self, origin: &HeaderValue, cx: &CallCx) -> Result<()> {
        loop {
            let mut leave = self.leave.lock().await;
            if leave.is_none() {
                *leave = Some(self.ask(origin, cx).await?);
            }
            let rate = leave.as_mut().and_then(|leave| leave.rate.as_mut());
            match rate.map_or(Ok(()), |rate| rate.take(Instant::now().into_std())) {
                Ok(()) => return Ok(()),
                Err(due) => {
                    drop(leave);
                    sleep_until(due.into()).await;
                }
            }
        }
    }

    async fn ask(&self, origin: &HeaderValue, cx: &CallCx) -> Result<Leave> {
        let mut request = Request::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
        *request.method_mut() = Method::OPTIONS;
        *request.uri_mut() =
            self.url.path_and_query().map_or_else(|| Uri::from_static("/"), |path| path.clone().into());
        request.headers_mut().insert(REQUEST_ORIGIN, origin.clone());
        if let Some(token) = self.authorization() {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let answer = self.inner.send(request, cx).await.map_err(|error| {
            Error::new(
                Kind::Unreachable,
                format!("{} could not be asked for leave to send: {error}", self.shown),
            )
        })?;
        if answer.status() == StatusCode::GONE {
            return Err(self.retire());
        }
        let told = answer.headers().get(ALLOWED_ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
        let allows = told == b"*" || told.eq_ignore_ascii_case(origin.as_bytes());
        if !allows {
            let (status, url) = (answer.status().as_u16(), &self.shown);
            let origin = String::from_utf8_lossy(origin.as_bytes());
            let message = format!(
                "{url} grants {origin} no leave to send: OPTIONS was answered {status} without that origin in \
                 WebHook-Allowed-Origin"
            );
            return Err(Error::new(Kind::Unreachable, message));
        }
        Ok(Leave { rate: answer.headers().get(ALLOWED_RATE).and_then(per_second).map(Rate::new) })
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.rules.token.as_ref().map(|token| token.authorization(Instant::now().into_std()))
    }

    async fn retired(&self) -> Error {
        self.leave.lock().await.take();
        self.retire()
    }

    fn retire(&self) -> Error {
        let until = Instant::now() + self.rules.retired_wait;
        *self.retired_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.is_retired()
    }

    fn not_retired(&self) -> Result<()> {
        let until = *self.retired_until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| Instant::now() < until) { Err(self.is_retired()) } else { Ok(()) }
    }

    fn is_retired(&self) -> Error {
        let (url, wait) = (&self.shown, self.rules.retired_wait);
        let message = format!("{url} says that it is retired (410), and is asked again after {wait:?}");
        Error::new(Kind::Unreachable, message)
    }
}

impl Exchange for Outward {
    /// Waits for leave and for the granted rate before it sends. Dropping the future gives up the turn.
    ///
    /// # Errors
    /// `Unreachable` without leave and while it is retired, and those of the exchange within.
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        Box::pin(self.within(request, cx))
    }
}

/// Requests per minute, as a header tells them; none where it sets no bound. Less than one is one.
fn per_second(value: &HeaderValue) -> Option<f64> {
    let per_minute: u32 = value.to_str().ok()?.trim().parse().ok()?;
    Some(f64::from(per_minute.max(1)) / 60.0)
}
