//! `outrigger-eventgrid-fake`: the fake as a process. The README explains its configuration and its own interface.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use outrigger_eventgrid_fake::{
    clock::Pace,
    config::Config,
    server::{Server, Setup},
};
use tokio::signal::unix::{SignalKind, signal};

/// A fake of Azure Event Grid for tests.
#[derive(Debug, Parser)]
#[command(name = "outrigger-eventgrid-fake", version)]
struct Options {
    /// Listen here (port 0: any free one)
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What clients call it, in place of its IP: what its certificate is for
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// What to begin with: a file, or the JSON itself
    #[arg(long, value_name = "FILE|JSON")]
    config: Option<String>,
    /// So many seconds pass on its clock in one
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    speed: u32,
    /// The clock stands until it is moved
    #[arg(long, conflicts_with = "speed")]
    standing: bool,
    /// Speak TLS with this certificate, a PEM file with its chain
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of --tls-cert
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The authorities that vouch for webhooks, a PEM file
    #[arg(long, value_name = "FILE")]
    webhook_ca: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("eventgrid: {why}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: Options) -> Result<(), String> {
    let setup = Setup {
        address: options.listen,
        name: options.name,
        config: options.config.as_deref().map_or(Ok(Config::default()), read_config)?,
        pace: if options.standing { Pace::Standing } else { Pace::Running(options.speed) },
        tls: options.tls_cert.zip(options.tls_key),
        webhook_ca: options.webhook_ca,
    };
    let address = setup.address;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(address)
        .map_err(|error| format!("{address} cannot be listened on: {error}; choose another --listen"))?;
    let server = Server::new(listener, &setup).map_err(|error| error.to_string())?;
    println!("eventgrid: listening on {}", server.shared().url());
    tokio::select! {
        () = server.serve() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn read_config(given: &str) -> Result<Config, String> {
    if given.trim_start().starts_with('{') {
        return Config::parse(given).map_err(|why| format!("--config: {why}"));
    }
    let text = std::fs::read_to_string(given).map_err(|error| format!("--config {given}: {error}"))?;
    Config::parse(&text).map_err(|why| format!("--config {given}: {why}"))
}
