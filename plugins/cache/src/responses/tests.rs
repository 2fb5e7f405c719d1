//! What the unit tests share: settings, answers, and a function that answers as a test tells it.

mod meanwhile;
mod whole;

use super::{
    ask::{Ask, Asked, ask},
    keep::{Came, judge},
    page::Kept,
    *,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use outrigger_core::{BoxFuture, CallCx, Caller, Error, Kind, Result, TargetId};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::advance,
};

/// Those of most tests.
pub(super) fn settings() -> Settings {
    Settings {
        bytes_max: 1 << 20,
        object_bytes_max: 1 << 10,
        variants_max: 8,
        fresh_default: Duration::ZERO,
        heuristic_max: Duration::from_hours(1),
        coalesce_wait: Duration::from_secs(5),
        pass_for: Duration::from_secs(10),
        tags: vec![HeaderName::from_static("cache-tag")],
        tenant: Tenant::Host,
        cookies_are_credentials: true,
        keeps_cookies: false,
        heeds_clients: true,
    }
}

/// Headers; a name may come more than once.
pub(super) fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// What a request asks that asks something.
pub(super) fn asked<B>(request: &Request<B>) -> Asked {
    match ask(&settings(), request) {
        Ask::Look(asked) => asked,
        past => panic!("{past:?}"),
    }
}

/// An answer that came now and is fresh for so many seconds.
pub(super) fn kept(seconds: u64) -> Kept {
    let mut headers = HeaderMap::new();
    headers.insert("cache-control", HeaderValue::try_from(format!("max-age={seconds}")).unwrap());
    let request = Request::get("/").header("host", "x").body(()).unwrap();
    let now = Instant::now();
    let came =
        Came { status: StatusCode::OK, headers: &headers, asked: now, at: now, date: SystemTime::now() };
    *judge(&settings(), &asked(&request), request.headers(), came).unwrap()
}

/// A request at the function, and the way to answer it.
type Call = (Request<Body>, oneshot::Sender<Result<Response<Body>>>);

struct Function(mpsc::Sender<Call>);

impl Exchange for Function {
    fn send<'a>(&'a self, request: Request<Body>, _: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.0.send((request, answer)).await.expect("the test is there");
            answered.await.expect("the test answers")
        })
    }
}

struct Rig {
    responses: Arc<Responses>,
    front: Arc<dyn Exchange>,
    /// What other methods than GET and HEAD are asked of.
    inner: Arc<dyn Exchange>,
    calls: mpsc::Receiver<Call>,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let (function, calls) = mpsc::channel(16);
        let responses = Arc::new(Responses::new(settings));
        let inner = responses.clone().watch(Arc::new(Function(function)));
        Self { front: responses.clone().before(inner.clone()), inner, responses, calls }
    }

    /// Sends a request, which waits for its answer by itself.
    fn ask(&self, request: Request<Body>) -> JoinHandle<Result<Response<Body>>> {
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        let front = if is_read { self.front.clone() } else { self.inner.clone() };
        tokio::spawn(async move { front.send(request, &cx()).await })
    }

    /// The next request at the function.
    async fn call(&mut self) -> Call {
        self.calls.recv().await.expect("the function is asked")
    }

    /// Sends a request that the function answers so, and reads the answer to its end.
    async fn fill(&mut self, request: Request<Body>, answer: Response<Body>) -> (u16, String, Bytes) {
        let asked = self.ask(request);
        self.call().await.1.send(Ok(answer)).unwrap();
        read(asked).await
    }

    /// Sends a request that must not reach the function.
    async fn hit(&mut self, request: Request<Body>) -> (u16, String, Bytes) {
        let read = read(self.ask(request)).await;
        assert!(self.calls.is_empty(), "the function was asked");
        read
    }
}

fn cx() -> CallCx {
    CallCx { stream: Some(Duration::from_secs(1)), ..CallCx::first(TargetId("function".into())) }
}

/// Status, what the cache says, and the body.
async fn read(asked: JoinHandle<Result<Response<Body>>>) -> (u16, String, Bytes) {
    let (parts, body) = asked.await.unwrap().unwrap().into_parts();
    let told = parts.headers["cache-status"].to_str().unwrap().to_owned();
    (parts.status.as_u16(), told, body.collect().await.unwrap().to_bytes())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header("host", "x").body(Body::default()).unwrap()
}

fn with(mut request: Request<Body>, name: &'static str, value: &'static str) -> Request<Body> {
    request.headers_mut().append(name, HeaderValue::from_static(value));
    request
}

fn text(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Response<Body> {
    let mut answer = Response::new(text(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    *answer.headers_mut() = map(headers);
    answer
}

fn fresh(body: &'static str) -> Response<Body> {
    answer(200, &[("cache-control", "max-age=60")], body)
}

/// A body of pieces that the test feeds.
fn pieces() -> (mpsc::Sender<Result<Frame<Bytes>>>, Body) {
    struct Pieces(mpsc::Receiver<Result<Frame<Bytes>>>);
    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Error;
        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
            self.0.poll_recv(cx)
        }
    }
    let (feed, pieces) = mpsc::channel(16);
    (feed, Pieces(pieces).boxed_unsync())
}

fn post(path: &str) -> Request<Body> {
    Request::post(path).header("host", "x").body(text("{}")).unwrap()
}
