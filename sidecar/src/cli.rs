//! The command line: every verb, its flags and its help. It only parses; the verbs are in `cmd`.

#![expect(clippy::doc_markdown, reason = "doc comments are the help's text, where backticks would be shown")]

mod cache;
mod dead;
mod events;
mod filter;
mod kafka;
mod normalize;
mod routes;
mod send;
#[cfg(feature = "cache")]
mod simulate;
mod status;
mod trace;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

#[cfg(feature = "cache")]
pub use self::simulate::{CacheArgs, SimulateCommand, TraceFormat};
pub use self::{
    cache::{CacheCommand, InvalidateArgs},
    dead::{ChangeArgs, DeadArgs, DeadCommand, FilterArgs},
    events::{EventFilterArgs, EventsCommand},
    filter::FilterVerbArgs,
    kafka::{KafkaCommand, PlaceArgs, ReplayArgs},
    normalize::{Form, NormalizeArgs, Origin},
    routes::RoutesArgs,
    send::{AttributeArgs, From, Input, SendArgs, SendMode},
    status::{ParkedArgs, ParkedCommand, StatusArgs},
    trace::TraceArgs,
};
use crate::config::Flag;

/// Brings events to a function: in order per key, at least once, with retries and dead letters.
///
/// Start your function with it, and send it an event from another terminal:
///     outrigger run -- python3 app.py
///     outrigger send -d '{"hello": "world"}'
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take events and bring them to the function, which it can also start
    ///
    /// With a COMMAND, starts it with a free port in PORT, restarts it when it fails and stops it
    /// at the end. Without one, calls function.url.
    ///
    /// No configuration is needed: events come in at http://127.0.0.1:8080/, health and metrics are
    /// at http://127.0.0.1:9464/, the journal is in .outrigger/. SIGTERM or Ctrl-C drains.
    ///
    /// Examples:
    ///     outrigger run -- python3 app.py
    ///     outrigger run --url http://127.0.0.1:3000/ -c outrigger.yaml
    ///
    /// Exit status: 0 after a drain, 1 for a fault, 2 for a wrong call or configuration.
    #[command(verbatim_doc_comment)]
    Run(RunArgs),
    /// Tell every mistake in a configuration
    ///
    /// Each with its line, what was expected, and what was probably meant.
    ///
    /// Exit status: 0 when there is none, 2 otherwise.
    #[command(verbatim_doc_comment)]
    Check(CheckArgs),
    /// Print what can be configured
    ///
    /// A running outrigger reads its file again on SIGHUP, and when it has changed. Those settings that
    /// say so (log.level, function.timeout) count at once; others that differ need a restart, and are named in
    /// the log and in /readyz. A file with a mistake changes nothing.
    #[command(subcommand, verbatim_doc_comment)]
    Config(ConfigCommand),
    /// Send events to an ingress
    ///
    /// Each FILE is one event's data, unless it is a CloudEvent in JSON, an array of them, or lines
    /// of JSON (.jsonl, .ndjson), of which each is a CloudEvent or an event's data; --input says
    /// which. `-` is standard input. Attributes given here go before those of a CloudEvent that is
    /// read.
    ///
    /// Examples:
    ///     outrigger send -d '{"hello": "world"}'
    ///     outrigger send --mode batch --type shop.order --key customer-7 orders/*.json
    ///     outrigger send --from-lines --rate 100/s < events.jsonl
    ///     outrigger send --kafka orders --key customer-7 order.json
    ///
    /// After 429 and 503 an event is sent again at the time that the answer names; when that lasts
    /// longer than --retry-for, it counts as refused.
    ///
    /// Exit status: 0 when all were accepted, also when the input holds none, 1 when some were not,
    /// 2 for a wrong call.
    #[command(verbatim_doc_comment)]
    Send(Box<SendArgs>),
    /// Print the events that pass a filter, or say why others do not
    ///
    /// EXPRESSION is CESQL (CloudEvents SQL), or a filter of the Subscriptions API in JSON. Events come as
    /// lines, each a CloudEvent in JSON; those that pass are printed as they came.
    ///
    /// Examples:
    ///     outrigger filter "type LIKE 'com.example.%' AND int(hop) < 5" events.jsonl
    ///     outrigger filter '{"not": {"prefix": {"source": "/shop"}}}' events.jsonl
    ///     outrigger filter --explain "EXISTS partitionkey" < events.jsonl
    ///
    /// Exit status, as that of grep: 0 when an event passes, 1 when none does, 2 for a wrong call or
    /// expression, and when a file or a line could not be read (the other lines are filtered all the same).
    #[command(verbatim_doc_comment)]
    Filter(FilterVerbArgs),
    /// Print the CloudEvents that events of another origin become
    ///
    /// Reads JSON lines, one document or several, whatever lines they go over, and prints a line for
    /// each event, in the order of the input; for what is none, a line {"error","line"} with the
    /// reason. The adapters do it that do it in production.
    ///
    /// A record of Kafka is {"topic","partition","offset","timestamp","key","value","headers"}, with
    /// the timestamp in Unix milliseconds and the headers as an object or as pairs. A message of
    /// Pub/Sub is what its API writes, its data in base64, or text as data_text. What comes by HTTP is
    /// its body, or {"headers","body"}. A payload is text, or bytes in base64 as key_base64,
    /// value_base64 and body_base64, or other JSON as it stands.
    ///
    /// Examples:
    ///     outrigger normalize --from eventbridge event.json
    ///     outrigger normalize --from kafka --topic orders < records.jsonl
    ///     outrigger normalize --from github --header X-GitHub-Event:push \
    ///         --header X-GitHub-Delivery:1 push.json
    ///     outrigger normalize --from http --to kafka < events.jsonl
    ///
    /// Exit status: 0 when all became events, 1 when something did not, 2 for a wrong call.
    #[command(verbatim_doc_comment)]
    Normalize(Box<NormalizeArgs>),
    /// Show which event would go where, and why, by the rules of a configuration
    ///
    /// A dry run of routes: nothing is sent. Events come as lines, each a CloudEvent in JSON. For each event
    /// it tells the rule that decides, the targets, and what that rule asks for.
    ///
    /// Examples:
    ///     outrigger routes outrigger.yaml --events events.jsonl
    ///     outrigger routes --json < events.jsonl
    ///
    /// Exit status: 0 when every event could be told, 2 for a wrong call or configuration, and when a file or
    /// a line could not be read (the other lines are told all the same).
    #[command(verbatim_doc_comment)]
    Routes(RoutesArgs),
    /// Try a policy on a trace of one's own
    #[cfg(feature = "cache")]
    #[command(subcommand)]
    Simulate(SimulateCommand),
    /// Find, show, replay or drop dead letters
    ///
    /// Talks to a running outrigger over its owner-only socket; while none runs, opens the journal itself.
    ///
    /// Exit status: 0 when it is done, 1 when there is no such letter or the journal cannot be used,
    /// 2 for a wrong call or configuration.
    #[command(subcommand, verbatim_doc_comment)]
    Dead(DeadCommand),
    /// Find, show or replay events; see who replayed or dropped what
    ///
    /// Those that wait in the journal's queue, and those that it keeps: with journal.keep.settled what was settled
    /// there, and what a target keeps (targets.NAME.journal). Talks to a running outrigger over its owner-only
    /// socket; while none runs, opens the journal itself.
    ///
    /// Examples:
    ///     outrigger events list --outcome dead-letter --since 1h
    ///     outrigger events show 17
    ///     outrigger events replay --target archive --type com.example.order.paid --dry-run
    ///
    /// Exit status: 0 when it is done, 1 when there is no such event or the journal cannot be used,
    /// 2 for a wrong call or configuration.
    #[command(subcommand, verbatim_doc_comment)]
    Events(EventsCommand),
    /// Show what a running outrigger has done so far
    ///
    /// Exit status: 0 when it answered (with --until-idle: once nothing waits), 1 when none runs there.
    #[command(verbatim_doc_comment)]
    Status(StatusArgs),
    /// Show what became of one event, step by step, without any collector
    ///
    /// When it came in, what it waited for, each attempt and its answer, and how it was settled. A running outrigger keeps
    /// such timelines in memory where trace.export is local or otlp: they are bounded and end with it. Dead letters of
    /// the event are found in the journal besides, also while none runs.
    ///
    /// Exit status: 0 when something is known of the event, 1 when nothing is, 2 for a wrong call or configuration.
    #[command(verbatim_doc_comment)]
    Trace(TraceArgs),
    /// List, retry or skip events that hold their key (delivery.on_poison: park)
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// Show what a running outrigger keeps of what was done, or have some of it forgotten
    ///
    /// Examples:
    ///     outrigger cache stats
    ///     outrigger cache invalidate --tag customer-7 --prefix '["/shop","price"'
    ///
    /// Exit status: 0 when it is done, 1 when no outrigger runs there or it keeps nothing, 2 for a wrong call.
    #[command(subcommand, verbatim_doc_comment)]
    Cache(CacheCommand),
    /// Show what a running outrigger reads from Kafka; pause, resume or skip partitions
    ///
    /// Talks to it over its owner-only socket.
    ///
    /// Exit status: 0 when it is done, 1 when none runs there or it has no such partition, 2 for a
    /// wrong call or configuration.
    #[command(subcommand, verbatim_doc_comment)]
    Kafka(KafkaCommand),
    /// Deliver a range of a topic once more, without touching any group's offsets
    ///
    /// The records take the path of a running outrigger, in order with those of the same key; while none
    /// runs, one is started for it, without its own sources. The range's end is fixed at the start.
    ///
    /// Examples:
    ///     outrigger replay --kafka orders --from 2026-01-31T12:00:00Z
    ///     outrigger replay --kafka orders/3 --from offset:1000 --to offset:2000
    ///
    /// Exit status: 0 when all of it is delivered or dead letters, 1 when it is not, 2 for a wrong call or
    /// configuration.
    #[command(verbatim_doc_comment)]
    Replay(ReplayArgs),
    /// Print what makes a shell complete every verb and flag
    ///
    /// Examples:
    ///     outrigger completions bash > ~/.local/share/bash-completion/completions/outrigger
    ///     outrigger completions zsh > ~/.zfunc/_outrigger
    ///     outrigger completions fish > ~/.config/fish/completions/outrigger.fish
    #[command(verbatim_doc_comment)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What `outrigger run` takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration; else the file that OUTRIGGER_CONFIG names, else outrigger.yaml where there is one
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The function's address, for function.url
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Where events come in, for ingress.http.listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Answer senders with the function's outcome, for ingress.http.sync
    #[arg(long)]
    pub sync: bool,
    /// The variable that tells the COMMAND its port, for function.port_env
    #[arg(long, value_name = "NAME")]
    pub port_env: Option<String>,
    /// What starts the function, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<std::ffi::OsString>,
}

