//! Streaming: each piece passes when it comes, both ways, over both versions.

use crate::rig::{Through, Upstream, pieces, request, site};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::Message;

fn data(bytes: &'static [u8]) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(bytes))
}

fn echo<B>(body: B) -> Request<B> {
    let request = Request::post("/echo").header("host", "x").header("te", "trailers");
    request.header("trailer", "x-sum").body(body).unwrap()
}

fn sum() -> HeaderMap {
    [(http::HeaderName::from_static("x-sum"), HeaderValue::from_static("42"))].into_iter().collect()
}

/// Each piece is sent only after the last one came back, and trailers come at the end.
async fn passes_piece_by_piece(
    feed: tokio::sync::mpsc::Sender<Frame<Bytes>>,
    answer: http::Response<hyper::body::Incoming>,
) {
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body();
    for piece in [&b"one"[..], b"two", b"three"] {
        feed.send(data(piece)).await.unwrap();
        let came = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(came, piece);
    }
    feed.send(Frame::trailers(sum())).await.unwrap();
    drop(feed);
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), sum());
}

#[tokio::test]
async fn pieces_and_trailers_pass_both_ways_as_they_come() {
    let through = Through::start().await;
    let (feed, body) = pieces();
    let answer = through.http1().await.send_request(echo(body)).await.unwrap();
    passes_piece_by_piece(feed, answer).await;
}

#[tokio::test]
async fn the_same_over_http2_to_a_function_of_http1() {
    let through = Through::start().await;
    let (feed, body) = pieces();
    let mut request = echo(body);
    *request.uri_mut() = "http://x/echo".parse().unwrap();
    *request.version_mut() = Version::HTTP_2;
    let answer = through.http2().await.send_request(request).await.unwrap();
    passes_piece_by_piece(feed, answer).await;
    assert_eq!(through.function.seen()[0].headers["host"], "x");
}

#[tokio::test]
async fn the_same_to_a_function_of_http2_from_either_version() {
    let through = Through::with(|site| site.set("function.protocol", "h2c")).await;
    let (feed, body) = pieces();
    let answer = through.http1().await.send_request(echo(body)).await.unwrap();
    passes_piece_by_piece(feed, answer).await;

    let (feed, body) = pieces();
    let mut request = echo(body);
    *request.uri_mut() = "http://x/echo".parse().unwrap();
    let answer = through.http2().await.send_request(request).await.unwrap();
    passes_piece_by_piece(feed, answer).await;
}

#[tokio::test]
async fn server_sent_events_arrive_one_by_one_also_after_a_rest_longer_than_the_functions_timeout() {
    let through =
        Through::with(|site| site.set("function.timeout", "500ms").set("function.connect_timeout", "100ms"))
            .await;
    let feed = through.function.feed();
    let mut sender = through.http1().await;
    let mut body = sender.send_request(request(Method::GET, "/feed", "")).await.unwrap().into_body();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await; // the rest is what is tested
        feed.send(data(b"data: x\n\n")).await.unwrap();
        let came = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(came, &b"data: x\n\n"[..]);
    }
    drop(feed);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_answer_that_rests_too_long_is_cut_and_not_ended() {
    let through = Through::with(|site| site.set("proxy.stream_idle_timeout", "1s")).await;
    let feed = through.function.feed();
    let mut sender = through.http1().await;
    let mut body = sender.send_request(request(Method::GET, "/feed", "")).await.unwrap().into_body();
    feed.send(data(b"x")).await.unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().is_err(), "an end would be a lie");
}

#[tokio::test]
async fn an_answer_that_outlives_the_idle_timeout_of_its_connection_is_not_cut() {
    let through = Through::with(|site| site.set("proxy.idle_timeout", "100ms")).await;
    let feed = through.function.feed();
    let mut sender = through.http1().await;
    let mut body = sender.send_request(request(Method::GET, "/feed", "")).await.unwrap().into_body();
    tokio::time::sleep(Duration::from_millis(400)).await; // four times as long
    feed.send(data(b"late")).await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), &b"late"[..]);
}

