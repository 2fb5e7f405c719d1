//! All of Outrigger, wired once, from top to bottom; and how it stops.

use crate::{
    admin::Admin,
    admit::{Admission, Keys},
    cmd::{Exit, Failure},
    config::{Config, Env, Http, Meaning, OnPoison},
    dispatch::{self, Target, now},
    ingress::{Answering, Ingress, cloudevents::CloudEvents},
    ready::Probe,
    registry::{self, Homeless, Storage},
    supervise::{self, Life, Supervisor},
    telemetry::Metrics,
};
use fastrand::Rng;
use http::Uri;
use outrigger_core::{
    Drain, DrainTrigger, Error, Intake, TargetId,
    decide::{
        backoff::Backoff,
        breaker,
        step::Policy,
        verdict::{Statuses, Verdict},
        window::Window,
    },
    drain,
};
use outrigger_net::{
    body::BodyLimits,
    limits::Limits,
    listen::Listener,
    server::{Counts, serve},
    token::TokenFile,
};
use std::{
    ffi::OsString,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    task::JoinHandle,
};

/// The name of the HTTP ingress in keys, metrics and dead letters.
const HTTP: &str = "http";

/// Runs until a signal, the function's end or a fault, then drains.
///
/// # Errors
/// One line with what to do, for everything that keeps it from starting, and for a fault of the storage.
pub async fn run(config: Config, command: Vec<OsString>, env: Arc<dyn Env>) -> Result<Exit, Failure> {
    let metrics = Arc::new(Metrics::new().map_err(problem)?);
    let mut rng = config.runtime.seed.map_or_else(Rng::new, Rng::with_seed);

    // Addresses first: a port in use must be known before anything has happened.
    let ingress_listener = match &config.ingress.http {
        Some(http) => Some(Listener::tcp(http.listen, "ingress.http.listen").await.map_err(wrong)?),
        None => None,
    };
    let admin_listener = match config.admin.listen {
        Some(address) => Some(Listener::tcp(address, "admin.listen").await.map_err(wrong)?),
        None => None,
    };
    let token = config.ingress.http.as_ref().and_then(|http| http.bearer_file.as_ref());
    let token = token.map(|file| TokenFile::open(file, now())).transpose().map_err(wrong)?;

    // The function, started or only known.
    let (port, url) = address_of(&config, !command.is_empty())?;
    let supervisor = Supervisor {
        command,
        port,
        settings: config.function.clone(),
        metrics: metrics.clone(),
        rng: rng.fork(),
    };
    let child = (!supervisor.command.is_empty()).then(|| supervisor.start(&*env)).transpose();
    let child = child.map_err(Failure::Wrong)?;

    // Storage, and the path from it to the function.
    let (fatal, mut faults) = oneshot::channel();
    let storage = open_storage(&config, fatal)?;
    let plugins = registry::plugins(&config);
    let replies = storage.is_none() || config.ingress.http.as_ref().is_some_and(|http| http.sync);
    let call = registry::function(&config.function, &url, replies, &plugins).map_err(wrong)?;
    let parts = dispatch::Parts {
        call,
        dead: storage.as_ref().map_or_else(|| Arc::new(Homeless) as _, |storage| storage.dead.clone()),
        ledger: plugins.iter().fold(None, |ledger, plugin| plugin.ledger(ledger)),
        observers: plugins.iter().filter_map(|plugin| plugin.observe()).collect(),
        metrics: metrics.clone(),
        rng: rng.fork(),
    };
    let target = Target::new(TargetId("function".into()), settings(&config), parts);
    let annotators = plugins.iter().filter_map(|plugin| plugin.annotate()).collect();
    let admission = Arc::new(Admission { annotators, target: target.clone() });
    let intake = Intake::new(Window::new(config.window.events, config.window.bytes), admission);

    // Admin before the ingress, so that a probe sees everything come up.
    let admin = Arc::new(Admin::new(&metrics, &target, &intake, storage.as_ref()));
    let socket = open_socket(&config.admin.socket).await?;
    let (admin_stop, admin_drain) = drain::channel();
    let mut tasks = vec![spawn_owner(socket, &admin, admin_drain.clone())];
    tasks.extend(admin_listener.map(|listener| spawn_public(listener, &admin, admin_drain)));

    // Sources and the clock of the lanes.
    let (sources_stop, sources_drain) = drain::channel();
    tasks.push(tokio::spawn(target.clone().keep_time()));
    let mut source = storage
        .as_ref()
        .map(|storage| tokio::spawn(storage.source.clone().run(intake.clone(), sources_drain.clone())));
    tasks.extend(plugins.iter().filter_map(|p| p.background(sources_drain.clone())).map(tokio::spawn));
    if let (Some(http), Some(listener)) = (&config.ingress.http, ingress_listener) {
        let address = listener.address();
        let ingress = ingress(http, &config, token, &intake, storage.as_ref(), &metrics);
        spawn_ingress(listener, ingress, limits(http), sources_drain);
        let _ = admin.listening.set(()); // only set here
        tracing::info!(address = ?address.unwrap_or(http.listen), path = http.path, sync = http.sync, "events are taken");
    } else {
        drop(sources_drain);
        let _ = admin.listening.set(());
    }

    // The function's life, as readiness sees it.
    let (life, lives) = watch::channel(if child.is_some() { Life::Down } else { Life::Running(0) });
    let probe = Probe::of(&url, config.function.ready_path.clone());
    let watcher = tokio::spawn(watch_readiness(target.clone(), probe, lives, config.function.ready_timeout));
    let (function_stop, function_drain) = drain::channel();
    let mut function =
        child.map(|child| tokio::spawn(supervisor.keep(child, env, life.clone(), function_drain)));

    let end = tokio::select! {
        () = stop_signal() => End::Signal,
        error = &mut faults => End::Fault(error.unwrap_or_else(|_| stopped("journal"))),
        ended = joined(&mut source) => End::Fault(ended),
        code = function_ended(&mut function) => End::Function(code),
    };
    if let End::Fault(error) = end {
        return Err(problem(error)); // nothing may be settled any more: no drain
    }

    // Stopping, in the order of the design: readiness, sources, lanes, leftovers, storage, function.
    tracing::info!("draining: no new events, lanes finish");
    admin.draining.store(true, Ordering::Relaxed);
    tokio::time::sleep(config.drain.lame_duck).await;
    let deadline =
        now() + if matches!(end, End::Function(_)) { Duration::ZERO } else { config.drain.deadline };
    let released = stop_lanes(&target, sources_stop, deadline).await;
    if let Some(storage) = &storage {
        storage.journal.flush().await.map_err(problem)?;
    }
    watcher.abort();
    function_stop.start();
    let code = match (end, function) {
        (End::Function(code), _) => code,
        (_, Some(function)) => function.await.ok().flatten().unwrap_or(0),
        (_, None) => 0,
    };
    admin_stop.start();
    tasks.iter().for_each(JoinHandle::abort);
    tracing::info!(released, "stopped");
    Ok(if code == 0 { Exit::Success } else { Exit::Function(code) })
}

