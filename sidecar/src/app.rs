//! All of Outrigger, wired once, from top to bottom; and how it stops.

mod doors;
mod live;
mod pushed;
mod targets;
mod wiring;

use crate::{
    admin::Admin,
    cmd::{Exit, Failure, check},
    config::{Config, Env},
    control::Control,
    dispatch::{Target, now},
    guarded,
    ready::{self, Probe},
    registry::{self, Brokers, Homes, Storage},
    reload::Reload,
    supervise::{Life, Orphans, Supervisor},
    telemetry::Metrics,
    tls,
};
use doors::{Doors, Inside};
use fastrand::Rng;
use futures_util::future::join_all;
use live::Live;
use outrigger_core::{DeadLetters, Drain, DrainTrigger, Error, Intake, Kind, Plugin, drain};
use std::{
    ffi::OsString,
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use targets::Around;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
};

/// The name of the HTTP ingress in keys, metrics and dead letters.
const HTTP: &str = "http";

/// Runs until a signal, the function's end or a fault, then drains.
///
/// # Errors
/// One line with what to do, for everything that keeps it from starting, and for a fault of the storage.
pub async fn run(
    config: Config,
    command: Vec<OsString>,
    env: Arc<dyn Env>,
    reload: Option<Reload>,
) -> Result<Exit, Failure> {
    // From here on no signal is lost: not one during the start, nor a second one at any time of the drain.
    let mut signals = Signals::listen();
    let reload = reload.map(Reload::listening);
    for (key, what) in check::warnings(&config) {
        tracing::warn!("{key}: {what}");
    }
    let mut app = Box::pin(App::start(config, command, env)).await?;
    if let Some(reload) = reload {
        let live = app.live.clone();
        let reload = reload.also(move |config| live.apply(config));
        tokio::spawn(reload.keep(app.admin.clone()));
    }
    let end = app.end(&mut signals).await;
    app.stop(end, &mut signals).await
}

/// What runs, and the ways to stop it.
struct App {
    live: Arc<Live>,
    admin: Arc<Admin>,
    storage: Option<Storage>,
    faults: oneshot::Receiver<Error>,
    brokers: Brokers,
    sources: JoinSet<outrigger_core::Result<()>>,
    function: Option<JoinHandle<Option<u8>>>,
    plugins: Vec<Arc<dyn Plugin>>,
    sources_stop: DrainTrigger,
    function_stop: DrainTrigger,
    admin_stop: DrainTrigger,
}

/// Why it stops.
enum End {
    Signal,
    Fault(Error),
    Function(u8),
}