#[tokio::test]
async fn an_answer_that_the_function_breaks_off_breaks_off_here_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (site, proxy) = site(&format!("http://{}/", listener.local_addr().unwrap()));
    let function = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            if stream.read(&mut head).await.unwrap_or(0) > 0 {
                let half = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
                stream.write_all(half).await.unwrap();
            }
        }
    });
    let process = site.start().await;
    let through = Through { site, process, proxy, function: Upstream::start().await };
    let mut sender = through.http1().await;
    let mut body = sender.send_request(request(Method::GET, "/", "")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), &b"half"[..]);
    assert!(body.frame().await.unwrap().is_err(), "an end would be a lie");
    function.abort();
}

#[tokio::test]
async fn a_body_is_asked_for_only_once_the_function_asks() {
    let through = Through::start().await;
    let mut stream = TcpStream::connect(through.proxy).await.unwrap();
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
    };
    stream.write_all(head("/").as_bytes()).await.unwrap();
    assert!(until(&mut stream, b"\r\n\r\n").await.starts_with("HTTP/1.1 100"));
    stream.write_all(b"data").await.unwrap();
    assert!(until(&mut stream, b"a word").await.starts_with("HTTP/1.1 200"));

    // This function does not want it, and its answer comes without a 100 before it.
    let mut stream = TcpStream::connect(through.proxy).await.unwrap();
    stream.write_all(head("/refuse").as_bytes()).await.unwrap();
    assert!(until(&mut stream, b"a word").await.starts_with("HTTP/1.1 417"));
    through.serves().await;
}

async fn until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut came = Vec::new();
    while !came.ends_with(end) {
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_buf(&mut came)).await;
        assert!(read.expect("an answer in time").unwrap() > 0, "{:?}", String::from_utf8_lossy(&came));
    }
    String::from_utf8(came).unwrap()
}

#[tokio::test]
async fn a_websocket_passes_and_its_connection_is_the_clients_alone() {
    let through = Through::start().await;
    for _ in 0..2 {
        let stream = TcpStream::connect(through.proxy).await.unwrap();
        let url = format!("ws://{}/ws", through.proxy);
        let (mut socket, answer) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        for text in ["one", "two"] {
            socket.send(Message::text(text)).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
        }
        let large = Bytes::from(vec![7; 300_000]);
        socket.send(Message::binary(large.clone())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_data(), large);
        socket.close(None).await.unwrap();
        through.serves().await;
    }
}

#[tokio::test]
async fn upgraded_connections_have_a_bound_of_their_own_and_leave_the_functions_places_free() {
    let through =
        Through::with(|site| site.set("proxy.upgrades_max", "1").set("function.concurrency", "1")).await;
    let open = || async {
        let stream = TcpStream::connect(through.proxy).await.unwrap();
        tokio_tungstenite::client_async(format!("ws://{}/ws", through.proxy), stream).await
    };
    let (mut first, _) = open().await.unwrap();
    let refused = open().await.unwrap_err().to_string();
    assert!(refused.contains("503"), "{refused}");
    through.serves().await;
    first.send(Message::text("still there")).await.unwrap();
    assert_eq!(first.next().await.unwrap().unwrap(), Message::text("still there"));
}

#[tokio::test]
async fn ten_megabytes_come_back_byte_for_byte() {
    let through = Through::start().await;
    let sent: Bytes = (0..10_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>().into();
    let (status, _, body) = through.ask(request(Method::PUT, "/echo", sent.clone())).await;
    assert_eq!(status, 200);
    assert!(body == sent, "{} bytes came", body.len());
    let resident = through.process.resident_bytes().unwrap();
    assert!(resident < 64 << 20, "{resident} bytes are resident after 10 MB passed");
}
