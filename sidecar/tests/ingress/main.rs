//! What the way in refuses, and how: bounds, malformed requests, tokens, a full window, a full journal.

mod batches;
#[path = "../common/mod.rs"]
mod common;
mod packed;
mod rules;
mod webhook;

use bytes::Bytes;
use common::{Site, gzip, headers};
use http::Response;
use outrigger_function::{Function, Program, program::Action};
use outrigger_testkit::{Mode, Oracle, Outgoing, Process, Producer, process::WAIT_MAX};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

struct Door {
    function: Function,
    site: Site,
    process: Process,
}

impl Door {
    async fn open(change: impl FnOnce(Site) -> Site) -> Self {
        let function = Function::start(Program::default());
        let site = change(Site::of(&function));
        std::fs::write(site.path("token"), "right").unwrap();
        let process = site.start().await;
        Self { function, site, process }
    }

    /// Whatever was refused before: a fresh event is delivered, and it is the only one.
    async fn fresh_event_alone_is_delivered(&mut self) {
        assert_eq!(
            self.site.producer().send(&Outgoing::new("fresh", None), Mode::Binary).await.unwrap().status(),
            202
        );
        self.function.wait_for(|stats| stats.ended == 1).await;
        assert_eq!(self.function.log()[0].id.as_deref(), Some("fresh"));
        assert!(self.process.is_running());
    }
}

/// Writes `pieces` to a connection of its own and returns the answer.
async fn raw(address: SocketAddr, pieces: impl IntoIterator<Item = Vec<u8>>) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for piece in pieces {
        if stream.write_all(&piece).await.is_err() {
            break; // it was refused before the last piece, which is what some tests are about
        }
    }
    let mut answer = Vec::new();
    // After a refusal the unread rest may come back as a reset; what was read before it counts.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status in {answer:?}")), answer)
}

