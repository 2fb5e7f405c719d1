//! Every address that the process listens on: opened before anything else happens, served once the rest stands.

use super::{
    HTTP,
    pushed::{self, Pushed},
    wrong,
};
use crate::{
    admin::Admin,
    admit::Keys,
    cmd::Failure,
    config::{Config, Http, ListenerTls},
    control::Control,
    dispatch::Target,
    guard,
    ingress::{Answering, Complaints, Ingress, cloudevents::CloudEvents, paths::Paths},
    proxy::{self, Proxy},
    registry::{self, Storage},
    telemetry::Metrics,
    tls::{self, Watched},
};
use fastrand::Rng;
use outrigger_core::{DeadLetters, Drain, Exchange, Intake, Plugin};
use outrigger_net::{
    auth::Guard,
    body::{BodyLimits, Budget},
    limits::Limits,
    listen::Listener,
    server::{Counts, Remote, serve, serve_each},
    tls::{ServerSettings, ServerTls},
};
use std::{net::SocketAddr, path::Path, sync::Arc, time::SystemTime};

/// The open addresses, and who may enter.
pub(super) struct Doors {
    ingress: Option<Door>,
    proxy: Option<Door>,
    public: Option<Door>,
    owner: Listener,
    guard: Option<Arc<Guard>>,
    pushed: Vec<Pushed>,
    proxy_guard: Option<Arc<Guard>>,
}

/// An open address, and what happens there.
struct Door {
    listener: Listener,
    watched: Watched,
}

/// The open addresses of admin.
pub(super) struct AdminDoors {
    public: Option<Door>,
    owner: Listener,
}

/// The open address of the ingress.
pub(super) struct IngressDoor {
    door: Option<Door>,
    guard: Option<Arc<Guard>>,
    pushed: Vec<Pushed>,
}

/// The open address of the proxy.
pub(super) struct ProxyDoor {
    door: Option<Door>,
    guard: Option<Arc<Guard>>,
}

/// What lies behind the doors.
#[derive(Clone, Copy)]
pub(super) struct Inside<'a> {
    pub(super) config: &'a Config,
    pub(super) intake: &'a Intake,
    pub(super) storage: Option<&'a Storage>,
    /// Where dead letters rest.
    pub(super) dead: Option<&'a Arc<dyn DeadLetters>>,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) plugins: &'a [Arc<dyn Plugin>],
    /// What control events reach.
    pub(super) control: Option<&'a Arc<Control>>,
}

impl Doors {
    /// Opens all of them: a port in use, or a certificate without its key, must be known before anything has happened.
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let http = config.ingress.http.as_ref();
        let ingress = match http {
            Some(http) => {
                let tls = http.tls.as_ref().map(|tls| tls::listener(tls, http.http2_streams_max > 0));
                Some(Door::open("ingress.http", http.listen, tls).await?)
            }
            None => None,
        };
        let proxy = match &config.proxy {
            Some(proxy) => {
                let tls = proxy.tls.as_ref().map(|tls| tls::listener(tls, true));
                Some(Door::open("proxy", proxy.listen, tls).await?)
            }
            None => None,
        };
        let public = match config.admin.listen {
            Some(address) => {
                let tls = config.admin.tls.as_ref().map(|tls| tls::listener(tls, true));
                Some(Door::open("admin", address, tls).await?)
            }
            None => None,
        };
        let jitter = || config.runtime.seed.map_or_else(Rng::new, Rng::with_seed);
        let guard =
            http.map(|http| guard::start("ingress.http", &http.auth, &config.outgoing, jitter())).transpose();
        let guard = guard.map_err(wrong)?;
        let pushed = pushed::open(config, &jitter)?;
        let proxy_guard =
            config.proxy.as_ref().map(|it| guard::start(proxy::NAME, &it.auth, &config.outgoing, jitter()));
        let proxy_guard = proxy_guard.transpose().map_err(wrong)?;
        let owner = owner(&config.admin.socket).await?;
        Ok(Self { ingress, proxy, public, owner, guard, pushed, proxy_guard })
    }

    /// Those that metrics tell of.
    pub(super) fn watched(&self) -> Vec<Watched> {
        self.ingress.iter().chain(&self.proxy).chain(&self.public).map(|door| door.watched.clone()).collect()
    }

    /// Those that are served first, and those that are served last.
    pub(super) fn split(self) -> (AdminDoors, IngressDoor, ProxyDoor) {
        let admin = AdminDoors { public: self.public, owner: self.owner };
        let ingress = IngressDoor { door: self.ingress, guard: self.guard, pushed: self.pushed };
        (admin, ingress, ProxyDoor { door: self.proxy, guard: self.proxy_guard })
    }
}

