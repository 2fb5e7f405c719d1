use super::*;
use crate::{
    answer::Failure,
    config::{Outward, Protocol, Tls, Way},
};
use http::Uri;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use outrigger_core::{
    About,
    timeline::{Carry, Leg, Place, Trace},
};
use outrigger_net::tls::{Authorities, ClientSettings, ClientTls, Version};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc as channel,
};

struct Silent;

impl Carry for Silent {
    fn carry(&self, _: &Trace, _: Leg, _: &mut dyn FnMut(&'static str, &str)) {}
}

fn timeline(span: u64) -> Timeline {
    let timeline = Timeline::start(Instant::now(), About::request(&"proxy".into(), ["GET", "/", "http"], 1));
    timeline.set_trace(Trace {
        own: Place { trace: 7, span, sampled: true },
        parent: None,
        parent_is_remote: false,
        links: Vec::new(),
        state: None,
        baggage: None,
        carrier: Arc::new(Silent),
    });
    timeline
}

fn way(url: &str) -> Way {
    let settings = ClientSettings {
        section: "trace.tls".to_owned(),
        authorities: Authorities::Nobody,
        pair: None,
        version_min: Version::default(),
    };
    Way {
        protocol: Protocol::Http,
        url: url.parse::<Uri>().unwrap(),
        headers: Vec::new(),
        gzip: false,
        timeout: Duration::from_secs(30),
        tls: Tls { client: Arc::new(ClientTls::open(settings).unwrap()), ca: None, pair: None },
    }
}

fn export(url: &str) -> Export {
    Export {
        traces: Some(way(&format!("{url}/v1/traces"))),
        metrics: None,
        queue_events: 100,
        queue_bytes: 1 << 20,
        batch_events: 100,
        batch_bytes: 1 << 20,
        attribute_chars: 100,
        interval: Duration::from_millis(1),
        metrics_interval: Duration::from_millis(1),
        flush_timeout: Duration::from_secs(30),
        resource: Vec::new(),
        outward: Outward::default(),
    }
}

/// A request's path, and its body.
async fn asked(connection: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            let length: usize = length.trim().parse().unwrap();
            while read.len() < end + 4 + length {
                connection.read_buf(&mut read).await.ok().filter(|read| *read > 0)?;
            }
            let path = head.split(' ').nth(1).unwrap().to_owned();
            return Some((path, read[end + 4..].to_vec()));
        }
        connection.read_buf(&mut read).await.ok().filter(|read| *read > 0)?;
    }
}

/// Answers each request with the next of these, the last again and again; a request without one hangs. Tells of each request.
async fn collector(answers: Vec<(&'static str, Vec<u8>)>) -> (String, channel::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (seen, told) = channel::channel(100);
    let answers = Arc::new(Mutex::new(answers));
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let (seen, answers) = (seen.clone(), answers.clone());
            tokio::spawn(async move {
                while let Some(request) = asked(&mut connection).await {
                    let _ = seen.send(request).await;
                    let answer = {
                        let mut answers = lock(&answers);
                        if answers.len() > 1 { Some(answers.remove(0)) } else { answers.first().cloned() }
                    };
                    let Some((head, body)) = answer else { return std::future::pending().await };
                    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
                    let answer = [head.into_bytes(), body].concat();
                    connection.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    (url, told)
}

/// What comes of three events with these answers, and how many spans each request had.
async fn sent(answers: Vec<(&'static str, Vec<u8>)>) -> (Counts, Vec<usize>) {
    let (url, mut told) = collector(answers).await;
    let exporter = Exporter::start(Export { interval: Duration::from_mins(1), ..export(&url) }).unwrap();
    (1..=3).for_each(|span| exporter.push(timeline(span)));
    exporter.close().await;
    let mut spans = Vec::new();
    while let Ok((_, body)) = told.try_recv() {
        let request = ExportTraceServiceRequest::decode(&*body).unwrap();
        spans.push(request.resource_spans[0].scope_spans[0].spans.len());
    }
    (exporter.counts(), spans)
}

fn counts(exported: u64, dropped: u64, failed: u64) -> Counts {
    Counts { exported, dropped, queued: 0, failed }
}

#[tokio::test]
async fn what_may_be_taken_later_is_sent_again() {
    let busy = ("503 Busy\r\nretry-after: 0", Vec::new());
    assert_eq!(sent(vec![busy, ("200 OK", Vec::new())]).await, (counts(3, 0, 0), vec![3, 3]));
}

#[tokio::test]
async fn a_pause_that_no_clock_has_is_not_waited_for() {
    let never = ("503 Busy\r\nretry-after: 18446744073709551615", Vec::new());
    assert_eq!(sent(vec![never, ("200 OK", Vec::new())]).await, (counts(0, 3, 1), vec![3]));
}

#[tokio::test]
async fn what_is_too_large_is_sent_in_halves() {
    let large = ("413 Too Large", Vec::new());
    assert_eq!(sent(vec![large.clone(), ("200 OK", Vec::new())]).await, (counts(3, 0, 0), vec![3, 1, 2]),);
    assert_eq!(sent(vec![large]).await, (counts(0, 3, 3), vec![3, 1, 2, 1, 1]), "down to one event");
}

#[tokio::test]
async fn what_is_refused_of_a_request_is_dropped_and_a_long_answer_is_none() {
    let partial_success =
        Some(ExportTracePartialSuccess { rejected_spans: 2, error_message: "old".to_owned() });
    let partly = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    assert_eq!(sent(vec![("200 OK", partly)]).await, (counts(1, 2, 0), vec![3]));
    assert_eq!(sent(vec![("200 OK", vec![b'x'; 100_000])]).await, (counts(3, 0, 0), vec![3]));
    assert_eq!(sent(vec![("400 No", Vec::new())]).await, (counts(0, 3, 1), vec![3]));
}

#[tokio::test]
async fn spans_do_not_wait_for_metrics() {
    let (hanging, mut metered) = collector(Vec::new()).await;
    let (url, mut told) = collector(vec![("200 OK", Vec::new())]).await;
    let metrics = Some(way(&format!("{hanging}/v1/metrics")));
    let exporter = Exporter::start(Export { metrics, ..export(&url) }).unwrap();
    exporter.report(Arc::new(Vec::new));
    assert_eq!(metered.recv().await.unwrap().0, "/v1/metrics");
    exporter.push(timeline(1));
    assert_eq!(told.recv().await.unwrap().0, "/v1/traces");
}

#[tokio::test]
async fn the_root_of_a_failure_is_told() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let line = Line::new(&Way { protocol, ..way(&format!("http://{gone}/")) }).unwrap();
        let told = line.tell(&ExportTraceServiceRequest::default()).await;
        let Err(Failure::Lost(why)) = told else { panic!("{told:?}") };
        assert!(why.to_lowercase().contains("refused"), "{protocol:?}: {why}");
    }
}
