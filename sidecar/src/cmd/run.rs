//! `outrigger run`: the runtime and the log, then [`crate::app`].

use super::{Exit, Failure};
use crate::{
    app,
    cli::RunArgs,
    config::{self, Audit, LogFormat, Process, Purpose},
};
use outrigger_net::auth::guard::AUDIT;
use std::{io::IsTerminal as _, sync::Arc};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Runs until it is told to stop.
///
/// # Errors
/// Everything that keeps it from starting, and a fault of the storage.
pub fn run(args: RunArgs) -> Result<Exit, Failure> {
    let purpose = if args.command.is_empty() { Purpose::Call } else { Purpose::Start };
    let file = config::locate(&Process, args.config.as_deref());
    let config = config::load(&Process, file.as_deref(), &args.flags(), purpose);
    let config = config.map_err(|problems| Failure::Wrong(problems.to_string()))?;
    log(&config.log);
    runtime(config.runtime.threads)?.block_on(app::run(config, args.command, Arc::new(Process)))
}

/// One thread costs the least CPU per event; more are by configuration.
pub(super) fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    Ok(builder.enable_all().build()?)
}

pub(super) fn log(settings: &config::Log) {
    let json = match settings.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let level = settings.level.parse().unwrap_or(tracing::Level::INFO);
    let audit = match settings.audit {
        Audit::Off => LevelFilter::OFF,
        Audit::Refused => LevelFilter::WARN,
        Audit::All => LevelFilter::INFO,
    };
    let wanted = Targets::new().with_default(level).with_target(AUDIT, audit);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    let log = tracing_subscriber::registry().with(wanted);
    if json {
        log.with(lines.json().flatten_event(true)).init();
    } else {
        log.with(lines.with_ansi(std::io::stderr().is_terminal())).init();
    }
}
