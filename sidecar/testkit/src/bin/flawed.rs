//! A small sidecar with a flaw that is named, for the testkit to prove its judges on. It is no example.
//!
//! `outrigger-flawed PORT FUNCTION-ADDRESS FILE FLAW` takes binary events on PORT, appends each to FILE, syncs
//! it, answers 202, and calls the function with one event after the other. When it starts it calls the
//! function with everything that is in FILE, so whatever it settled before is repeated. `GET /readyz` is
//! there too. FLAW is one of [`FLAWS`].

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::ExitCode,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use outrigger_testkit::Producer;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    sync::{
        mpsc::{Receiver, Sender, channel},
        oneshot,
    },
};

/// What can be wrong: nothing, the answer comes before the sync, every third event is lost, delivered late,
/// delivered together with the one before it, delivered with another byte, delivered twice.
const FLAWS: [&str; 7] = ["none", "early", "lose", "reorder", "overlap", "alter", "repeat"];

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    headers: Vec<(String, String)>,
    data: Vec<u8>,
}

type Job = (Stored, oneshot::Sender<StatusCode>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, function, file, flaw] = &arguments[..] else { return ExitCode::from(2) };
    let (Ok(port), true) = (port.parse::<u16>(), FLAWS.contains(&flaw.as_str())) else {
        return ExitCode::from(2);
    };
    let function = Producer::new(&format!("http://{function}/"));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let served = run(address, function, file, flaw).await;
    eprintln!("flawed: {served:?}");
    ExitCode::FAILURE
}

async fn run(address: SocketAddr, function: Producer, file: &str, flaw: &str) -> std::io::Result<()> {
    let mut file = File::options().create(true).append(true).read(true).open(file)?;
    let (deliver, deliveries) = channel(1_000);
    tokio::spawn(call(function, deliveries, flaw.to_owned()));
    for line in BufReader::new(file.try_clone()?).lines() {
        // A torn last line was never answered.
        if let Ok(stored) = serde_json::from_str::<Stored>(&line?) {
            let _ = deliver.send(stored).await;
        }
    }
    let (store, mut jobs) = channel::<Job>(1_000);
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(accept(listener, store));
    while let Some((stored, answer)) = jobs.recv().await {
        let mut line = serde_json::to_vec(&stored)?;
        line.push(b'\n');
        file.write_all(&line)?;
        if flaw == "early" {
            let _ = answer.send(StatusCode::ACCEPTED);
            tokio::task::yield_now().await; // on a single thread, the answer leaves meanwhile
            tokio::task::yield_now().await;
            file.sync_data()?;
        } else {
            file.sync_data()?;
            let _ = answer.send(StatusCode::ACCEPTED);
        }
        let _ = deliver.send(stored).await;
    }
    Ok(())
}

async fn accept(listener: TcpListener, store: Sender<Job>) {
    while let Ok((stream, _)) = listener.accept().await {
        let store = store.clone();
        let service = service_fn(move |request| take(request, store.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn take(request: Request<Incoming>, store: Sender<Job>) -> hyper::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let data = body.collect().await?.to_bytes().to_vec();
    let mut response = Response::new(Full::default());
    if parts.uri.path() == "/readyz" {
        return Ok(response);
    }
    let is_kept = |name: &HeaderName| name.as_str().starts_with("ce-") || name == "content-type";
    let kept = parts.headers.iter().filter(|(name, _)| is_kept(name));
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = kept.map(|(name, value)| (name.to_string(), text(value))).collect();
    let (answer, answered) = oneshot::channel();
    let _ = store.send((Stored { headers, data }, answer)).await;
    *response.status_mut() = answered.await.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    Ok(response)
}

async fn call(function: Producer, mut deliveries: Receiver<Stored>, flaw: String) {
    let mut count = 0_u64;
    while let Some(mut stored) = deliveries.recv().await {
        count += 1;
        let flaw = if count.is_multiple_of(3) { flaw.as_str() } else { "none" };
        match flaw {
            "lose" => {}
            "reorder" | "overlap" => {
                let Some(next) = deliveries.recv().await else { return };
                count += 1;
                if flaw == "reorder" {
                    post(&function, next).await;
                    post(&function, stored).await;
                } else {
                    tokio::join!(post(&function, stored), post(&function, next));
                }
            }
            "alter" => {
                stored.data.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
                post(&function, stored).await;
            }
            "repeat" => {
                post(&function, stored.clone()).await;
                post(&function, stored).await;
            }
            _ => post(&function, stored).await,
        }
    }
}

async fn post(function: &Producer, stored: Stored) {
    let headers = stored.headers.iter().filter_map(|(name, value)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    let _ = function.post(headers.collect::<HeaderMap>(), stored.data).await;
}
