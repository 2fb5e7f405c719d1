//! The function behind the hop, a process of its own: it reads what it is sent and answers with as many bytes as the
//! path says, in pieces, after it has begun to listen as late as it is told.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    process::Command,
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::TcpListener;

use super::bare::count;
use crate::process::Process;

/// A piece of an answer.
static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

/// What the function is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Listen that much later, in milliseconds
    #[arg(long, default_value_t = 0)]
    late_ms: u64,
    /// Where; any free port by default
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// Starts it as a child. Gives back where it listens.
pub(crate) fn start() -> Result<(Process, SocketAddr)> {
    let mut process = Process::start(Command::new(std::env::current_exe()?).arg("hop-function"))?;
    let address = process.first_line()?.parse().context("the function prints its address")?;
    Ok((process, address))
}

/// Serves until it is killed.
pub(crate) async fn run(options: Options) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(options.late_ms)).await;
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Filling>> {
    let left = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
    count(request.into_body()).await?;
    Ok(Response::new(Filling { left }))
}

/// So many bytes.
struct Filling {
    left: u64,
}

impl Body for Filling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.left.min(PIECE.len() as u64);
        self.left -= length;
        let piece = Bytes::from_static(&PIECE[..usize::try_from(length).unwrap_or(PIECE.len())]);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
