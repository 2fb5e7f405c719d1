mod attacks;
mod http2;
mod tls;

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, oneshot},
};

use super::*;
use crate::connection::Phase;

/// A listener whose service answers by path: `/` with 200, `/panic` by panicking, `/wait` once released, `/peer` with
/// who the client is.
struct Fixture {
    address: SocketAddr,
    counts: Arc<Counts>,
    waiting: Arc<Notify>,
    release: Arc<Notify>,
    dropped: Arc<AtomicUsize>,
    end: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

impl Fixture {
    async fn start(limits: Limits) -> Fixture {
        Fixture::secured(limits, None).await
    }

    async fn secured(limits: Limits, tls: Option<Arc<ServerTls>>) -> Fixture {
        let listener = Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0)), "test").await.unwrap();
        let listener = match tls {
            Some(tls) => listener.secured(tls),
            None => listener,
        };
        let address = listener.address().unwrap();
        let counts = Arc::new(Counts::default());
        let (waiting, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let dropped = Arc::new(AtomicUsize::new(0));
        let (end, ended) = oneshot::channel::<()>();
        let service = service(Arc::clone(&waiting), Arc::clone(&release), Arc::clone(&dropped));
        let until = async {
            let _ = ended.await;
        };
        let served = tokio::spawn(serve(listener, limits, Arc::clone(&counts), service, until));
        Fixture { address, counts, waiting, release, dropped, end: Some(end), served }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        exchange(&mut self.connect().await, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    }
}

type Answer = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

struct CountsItsDrop(Arc<AtomicUsize>);

impl Drop for CountsItsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn service(
    waiting: Arc<Notify>,
    release: Arc<Notify>,
    dropped: Arc<AtomicUsize>,
) -> impl Fn(Request<Incoming>) -> Answer + Clone + Send + Sync + 'static {
    move |request| {
        let (waiting, release) = (Arc::clone(&waiting), Arc::clone(&release));
        let dropped = CountsItsDrop(Arc::clone(&dropped));
        Box::pin(async move {
            let _dropped = dropped;
            match request.uri().path() {
                "/panic" => panic!("a planted panic"),
                "/wait" => {
                    waiting.notify_one();
                    release.notified().await;
                }
                "/peer" => {
                    let peer = request.extensions().get::<Arc<crate::tls::Peer>>();
                    let named = peer.map_or_else(|| "nobody".to_owned(), ToString::to_string);
                    return Response::new(Full::from(named));
                }
                _ => {
                    let _ = request.into_body().collect().await;
                }
            }
            Response::new(Full::from("answer"))
        })
    }
}

