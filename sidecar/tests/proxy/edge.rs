//! Those who come with bad intent: ambiguous requests, slow ones, too many; a healthy client is served meanwhile.

use crate::rig::Through;
use outrigger_testkit::process::WAIT_MAX;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Requests that one reader ends here and another there, after the public collections of such (RFC 9112 section 11.2,
/// "HTTP Desync Attacks" and their successors). Each hides `GET /smuggled`.
pub(crate) const AMBIGUOUS: &[(&str, &str)] = &[
    ("both, length first", "content-length: 6\r\ntransfer-encoding: chunked\r\n"),
    ("both, chunks first", "transfer-encoding: chunked\r\ncontent-length: 6\r\n"),
    ("both, in other cases", "Transfer-Encoding: chunked\r\nCONTENT-LENGTH: 6\r\n"),
    (
        "both, and named by connection",
        "connection: content-length\r\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n",
    ),
    ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n"),
    ("a list of lengths", "content-length: 5, 6\r\n"),
    ("a length with a sign", "content-length: +6\r\n"),
    ("a negative length", "content-length: -1\r\n"),
    ("a length in hexadecimal", "content-length: 0x6\r\n"),
    ("a length that overflows", "content-length: 18446744073709551622\r\n"),
    ("no length at all", "content-length: \r\n"),
    ("another coding", "transfer-encoding: xchunked\r\n"),
    ("chunked not last", "transfer-encoding: chunked, identity\r\n"),
    ("chunked in quotes", "transfer-encoding: \"chunked\"\r\n"),
    ("a blank before the colon", "transfer-encoding : chunked\r\n"),
    ("a tab before the colon", "transfer-encoding\t: chunked\r\n"),
    ("a folded value", "transfer-encoding:\r\n chunked\r\n"),
    ("a folded name", "x: y\r\n transfer-encoding: chunked\r\n"),
    ("a control byte in the name", "transfer\u{b}-encoding: chunked\r\n"),
    ("a NUL in the value", "transfer-encoding: chunked\0\r\n"),
    ("a bare return", "x: y\rtransfer-encoding: chunked\r\n"),
    ("no name", ": chunked\r\n"),
    ("two hosts", "host: y\r\n"),
];

#[tokio::test]
async fn ambiguous_requests_are_refused_and_nothing_in_them_reaches_the_function() {
    let through = Through::start().await;
    for (what, headers) in AMBIGUOUS {
        let hidden = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n{hidden}");
        let answer = through.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer:?}");
    }
    assert!(through.function.seen().is_empty(), "{:?}", through.function.seen());
    through.serves().await;
}

#[tokio::test]
async fn a_transfer_coding_that_is_not_undone_here_is_501() {
    let through = Through::start().await;
    for headers in ["gzip, chunked", "gzip\r\ntransfer-encoding: chunked"] {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {headers}\r\n\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
        );
        let answer = through.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 501"), "{headers}: {answer:?}");
    }
    assert!(through.function.seen().is_empty(), "{:?}", through.function.seen());
    let counted = through.site.metric("outrigger_listener_misframed_total{listener=\"proxy\"}").await;
    assert!((counted - 2.0).abs() < 0.5, "{counted}");
    through.serves().await;
}

/// What is read in one way only, though some read it in another: the function gets one request, framed anew.
#[tokio::test]
async fn odd_requests_that_pass_are_framed_anew() {
    let through = Through::start().await;
    for (what, request) in [
        ("equal lengths", "POST /odd HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx"),
        (
            "a chunk's extension",
            "POST /odd HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
        ),
        (
            "a length before a form feed's body",
            "POST /odd HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n\u{c}",
        ),
        (
            "bytes after the last request",
            "GET /odd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
    ] {
        let before = through.function.seen().len();
        let closing = request.replacen("host: x\r\n", "host: x\r\nconnection: close\r\n", 1);
        let answer = through.raw(closing.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{what}: {answer:?}");
        let seen = through.function.seen();
        assert_eq!((seen.len(), seen[before].target.as_str()), (before + 1, "/odd"), "{what}");
    }
    through.serves().await;
}

#[tokio::test]
async fn chunks_that_do_not_add_up_break_the_request_off() {
    let through = Through::start().await;
    for chunks in
        ["x\r\n", "-1\r\nx", "1\nx\n0\n\n", "ffffffffffffffff1\r\nx", "2\r\nxyz\r\n0\r\n\r\n", "1 \r\r\nx"]
    {
        let request = format!(
            "POST /odd HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}GET /smuggled HTTP/1.1\r\n\r\n"
        );
        let answer = through.raw(request.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{chunks:?}: {answer:?}");
    }
    assert!(
        through.function.seen().iter().all(|seen| seen.target == "/odd"),
        "{:?}",
        through.function.seen()
    );
    through.serves().await;
}

#[tokio::test]
async fn hosts_and_methods_that_are_none_are_refused() {
    let through = Through::start().await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a@b\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a, b\r\n", 400),
        ("CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n", 405),
        ("GET\t/ HTTP/1.1\r\nhost: x\r\n", 400),
        ("G ET / HTTP/1.1\r\nhost: x\r\n", 400),
        ("GET / HTTP/9.9\r\nhost: x\r\n", 400),
    ] {
        let answer = through.raw(format!("{request}connection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {answer:?}");
    }
    assert!(through.function.seen().is_empty());
}

#[tokio::test]
async fn row_32_a_thousand_headers_and_a_megabyte_of_one_are_431() {
    let through = Through::start().await;
    let many = "x: y\r\n".repeat(1000);
    let large = format!("x: {}\r\n", "y".repeat(1 << 20));
    for headers in [many, large] {
        let answer = through.raw(format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer:?}");
    }
    through.serves().await;
}

#[tokio::test]
async fn row_31_slow_heads_are_cut_and_idle_connections_cost_little() {
    let through =
        Through::with(|site| site.set("proxy.header_timeout", "3s").set("proxy.connections_max", "20000"))
            .await;
    let before = through.process.resident_bytes().unwrap();
    let mut slow = Vec::new();
    let connections = connections();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(through.proxy).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        slow.push(stream);
    }
    through.serves().await;
    let each = (through.process.resident_bytes().unwrap().saturating_sub(before)) / connections;
    assert!(each < 48 << 10, "{each} bytes for each slow connection");
    for stream in &mut slow {
        let end = tokio::time::timeout(WAIT_MAX, stream.read(&mut [0; 64])).await;
        assert!(!matches!(end.expect("it is cut in time"), Ok(1..)), "closed without an answer");
    }
    through.serves().await;
}

/// 10,000, or what this process may open files for.
fn connections() -> u64 {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    files.map_or(10_000, |files| (files.saturating_sub(200) / 2).min(10_000))
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut() {
    let through =
        Through::with(|site| site.set("proxy.idle_timeout", "300ms").set("function.concurrency", "1")).await;
    let feed = through.function.feed();
    let mut stream = TcpStream::connect(through.proxy).await.unwrap();
    stream.write_all(b"GET /feed HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let piece = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    let feeding = tokio::time::timeout(WAIT_MAX, async {
        while feed.send(hyper::body::Frame::data(piece.clone())).await.is_ok() {}
    });
    feeding.await.expect("the function sees its client go");
    tokio::time::timeout(Duration::from_secs(10), through.serves()).await.expect("the place is free again");
}
