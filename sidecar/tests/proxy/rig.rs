//! The rig: a function that streams, speaks HTTP/1.1 and HTTP/2, upgrades and remembers; and a site with a proxy.

use crate::common::Site;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header::TRAILER};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use outrigger_testkit::{Process, free_port, process::WAIT_MAX};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

/// A body of pieces that come when they come; trailers end it.
pub(crate) struct Pieces(mpsc::Receiver<Frame<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A body, and what feeds it.
pub(crate) fn pieces() -> (mpsc::Sender<Frame<Bytes>>, Pieces) {
    let (send, receive) = mpsc::channel(16);
    (send, Pieces(receive))
}

pub(crate) type AnyBody = UnsyncBoxBody<Bytes, hyper::Error>;

fn whole(body: impl Into<Bytes>) -> AnyBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// What the function saw of a request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
}

/// The function. By path: `/echo` sends the body back as it comes, trailers too; `/feed` what the test feeds; `/ws` is
/// a WebSocket that echoes; `/refuse` answers 417 without reading; `/hold` waits for [`Upstream::release`]; `/down` is
/// 503; everything else is 200 with a word.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    came: Notify,
    release: Notify,
    feed: Mutex<Option<Pieces>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self::at(0).await
    }

    pub(crate) async fn at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Self { address, shared, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What `/feed` answers next.
    pub(crate) fn feed(&self) -> mpsc::Sender<Frame<Bytes>> {
        let (send, body) = pieces();
        *self.shared.feed.lock().unwrap() = Some(body);
        send
    }

    /// Lets one `/hold` go.
    pub(crate) fn release(&self) {
        self.shared.release.notify_one();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until it has seen so many requests.
    pub(crate) async fn until_seen(&self, count: usize) {
        let came = async {
            loop {
                let came = self.shared.came.notified();
                tokio::pin!(came);
                came.as_mut().enable();
                if self.seen().len() >= count {
                    return;
                }
                came.await;
            }
        };
        let waited = tokio::time::timeout(WAIT_MAX, came).await;
        waited.unwrap_or_else(|_| panic!("the function saw {} of {count} requests", self.seen().len()));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut first = [0; 3];
            let _ = stream.peek(&mut first).await;
            let service = service_fn(move |request| answer(request, shared.clone()));
            if &first == b"PRI" {
                let conn = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = conn.serve_connection(TokioIo::new(stream), service).await;
            } else {
                let conn = hyper::server::conn::http1::Builder::new();
                let _ = conn.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            }
        });
    }
}

async fn answer(mut request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<AnyBody>> {
    shared.seen.lock().unwrap().push(Seen {
        method: request.method().clone(),
        target: request.uri().path_and_query().map_or("*".into(), ToString::to_string),
        headers: request.headers().clone(),
    });
    shared.came.notify_waiters();
    let path = request.uri().path().to_owned();
    let mut answer = Response::new(whole("a word"));
    match path.as_str() {
        "/echo" => {
            let trailer = request.headers().get(TRAILER).cloned();
            *answer.body_mut() = request.into_body().boxed_unsync();
            if let Some(trailer) = trailer {
                answer.headers_mut().insert(TRAILER, trailer);
            }
            return Ok(answer);
        }
        "/feed" => {
            let body = shared.feed.lock().unwrap().take().expect("the test feeds it");
            *answer.body_mut() = body.map_err(|never| match never {}).boxed_unsync();
            answer.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
            return Ok(answer);
        }
        "/refuse" => {
            *answer.status_mut() = StatusCode::EXPECTATION_FAILED;
            return Ok(answer);
        }
        "/ws" => {
            let key = request.headers().get("sec-websocket-key").cloned().expect("a WebSocket's key");
            tokio::spawn(echo_messages(hyper::upgrade::on(&mut request)));
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *answer.body_mut() = whole("");
            let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
            let headers = answer.headers_mut();
            headers.insert("connection", HeaderValue::from_static("Upgrade"));
            headers.insert("upgrade", HeaderValue::from_static("websocket"));
            headers.insert("sec-websocket-accept", accept.parse().unwrap());
            return Ok(answer);
        }
        "/hold" => shared.release.notified().await,
        "/down" => *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
        _ => {}
    }
    let _ = request.into_body().collect().await;
    Ok(answer)
}

async fn echo_messages(upgrade: hyper::upgrade::OnUpgrade) {
    let io = TokioIo::new(upgrade.await.unwrap());
    let (sink, stream) = WebSocketStream::from_raw_socket(io, Role::Server, None).await.split();
    let data = stream.filter(|message| {
        std::future::ready(message.as_ref().is_ok_and(|message| message.is_text() || message.is_binary()))
    });
    let _ = data.forward(sink).await;
}

/// A process with a proxy, and its function.
pub(crate) struct Through {
    pub(crate) site: Site,
    pub(crate) process: Process,
    pub(crate) proxy: SocketAddr,
    pub(crate) function: Upstream,
}

impl Through {
    pub(crate) async fn start() -> Self {
        Self::with(|site| site).await
    }

    pub(crate) async fn with(change: impl FnOnce(Site) -> Site) -> Self {
        let function = Upstream::start().await;
        let (site, proxy) = site(&function.url());
        let site = change(site);
        let process = site.start().await;
        Self { site, process, proxy, function }
    }

    /// A connection of HTTP/1.1.
    pub(crate) async fn http1<B>(&self) -> http1::SendRequest<B>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = TcpStream::connect(self.proxy).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender
    }

    /// A connection of HTTP/2.
    pub(crate) async fn http2<B>(&self) -> http2::SendRequest<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = TcpStream::connect(self.proxy).await.unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// `GET path` over a connection of its own: status, headers and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, HeaderMap, Bytes) {
        self.ask(request(Method::GET, path, "")).await
    }

    /// The same with any request.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> (u16, HeaderMap, Bytes) {
        let answer = self.http1().await.send_request(request).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("a whole answer").to_bytes();
        (parts.status.as_u16(), parts.headers, body)
    }

    /// Writes `bytes` to a connection of its own, and reads until the other side closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.proxy).await.unwrap();
        let _ = stream.write_all(bytes).await; // it may be refused before the last byte
        let mut answer = Vec::new();
        let read = tokio::time::timeout(WAIT_MAX, stream.read_to_end(&mut answer)).await;
        let _ = read.expect("the connection is closed"); // with bytes unread the close is a reset
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A healthy client is served.
    pub(crate) async fn serves(&self) {
        let asked = tokio::time::timeout(Duration::from_secs(10), self.get("/healthy")).await;
        assert_eq!(asked.expect("a healthy client is served in time").0, 200);
    }
}

/// A site with a proxy before the function at `url`, and the proxy's address.
pub(crate) fn site(url: &str) -> (Site, SocketAddr) {
    let proxy = SocketAddr::from(([127, 0, 0, 1], free_port()));
    (Site::at(url).set("proxy.listen", &proxy.to_string()), proxy)
}

pub(crate) fn request(method: Method, target: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(target).header("host", "example.test");
    request.body(Full::new(body.into())).unwrap()
}
