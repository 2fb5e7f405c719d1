//! Whether the function can take calls: asked before the first event, so that no start costs an attempt.

use crate::{config::port_of, dispatch::Target, supervise::Life};
use bytes::Bytes;
use http::Uri;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use outrigger_net::tls::ClientTls;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

/// The first pause between two looks; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(250);
const LOOK_MAX: Duration = Duration::from_secs(1);

/// How readiness is asked.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The function's address, `host:port`.
    pub authority: String,
    /// The path that answers 2xx when it is ready; `None` is content with a connection.
    pub path: Option<String>,
    /// Its TLS, where its URL says https.
    pub tls: Option<Arc<ClientTls>>,
}

impl Probe {
    /// The probe of the function at `url`; the port is the scheme's where none is given.
    #[must_use]
    pub fn of(url: &Uri, path: Option<String>, tls: Option<Arc<ClientTls>>) -> Self {
        let host = url.host().unwrap_or("127.0.0.1");
        Self { authority: format!("{host}:{}", port_of(url)), path, tls }
    }

    /// Waits until the function is ready, for as long as it takes. Cancel safe.
    pub async fn ready(&self) {
        let (mut pause, said) = (PAUSE_MIN, AtomicBool::new(false));
        while !timeout(LOOK_MAX, self.look(&said)).await.unwrap_or(false) {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One look. Why TLS fails is said once: it will not pass by itself.
    async fn look(&self, said: &AtomicBool) -> bool {
        let Ok(stream) = TcpStream::connect(&self.authority).await else { return false };
        if is_own(&stream) {
            return false;
        }
        let Some(path) = &self.path else { return true };
        let Some(tls) = &self.tls else { return self.ask(path, stream).await };
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        match tls.connect(host, stream).await {
            Ok(stream) => self.ask(path, stream).await,
            Err(why) => {
                if !said.swap(true, Relaxed) {
                    tracing::warn!(
                        authority = self.authority,
                        why,
                        "the function cannot be asked whether it is ready"
                    );
                }
                false
            }
        }
    }

    async fn ask<T>(&self, path: &str, stream: T) -> bool
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok((mut sender, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await
        else {
            return false;
        };
        let request = hyper::Request::get(path).header(http::header::HOST, self.authority.as_str());
        let Ok(request) = request.body(Empty::<Bytes>::new()) else { return false };
        tokio::select! {
            answer = sender.send_request(request) => answer.is_ok_and(|answer| answer.status().is_success()),
            _ = connection => false,
        }
    }
}

/// Whether the socket is connected to itself: asked again and again, an ephemeral port on which nobody listens is at
/// some time chosen for the asker's own end (TCP's simultaneous open), and would keep the function from taking it.
fn is_own(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

/// Follows the function's starts: not ready while it is down, ready once its probe answers.
pub async fn follow(
    target: Arc<Target>,
    probe: Probe,
    mut lives: watch::Receiver<Life>,
    patience: Option<Duration>,
) {
    loop {
        let life = *lives.borrow_and_update();
        target.set_ready(false);
        if let Life::Running(_) = life {
            let late = async {
                match patience {
                    Some(patience) => tokio::time::sleep(patience).await,
                    None => std::future::pending().await,
                }
                tracing::error!(
                    authority = probe.authority,
                    "the function is still not ready; events wait for it"
                );
                std::future::pending::<()>().await;
            };
            let ready = tokio::select! {
                () = probe.ready() => true,
                () = late => false,
                () = changed(&mut lives) => false,
            };
            if ready {
                tracing::info!(authority = probe.authority, "the function is ready");
                target.set_ready(true);
            } else {
                continue;
            }
        }
        changed(&mut lives).await;
    }
}

/// Waits for the next end or start. Without a supervisor there is none, and the breaker sees to outages.
async fn changed(lives: &mut watch::Receiver<Life>) {
    if lives.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
