//! `outrigger replay`: a range of a topic once more, through the path of a running outrigger, or of one that is
//! started for it.

use super::{
    Exit, Failure,
    dead::live::{Socket, answers},
    kafka::place,
    run::{log, runtime, to_end},
};
use crate::{
    app,
    cli::ReplayArgs,
    config::{self, Config, Process, Purpose, Start},
};
use http::Method;
use rustix::process::{Signal, getpid, kill_process};
use serde_json::Value;
use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How often it is asked how far it is.
const PERIOD: Duration = Duration::from_millis(100);
/// How long an outrigger that was started for it may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Delivers the range and prints what came of it.
///
/// # Errors
/// What keeps it from beginning, or from ending.
pub fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    let mut query = place(&args.kafka)?;
    for (flag, text) in [("from", Some(&args.from)), ("to", args.to.as_ref())] {
        let Some(text) = text else { continue };
        if Start::read(text).is_none() {
            return Err(Failure::Wrong(format!(
                "--{flag}: {text:?} is not earliest, latest, a time such as 2026-01-31T12:00:00Z, or offset:N"
            )));
        }
        query.append_pair(flag, text);
    }
    let uri = format!("/kafka/replay?{}", query.finish());
    let file = config::locate(&Process, args.common.config.as_deref());
    let load = |purpose| {
        let config = config::load(&Process, file.as_deref(), &[], purpose);
        config.map_err(|problems| Failure::Wrong(problems.to_string()))
    };
    let config = load(Purpose::Look)?;
    let runtime = runtime(config.runtime.threads)?;
    let socket = config.admin.socket.clone();
    let done = if runtime.block_on(answers(&socket))? {
        runtime.block_on(drive(&socket, uri))?
    } else {
        let config = load(Purpose::Call)?;
        log(&config.log);
        to_end(runtime, alone(config, &socket, uri))?
    };
    tell(&done, args.common.json)
}

/// Starts an outrigger without sources of its own, and stops it afterwards.
async fn alone(mut config: Config, socket: &Path, uri: String) -> Result<Value, Failure> {
    (config.ingress.http, config.ingress.pubsub, config.admin.listen) = (None, None, None);
    if let Some(kafka) = &mut config.ingress.kafka {
        kafka.topics.clear(); // how records are read stays as it is configured
    }
    let mut running = tokio::spawn(app::run(config, Vec::new(), Arc::new(Process), None));
    let deadline = Instant::now() + START_TIMEOUT;
    while !answers(socket).await? {
        if running.is_finished() || Instant::now() >= deadline {
            let ended = (&mut running).await.map_err(|error| Failure::Problem(error.to_string()))?;
            return Err(ended
                .err()
                .unwrap_or_else(|| Failure::Problem("outrigger did not start".to_owned())));
        }
        sleep(PERIOD).await;
    }
    let done = drive(socket, uri).await;
    let stopped = kill_process(getpid(), Signal::TERM).map_err(io::Error::from);
    stopped?;
    running.await.map_err(|error| Failure::Problem(error.to_string()))??;
    done
}

/// Begins it, and waits for its end.
async fn drive(socket: &Path, uri: String) -> Result<Value, Failure> {
    let socket = Socket::new(socket.to_owned());
    let problem = |error: outrigger_core::Error| Failure::Problem(error.to_string());
    let _: Option<Value> = socket.ask(Method::POST, uri, Vec::new()).await.map_err(problem)?;
    loop {
        let asked = socket.ask(Method::GET, "/kafka/replay".to_owned(), Vec::new()).await;
        let progress: Value = asked.map_err(problem)?.unwrap_or_default();
        if progress["done"] != false {
            return Ok(progress);
        }
        sleep(PERIOD).await;
    }
}

fn tell(done: &Value, json: bool) -> Result<Exit, Failure> {
    let number = |name: &str| done[name].as_u64().unwrap_or(0);
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{done}")?;
    } else {
        writeln!(
            out,
            "read {} records: {} delivered or dead letters, {} without an outcome",
            number("read"),
            number("settled"),
            number("released")
        )?;
    }
    match done["failed"].as_str() {
        Some(why) => Err(Failure::Problem(why.to_owned())),
        None if number("released") > 0 => Ok(Exit::Problem),
        None => Ok(Exit::Success),
    }
}
