//! `outrigger run`: the runtime and the log, then [`crate::app`].

use super::{Exit, Failure};
use crate::{
    app,
    cli::RunArgs,
    config::{self, Audit, Config, LogFormat, Process, Purpose},
    log::Lines,
    reload::{Reload, Source},
};
use outrigger_net::auth::guard::AUDIT;
use std::{ffi::OsString, io::IsTerminal as _, pin::Pin, sync::Arc, time::Duration};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    reload::{Handle, Layer},
    util::SubscriberInitExt as _,
};

/// How long the process waits for blocking calls of libraries once all else has ended.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs until it is told to stop.
///
/// # Errors
/// Everything that keeps it from starting, and a fault of the storage.
pub fn run(args: RunArgs) -> Result<Exit, Failure> {
    let purpose = if args.command.is_empty() { Purpose::Call } else { Purpose::Start };
    let file = config::locate(&Process, args.config.as_deref());
    let source = Source::new(file, args.flags(), purpose);
    let started = source.read(&Process).map_err(|problems| Failure::Wrong(problems.to_string()))?;
    let (config, places) = (started.config.clone(), started.places.clone());
    let wanted = log(&config.log);
    let apply = move |config: &Config| drop(wanted.reload(targets(&config.log)));
    let reload = Reload::new(source, Arc::new(Process), started, apply);
    let threads = config.runtime.threads;
    let running = boxed(config, args.command, reload);
    to_end(runtime(threads)?, running).map_err(|failure| match failure {
        Failure::Wrong(line) => Failure::Wrong(places.told(line)),
        other => other,
    })
}

/// What runs, made apart: it is large, and what a stack has once held stays resident.
#[inline(never)]
fn boxed(
    config: Config,
    command: Vec<OsString>,
    reload: Reload,
) -> Pin<Box<dyn Future<Output = Result<Exit, Failure>>>> {
    Box::pin(app::run(config, command, Arc::new(Process), Some(reload)))
}

/// Runs `main` to its end and no longer: what a client's library still waits for then may never come.
pub(super) fn to_end<T>(runtime: Runtime, main: impl Future<Output = T>) -> T {
    let done = runtime.block_on(main);
    runtime.shutdown_timeout(LAST_WAIT);
    done
}

/// One thread costs the least CPU per event; more are by configuration.
pub(super) fn runtime(threads: usize) -> Result<Runtime, Failure> {
    let mut builder = if threads == 1 {
        Builder::new_current_thread()
    } else {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    Ok(builder.enable_all().build()?)
}

/// Begins the log; what it lets pass can be changed by what is given back.
pub(super) fn log(settings: &config::Log) -> Handle<Targets, Registry> {
    let json = match settings.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let (wanted, handle) = Layer::new(targets(settings));
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(|| Lines);
    let log = tracing_subscriber::registry().with(wanted);
    if json {
        log.with(lines.json().flatten_event(true)).init();
    } else {
        log.with(lines.with_ansi(std::io::stderr().is_terminal())).init();
    }
    handle
}

/// What the log lets pass.
fn targets(settings: &config::Log) -> Targets {
    let level = settings.level.parse().unwrap_or(tracing::Level::INFO);
    let audit = match settings.audit {
        Audit::Off => LevelFilter::OFF,
        Audit::Refused => LevelFilter::WARN,
        Audit::All => LevelFilter::INFO,
    };
    Targets::new().with_default(level).with_target(AUDIT, audit)
}
