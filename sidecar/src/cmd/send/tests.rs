use super::*;
use bytes::Bytes;
use clap::Parser as _;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use crate::cli::{Cli, Command};

/// A request as the ingress saw it: content type, event type, authorization, body.
type Seen = (String, String, String, String);

/// An ingress that answers by turns with these statuses, the last one for ever, and keeps what it saw.
async fn ingress(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shared = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = shared.clone();
            let service = service_fn(move |request| answer(seen.clone(), statuses, request));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (url, seen)
}

async fn answer(
    seen: Arc<Mutex<Vec<Seen>>>,
    statuses: &'static [u16],
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let (content_type, ty, authorization) =
        (header("content-type"), header("ce-type"), header("authorization"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut seen = seen.lock().unwrap();
    let status = statuses[seen.len().min(statuses.len() - 1)];
    seen.push((content_type, ty, authorization, String::from_utf8(body.to_vec()).unwrap()));
    let mut response = Response::new(Full::from(format!("said {status}")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("retry-after", "0".parse().unwrap());
    Ok(response)
}

async fn send_to(url: &str, args: &[&str]) -> Result<(Report, Option<Bytes>), Failure> {
    let plan = plan(&[&["--to", url], args].concat())?;
    send(plan, &ProgressBar::hidden()).await
}

fn plan(args: &[&str]) -> Result<Plan, Failure> {
    let Command::Send(args) = Cli::parse_from([&["outrigger", "send"], args].concat()).command else {
        panic!()
    };
    Plan::of(&args)
}

#[tokio::test]
async fn each_mode_writes_what_the_binding_says() {
    let (url, seen) = ingress(&[202]).await;
    for mode in ["binary", "structured", "batch", "protobuf"] {
        let args = ["--mode", mode, "--id", "1", "--type", "t", "--source", "/s", "-d", r#"{"a":1}"#];
        let (report, _) = send_to(&url, &args).await.unwrap();
        assert!(report.is_good(), "{report}");
    }
    let event = r#""id":"1","source":"/s","type":"t""#;
    let seen = seen.lock().unwrap();
    assert_eq!(
        (seen[0].0.as_str(), seen[0].1.as_str(), seen[0].3.as_str()),
        ("application/json", "t", r#"{"a":1}"#)
    );
    assert_eq!(seen[1].0, "application/cloudevents+json");
    assert_eq!(seen[2].0, "application/cloudevents-batch+json");
    assert_eq!(seen[3].0, "application/cloudevents+protobuf");
    for (index, start) in [(1, '{'), (2, '[')] {
        assert!(seen[index].3.starts_with(start) && seen[index].3.contains(event), "{}", seen[index].3);
    }
}

#[tokio::test]
async fn later_is_tried_again_and_never_is_not() {
    let (url, seen) = ingress(&[503, 429, 202, 400]).await;
    let (report, _) = send_to(&url, &["-d", "x", "--count", "3"]).await.unwrap();
    let told = report.json();
    assert_eq!((&told["accepted"], &told["refused"], &told["retries"]), (&1.into(), &2.into(), &2.into()));
    assert_eq!(report.complaints(), ["refused with 400 Bad Request: said 400"]);
    assert_eq!(seen.lock().unwrap().len(), 5);
    assert!(!report.is_good());
}

#[tokio::test]
async fn what_stays_busy_is_refused_after_its_time() {
    let (url, _) = ingress(&[503]).await;
    let (report, _) = send_to(&url, &["-d", "x", "--retry-for", "0s"]).await.unwrap();
    assert_eq!(report.json()["refused_by_status"], serde_json::json!({ "503": 1 }));
}

#[tokio::test]
async fn a_batch_holds_as_many_as_asked_and_the_last_the_rest() {
    let (url, seen) = ingress(&[200]).await;
    let args = ["-d", "1", "--count", "5", "--mode", "batch", "--batch-size", "2", "--concurrency", "2"];
    let (report, reply) = send_to(&url, &args).await.unwrap();
    assert_eq!((report.sent(), report.is_good(), reply), (5, true, None));
    let mut sizes: Vec<_> =
        seen.lock().unwrap().iter().map(|seen| seen.3.matches("specversion").count()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2]);
}

#[tokio::test]
async fn the_reply_to_a_single_event_is_shown_and_the_token_is_sent() {
    let (url, seen) = ingress(&[200]).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let (_, reply) = send_to(&url, &["-d", "x", "--bearer-file", token.to_str().unwrap()]).await.unwrap();
    assert_eq!(reply, Some(Bytes::from("said 200")));
    assert_eq!(seen.lock().unwrap()[0].2, "Bearer secret");
}

#[tokio::test]
async fn nothing_at_the_ingress_is_one_clear_line() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let Err(Failure::Problem(line)) = send_to(&url, &["-d", "x"]).await else { panic!("it was sent") };
    assert!(line.starts_with(&format!("nothing answers at {url} (")), "{line}");
    assert!(line.ends_with("is `outrigger run` running?"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_spreads_events_over_time() {
    let (push, events) = mpsc::channel(8);
    for _ in 0..5 {
        push.send(Ok(Event::new("1", "/s", "t").unwrap())).await.unwrap();
    }
    drop(push);
    let started = Instant::now();
    let mut requests =
        Requests { events, skipped: None, batch_size: 2, per_second: Some(10.0), started, taken: 0 };
    let mut due = Vec::new();
    while let Some(batch) = requests.next().await {
        due.push((batch.unwrap().len(), started.elapsed().as_millis()));
    }
    // The timer's step is a millisecond.
    assert!(matches!(due[..], [(2, 0), (2, 200..=201), (1, 400..=401)]), "{due:?}");
}

#[test]
fn a_wrong_call_is_told_before_anything_is_sent() {
    for (args, expected) in [
        (&[][..], "nothing to send: give -d BODY, FILE…, or - for standard input"),
        (&["-d", "x", "--count", "0"], "--count: 0 events are none; give at least 1"),
        (&["-d", "x", "--rate", "5"], "--rate: \"5\" is not a rate such as 100/s, 600/m or 36000/h"),
        (&["-d", "x", "--to", "ftp://x"], "--to: \"ftp://x\" is not a URL such as http://127.0.0.1:8080/"),
        (
            &["-d", "x", "--timeout", "5"],
            "--timeout: \"5\" is not a duration with a unit, such as 250ms, 30s, 5m or 1h",
        ),
        (&["/no/such/file"], "/no/such/file cannot be read: No such file or directory (os error 2)"),
        (&["/"], "/ is a folder; name its files, such as //*"),
    ] {
        let Err(Failure::Wrong(line)) = plan(args) else { panic!("{args:?} was taken") };
        assert_eq!(line, expected, "{args:?}");
    }
}
