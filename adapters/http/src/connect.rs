//! New connections: a name becomes addresses, and the first that answers is taken, over TLS where the URL says so.

use std::{io, net::SocketAddr, sync::Arc};

use hyper::client::conn::{
    http1::{self, SendRequest},
    http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use outrigger_core::{Body, Error, Kind, Result};
use outrigger_net::tls::ClientTls;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use crate::{flat::Flat, tuning::Tuning};

/// Where to connect to.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    pub(crate) tuning: Arc<Tuning>,
    pub(crate) security: Security,
}

/// A connection, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Whether TLS is spoken there.
#[derive(Debug)]
pub(crate) enum Security {
    /// The URL says http.
    Plain,
    /// The URL says https, and nobody said how; nothing is sent.
    Unset,
    /// The URL says https.
    Tls(Arc<ClientTls>),
}

impl Address {
    /// A connection that has carried no request yet; hyper drives it on a task of its own, which ends when
    /// the connection is closed or its sender is dropped.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] when no address of the host accepts within the timeout, or its certificate is not
    /// believed: an outage, which must not cost the events.
    pub(crate) async fn connect(&self) -> Result<SendRequest<Body>> {
        let (sender, connection) = http1::handshake(self.open().await?).await.map_err(self.refused())?;
        // Whoever waits for the answer gets the connection's error.
        tokio::spawn(async move { connection.with_upgrades().await.unwrap_or_default() });
        Ok(sender)
    }

    /// The same over HTTP/2, for many requests at once; it ends with the last of its senders.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] as well.
    pub(crate) async fn connect_http2(&self) -> Result<http2::SendRequest<Body>> {
        let handshake = http2::handshake(TokioExecutor::new(), self.open().await?);
        let (sender, connection) = handshake.await.map_err(self.refused())?;
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        Ok(sender)
    }

    async fn open(&self) -> Result<TokioIo<Box<dyn Stream>>> {
        let deadline = Instant::now() + self.tuning.connect_timeout.get();
        let stream = self.stream(deadline).await.map_err(|error| self.unreachable(&error))?;
        // Without it small requests wait for the acknowledgement of earlier ones. A connection that is
        // gone already refuses the option; the request will tell.
        let _ = stream.set_nodelay(true);
        let told = |what: String| Error::new(Kind::Unreachable, format!("{self}: {what}"));
        match &self.security {
            Security::Plain => Ok(TokioIo::new(Box::new(Flat(stream)))),
            Security::Unset => Err(told("its URL says https, and no TLS was set up for it".to_owned())),
            Security::Tls(tls) => {
                let secured = timeout_at(deadline, tls.connect(&self.host, stream)).await;
                let secured = secured.map_err(|_| told(self.too_late()))?;
                Ok(TokioIo::new(Box::new(secured.map_err(told)?)))
            }
        }
    }

    fn refused(&self) -> impl Fn(hyper::Error) -> Error {
        move |error| Error::new(Kind::Unreachable, format!("{self}: {error}"))
    }

    async fn stream(&self, deadline: Instant) -> io::Result<TcpStream> {
        let addresses = self.resolve(deadline).await?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for (tried, address) in addresses.iter().enumerate() {
            // One address that swallows packets must not use up the time of the others.
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) if is_own(&stream) => last = io::ErrorKind::ConnectionRefused.into(),
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    async fn resolve(&self, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
        // A URL brackets an IPv6 address, a resolver does not know it so.
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let lookup = timeout_at(deadline, tokio::net::lookup_host((host, self.port)));
        Ok(lookup.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??.collect())
    }

    fn unreachable(&self, error: &io::Error) -> Error {
        let what = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused; is the function running?".to_owned(),
            io::ErrorKind::TimedOut => self.too_late(),
            _ => error.to_string(),
        };
        Error::new(Kind::Unreachable, format!("{self}: {what}"))
    }

    fn too_late(&self) -> String {
        format!("no connection within {} ms", self.tuning.connect_timeout.get().as_millis())
    }
}

/// Whether the socket is connected to itself, as TCP's simultaneous open does now and then to who asks for
/// a port on which nobody listens.
fn is_own(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
