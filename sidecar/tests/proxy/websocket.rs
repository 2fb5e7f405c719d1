//! `WebSockets`: over HTTP/2 by an extended CONNECT (RFC 8441), and with tokens over either version.

use crate::{common::Site, rig::Through};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http2::SendRequest, ext::Protocol, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use outrigger_testkit::process::WAIT_MAX;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::Role},
};

type Sender = SendRequest<Empty<Bytes>>;

fn get(path: &str) -> Request<Empty<Bytes>> {
    let request = Request::get(format!("http://x{path}")).version(Version::HTTP_2);
    request.body(Empty::new()).unwrap()
}

/// A connection over which the proxy's settings have come: before that no client may use what they allow.
async fn connected(through: &Through) -> Sender {
    let mut sender = through.http2().await;
    let answer = sender.send_request(get("/")).await.unwrap();
    answer.into_body().collect().await.unwrap();
    sender
}

async fn asks(
    sender: &mut Sender,
    path: &str,
    protocol: &'static str,
    token: Option<&str>,
) -> Response<Incoming> {
    let request = Request::builder().method(Method::CONNECT).uri(format!("http://x{path}"));
    let request = request.version(Version::HTTP_2).header("sec-websocket-version", "13");
    let request = request.extension(Protocol::from_static(protocol));
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap()
}

async fn opened(answer: Response<Incoming>) -> WebSocketStream<TokioIo<Upgraded>> {
    assert_eq!(answer.status(), StatusCode::OK);
    for name in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    let io = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    WebSocketStream::from_raw_socket(io, Role::Client, None).await
}

async fn echoes(socket: &mut WebSocketStream<TokioIo<Upgraded>>, message: Message) {
    socket.send(message.clone()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), message);
}

#[tokio::test]
async fn a_websocket_over_http2_reaches_a_function_of_http1_beside_other_requests() {
    let through = Through::start().await;
    let mut sender = connected(&through).await;
    let mut first = opened(asks(&mut sender, "/ws", "websocket", None).await).await;
    let mut second = opened(asks(&mut sender, "/ws?x=y", "websocket", None).await).await;
    for socket in [&mut first, &mut second] {
        echoes(socket, Message::text("one")).await;
        echoes(socket, Message::binary(vec![7; 300_000])).await;
    }
    let answer = sender.send_request(get("/")).await.unwrap();
    assert_eq!(answer.status(), 200, "its connection serves others, too");
    first.close(None).await.unwrap();
    echoes(&mut second, Message::text("two")).await;

    let seen = &through.function.seen()[2];
    assert_eq!((&seen.method, seen.target.as_str()), (&Method::GET, "/ws?x=y"));
    for (name, value) in
        [("host", "x"), ("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13")]
    {
        assert_eq!(seen.headers[name], value, "{name}");
    }
}

#[tokio::test]
async fn only_a_websocket_that_the_function_takes_up_is_told_as_one() {
    let through = Through::with(|site| site.set("proxy.upgrades_max", "1")).await;
    let mut sender = connected(&through).await;
    for (path, protocol, status) in
        [("/", "websocket", 502), ("/down", "websocket", 503), ("/ws", "connect-udp", 501)]
    {
        let answer = asks(&mut sender, path, protocol, None).await;
        assert_eq!(answer.status(), status, "{protocol} at {path}");
    }
    let _held = opened(asks(&mut sender, "/ws", "websocket", None).await).await;
    assert_eq!(asks(&mut sender, "/ws", "websocket", None).await.status(), 503, "beyond upgrades_max");
    let plain = Request::builder().method(Method::CONNECT).uri("x:443").version(Version::HTTP_2);
    let answer = sender.send_request(plain.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 405);
    through.serves().await;
}

#[tokio::test]
async fn a_connection_with_an_open_websocket_is_not_idle() {
    let through = Through::with(|site| site.set("proxy.idle_timeout", "1s")).await;
    let mut sender = connected(&through).await;
    let mut socket = opened(asks(&mut sender, "/ws", "websocket", None).await).await;
    let mut other = connected(&through).await;
    let closed = async {
        while other.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT_MAX, closed).await.expect("one that was opened later is closed as idle");
    echoes(&mut socket, Message::text("still there")).await;
}

fn with_token(site: Site) -> Site {
    std::fs::write(site.path("token"), "right").unwrap();
    site.set("proxy.auth", "{bearer_file: token}")
}

#[tokio::test]
async fn a_websocket_is_opened_only_with_the_token_over_either_version() {
    let through = Through::with(with_token).await;
    let mut sender = connected(&through).await;
    for wrong in [None, Some("wrong")] {
        assert_eq!(asks(&mut sender, "/ws", "websocket", wrong).await.status(), 401, "{wrong:?}");
    }
    let mut socket = opened(asks(&mut sender, "/ws", "websocket", Some("right")).await).await;
    echoes(&mut socket, Message::text("one")).await;

    for (token, opens) in [("wrong", false), ("right", true)] {
        let stream = TcpStream::connect(through.proxy).await.unwrap();
        let mut request = format!("ws://{}/ws", through.proxy).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let opened = tokio_tungstenite::client_async(request, stream).await;
        assert_eq!(opened.is_ok(), opens, "{token}");
    }
    let asked: Vec<_> = through.function.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(asked, ["/ws", "/ws"], "nobody else came through");
}