impl RunArgs {
    /// The flags that stand for settings.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let texts = [
            ("--url", "function.url", &self.url),
            ("--listen", "ingress.http.listen", &self.listen),
            ("--port-env", "function.port_env", &self.port_env),
        ];
        let given = texts.into_iter().filter_map(|(name, path, value)| {
            value.as_ref().map(|value| Flag { name, path, value: value.clone() })
        });
        let sync =
            self.sync.then(|| Flag { name: "--sync", path: "ingress.http.sync", value: "true".to_owned() });
        given.chain(sync).collect()
    }
}

/// What `outrigger check` takes.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The file; else the one that OUTRIGGER_CONFIG names, else outrigger.yaml
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The same, as other verbs take it
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    pub config: Option<PathBuf>,
    /// Print one JSON object {file, ok, problems, warnings} instead
    #[arg(long)]
    pub json: bool,
}

/// What `outrigger config` prints.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print a commented file of every setting with its default
    Example,
    /// Print every setting as a Markdown table
    Table,
    /// Print every setting as a JSON Schema (draft 2020-12), for editors
    ///
    /// An editor that knows it completes keys, shows units, defaults and bounds, and marks what is wrong.
    /// Most take it from a line at the top of the configuration:
    ///     outrigger config schema > outrigger.schema.json
    ///     # yaml-language-server: $schema=outrigger.schema.json
    ///
    /// `outrigger check` finds more: what two settings may not say together, and bounds of 30s and 1MiB.
    #[command(verbatim_doc_comment)]
    Schema,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_is_the_command() {
        let cli =
            Cli::parse_from(["outrigger", "run", "--sync", "--url", "u", "--", "python3", "app.py", "--url"]);
        let Command::Run(run) = cli.command else { panic!("another verb") };
        assert_eq!(run.command, ["python3", "app.py", "--url"]);
        let flags: Vec<_> = run.flags().into_iter().map(|flag| (flag.name, flag.value)).collect();
        assert_eq!(flags, [("--url", "u".to_owned()), ("--sync", "true".to_owned())]);
    }
}
