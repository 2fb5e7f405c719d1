//! The baseline, and the function: a hyper server that answers each GET with the same KiB and the headers of an answer that
//! may be kept; below `/as-kept` with those that an answer out of a cache has besides.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response, Uri, body::Incoming, header::HeaderValue, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, net::SocketAddr, process::Command};
use tokio::net::TcpListener;

use crate::process::Process;

/// The size of each answer.
pub(crate) const BYTES: usize = 1_024;
static BODY: [u8; BYTES] = [b'x'; BYTES];

const HEADERS: [(&str, &str); 5] = [
    ("content-type", "application/json"),
    ("cache-control", "max-age=3600"),
    ("etag", "\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
    ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("vary", "accept-encoding"),
];
const AS_KEPT: [(&str, &str); 2] = [("age", "7"), ("cache-status", "outrigger; hit; ttl=3593")];

/// Starts it as a child. Gives back where it listens.
pub(crate) fn start() -> Result<(Process, SocketAddr)> {
    let mut process = Process::start(Command::new(std::env::current_exe()?).arg("hits-bare"))?;
    let address = process.first_line()?.parse().context("the baseline prints its address")?;
    Ok((process, address))
}

/// Serves until it is killed.
pub(crate) async fn run() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                std::future::ready(Ok::<_, Infallible>(answer(request.uri())))
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What is answered at a path.
pub(crate) fn answer(uri: &Uri) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(&BODY)));
    let mut put = |headers: &[(&'static str, &'static str)]| {
        let of: &mut HeaderMap = answer.headers_mut();
        for (name, value) in headers {
            of.insert(*name, HeaderValue::from_static(value));
        }
    };
    put(&HEADERS);
    if uri.path() == "/as-kept" {
        put(&AS_KEPT);
    }
    answer
}