/// Why it stops.
enum End {
    Signal,
    Fault(Error),
    Function(u8),
}

/// The port that a COMMAND is told, and the URL that is called.
fn address_of(config: &Config, starts: bool) -> Result<(u16, Uri), Failure> {
    let configured = config.function.port.or_else(|| config.function.url.as_ref().and_then(Uri::port_u16));
    let port = match configured {
        Some(port) => port,
        None if starts => supervise::free_port()
            .map_err(|error| Failure::Problem(format!("there is no free port for the function: {error}")))?,
        None => 80,
    };
    let url = match &config.function.url {
        Some(url) => url.clone(),
        None => format!("http://127.0.0.1:{port}/").parse().expect("an address and a port are a URL"),
    };
    Ok((port, url))
}

/// Opens the journal, unless what is written there would die with the pod and nobody accepted that.
fn open_storage(config: &Config, fatal: oneshot::Sender<Error>) -> Result<Option<Storage>, Failure> {
    let journal = &config.journal;
    if journal.storage == crate::config::Storage::Ephemeral && !journal.accept_loss {
        tracing::info!(
            "the journal's storage is ephemeral, so events are not kept: senders wait for the outcome"
        );
        std::mem::forget(fatal); // nobody will report a fault; dropping it would look like one
        return Ok(None);
    }
    let opened = registry::journal(journal, move |error| drop(fatal.send(error)));
    opened.map(Some).map_err(wrong)
}

