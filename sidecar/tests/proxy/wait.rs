//! A function that is not there yet, is busy, or is down; and the end of the process.

use crate::{
    common::{Site, child::function_exe},
    rig::{Through, Upstream, request, site},
};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use outrigger_testkit::{Process, free_port};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

#[tokio::test]
async fn a_function_that_listens_400_ms_late_costs_no_request_an_error() {
    let port = free_port();
    let (site, proxy) = site(&format!("http://127.0.0.1:{port}/"));
    let process = site.start_unready().await;
    let started = Instant::now();
    let mut asked = JoinSet::new();
    for _ in 0..50 {
        asked.spawn(get(proxy));
    }
    tokio::time::sleep(Duration::from_millis(400)).await; // the lateness is what is tested
    let _function = Upstream::at(port).await;
    while let Some(answer) = asked.join_next().await {
        assert_eq!(answer.unwrap(), 200);
    }
    assert!(started.elapsed() >= Duration::from_millis(400));
    drop(process);
}

async fn get(proxy: SocketAddr) -> u16 {
    let stream = TcpStream::connect(proxy).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request(Method::GET, "/", "")).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_wait_and_those_who_wait_are_bounded() {
    let (site, proxy) = site(&format!("http://127.0.0.1:{}/", free_port()));
    let site = site.set("proxy.wait", "2s").set("proxy.waiting_max", "1");
    let _process = site.start_unready().await;
    let started = Instant::now();
    let mut asked = JoinSet::new();
    for _ in 0..3 {
        asked.spawn(async move { (get(proxy).await, started.elapsed()) });
    }
    let mut waited = Vec::new();
    while let Some(answer) = asked.join_next().await {
        let (status, after) = answer.unwrap();
        assert_eq!(status, 503);
        waited.push(after);
    }
    // Two found the only place to wait taken.
    assert!(waited[1] < Duration::from_secs(2), "{waited:?}");
    assert!(waited[2] >= Duration::from_secs(2) && waited[2] < Duration::from_secs(10), "{waited:?}");
}

#[tokio::test]
async fn requests_and_events_share_the_functions_places_and_neither_starves() {
    let through = Through::with(|site| site.set("function.concurrency", "1")).await;
    let producer = through.site.producer();
    let mut asked = JoinSet::new();
    for n in 0..20 {
        let event = outrigger_testkit::Outgoing::new(&format!("e{n}"), None);
        producer.send(&event, outrigger_testkit::Mode::Binary).await.unwrap();
        asked.spawn(get(through.proxy));
    }
    while let Some(answer) = asked.join_next().await {
        assert_eq!(answer.unwrap(), 200);
    }
    through.site.until("all events", |status| status["delivered"] == 20).await;
    assert_eq!(through.function.seen().len(), 40);
}

#[tokio::test]
async fn a_place_is_free_again_when_a_client_leaves_an_answer_that_does_not_end() {
    let through = Through::with(|site| site.set("function.concurrency", "1")).await;
    let _feed = through.function.feed();
    let mut sender = through.http1::<Full<Bytes>>().await;
    let answer = sender.send_request(request(Method::GET, "/feed", "")).await.unwrap();
    assert_eq!(through.site.status().await["running"], 1);
    drop((answer, sender));
    through.serves().await;
    through.site.until("nothing to run", |status| status["running"] == 0).await;
}

#[tokio::test]
async fn what_requests_find_down_the_breaker_keeps_from_events_too_and_fails_at_once() {
    let through =
        Through::with(|site| site.set("delivery.breaker.open", "1h").set("delivery.breaker.open_max", "1h"))
            .await;
    for _ in 0..10 {
        assert_eq!(through.get("/down").await.0, 503);
    }
    assert_eq!(through.function.seen().len(), 10);
    let (status, headers, body) = through.get("/").await;
    assert_eq!((status, &*body), (503, &b"the function is not available\n"[..]));
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(through.function.seen().len(), 10, "nothing was sent");
    assert_eq!(through.site.status().await["breaker_open"], true);
}

#[tokio::test]
async fn clients_that_break_off_or_delay_their_uploads_do_not_make_the_function_look_down() {
    let through = Through::with(|site| {
        site.set("function.timeout", "1s")
            .set("function.connect_timeout", "100ms")
            .set("delivery.breaker.failures", "2")
    })
    .await;
    let head = b"POST /echo-not HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nx";
    for _ in 0..5 {
        let mut stream = TcpStream::connect(through.proxy).await.unwrap();
        stream.write_all(head).await.unwrap();
    }
    let answer = through.raw(head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    through.serves().await;
    assert_eq!(through.site.status().await["breaker_open"], false);
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_closes_connections_politely_after_the_lame_duck() {
    let mut through = Through::with(|site| site.set("drain.lame_duck", "2s")).await;
    let mut held = through.http1::<Full<Bytes>>().await;
    let holding = held.send_request(request(Method::GET, "/hold", ""));
    let holding = tokio::spawn(holding);
    let mut idle = TcpStream::connect(through.proxy).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0; 4096];
    assert!(idle.read(&mut byte).await.unwrap() > 0);
    let mut both = through.http2::<Full<Bytes>>().await;
    let mut over_http2 = request(Method::GET, "http://x/hold", "");
    over_http2.headers_mut().clear();
    let over_http2 = tokio::spawn(both.send_request(over_http2));
    through.function.until_seen(3).await;

    through.process.terminate();
    through.process.line("draining").await;
    through.serves().await; // the lame duck still answers
    while idle.read(&mut byte).await.unwrap_or(0) > 0 {}
    let answer = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            through.function.release();
            if holding.is_finished() && over_http2.is_finished() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    answer.await.expect("both are answered");
    let answer = holding.await.unwrap().unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["connection"].to_str().unwrap()),
        (StatusCode::OK, "close")
    );
    let answer = over_http2.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "a word");
    assert!(both.ready().await.is_err(), "GOAWAY");
    assert_eq!(through.process.wait().await.code(), Some(0));
}

#[tokio::test]
async fn a_supervised_function_is_waited_for_from_the_first_moment() {
    let proxy = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let command = [function_exe(), "--start-delay-ms", "400"];
    let site = Site::supervised(&command).set("proxy.listen", &proxy.to_string());
    let process: Process = site.launch().start().expect("it starts");
    let answer = loop {
        match TcpStream::connect(proxy).await {
            Ok(_) => break get(proxy).await,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!(answer, 200);
    drop(process);
}
