//! HTTP/2 without TLS (h2c) with a listener: by hyper's client, and by frames written by hand where no client would.

use super::*;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) async fn client(f: &Fixture) -> SendRequest<Full<Bytes>> {
    let (sender, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(f.connect().await)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://x{path}")).body(Full::default()).unwrap()
}

async fn status(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> u16 {
    sender.send_request(request).await.unwrap().status().as_u16()
}

/// A frame (RFC 9113, section 4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// `GET path` of the host `x`, its headers alone (RFC 7541: `:method: GET`, `:scheme: http`, the rest literal).
pub(super) fn head(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    [&[0x82, 0x86, 0x04, length], path.as_bytes(), &[0x01, 1, b'x']].concat()
}

/// A connection on which the settings were exchanged.
pub(super) async fn by_hand(f: &Fixture) -> TcpStream {
    let mut stream = f.connect().await;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

/// Writes `frames` again and again until the other side has had enough. What it said meanwhile may be lost with the
/// reset that follows it.
pub(super) async fn flood<S: AsyncRead + AsyncWrite>(stream: S, mut frames: impl FnMut(u32) -> Vec<u8>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        for number in 0..1_000_000 {
            if writer.write_all(&frames(number)).await.is_err() {
                return;
            }
        }
        panic!("it is taken without end");
    };
    let read = async { while reader.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {} };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}

/// The error code of the GOAWAY among these frames.
fn goaway(mut said: &[u8]) -> Option<u32> {
    while said.len() >= 9 {
        let length = usize::from(said[0]) << 16 | usize::from(said[1]) << 8 | usize::from(said[2]);
        let payload = said.get(9..9 + length)?;
        if said[3] == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        said = &said[9 + length..];
    }
    None
}

#[tokio::test]
async fn many_requests_share_a_connection_and_none_waits_for_another() {
    let f = Fixture::start(Limits::default()).await;
    let mut sender = client(&f).await;
    let slow = sender.send_request(get("/wait"));
    f.waiting.notified().await;
    for _ in 0..3 {
        assert_eq!(status(&mut sender, get("/")).await, 200);
    }
    f.release.notify_one();
    assert_eq!(slow.await.unwrap().status(), 200);
    assert_eq!(f.counts.accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn all_connections_together_have_as_many_requests_at_once_as_connections_are_allowed() {
    let limits = Limits { connections_max: 2, header_timeout: Duration::from_secs(1), ..Limits::default() };
    let f = Fixture::start(limits).await;
    let (mut first, mut second) = (client(&f).await, client(&f).await);
    let slow = [first.send_request(get("/wait")), second.send_request(get("/wait"))];
    f.waiting.notified().await;
    f.waiting.notified().await;
    let refused = first.send_request(get("/")).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let waits = second.send_request(get("/"));
    f.release.notify_one();
    assert_eq!(waits.await.unwrap().status(), 200, "it had its turn");
    f.release.notify_one();
    for slow in slow {
        assert_eq!(slow.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn http_1_is_spoken_on_the_same_port_and_alone_where_http_2_is_off() {
    let f = Fixture::start(Limits::default()).await;
    assert_eq!(status(&mut client(&f).await, get("/")).await, 200);
    assert!(f.get("/").await.starts_with("HTTP/1.1 200"));

    let f = Fixture::start(Limits { http2_streams_max: 0, ..Limits::default() }).await;
    assert!(f.get("/").await.starts_with("HTTP/1.1 200"));
    let answer = exchange(&mut f.connect().await, std::str::from_utf8(PREFACE).unwrap()).await;
    assert!(!answer.contains("200"), "{answer:?}");
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_goes_on() {
    let f = Fixture::start(Limits::default()).await;
    let mut sender = client(&f).await;
    assert_eq!(status(&mut sender, get("/panic")).await, 500);
    assert_eq!(status(&mut sender, get("/")).await, 200);
}

#[tokio::test]
async fn row_32_too_many_or_too_large_headers_are_431_over_http_2() {
    let f = Fixture::start(Limits::default()).await;
    let mut sender = client(&f).await;
    let mut many = get("/");
    for number in 0..200 {
        let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
        many.headers_mut().insert(name, http::HeaderValue::from_static("y"));
    }
    assert_eq!(status(&mut sender, many).await, 431);
    let mut large = get("/");
    large.headers_mut().insert("x", "y".repeat(64 << 10).try_into().unwrap());
    assert_eq!(status(&mut sender, large).await, 431);
    assert_eq!(status(&mut sender, get("/")).await, 200, "the connection goes on");
    assert_eq!(f.dropped.load(SeqCst), 1, "the service was asked once");
}

#[tokio::test]
async fn row_33_requests_that_are_reset_at_once_end_the_connection() {
    let f = Fixture::start(Limits::default()).await;
    let mut healthy = client(&f).await;
    flood(by_hand(&f).await, |number| {
        let (stream, cancel) = (2 * number + 1, 8_u32.to_be_bytes());
        let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("/wait"));
        [request, frame(RST_STREAM, 0, stream, &cancel)].concat()
    })
    .await;
    assert_eq!(status(&mut healthy, get("/")).await, 200);
    assert!(f.dropped.load(SeqCst) < 1000);
}

#[tokio::test]
async fn row_33_requests_that_are_reset_once_the_service_has_them_end_the_connection_too() {
    let f = Fixture::start(Limits::default()).await;
    let mut stream = by_hand(&f).await;
    for number in 0.. {
        assert!(number < 1000, "it is taken without end");
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &head("/wait"));
        if stream.write_all(&request).await.is_err() {
            break;
        }
        let closed = async {
            while f.counts.floods.load(SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = f.waiting.notified() => {}
            () = closed => break,
        }
        let _ = stream.write_all(&frame(RST_STREAM, 0, 2 * number + 1, &8_u32.to_be_bytes())).await;
    }
    assert_eq!(f.counts.floods.load(SeqCst), 1);
    assert_eq!(status(&mut client(&f).await, get("/")).await, 200);
}

#[tokio::test]
async fn row_33_headers_that_never_end_end_the_connection() {
    let f = Fixture::start(Limits::default()).await;
    flood(by_hand(&f).await, |number| match number {
        0 => frame(HEADERS, END_STREAM, 1, &head("/")),
        // A literal header x: y that is not indexed.
        _ => frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y'].repeat(100)),
    })
    .await;
    assert_eq!(status(&mut client(&f).await, get("/")).await, 200);
    assert_eq!(f.dropped.load(SeqCst), 1, "the flood reached no service");
}

#[tokio::test]
async fn row_31_a_preface_that_is_not_finished_and_a_silent_client_are_cut_off() {
    let limits = Limits { header_timeout: Duration::from_millis(100), ..Limits::default() };
    let f = Fixture::start(limits).await;
    let mut half = f.connect().await;
    half.write_all(&PREFACE[..10]).await.unwrap();
    assert!(is_closed(&mut half).await);
    let mut silent = by_hand(&f).await;
    let mut said = Vec::new();
    silent.read_to_end(&mut said).await.unwrap();
    assert_eq!(goaway(&said), Some(0), "it is told");
    while f.counts.timed_out.load(SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight_and_ends() {
    let mut f = Fixture::start(Limits::default()).await;
    let mut sender = client(&f).await;
    let slow = sender.send_request(get("/wait"));
    f.waiting.notified().await;
    f.end.take().unwrap().send(()).unwrap();
    while TcpStream::connect(f.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    f.release.notify_one();
    let answer = slow.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(answer, "answer");
    f.served.await.unwrap();
    assert_eq!(f.counts.open.load(SeqCst), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_drops_its_handlers() {
    let f = Fixture::start(Limits::default()).await;
    let mut stream = by_hand(&f).await;
    stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("/wait"))).await.unwrap();
    f.waiting.notified().await;
    drop(stream);
    tokio::time::timeout(Duration::from_secs(5), async {
        while f.dropped.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the handler outlives its client");
}

#[tokio::test]
async fn dropping_the_listener_drops_every_handler() {
    let f = Fixture::start(Limits::default()).await;
    let mut sender = client(&f).await;
    let slow = sender.send_request(get("/wait"));
    f.waiting.notified().await;
    f.served.abort();
    assert!(slow.await.is_err());
    tokio::time::timeout(Duration::from_secs(5), async {
        while f.dropped.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the handler outlives its listener");
}