async fn post(
    producer: &Producer,
    extra: &[(&'static str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut headers = Outgoing::new("1", None).headers();
    for (name, value) in extra {
        headers.insert(*name, value.parse().unwrap());
    }
    producer.post(headers, body).await.unwrap()
}

#[tokio::test]
async fn row_34_a_malformed_event_is_answered_400_with_a_reason_and_reaches_nobody() {
    let mut door = Door::open(|site| site).await;
    let producer = door.site.producer();
    let good = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
    for missing in 0..good.len() {
        let mut sent = headers(good);
        sent.remove(good[missing].0);
        let answer = producer.post(sent, "{}").await.unwrap();
        assert_eq!(answer.status(), 400, "without {}", good[missing].0);
        let reason = String::from_utf8_lossy(answer.body());
        assert!(reason.contains(&good[missing].0[3..]), "without {}: {reason}", good[missing].0);
    }
    for (name, value) in [
        ("ce-specversion", "0.3"),
        ("ce-id", ""),
        ("ce-source", ""),
        ("ce-time", "yesterday"),
        ("ce-Bad_Name", "x"),
        ("ce-subject", "%zz"),
    ] {
        let mut sent = headers(good);
        sent.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        let answer = producer.post(sent, "{}").await.unwrap();
        assert_eq!(answer.status(), 400, "{name}: {value}");
        assert!(answer.body().len() > 10 && answer.body().len() <= 768, "{name}: {:?}", answer.body());
    }
    for body in
        ["", "{", "[]", "7", r#"{"id":"1"}"#, r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#]
    {
        let structured = headers([("content-type", "application/cloudevents+json")]);
        let answer = producer.post(structured, body).await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        assert!(answer.body().len() > 10, "{body}: {:?}", answer.body());
    }
    assert_eq!(door.site.letters().await.len(), 0, "the sender knows, so nothing is kept");
    door.fresh_event_alone_is_delivered().await;
}

#[tokio::test]
async fn row_29_a_body_over_the_limit_is_answered_413_declared_or_while_it_streams() {
    let mut door = Door::open(|site| site.set("ingress.http.body_bytes_max", "64KiB")).await;
    let head =
        "POST / HTTP/1.1\r\nhost: o\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n";
    let declared = format!("{head}content-length: 65537\r\n\r\n").into_bytes();
    let (status, answer) = raw(door.site.ingress, [declared]).await;
    assert_eq!(status, 413, "before the first byte: {answer}");

    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    let start = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    let endless = std::iter::once(start).chain(std::iter::repeat_n(chunk, 4096));
    let (status, answer) = raw(door.site.ingress, endless).await;
    assert_eq!(status, 413, "{answer}");
    assert!(answer.contains("65536"), "the limit is named: {answer}");

    assert_eq!(
        post(&door.site.producer(), &[], vec![b'x'; 65536]).await.status(),
        202,
        "the limit itself fits"
    );
    door.function.wait_for(|stats| stats.ended == 1).await;
    door.function.clear();
    door.fresh_event_alone_is_delivered().await;
}

#[tokio::test]
async fn row_30_a_gzip_bomb_is_cut_at_the_decompressed_limit() {
    let mut door = Door::open(|site| site).await;
    let bomb = gzip(&vec![0; 256 << 20]);
    assert!(bomb.len() < 1 << 20, "it is small on the wire: {}", bomb.len());
    let before = door.process.resident_bytes().unwrap();
    let producer = door.site.producer();
    for _ in 0..3 {
        let answer = post(&producer, &[("content-encoding", "gzip")], bomb.clone()).await;
        assert_eq!(answer.status(), 413, "{:?}", answer.body());
    }
    let grown = door.process.resident_bytes().unwrap().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more than before");
    door.fresh_event_alone_is_delivered().await;
}

#[tokio::test]
async fn a_sender_who_is_refused_at_once_still_reads_why() {
    let mut door = Door::open(|site| site.set("ingress.http.auth", "{bearer_file: token}")).await;
    let large = vec![b'x'; 4 << 20];
    let (without, with) =
        (door.site.producer(), door.site.producer().with_header("authorization", "Bearer right"));
    for _ in 0..5 {
        assert_eq!(post(&without, &[], large.clone()).await.status(), 401);
        assert_eq!(post(&with, &[], large.clone()).await.status(), 413);
    }
    assert!(door.process.is_running());
}

#[tokio::test]
async fn formats_and_encodings_that_are_not_spoken_are_answered_415() {
    let mut door = Door::open(|site| site).await;
    let producer = door.site.producer();
    for (name, value) in [
        ("content-type", "application/cloudevents+avro"),
        ("content-type", "application/cloudevents-batch+xml"),
        ("content-encoding", "br"),
        ("content-encoding", "gzip, gzip"),
    ] {
        let answer = post(&producer, &[(name, value)], "{}").await;
        assert_eq!(answer.status(), 415, "{name}: {value}");
        let accepted = answer.headers().get("accept-encoding").map(|value| value.to_str().unwrap());
        let expected = (name == "content-encoding").then_some("gzip, deflate, zstd");
        assert_eq!(accepted, expected, "{name}: {value}: which of the two it is");
        assert!(answer.body().len() > 10, "{name}: {value} is refused with a reason");
    }
    door.fresh_event_alone_is_delivered().await;
}

#[tokio::test]
async fn events_of_protobuf_are_taken_alone_and_as_a_batch() {
    let door = Door::open(|site| site).await;
    let producer = door.site.producer();
    let event = |id: &str| {
        let start = [b"\x0a".as_slice(), &[u8::try_from(id.len()).unwrap()], id.as_bytes()].concat();
        [&start[..], b"\x12\x02/p\x1a\x031.0\x22\x01t", b"\x3a\x04data"].concat()
    };
    let member = |event: &[u8]| [b"\x0a".as_slice(), &[u8::try_from(event.len()).unwrap()], event].concat();
    let send = |content_type, body: Vec<u8>| producer.post(headers([("content-type", content_type)]), body);
    let (one, many) = ("application/cloudevents+protobuf", "application/cloudevents-batch+protobuf");
    assert_eq!(send(one, event("single")).await.unwrap().status(), 202);
    let batch = [member(&event("first")), member(b"\x0a\x01x"), member(&event("second"))].concat();
    let answer = send(many, batch).await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(&answer.body()[..], br#"{"accepted":2,"dead_lettered":1}"#);
    let broken = send(one, b"\x0a\x05x".to_vec()).await.unwrap();
    assert_eq!(broken.status(), 400);
    assert!(broken.body().starts_with(b"protobuf: is malformed"), "{:?}", broken.body());
    door.function.wait_for(|stats| stats.ended == 3).await;
    let mut ids: Vec<_> = door.function.log().iter().filter_map(|record| record.id.clone()).collect();
    ids.sort();
    assert_eq!(ids, ["first", "second", "single"].map(Box::from));
    assert!(door.function.log().iter().all(|record| record.body.as_deref() == Some(b"data")));
    assert_eq!(door.site.letters().await.len(), 1);
}

#[tokio::test]
async fn only_post_on_the_one_path_takes_events_and_options_says_so() {
    let mut door = Door::open(|site| site.set("ingress.http.path", "/events")).await;
    let line = |method: &str, path: &str| {
        [format!("{method} {path} HTTP/1.1\r\nhost: o\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .into_bytes()]
    };
    assert_eq!(raw(door.site.ingress, line("POST", "/")).await.0, 404);
    for (method, expected) in [("GET", 405), ("PUT", 405), ("DELETE", 405), ("OPTIONS", 200)] {
        let (status, answer) = raw(door.site.ingress, line(method, "/events")).await;
        assert_eq!(status, expected, "{method}");
        assert!(answer.to_lowercase().contains("\r\nallow: post"), "{method}: {answer}");
    }
    let producer = Producer::new(&format!("{}events?source=any", door.site.url()));
    assert_eq!(post(&producer, &[], "{}").await.status(), 202);
    door.function.wait_for(|stats| stats.ended == 1).await;
    assert!(door.process.is_running());
}

#[tokio::test]
async fn headers_without_end_are_answered_431() {
    let mut door = Door::open(|site| site.set("ingress.http.headers_max", "20")).await;
    for head in ["x: y\r\n".repeat(1000), format!("x: {}\r\n", "y".repeat(1 << 20))] {
        let request = format!("POST / HTTP/1.1\r\nhost: o\r\n{head}content-length: 0\r\n\r\n").into_bytes();
        assert_eq!(raw(door.site.ingress, [request]).await.0, 431);
    }
    door.fresh_event_alone_is_delivered().await;
}

#[tokio::test]
async fn a_batch_of_too_many_is_answered_413_and_none_of_it_is_kept() {
    let mut door = Door::open(|site| site.set("ingress.http.batch_events_max", "3")).await;
    let events: Vec<_> = (0..4).map(|n| Outgoing::new(&n.to_string(), None)).collect();
    assert_eq!(door.site.producer().send_batch(&events).await.unwrap().status(), 413);
    door.fresh_event_alone_is_delivered().await;
}

#[tokio::test]
async fn a_sender_needs_the_token_of_the_file_and_a_rotated_one_needs_no_restart() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("ingress.http.auth", "{bearer_file: token}");
    std::fs::write(site.path("token"), "first-secret\n").unwrap();
    let process = site.start().await;
    let event = Outgoing::new("1", None);
    let with = |token: &str| site.producer().with_header("authorization", &format!("Bearer {token}"));
    let status =
        async |producer: Producer| producer.send(&event, Mode::Binary).await.unwrap().status().as_u16();

    let missing = site.producer().send(&event, Mode::Binary).await.unwrap();
    assert_eq!(
        (missing.status().as_u16(), &missing.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    assert_eq!(status(with("first-secre")).await, 401);
    assert_eq!(status(with("first-secret")).await, 202);

    std::fs::write(site.path("next"), "second-secret").unwrap();
    std::fs::rename(site.path("next"), site.path("token")).unwrap();
    let rotated = with("second-secret");
    let deadline = Instant::now() + WAIT_MAX;
    while status(rotated.clone()).await != 202 {
        assert!(Instant::now() < deadline, "the new token is never taken");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(with("first-secret")).await, 401);
    assert!(!process.log().contains("secret"), "no token is ever logged");
}

#[tokio::test]
async fn beyond_loopback_nobody_listens_without_a_word_about_auth() {
    let function = Function::start(Program::default());
    let open = Site::of(&function);
    let port = open.ingress.port();
    let open = open.set("ingress.http.listen", &format!("\"0.0.0.0:{port}\""));
    let said = open.refused().await;
    let line = said.one_line(2);
    assert!(line.contains("outrigger.yaml:") && line.contains("auth"), "{line}");
    open.set("ingress.http.auth", "none").start().await;
}

#[tokio::test]
async fn a_full_window_is_answered_429_and_a_place_that_is_free_again_is_used() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let site = Site::of(&function).set("ingress.http.sync", "true");
    let site = site.set("window.events", "2").set("function.concurrency", "2");
    let _process = site.start().await;
    let send = |id: &'static str| {
        let producer = site.producer();
        tokio::spawn(async move { producer.send(&Outgoing::new(id, None), Mode::Binary).await.unwrap() })
    };
    let held = [send("1"), send("2")];
    function.wait_for(|stats| stats.held == 2).await;
    let full = send("3").await.unwrap();
    assert_eq!(full.status(), 429);
    assert!(full.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);

    function.open("gate");
    for answer in held {
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    assert_eq!(send("4").await.unwrap().status(), 200);
    assert_eq!(function.stats().received, 3, "what was refused was never called");
}

#[tokio::test]
async fn a_full_journal_is_answered_503_and_takes_events_again_when_some_have_left() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let site = Site::of(&function).set("journal.bytes_max", "1MiB");
    let _process = site.start().await;
    let (producer, oracle) = (site.producer(), Oracle::default());
    let mut accepted = 0;
    let refused = loop {
        let event = Outgoing::new(&accepted.to_string(), None).with_data("text/plain", vec![b'x'; 100 << 10]);
        oracle.sending(&event);
        let answer = producer.send(&event, Mode::Binary).await.unwrap();
        if answer.status() != 202 {
            break answer;
        }
        oracle.acknowledged(&event.id);
        accepted += 1;
        assert!(accepted < 20, "a journal of 1 MiB took 2 MiB");
    };
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(accepted >= 8, "only {accepted} events of 100 KiB found room in 1 MiB");

    let large = Outgoing::new("large", None).with_data("text/plain", vec![b'x'; 100 << 10]).json();
    for _ in 0..3 {
        let batch = headers([("content-type", "application/cloudevents-batch+json")]);
        let answer = producer.post(batch, format!("[{{}},{large}]")).await.unwrap();
        assert_eq!(answer.status(), 503);
    }
    assert!(site.letters().await.is_empty(), "a batch that is refused leaves nothing behind");

    function.open("gate");
    function.wait_for(|stats| stats.ended == accepted).await;
    let event = Outgoing::new("fresh", None);
    oracle.sending(&event);
    let deadline = Instant::now() + WAIT_MAX;
    while producer.send(&event, Mode::Binary).await.unwrap().status() != 202 {
        assert!(Instant::now() < deadline, "room that is free again is not used");
        sleep(Duration::from_millis(20)).await; // until what was settled is written down
    }
    oracle.acknowledged("fresh");
    function.wait_for(|stats| stats.ended == accepted + 1).await;
    oracle.judge_at(&function).assert_clean(0);
}

/// Those who send bodies without an end hold no more than the bound, and the others are told to come again.
#[tokio::test]
async fn bodies_that_do_not_end_share_a_bound_whoever_sends_them() {
    let mut door =
        Door::open(|site| site.set("ingress.http.receiving_bytes_max", "4MiB").set("window.bytes", "32MiB"))
            .await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/cloudevents+json\r\ncontent-length: 1000000\r\n\r\n";
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(door.site.ingress).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; 999_999]).await.unwrap();
        waiting.push(stream);
    }
    let told = async {
        loop {
            for stream in &waiting {
                let mut answer = [0; 12];
                if stream.try_read(&mut answer).is_ok_and(|read| read == 12) {
                    return answer;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let answer =
        tokio::time::timeout(std::time::Duration::from_secs(20), told).await.expect("one is refused");
    assert_eq!(std::str::from_utf8(&answer), Ok("HTTP/1.1 503"));
    drop(waiting);
    door.fresh_event_alone_is_delivered().await;
}