impl App {
    async fn start(config: Config, command: Vec<OsString>, env: Arc<dyn Env>) -> Result<Self, Failure> {
        let metrics = Arc::new(Metrics::new().map_err(|error| problem(&error))?);
        let mut rng = config.runtime.seed.map_or_else(Rng::new, Rng::with_seed);
        // What an adapter refuses is told before anything is started.
        let brokers = registry::brokers(&config).map_err(wrong)?;
        let doors = Doors::open(&config).await?;
        let listeners = doors.watched();
        let (admin_doors, ingress_door, proxy_door) = doors.split();

        // The function, started or only known.
        let (port, url) = wiring::address_of(&config, !command.is_empty())?;
        let settings = config.function.clone();
        let supervisor = Supervisor { command, port, settings, metrics: metrics.clone(), rng: rng.fork() };
        let child = (!supervisor.command.is_empty()).then(|| supervisor.start(&*env)).transpose();
        let child = child.map_err(Failure::Wrong)?;
        let orphans = Orphans::of(child.as_ref());

        // Storage, and the path from it to the function.
        let (fatal, faults) = oneshot::channel();
        let storage = wiring::open_storage(&config, fatal)?;
        let registry::Plugins { all: plugins, kept, traces } = registry::plugins(&config).map_err(wrong)?;
        let plugins = guarded::all(plugins, &metrics);
        let control = Control::new(&config, kept.as_ref());
        let dead = home(storage.as_ref(), &brokers);
        let storing = storage.as_ref();
        let around =
            Around::new(storing, &brokers, dead.clone(), &plugins, &metrics, control.clone()).await?;
        let tls = tls::function_client(&config.function).map_err(wrong)?;
        let (mut targets, client) = targets::open(&config, (&url, tls.clone()), &around, rng.fork())?;
        let (target, intake) = (targets.function.clone(), targets.intake(&config, &around));

        // Admin before the sources, so that a probe sees everything come up.
        let shown = (targets.all(), targets.spills.clone());
        let admin = Admin::new(&metrics, shown, &intake, storing, &brokers, listeners);
        let admin = admin.with(kept, control.clone(), traces);
        let (admin_stop, admin_drain) = drain::channel();
        admin_doors.serve(&admin, &admin_drain);

        // The sources: the journal, brokers and the ingress.
        let (sources_stop, sources_drain) = drain::channel();
        let sources = start_sources((&targets, storing, &brokers), &plugins, &intake, &sources_drain);
        let dead = dead.as_ref();
        let inside = Inside {
            config: &config,
            intake: &intake,
            storage: storing,
            dead,
            metrics: &metrics,
            plugins: &plugins,
            control: control.as_ref(),
        };
        let paths = ingress_door.serve(&inside, sources_drain.clone());
        let proxy = proxy_door.serve(&inside, &target, client.exchange, paths, &sources_drain);
        drop(sources_drain); // from here on it is held by what has work to finish
        admin.listening.store(true, Ordering::Relaxed);

        // The function's life, as readiness sees it.
        orphans.keep();
        let (life, lives) = watch::channel(if child.is_some() { Life::Down } else { Life::Running(0) });
        let probe = Probe::of(&url, config.function.ready_path.clone(), tls);
        tokio::spawn(ready::follow(target.clone(), probe, lives, config.function.ready_timeout));
        let (function_stop, function_drain) = drain::channel();
        let function = child.map(|child| tokio::spawn(supervisor.keep(child, env, life, function_drain)));

        let [lame_duck, drain_deadline, storage_timeout] = live::spans(&config.drain);
        let (tune, others) = (client.tune, targets.others);
        let changing =
            Live { target, others, intake, tune, proxy, lame_duck, drain_deadline, storage_timeout };
        Ok(Self {
            live: Arc::new(changing),
            admin,
            storage,
            faults,
            brokers,
            sources,
            function,
            plugins,
            sources_stop,
            function_stop,
            admin_stop,
        })
    }

    /// Waits for a reason to stop.
    async fn end(&mut self, signals: &mut Signals) -> End {
        tokio::select! {
            () = signals.next() => End::Signal,
            Ok(error) = &mut self.faults => End::Fault(error),
            error = source_ended(&mut self.sources) => End::Fault(error),
            code = function_ended(&mut self.function) => End::Function(code),
        }
    }

    /// Stops in the order of the design: readiness, sources, lanes, then leftovers, storage and the function, which by then
    /// nobody needs any more and is told so first. A signal on the way makes short work of the waits.
    async fn stop(mut self, mut end: End, signals: &mut Signals) -> Result<Exit, Failure> {
        if let End::Fault(error) = end {
            // Nothing may be settled any more, so there is nothing to drain.
            self.function_stop.start();
            stopped(self.function).await;
            return Err(problem(&error));
        }
        tracing::info!("draining: no new events, lanes finish");
        self.admin.draining.store(true, Ordering::Relaxed);
        if let Some(replays) = &self.brokers.replays {
            replays.stop();
        }
        let is_gone = matches!(end, End::Function(_)); // then nothing in the lanes can finish
        let patience = if is_gone { Duration::ZERO } else { self.live.drain_deadline.get() };
        let in_order = async {
            tokio::time::sleep(self.live.lame_duck.get()).await;
            stop_lanes(&self.live.targets(), &self.sources_stop, now() + patience).await
        };
        let released = tokio::select! {
            released = in_order => released,
            () = signals.next() => stop_lanes(&self.live.targets(), &self.sources_stop, now()).await,
            code = function_ended(&mut self.function), if !is_gone => {
                end = End::Function(code);
                stop_lanes(&self.live.targets(), &self.sources_stop, now()).await
            }
        };
        self.function_stop.start();
        tokio::select! {
            () = leftovers(&self.plugins, &self.brokers) => {}
            () = signals.next() => tracing::warn!("what was settled last may come again: a signal cut its telling short"),
        }
        let flushed = match &self.storage {
            Some(storage) => within(self.live.storage_timeout.get(), storage.keeper.flush()).await,
            None => Ok(()),
        };
        let code = match end {
            End::Function(code) => code,
            _ => stopped(self.function).await,
        };
        flushed.map_err(|error| problem(&error))?;
        self.admin_stop.start();
        if let Some(storage) = &self.storage {
            // A disk may still fail here.
            within(self.live.storage_timeout.get(), storage.keeper.close())
                .await
                .map_err(|error| problem(&error))?;
        }
        tracing::info!(released, "stopped");
        Ok(if code == 0 { Exit::Success } else { Exit::Function(code) })
    }
}