/// Sends `request` and reads one answer with the body `answer`, or until the other side closes.
async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    // The server may close before it has read all of it, as it should for a head that is too large.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"answer") && stream.read_buf(&mut answer).await.is_ok_and(|n| n > 0) {}
    String::from_utf8(answer).unwrap()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0]).await, Ok(1..))
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let f = Fixture::start(Limits::default()).await;
    let mut stream = f.connect().await;
    for _ in 0..3 {
        assert!(exchange(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(f.counts.accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_others_are_served() {
    let f = Fixture::start(Limits::default()).await;
    let mut stream = f.connect().await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert_eq!(f.counts.panics.load(SeqCst), 1);
    assert!(f.get("/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn row_32_too_many_or_too_large_headers_are_431() {
    let f = Fixture::start(Limits::default()).await;
    let many = "x: y\r\n".repeat(1000);
    let large = format!("x: {}\r\n", "y".repeat(1 << 20));
    for headers in [many, large] {
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        let answer = exchange(&mut f.connect().await, &request).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer:?}");
    }
}

#[tokio::test]
async fn row_31_slow_headers_are_cut_off_and_a_healthy_client_is_served_at_the_cap() {
    let limits =
        Limits { connections_max: 4, header_timeout: Duration::from_millis(200), ..Limits::default() };
    let f = Fixture::start(limits).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = f.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        slow.push(stream);
    }
    assert!(f.get("/").await.starts_with("HTTP/1.1 200"));
    for stream in &mut slow {
        assert!(is_closed(stream).await);
    }
    assert_eq!(f.counts.timed_out.load(SeqCst), 8);
    assert!(f.counts.paused.load(SeqCst) >= 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_idle_timeout() {
    let limits = Limits { idle_timeout: Duration::from_millis(50), ..Limits::default() };
    let f = Fixture::start(limits).await;
    let mut stream = f.connect().await;
    assert!(exchange(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
    assert!(is_closed(&mut stream).await);
    assert_eq!(f.counts.timed_out.load(SeqCst), 1);
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight_closes_what_is_idle_and_ends() {
    let mut f = Fixture::start(Limits::default()).await;
    let mut idle = f.connect().await;
    exchange(&mut idle, GET).await;
    let mut busy = f.connect().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    f.waiting.notified().await;

    f.end.take().unwrap().send(()).unwrap();
    assert!(is_closed(&mut idle).await);
    assert!(TcpStream::connect(f.address).await.is_err(), "nothing new is accepted");
    f.release.notify_one();
    let answer = exchange(&mut busy, "").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    f.served.await.unwrap();
    assert_eq!(f.counts.open.load(SeqCst), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_drops_its_handler() {
    let f = Fixture::start(Limits::default()).await;
    let mut stream = f.connect().await;
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
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
async fn a_unix_socket_is_served_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = Listener::unix(&path, "test").await.unwrap();
    let service = service(Arc::default(), Arc::default(), Arc::default());
    let counts = Arc::new(Counts::default());
    let served = tokio::spawn(serve(
        listener,
        Limits::default(),
        Arc::clone(&counts),
        service,
        std::future::pending(),
    ));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    served.abort();
    assert!(served.await.unwrap_err().is_cancelled());
    assert!(!path.exists(), "the socket's file goes with its listener");
}

#[tokio::test]
async fn two_lengths_are_refused_in_either_order_and_the_connection_goes() {
    let f = Fixture::start(Limits::default()).await;
    let chunked = "transfer-encoding: chunked\r\n";
    for headers in [format!("content-length: 5\r\n{chunked}"), format!("{chunked}Content-Length: 5\r\n")] {
        let mut stream = f.connect().await;
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n0\r\n\r\n{GET}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("connection: close"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "what follows is not answered: {answer}");
    }
    assert_eq!(f.counts.misframed.load(SeqCst), 2);
    // Chunks after a request with a length are not mistaken for such a one, nor is a part's header in a body.
    let mut stream = f.connect().await;
    let with_length = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nxx";
    assert!(exchange(&mut stream, with_length).await.starts_with("HTTP/1.1 200"));
    let part = "--a\r\ncontent-length: 2\r\n\r\nxx";
    let chunks =
        format!("POST / HTTP/1.1\r\nhost: x\r\n{chunked}\r\n{:x}\r\n{part}\r\n0\r\n\r\n", part.len());
    assert!(exchange(&mut stream, &chunks).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_coding_that_is_not_known_is_501_and_the_connection_goes() {
    let f = Fixture::start(Limits::default()).await;
    for (headers, expected) in [
        ("transfer-encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: gzip\r\ntransfer-encoding: chunked\r\n", 501),
        ("transfer-encoding: identity,CHUNKED\r\n", 501),
        ("transfer-encoding: x;q=1, chunked\r\n", 501),
        ("transfer-encoding: chunked, chunked\r\n", 400),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", 400),
        ("transfer-encoding: gzip\r\n", 400), // where it ends cannot be told, says hyper
        ("transfer-encoding: Chunked\r\n", 200),
        ("transfer-encoding: , chunked\r\n", 200),
    ] {
        let close = if expected == 200 { "connection: close\r\n" } else { "" };
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\n{close}{headers}\r\n2\r\nxx\r\n0\r\n\r\n{GET}");
        let mut stream = f.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await; // with bytes unread the close is a reset
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{headers} {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "what follows is not answered: {answer}");
    }
    assert_eq!(f.counts.misframed.load(SeqCst), 6, "all but those that hyper itself refuses");
}

#[tokio::test]
async fn http2_is_spoken_by_its_preface_and_goes_away_at_a_drain() {
    let mut f = Fixture::start(Limits::default()).await;
    let io = hyper_util::rt::TokioIo::new(f.connect().await);
    let handshake = hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io);
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let get = |path: &str| Request::get(format!("http://x{path}")).body(Full::<Bytes>::default()).unwrap();
    assert_eq!(sender.send_request(get("/")).await.unwrap().status(), 200);
    let waiting = tokio::spawn(sender.send_request(get("/wait")));
    f.waiting.notified().await;
    f.end.take().unwrap().send(()).unwrap();
    while TcpStream::connect(f.address).await.is_ok() {
        tokio::task::yield_now().await; // until the drain has begun
    }
    f.release.notify_one();
    let body = waiting.await.unwrap().unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "answer");
    f.served.await.unwrap();
    connection.await.unwrap().expect("it was told to go, not cut");
    assert!(sender.ready().await.is_err());
}

#[tokio::test]
async fn a_connection_of_http1_rests_in_little_memory() {
    let (stream, _client) = tokio::io::duplex(8);
    let (_end, ended) = watch::channel(());
    let open = Open::new(&Arc::new(Counts::default()));
    let service = service(Arc::default(), Arc::default(), Arc::default());
    let requests = Arc::new(Semaphore::new(1));
    let talk = Arc::new(Talk { limits: Limits::default(), open, service, ended, requests });
    let bytes = std::mem::size_of_val(&talk.plain(stream, Phase::new()));
    // With the task's own words, in the allocator's class of 1,792 bytes.
    assert!(bytes <= 1600, "{bytes} bytes for each connection");
}

#[tokio::test]
async fn where_all_places_are_taken_the_one_that_has_rested_longest_makes_room() {
    let f = Fixture::start(Limits { connections_max: 3, ..Limits::default() }).await;
    let request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut rests = f.connect().await;
    assert!(exchange_on(&mut rests, request).await.starts_with("HTTP/1.1 200"));
    let mut later = f.connect().await;
    assert!(exchange_on(&mut later, request).await.starts_with("HTTP/1.1 200"));
    let mut busy = f.connect().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    f.waiting.notified().await;
    let mut new = f.connect().await;
    assert!(exchange_on(&mut new, request).await.starts_with("HTTP/1.1 200"));
    assert!(is_closed(&mut rests).await, "it had rested longest");
    f.release.notify_one();
    let mut answer = [0; 12];
    busy.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200", "one that is not at rest is left alone");
    assert!(f.counts.displaced.load(SeqCst) >= 1);
}

#[tokio::test]
async fn those_that_never_say_a_word_make_room_for_one_that_does() {
    for http2_streams_max in [0, 16] {
        let limits = Limits { connections_max: 3, http2_streams_max, ..Limits::default() };
        let f = Fixture::start(limits).await;
        let (mut first, _second, _third) = (f.connect().await, f.connect().await, f.connect().await);
        let mut new = f.connect().await;
        let asked = exchange_on(&mut new, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = tokio::time::timeout(limits.header_timeout / 2, asked)
            .await
            .expect("long before the silent are late");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(is_closed(&mut first).await, "it was silent longest");
    }
}

/// One answer over a connection that stays open.
async fn exchange_on(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let came = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..came]).into_owned()
}

#[test]
fn a_shortage_is_waited_out_longer_and_longer_and_a_reset_is_not() {
    let mut trouble = Trouble::default();
    let shortage = io::Error::from_raw_os_error(24); // EMFILE
    let waits_ms: Vec<_> = (0..9).map(|_| trouble.after(&shortage).as_millis()).collect();
    assert_eq!(waits_ms, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    assert_eq!(trouble.after(&io::ErrorKind::ConnectionAborted.into()), Duration::ZERO);
    trouble.accepted();
    assert_eq!(trouble.after(&shortage).as_millis(), 10);
}
