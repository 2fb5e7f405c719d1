//! The command line: every verb, its flags and its help. It only parses; the verbs are in `cmd`.

#![expect(clippy::doc_markdown, reason = "doc comments are the help's text, where backticks would be shown")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Flag;

/// Brings events to a function: in order per key, at least once, with retries and dead letters.
///
/// Start your function with it and send an event:
///
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
    Run(RunArgs),
    /// Tell every mistake in a configuration
    Check(CheckArgs),
    /// Print what can be configured
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Takes events and brings them to the function.
///
/// With a COMMAND, starts it with a free port in PORT, restarts it when it fails and stops it at the end.
/// Without one, calls `function.url`. No configuration is needed: events come in at http://127.0.0.1:8080/,
/// health and metrics are at http://127.0.0.1:9464/, the journal is in .outrigger/. SIGTERM or Ctrl-C drains.
///
/// Exit status: 0 after a drain, 1 for a fault, 2 for a wrong call or configuration.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
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

/// Tells every mistake in a configuration, with its line, what was expected and what was probably meant.
///
/// Exit status: 0 when there is none, 2 otherwise.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct CheckArgs {
    /// The file; else the one that OUTRIGGER_CONFIG names, else outrigger.yaml
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print one JSON object {file, ok, problems} instead
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