fn settings(config: &Config) -> dispatch::Settings {
    let (delivery, function) = (&config.delivery, &config.function);
    let mut statuses = Statuses::default();
    for (status, meaning) in &function.statuses {
        let verdict = match meaning {
            Meaning::Delivered => Verdict::Delivered,
            Meaning::Retry => Verdict::Retry,
            Meaning::Refused => Verdict::Refused,
        };
        match status.parse() {
            Ok(status) => statuses.overrule(status, verdict),
            Err(_) => statuses.overrule_class(u16::from(status.as_bytes()[0] - b'0'), verdict),
        }
    }
    dispatch::Settings {
        policy: Policy {
            attempts_max: delivery.attempts_max,
            deadline: delivery.deadline,
            backoff: Backoff { initial: delivery.backoff.initial, max: delivery.backoff.max },
        },
        statuses,
        on_poison: match delivery.on_poison {
            OnPoison::Skip => dispatch::OnPoison::Skip,
            OnPoison::Park => dispatch::OnPoison::Park,
        },
        concurrency: function.concurrency,
        per_second: function.rate,
        retry_budget: (
            delivery.retry_budget.ratio,
            delivery.retry_budget.per_second_min,
            delivery.retry_budget.burst,
        ),
        breaker: breaker::Settings {
            failures: delivery.breaker.failures,
            open: delivery.breaker.open,
            open_max: delivery.breaker.open_max,
        },
    }
}

fn ingress(
    http: &Http,
    config: &Config,
    token: Option<TokenFile>,
    intake: &Intake,
    storage: Option<&Storage>,
    metrics: &Arc<Metrics>,
) -> Arc<Ingress> {
    let answering = match storage {
        Some(storage) if !http.sync => {
            Answering::Durable { accept: storage.accept.clone(), dead: storage.dead.clone() }
        }
        _ => Answering::Sync { intake: intake.clone(), timeout: http.sync_timeout },
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

/// The ingress holds its drain until the last request is answered.
fn spawn_ingress(listener: Listener, ingress: Arc<Ingress>, limits: Limits, mut drain: Drain) {
    tokio::spawn(async move {
        let service = move |request| ingress.clone().handle(request);
        let mut until = drain.clone();
        serve(listener, limits, Arc::new(Counts::default()), service, async move { until.started().await })
            .await;
        drain.started().await;
    });
}

fn spawn_public(listener: Listener, admin: &Arc<Admin>, mut drain: Drain) -> JoinHandle<()> {
    let admin = admin.clone();
    tokio::spawn(async move {
        let service = move |request| admin.clone().public(request);
        serve(listener, admin_limits(), Arc::new(Counts::default()), service, async move {
            drain.started().await
        })
        .await;
    })
}

fn spawn_owner(listener: Listener, admin: &Arc<Admin>, mut drain: Drain) -> JoinHandle<()> {
    let admin = admin.clone();
    tokio::spawn(async move {
        let service = move |request| admin.clone().owner(request);
        serve(listener, admin_limits(), Arc::new(Counts::default()), service, async move {
            drain.started().await
        })
        .await;
    })
}

/// A few scrapers and probes, never many.
fn admin_limits() -> Limits {
    Limits { connections_max: 64, ..Limits::default() }
}

async fn open_socket(path: &Path) -> Result<Listener, Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| {
            Failure::Wrong(format!("admin.socket: {} cannot be made: {error}", folder.display()))
        })?;
    }
    Listener::unix(path, "admin.socket").await.map_err(wrong)
}

/// Follows the function's starts: not ready while it is down, ready once its probe answers.
async fn watch_readiness(
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
                changed = lives.changed() => if changed.is_ok() { false } else { return },
            };
            if ready {
                tracing::info!(authority = probe.authority, "the function is ready");
                target.set_ready(true);
            } else {
                continue;
            }
        }
        if lives.changed().await.is_err() {
            return std::future::pending().await; // no supervisor: the breaker sees to outages
        }
    }
}

/// Stops the sources, then lets the lanes finish. Gives back how many events were released.
async fn stop_lanes(target: &Target, sources: DrainTrigger, deadline: Instant) -> usize {
    sources.start();
    if tokio::time::timeout_at(deadline.into(), sources.ended()).await.is_err() {
        tracing::warn!("some requests were still open at the drain's deadline");
    }
    target.drain(deadline).await
}

async fn stop_signal() {
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        return std::future::pending().await; // no signals here: only SIGKILL will end it
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn joined(source: &mut Option<JoinHandle<outrigger_core::Result<()>>>) -> Error {
    let Some(task) = source else { return std::future::pending().await };
    match task.await {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => stopped("source"),
    }
}

async fn function_ended(function: &mut Option<JoinHandle<Option<u8>>>) -> u8 {
    let Some(task) = function else { return std::future::pending().await };
    match task.await {
        Ok(Some(code)) => code,
        Ok(None) | Err(_) => 1,
    }
}

fn stopped(what: &str) -> Error {
    Error::new(
        outrigger_core::Kind::Closed,
        format!("the {what} stopped without a reason; please report this"),
    )
}

fn problem(error: Error) -> Failure {
    Failure::Problem(error.to_string())
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::Wrong(error.to_string())
}
