//! The baseline: a hyper server that sends each request on over a connection of hyper and passes the answer back.
//!
//! No time-outs, limits, headers of the hop, breaker or metrics; one runtime thread, as ours has. A connection to the
//! function is used again once its answer was read.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::{self as client, SendRequest},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

use super::secured;
use crate::process::Process;

/// What the baseline is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The function
    to: SocketAddr,
    /// Speak TLS, with the certificate and the key in this file
    #[arg(long)]
    tls: Option<PathBuf>,
}

type Idle = Arc<Mutex<Vec<SendRequest<Incoming>>>>;

/// Starts it as a child. Gives back where it listens.
pub(crate) fn start(to: SocketAddr) -> Result<(Process, SocketAddr)> {
    start_with(to, &[])
}

/// The same with TLS, by the certificate and the key in `file`.
pub(crate) fn start_secured(to: SocketAddr, file: &Path) -> Result<(Process, SocketAddr)> {
    start_with(to, &["--tls".as_ref(), file.as_os_str()])
}

fn start_with(to: SocketAddr, options: &[&OsStr]) -> Result<(Process, SocketAddr)> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut process = Process::start(command.arg("hop-bare").arg(to.to_string()).args(options))?;
    let address = process.first_line()?.parse().context("the baseline prints its address")?;
    Ok((process, address))
}

/// Serves until it is killed.
pub(crate) async fn run(Options { to, tls }: Options) -> Result<()> {
    let tls = tls.as_deref().map(secured::acceptor).transpose()?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    let idle = Idle::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (idle, tls) = (idle.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => speak(stream, to, idle).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        speak(stream, to, idle).await;
                    }
                }
            }
        });
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr, idle: Idle) {
    let service = service_fn(move |request| pass(request, to, idle.clone()));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn pass(request: Request<Incoming>, to: SocketAddr, idle: Idle) -> Result<Response<Back>> {
    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut sender = if let Some(sender) = kept {
        sender
    } else {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender
    };
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    Ok(answer.map(|body| Back { body, kept: Some((sender, idle)) }))
}

/// An answer's body that gives its connection back.
struct Back {
    body: Incoming,
    kept: Option<(SendRequest<Incoming>, Idle)>,
}

impl Body for Back {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if self.body.is_end_stream()
            && let Some((sender, idle)) = self.kept.take()
        {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a body to its end, and counts.
pub(crate) async fn count(mut body: Incoming) -> Result<u64> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, |piece| piece.len() as u64);
    }
    Ok(bytes)
}
