//! `outrigger-function`: the programmable function as a process. The README explains programs and options.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use outrigger_function::{
    Program,
    book::Keep,
    server::{Ending, Setup, Shared, serve},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// A programmable HTTP function for tests.
#[derive(Debug, Parser)]
#[command(name = "outrigger-function", version)]
struct Options {
    /// Listen on this port of 127.0.0.1 (0: any free one). Default: the variable PORT, else 8080
    #[arg(long)]
    port: Option<u16>,
    /// Listen here instead, for example 127.0.0.2:9000
    #[arg(long, conflicts_with = "port")]
    listen: Option<SocketAddr>,
    /// What to answer: a file, or the JSON itself
    #[arg(long, value_name = "FILE|JSON")]
    program: Option<String>,
    /// Answer this status where no rule fits
    #[arg(long, value_name = "STATUS")]
    status: Option<u16>,
    /// Append each record to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Keep this many records in memory
    #[arg(long, value_name = "RECORDS", default_value_t = 200_000)]
    log_max: usize,
    /// Count this many distinct ids
    #[arg(long, value_name = "IDS", default_value_t = 4_000_000)]
    ids_max: usize,
    /// Record only what benches need: id, key, number and the body's checksum
    #[arg(long)]
    quiet: bool,
    /// Keep bodies, not only their length and checksum
    #[arg(long, conflicts_with = "quiet")]
    bodies: bool,
    /// Answer 413 to a longer body
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    body_max: usize,
    /// Wait before listening
    #[arg(long, value_name = "MS", default_value_t = 0)]
    start_delay_ms: u64,
    /// Finish what is running for at most this long on SIGTERM
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    drain_ms: u64,
    /// Do nothing on SIGTERM
    #[arg(long)]
    ignore_sigterm: bool,
    /// End after this many requests
    #[arg(long, value_name = "REQUESTS")]
    exit_after: Option<u64>,
    /// The exit code of --exit-after
    #[arg(long, value_name = "CODE", default_value_t = 0)]
    exit_code: u8,
}

fn main() -> ExitCode {
    let options = Options::parse();
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let port = std::env::var("PORT").ok();
    match run(&options, port.as_deref()) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("function: {why}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: &Options, port: Option<&str>) -> Result<u8, String> {
    let setup = setup(options, port)?;
    let address = setup.address;
    let shared = Shared::new(setup).map_err(|error| format!("the log file cannot be opened: {error}"))?;
    // Before the delay, so that a SIGTERM during a slow start is an orderly end too.
    watch_sigterm(options.ignore_sigterm, shared.clone())?;
    tokio::time::sleep(Duration::from_millis(options.start_delay_ms)).await;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("{address} cannot be listened on: {error}; choose another --port"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("function: listening on http://{address}");
    Ok(serve(listener, shared).await)
}

fn setup(options: &Options, port: Option<&str>) -> Result<Setup, String> {
    let mut program = options.program.as_deref().map_or(Ok(Program::default()), read_program)?;
    program.default.status = options.status.or(program.default.status);
    Ok(Setup {
        address: address(options, port)?,
        program,
        keep: Keep {
            quiet: options.quiet,
            bodies: options.bodies,
            records_max: options.log_max,
            ids_max: options.ids_max,
            file: options.log.clone(),
            ..Keep::default()
        },
        body_bytes_max: options.body_max,
        drain_max: Duration::from_millis(options.drain_ms),
        exit_after: options.exit_after.map(|count| (count, options.exit_code)),
    })
}

fn address(options: &Options, port: Option<&str>) -> Result<SocketAddr, String> {
    if let Some(address) = options.listen {
        return Ok(address);
    }
    let port = match (options.port, port) {
        (Some(port), _) => port,
        (None, Some(text)) => text.parse().map_err(|_| format!("PORT={text:?} is not a port"))?,
        (None, None) => 8080,
    };
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn read_program(given: &str) -> Result<Program, String> {
    if given.trim_start().starts_with(['{', '[']) {
        return Program::parse(given);
    }
    let text = std::fs::read_to_string(given).map_err(|error| format!("program {given}: {error}"))?;
    Program::parse(&text)
}

fn watch_sigterm(ignore: bool, shared: Arc<Shared>) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while terminate.recv().await.is_some() {
            if !ignore {
                shared.end(Ending::Drain(0));
            }
        }
    });
    Ok(())
}
