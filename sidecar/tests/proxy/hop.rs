//! What of a request's and an answer's head passes, and what belongs to the hop.

use crate::{
    common::Site,
    rig::{Through, request, site},
};
use http::Method;
use outrigger_testkit::Process;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

#[tokio::test]
async fn what_belongs_to_the_hop_stays_there_and_the_rest_is_untouched() {
    let through = Through::start().await;
    let mut sent = request(Method::GET, "/a%2Fb/../c?d=%20e", "");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (name, value) in [
        ("traceparent", trace),
        ("tracestate", "a=b"),
        ("connection", "x-mine, keep-alive"),
        ("x-mine", "secret"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic eA=="),
        ("authorization", "Bearer theirs"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
    ] {
        sent.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(through.ask(sent).await.0, 200);
    let seen = &through.function.seen()[0];
    assert_eq!((&seen.method, seen.target.as_str()), (&Method::GET, "/a%2Fb/../c?d=%20e"));
    assert_eq!(seen.headers["host"], "example.test");
    assert_eq!(seen.headers["traceparent"], trace);
    assert_eq!(seen.headers["tracestate"], "a=b");
    assert_eq!(seen.headers["authorization"], "Bearer theirs");
    for gone in ["connection", "x-mine", "keep-alive", "proxy-authorization", "x-forwarded-for", "forwarded"]
    {
        assert!(!seen.headers.contains_key(gone), "{gone} passed");
    }
}

#[tokio::test]
async fn the_function_is_told_who_asked_where_that_is_wanted() {
    let through = Through::with(|site| site.set("proxy.forwarded", "both")).await;
    let mut sent = request(Method::GET, "/", "");
    sent.headers_mut().insert("x-forwarded-for", "10.0.0.1".parse().unwrap());
    through.ask(sent).await;
    let seen = &through.function.seen()[0];
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen.headers["x-forwarded-host"], "example.test");
    assert_eq!(seen.headers["forwarded"], "for=127.0.0.1;host=\"example.test\";proto=http");
}

#[tokio::test]
async fn a_head_alone_keeps_the_length_of_the_body_that_it_stands_for() {
    let through = Through::start().await;
    let (status, headers, body) = through.ask(request(Method::HEAD, "/", "")).await;
    assert_eq!((status, headers["content-length"].to_str().unwrap(), body.len()), (200, "6", 0));
}

#[tokio::test]
async fn http_1_0_is_answered_and_the_function_is_asked_in_1_1() {
    let through = Through::start().await;
    let answer = through.raw(b"GET / HTTP/1.0\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("a word"), "{answer}");
}

#[tokio::test]
async fn a_request_that_asks_for_http2_gets_http1_and_the_function_never_hears_of_it() {
    let through = Through::start().await;
    let answer = through
        .raw(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\n\
              http2-settings: AAMAAABkAAQAAP__\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = &through.function.seen()[0];
    assert!(!seen.headers.contains_key("upgrade") && !seen.headers.contains_key("http2-settings"));
}

#[tokio::test]
async fn a_token_is_asked_for_where_one_is_configured() {
    let through = Through::with(|site| {
        std::fs::write(site.path("token"), "right").unwrap();
        site.set("proxy.auth", "{bearer_file: token}")
    })
    .await;
    let (status, headers, _) = through.get("/").await;
    assert_eq!((status, headers["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    let mut sent = request(Method::GET, "/", "");
    sent.headers_mut().insert("authorization", "Bearer right".parse().unwrap());
    assert_eq!(through.ask(sent).await.0, 200);
    assert_eq!(through.function.seen().len(), 1);
}

/// A function that writes bytes of its own choice, whatever it is asked.
async fn answering(bytes: &'static [u8]) -> (Site, Process, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let (site, proxy) = site(&url);
    let process = site.start().await;
    (site, process, proxy)
}

#[tokio::test]
async fn an_answer_with_two_lengths_is_as_long_as_its_chunks() {
    let answer =
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let (_site, _process, proxy) = answering(answer).await;
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("5\r\nhello\r\n0\r\n\r\n"), "{text}");
    assert!(!text.to_ascii_lowercase().contains("content-length"), "{text}");
}