impl Door {
    /// Opens the address of the section `name`.
    async fn open(
        name: &'static str,
        address: SocketAddr,
        tls: Option<ServerSettings>,
    ) -> Result<Self, Failure> {
        let tls =
            tls.map(|settings| ServerTls::open(settings, SystemTime::now())).transpose().map_err(wrong)?;
        let tls = tls.map(Arc::new);
        let listener = Listener::tcp(address, &format!("{name}.listen")).await.map_err(wrong)?;
        let listener = match &tls {
            Some(tls) => listener.secured(tls.clone()),
            None => listener,
        };
        Ok(Self { listener, watched: Watched { name, counts: counts(), tls } })
    }
}

impl AdminDoors {
    /// Answers probes, scrapers and the owner until `drain` starts.
    pub(super) fn serve(self, admin: &Arc<Admin>, drain: &Drain) {
        if let Some(Door { listener, watched }) = self.public {
            let admin = admin.clone();
            let service = move |request| std::future::ready(admin.public(&request));
            tokio::spawn(serve(listener, admin_limits(), watched.counts, service, started(drain.clone())));
        }
        let admin = admin.clone();
        let each = move |remote: Remote| {
            let admin = admin.clone();
            move |request| admin.clone().owner(request, remote.uid)
        };
        let drain = drain.clone();
        tokio::spawn(async move {
            serve_each(self.owner, admin_limits(), counts(), each, started(drain)).await;
        });
    }
}

impl IngressDoor {
    /// Takes events until `drain` starts, and holds it until the last request is answered. Gives back its
    /// paths, for those who come another way.
    pub(super) fn serve(self, inside: &Inside<'_>, drain: Drain) -> Option<Arc<Paths>> {
        let http = inside.config.ingress.http.as_ref()?;
        let Door { listener, watched } = self.door?;
        let guard = self.guard?;
        if !guard.is_open() {
            inside.metrics.guarded(HTTP);
        }
        let address = listener.address().unwrap_or(http.listen);
        let tls = watched.tls.is_some();
        tracing::info!(%address, path = http.path, sync = http.sync, tls, "events are taken");
        let receiving = receiving(inside.config, http);
        let pushed = self.pushed.into_iter();
        let pushed = pushed.map(|it| it.ingress(http, answering(http, inside), inside, receiving.clone()));
        let pushed = pushed.collect();
        let paths = Arc::new(Paths { http: ingress(http, inside, guard, receiving), pushed });
        let taken = paths.clone();
        let each = move |remote| {
            let paths = paths.clone();
            move |request| paths.handle(request, remote)
        };
        let limits = limits(http);
        tokio::spawn(async move {
            serve_each(listener, limits, watched.counts, each, started(drain.clone())).await;
        });
        Some(taken)
    }
}

