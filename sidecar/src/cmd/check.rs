//! `outrigger check`: every mistake of a configuration, before it is run.

use std::{
    io::{self, Write},
    path::Path,
};

use super::{Exit, Failure};
use crate::{
    cli::CheckArgs,
    config::{Config, Env, Purpose, Storage, load, locate},
};

/// Reads the file as `outrigger run` would and tells what is wrong with it: mistakes on standard error, or with
/// `--json` one object `{file, ok, problems}` on standard output.
///
/// # Errors
/// Only when standard output cannot be written.
pub fn run(args: &CheckArgs, env: &dyn Env) -> Result<Exit, Failure> {
    let file = locate(env, args.file.as_deref());
    let checked = load(env, file.as_deref(), &[], Purpose::Look);
    let exit = if checked.is_ok() { Exit::Success } else { Exit::Wrong };
    let mut out = io::stdout().lock();
    match (checked, args.json) {
        (checked, true) => {
            let problems = checked
                .as_ref()
                .err()
                .map_or_else(|| serde_json::json!([]), super::super::config::Problems::json);
            let report = serde_json::json!({ "file": file, "ok": checked.is_ok(), "problems": problems });
            writeln!(out, "{report}")?;
        }
        (Ok(config), false) => writeln!(out, "{}", summary(file.as_deref(), &config))?,
        (Err(problems), false) => eprintln!("{problems}"),
    }
    Ok(exit)
}

/// What the configuration comes to, where that is not written in it.
fn summary(file: Option<&Path>, config: &Config) -> String {
    let name = file.map_or_else(|| "no file, all defaults".to_owned(), |file| file.display().to_string());
    let mut lines = vec![format!("{name}: no mistakes")];
    let journal = &config.journal;
    let storage = match journal.storage {
        Storage::Durable => "durable storage: what is written there survives a restart",
        Storage::Ephemeral if journal.accept_loss => {
            "ephemeral storage: accepted events are lost with it, as configured"
        }
        Storage::Ephemeral => "ephemeral storage: senders wait for the function's outcome",
    };
    lines.push(format!("  journal {} is on {storage}", journal.path.display()));
    match &config.ingress.http {
        Some(http) => {
            let answer =
                if http.sync { "the function's outcome" } else { "202 once the journal has the event" };
            lines.push(format!(
                "  events come in at http://{}{} and are answered with {answer}",
                http.listen, http.path
            ));
        }
        None => lines.push("  no events come in: ingress.http.listen is off".to_owned()),
    }
    lines.push(match &config.function.url {
        Some(url) => format!("  the function is called at {url}"),
        None => {
            "  no function.url: `outrigger run` needs a COMMAND that starts the function, or --url".to_owned()
        }
    });
    lines.join("\n")
}
