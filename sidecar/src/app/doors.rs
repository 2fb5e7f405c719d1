//! Every address that the process listens on: opened before anything else happens, served once the rest stands.

use super::{HTTP, wrong};
use crate::{
    admin::Admin,
    admit::Keys,
    cmd::Failure,
    config::{Config, Http},
    dispatch::{Target, now},
    ingress::{Answering, Ingress, cloudevents::CloudEvents},
    proxy::{self, Proxy},
    registry::Storage,
    telemetry::Metrics,
};
use outrigger_core::{Drain, Exchange, Intake};
use outrigger_net::{
    body::BodyLimits,
    limits::Limits,
    listen::Listener,
    server::{Counts, serve, serve_each},
    token::TokenFile,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The open addresses, and who may enter.
pub(super) struct Doors {
    ingress: Option<Listener>,
    proxy: Option<Listener>,
    public: Option<Listener>,
    owner: Listener,
    token: Option<TokenFile>,
    proxy_token: Option<TokenFile>,
}

/// The open addresses of admin.
pub(super) struct AdminDoors {
    public: Option<Listener>,
    owner: Listener,
}

/// The open address of the ingress.
pub(super) struct IngressDoor {
    listener: Option<Listener>,
    token: Option<TokenFile>,
}

/// The open address of the proxy.
pub(super) struct ProxyDoor {
    listener: Option<Listener>,
    token: Option<TokenFile>,
}

/// What lies behind the doors.
#[derive(Clone, Copy)]
pub(super) struct Inside<'a> {
    pub(super) config: &'a Config,
    pub(super) intake: &'a Intake,
    pub(super) storage: Option<&'a Storage>,
    pub(super) metrics: &'a Arc<Metrics>,
}

impl Doors {
    /// Opens all of them: a port in use must be known before anything has happened.
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let http = config.ingress.http.as_ref();
        let ingress = match http {
            Some(http) => Some(Listener::tcp(http.listen, "ingress.http.listen").await.map_err(wrong)?),
            None => None,
        };
        let proxy = match &config.proxy {
            Some(proxy) => Some(Listener::tcp(proxy.listen, "proxy.listen").await.map_err(wrong)?),
            None => None,
        };
        let public = match config.admin.listen {
            Some(address) => Some(Listener::tcp(address, "admin.listen").await.map_err(wrong)?),
            None => None,
        };
        let token = token_of(http.and_then(|http| http.bearer_file.as_ref()))?;
        let proxy_token = token_of(config.proxy.as_ref().and_then(|proxy| proxy.bearer_file.as_ref()))?;
        let owner = owner(&config.admin.socket).await?;
        Ok(Self { ingress, proxy, public, owner, token, proxy_token })
    }

    /// Those that are served first, and those that are served last.
    pub(super) fn split(self) -> (AdminDoors, IngressDoor, ProxyDoor) {
        let admin = AdminDoors { public: self.public, owner: self.owner };
        let ingress = IngressDoor { listener: self.ingress, token: self.token };
        (admin, ingress, ProxyDoor { listener: self.proxy, token: self.proxy_token })
    }
}

impl AdminDoors {
    /// Answers probes, scrapers and the owner until `drain` starts.
    pub(super) fn serve(self, admin: &Arc<Admin>, drain: &Drain) {
        if let Some(listener) = self.public {
            let admin = admin.clone();
            let service = move |request| std::future::ready(admin.public(&request));
            tokio::spawn(serve(listener, admin_limits(), counts(), service, started(drain.clone())));
        }
        let admin = admin.clone();
        let service = move |request| admin.clone().owner(request);
        tokio::spawn(serve(self.owner, admin_limits(), counts(), service, started(drain.clone())));
    }
}

impl IngressDoor {
    /// Takes events until `drain` starts, and holds it until the last request is answered. Gives back the ingress,
    /// for those who come another way.
    pub(super) fn serve(self, inside: &Inside<'_>, drain: Drain) -> Option<Arc<Ingress>> {
        let http = inside.config.ingress.http.as_ref()?;
        let listener = self.listener?;
        let address = listener.address().unwrap_or(http.listen);
        tracing::info!(%address, path = http.path, sync = http.sync, "events are taken");
        let ingress = ingress(http, inside, self.token);
        let taken = ingress.clone();
        let service = move |request| ingress.clone().handle(request);
        let limits = limits(http);
        tokio::spawn(async move { serve(listener, limits, counts(), service, started(drain.clone())).await });
        Some(taken)
    }
}

impl ProxyDoor {
    /// Passes requests through until `drain` starts, and holds it until the last one is answered.
    pub(super) fn serve(
        self,
        inside: &Inside<'_>,
        target: &Arc<Target>,
        exchange: Arc<dyn Exchange>,
        ingress: Option<Arc<Ingress>>,
        drain: &Drain,
    ) {
        let (Some(config), Some(listener)) = (&inside.config.proxy, self.listener) else { return };
        let address = listener.address().unwrap_or(config.listen);
        tracing::info!(%address, "requests pass through");
        let proxy = Proxy::new(
            config,
            proxy::Parts {
                target: target.clone(),
                exchange,
                ingress,
                token: self.token,
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
        };
        let each = move |remote| {
            let visitor = proxy.visited_by(remote);
            // Boxed, so that a connection that rests keeps no room for it.
            move |request| Box::pin(visitor.clone().handle(request))
        };
        let drain = drain.clone();
        tokio::spawn(
            async move { serve_each(listener, limits, counts(), each, started(drain.clone())).await },
        );
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

fn token_of(file: Option<&PathBuf>) -> Result<Option<TokenFile>, Failure> {
    file.map(|file| TokenFile::open(file, now())).transpose().map_err(wrong)
}

fn ingress(http: &Http, inside: &Inside<'_>, token: Option<TokenFile>) -> Arc<Ingress> {
    let Inside { config, intake, storage, metrics } = *inside;
    let answering = match storage {
        Some(storage) if !http.sync => Answering::Durable { accept: storage.accept.clone() },
        _ => Answering::Sync {
            intake: intake.clone(),
            timeout: http.sync_timeout,
            dead: storage.map(|storage| storage.dead.clone()),
        },
    };
    Arc::new(Ingress {
        name: HTTP.into(),
        path: http.path.clone(),
        token,
        body: BodyLimits {
            bytes_max: http.body_bytes_max,
            decompressed_bytes_max: http.decompressed_bytes_max,
            timeout: http.body_timeout,
        },
        inbound: Arc::new(CloudEvents { batch_events_max: http.batch_events_max }),
        keys: Keys(config.delivery.key.clone()),
        answering,
        metrics: metrics.clone(),
    })
}

fn limits(http: &Http) -> Limits {
    Limits {
        connections_max: http.connections_max,
        headers_max: http.headers_max,
        header_bytes_max: http.header_bytes_max,
        header_timeout: http.header_timeout,
        idle_timeout: http.idle_timeout,
    }
}

/// A few scrapers and probes, never many.
fn admin_limits() -> Limits {
    Limits { connections_max: 64, ..Limits::default() }
}

fn counts() -> Arc<Counts> {
    Arc::new(Counts::default())
}