impl ProxyDoor {
    /// Passes requests through until `drain` starts, and holds it until the last one is answered. Gives back
    /// what of its settings may change.
    pub(super) fn serve(
        self,
        inside: &Inside<'_>,
        target: &Arc<Target>,
        exchange: Arc<dyn Exchange>,
        paths: Option<Arc<Paths>>,
        drain: &Drain,
    ) -> Option<Arc<proxy::Tuning>> {
        let config = inside.config.proxy.as_ref()?;
        let Door { listener, watched } = self.door?;
        let guard = self.guard?;
        if !guard.is_open() {
            inside.metrics.guarded(proxy::NAME);
        }
        let address = listener.address().unwrap_or(config.listen);
        tracing::info!(%address, tls = watched.tls.is_some(), "requests pass through");
        let clients = |tls: Option<&ListenerTls>| tls.and_then(|tls| tls.clients.clone());
        let theirs = inside.config.ingress.http.as_ref().and_then(|http| clients(http.tls.as_ref()));
        let both = clients(config.tls.as_ref()).zip(theirs);
        let proxy = Proxy::new(
            config,
            proxy::Parts {
                target: target.clone(),
                exchange,
                plugins: inside.plugins.to_vec(),
                paths,
                hop: registry::hop(inside.config),
                certificates_shared: both.is_some_and(|(ours, theirs)| ours.knows_as(&theirs)),
                guard,
                metrics: inside.metrics.clone(),
                drain: drain.clone(),
            },
        );
        let limits = Limits {
            connections_max: config.connections_max,
            headers_max: config.headers_max,
            header_bytes_max: config.header_bytes_max,
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            http2_connect: true,
            ..Limits::default()
        };
        let tuning = proxy.tuning();
        let each = move |remote| {
            let visitor = proxy.visited_by(remote);
            // Boxed, so that a connection that rests keeps no room for it.
            move |request| Box::pin(visitor.clone().handle(request))
        };
        let drain = drain.clone();
        tokio::spawn(async move {
            serve_each(listener, limits, watched.counts, each, started(drain.clone())).await;
        });
        Some(tuning)
    }
}

async fn started(mut drain: Drain) {
    drain.started().await;
}

async fn owner(path: &Path) -> Result<Listener, Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| {
            Failure::Wrong(format!("admin.socket: {} cannot be made: {error}", folder.display()))
        })?;
    }
    Listener::unix(path, "admin.socket").await.map_err(wrong)
}

/// The bound on bodies that are being received: never less than the largest that a path takes.
fn receiving(config: &Config, http: &Http) -> Arc<Budget> {
    let pushed = [
        config.ingress.eventgrid_webhook.as_ref().map(|webhook| webhook.body_bytes_max),
        config.ingress.pubsub_push.as_ref().map(|push| push.body_bytes_max),
    ];
    let origins = config.ingress.origins.iter().map(|origin| origin.body_bytes_max);
    let largest = pushed.into_iter().flatten().chain(origins).fold(http.decompressed_bytes_max, usize::max);
    Arc::new(Budget::new(http.receiving_bytes_max.max(largest)))
}

fn ingress(http: &Http, inside: &Inside<'_>, guard: Arc<Guard>, receiving: Arc<Budget>) -> Arc<Ingress> {
    let Inside { config, metrics, .. } = *inside;
    Arc::new(Ingress {
        name: HTTP.into(),
        path: http.path.clone(),
        guard,
        body: BodyLimits {
            bytes_max: http.body_bytes_max,
            decompressed_bytes_max: http.decompressed_bytes_max,
            timeout: http.body_timeout,
        },
        receiving,
        inbound: Arc::new(CloudEvents { batch_events_max: http.batch_events_max }),
        webhook: http.webhook.clone(),
        confirmer: None,
        keys: Keys(config.delivery.key.clone()),
        answering: Control::before(inside.control, answering(http, inside), HTTP),
        metrics: metrics.clone(),
        hop: registry::hop(config),
        complaints: Complaints::default(),
    })
}

/// When senders are answered: all paths of the listener alike.
fn answering(http: &Http, inside: &Inside<'_>) -> Answering {
    let Inside { intake, storage, dead, .. } = *inside;
    match storage {
        Some(storage) if !http.sync => Answering::Durable { accept: storage.accept.clone() },
        _ => Answering::Sync { intake: intake.clone(), timeout: http.sync_timeout, dead: dead.cloned() },
    }
}

fn limits(http: &Http) -> Limits {
    Limits {
        connections_max: http.connections_max,
        headers_max: http.headers_max,
        header_bytes_max: http.header_bytes_max,
        header_timeout: http.header_timeout,
        idle_timeout: http.idle_timeout,
        http2_streams_max: http.http2_streams_max,
        ..Limits::default()
    }
}

/// A few scrapers and probes, never many.
fn admin_limits() -> Limits {
    Limits { connections_max: 64, ..Limits::default() }
}

fn counts() -> Arc<Counts> {
    Arc::new(Counts::default())
}