/// Starts them, and what plugins do beside the path.
fn start_sources(
    (targets, storage, brokers): (&targets::Targets, Option<&Storage>, &Brokers),
    plugins: &[Arc<dyn Plugin>],
    intake: &Intake,
    drain: &Drain,
) -> JoinSet<outrigger_core::Result<()>> {
    let mut sources = JoinSet::new();
    let journal = storage.iter().map(|storage| storage.source.clone());
    for source in targets.spilled().chain(journal).chain(brokers.feeds.iter().map(|feed| feed.source())) {
        sources.spawn(source.run(intake.clone(), drain.clone()));
    }
    for work in plugins.iter().filter_map(|plugin| plugin.background(drain.clone())) {
        tokio::spawn(work);
    }
    sources
}

/// Where dead letters rest: a topic before the journal; `None` where there is neither.
fn home(storage: Option<&Storage>, brokers: &Brokers) -> Option<Arc<dyn DeadLetters>> {
    let journal = storage.map(|storage| storage.dead.clone());
    match &brokers.dead {
        Some(first) => Some(Arc::new(Homes { first: first.clone(), second: journal })),
        None => journal,
    }
}

/// Stops the sources, then lets the lanes finish. Gives back how many events were released.
async fn stop_lanes(targets: &[Arc<Target>], sources: &DrainTrigger, deadline: Instant) -> usize {
    sources.start();
    if tokio::time::timeout_at(deadline.into(), sources.ended()).await.is_err() {
        tracing::warn!("some requests were still open at the drain's deadline");
    }
    targets::drain(targets, deadline).await
}

/// Tells what was settled last, everybody at once. It waits for nobody who does not answer.
async fn leftovers(plugins: &[Arc<dyn Plugin>], brokers: &Brokers) {
    let closed = join_all(plugins.iter().map(|plugin| plugin.close()));
    let told = brokers.feeds.iter().map(async |feed| {
        if let Err(error) = feed.source().close().await {
            tracing::warn!(%error, "what was settled last comes again");
        }
    });
    tokio::join!(closed, join_all(told));
}

/// What the storage answers in time: a disk that hangs must not keep the process.
async fn within(
    time: Duration,
    done: impl Future<Output = outrigger_core::Result<()>>,
) -> outrigger_core::Result<()> {
    let late = || {
        let message =
            "the journal's disk does not answer (drain.storage_timeout); what settled last comes again";
        Err(Error::new(Kind::Storage, message))
    };
    tokio::time::timeout(time, done).await.unwrap_or_else(|_| late())
}

/// SIGTERM and Ctrl-C; none where the system gives no signals, and only SIGKILL ends it then.
struct Signals(Option<[Signal; 2]>);

impl Signals {
    fn listen() -> Self {
        let listen = || Ok([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]);
        let listening: io::Result<_> = listen();
        Self(listening.ok())
    }

    /// The next one that came. Cancel safe.
    async fn next(&mut self) {
        let Some([terminate, interrupt]) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

async fn source_ended(sources: &mut JoinSet<outrigger_core::Result<()>>) -> Error {
    match sources.join_next().await {
        None => std::future::pending().await,
        Some(Ok(Err(error))) => error,
        Some(Ok(Ok(())) | Err(_)) => Error::new(Kind::Closed, "a source stopped without a reason"),
    }
}

async fn function_ended(function: &mut Option<JoinHandle<Option<u8>>>) -> u8 {
    let Some(task) = function else { return std::future::pending().await };
    task.await.ok().flatten().unwrap_or(1)
}

/// The end of a function that was told to stop; its own code counts only where it ended by itself.
async fn stopped(function: Option<JoinHandle<Option<u8>>>) -> u8 {
    let Some(task) = function else { return 0 };
    task.await.ok().flatten().unwrap_or(0)
}

fn problem(error: &Error) -> Failure {
    Failure::Problem(error.to_string())
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::Wrong(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_is_an_error_in_time() {
        let told = within(Duration::from_secs(10), std::future::pending()).await.unwrap_err();
        assert!(told.kind() == Kind::Storage && told.message().contains("drain.storage_timeout"), "{told}");
        assert!(within(Duration::ZERO, async { Ok(()) }).await.is_ok());
    }
}
