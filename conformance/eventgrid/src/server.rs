//! The server: who is asked what, by which door, and what a planted fault makes of it.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    admin,
    answer::{Body, Refusal},
    auth::{self, Door},
    clock::Pace,
    config::Config,
    fault::{Fault, Op},
    grid::{Grid, Seen},
    namespace::{self, Ask},
    tls, topic,
    webhooks::{self, Webhooks},
};

/// A body longer than this is not even read to its end.
const READ_MAX: usize = 16 << 20;

/// How a server is to be.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where to listen; default 127.0.0.1 and any free port.
    pub address: SocketAddr,
    /// What clients call it, in place of the address's IP: what its certificate is for. Default: the IP.
    pub name: Option<String>,
    /// What it begins with.
    pub config: Config,
    /// How its clock goes; default: in real time.
    pub pace: Pace,
    /// A certificate's chain and key, in PEM files: then it speaks TLS, and nothing else.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The authorities by which the certificates of webhooks are judged, in a PEM file.
    pub webhook_ca: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: None,
            config: Config::default(),
            pace: Pace::Running(1),
            tls: None,
            webhook_ca: None,
        }
    }
}

/// What all connections share; a handle to the server from outside.
#[derive(Debug)]
pub struct Shared {
    /// Everything that it knows.
    pub grid: Arc<Grid>,
    /// What speaks with webhooks.
    pub webhooks: Webhooks,
    url: String,
}

impl Shared {
    /// Where clients find it, without a path.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A server that has not started.
pub struct Server {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
}

impl Server {
    /// Everything but the serving. Within a runtime.
    ///
    /// # Errors
    /// The certificates cannot be read, or the listener cannot be registered.
    pub fn new(listener: std::net::TcpListener, setup: &Setup) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let acceptor = setup.tls.as_ref().map(|(chain, key)| tls::acceptor(chain, key)).transpose()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let grid = Arc::new(Grid::new(&setup.config, setup.pace));
        let url = match &setup.name {
            Some(name) => format!("{scheme}://{name}:{}", address.port()),
            None => format!("{scheme}://{address}"),
        };
        let webhooks = Webhooks::new(grid.clone(), url.clone(), setup.webhook_ca.as_deref())?;
        for (topic, custom) in &setup.config.custom_topics {
            for (name, settings) in &custom.subscriptions {
                // The configuration has been checked, and its topics have just been made.
                webhooks.subscribe(topic, name, settings.clone()).map_err(io::Error::other)?;
            }
        }
        let shared = Arc::new(Shared { grid, webhooks, url });
        Ok(Self { listener: TcpListener::from_std(listener)?, acceptor, shared })
    }

    /// The handle to it.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Serves until the future is dropped, which closes all connections.
    pub async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let _ = stream.set_nodelay(true); // an answer must not wait for the caller's ACK
                    let (shared, acceptor) = (self.shared.clone(), self.acceptor.clone());
                    connections.spawn(async move {
                        match acceptor {
                            None => connection(stream, shared).await,
                            // A client that does not trust the certificate hears of it by itself.
                            Some(acceptor) => if let Ok(stream) = acceptor.accept(stream).await {
                                connection(stream, shared).await;
                            },
                        }
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| handle(request, shared.clone()));
    // A closed connection is the client's business, or a planted fault.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, READ_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(Refusal::too_large("The request is far too long.").answer());
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let path = parts.uri.path();
    if path.starts_with("/_/") {
        return Ok(admin::handle(&parts, &body, &shared).await);
    }
    if path.starts_with("/eventsubscriptions/") && path.ends_with("/validate") {
        return Ok(webhooks::validated(&shared.grid, &parts));
    }
    let answered = serve(&parts, &body, &shared.grid).await;
    let (by, result) = answered;
    shared.grid.change(|state| state.saw(seen(&parts, body.len(), by, &result, shared.grid.clock.now())));
    result
}

/// The answer, and by what the client came in.
async fn serve(
    parts: &Parts,
    body: &Bytes,
    grid: &Grid,
) -> (Option<&'static str>, io::Result<Response<Body>>) {
    let ask = Ask::of(parts.uri.path());
    let custom = topic::named(parts);
    let (door, op, topic) = match (&ask, custom) {
        (Some(ask), _) => (Door::Namespace, ask.op, ask.topic),
        (None, Some(custom)) => (Door::Topic, Op::Events, custom),
        (None, None) => {
            let path = parts.uri.path();
            return (
                None,
                Ok(Refusal::not_found(format!("'{path}' is no resource of Event Grid.")).answer()),
            );
        }
    };
    let fault = grid.note(|state| state.faults.take(op, topic)).unwrap_or_default();
    match stand_in(&fault, ask.as_ref(), grid).await {
        Ok(None) => {}
        Ok(Some(answer)) => return (None, Ok(answer)),
        Err(error) => return (None, Err(error)),
    }
    let access = grid.look(|state| state.access.clone());
    let by = match auth::enter(&access, door, parts, grid.clock.now()) {
        Ok(by) => by,
        Err(refusal) => return (None, Ok(refusal.answer())),
    };
    let answer = match ask {
        Some(ask) => namespace::answer(grid, ask, parts, body).await,
        None => topic::answer(grid, topic, parts, body),
    };
    if fault.drop_answer {
        return (Some(by), Err(io::Error::other("a fault that was planted: the answer is lost")));
    }
    (Some(by), Ok(answer.unwrap_or_else(|refusal| refusal.answer())))
}

/// What a fault does before, or instead of, what was asked.
async fn stand_in(fault: &Fault, ask: Option<&Ask<'_>>, grid: &Grid) -> io::Result<Option<Response<Body>>> {
    if fault.delay_ms > 0 {
        let until = grid.clock.now().plus(std::time::Duration::from_millis(fault.delay_ms));
        grid.clock.sleep_until(until).await;
    }
    if let Some(Ask { topic, subscription: Some(subscription), .. }) = ask
        && fault.lose_locks
    {
        let now = grid.clock.now();
        grid.change(|state| {
            if let Ok(queue) = state.queue(topic, subscription) {
                queue.lose_locks(now);
            }
        });
    }
    if fault.drop {
        return Err(io::Error::other("a fault that was planted: the connection is closed"));
    }
    let Some(status) = fault.status.and_then(|status| StatusCode::from_u16(status).ok()) else {
        return Ok(None);
    };
    let refusal = Refusal { status, code: "PlantedFault", message: "A fault that was planted.".to_owned() };
    let mut answer = refusal.answer();
    if let Some(after) = fault.retry_after.as_deref().and_then(|text| text.parse().ok()) {
        answer.headers_mut().insert(http::header::RETRY_AFTER, after);
    }
    Ok(Some(answer))
}

fn seen(
    parts: &Parts,
    body_len: usize,
    by: Option<&'static str>,
    result: &io::Result<Response<Body>>,
    at: crate::clock::Moment,
) -> Seen {
    let agent = parts.headers.get(http::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Seen {
        at,
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        by,
        agent: agent.unwrap_or_default().to_owned(),
        body_len,
        status: result.as_ref().map_or(0, |answer| answer.status().as_u16()),
    }
}
