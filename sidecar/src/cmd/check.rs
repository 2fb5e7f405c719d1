//! `outrigger check`: every mistake of a configuration, before it is run.

use std::{
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use super::{Exit, Failure};
use crate::{
    cli::CheckArgs,
    config::{Auth, Config, Env, Purpose, Storage, load, locate},
    guard, registry, tls,
};
use outrigger_core::Error;

/// Reads the file as `outrigger run` would and tells what is wrong with it: mistakes on standard error, or with
/// `--json` one object `{file, ok, problems}` on standard output.
///
/// # Errors
/// Only when standard output cannot be written.
pub fn run(args: &CheckArgs, env: &dyn Env) -> Result<Exit, Failure> {
    let file = locate(env, args.file.as_deref());
    let checked = load(env, file.as_deref(), &[], Purpose::Look);
    if let Ok(config) = &checked {
        let wrong = findings(config);
        if !wrong.is_empty() {
            return refused(args, file.as_deref(), &wrong);
        }
    }
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

/// What is wrong with the files that it names, or for an adapter alone: the setting's name, and what.
pub(crate) fn findings(config: &Config) -> Vec<(String, String)> {
    let mut wrong = tls::check(config, SystemTime::now());
    wrong.extend(registry::check_brokers(config).err().map(|error| keyed(&error)));
    wrong.extend(guard::check(config).err().map(|error| keyed(&error)));
    wrong
}

/// What is known by its files, or to an adapter alone, to be wrong: it has no place in the file, but the setting's name.
fn refused(args: &CheckArgs, file: Option<&Path>, wrong: &[(String, String)]) -> Result<Exit, Failure> {
    if args.json {
        let problem =
            |(key, what): &(String, String)| serde_json::json!({ "file": file, "key": key, "message": what });
        let problems: Vec<_> = wrong.iter().map(problem).collect();
        let report = serde_json::json!({ "file": file, "ok": false, "problems": problems });
        writeln!(io::stdout(), "{report}")?;
    } else {
        let name = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
        for (key, what) in wrong {
            let separator = if key.is_empty() { "" } else { ": " };
            eprintln!("{name}{key}{separator}{what}");
        }
    }
    Ok(Exit::Wrong)
}

/// An adapter's error begins with the setting's name.
fn keyed(error: &Error) -> (String, String) {
    let text = error.to_string();
    let parts = text.split_once(": ").map(|(key, what)| (key.to_owned(), what.to_owned()));
    parts.unwrap_or_else(|| (String::new(), text))
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
            let scheme = if http.tls.is_some() { "https" } else { "http" };
            lines.push(format!(
                "  events come in at {scheme}://{}{} and are answered with {answer}",
                http.listen, http.path
            ));
            lines.push(format!("  {}", senders(&http.auth)));
            let pushed = [
                ("Event Grid", config.ingress.eventgrid_webhook.as_ref().map(|it| (&it.path, &it.auth))),
                ("Pub/Sub", config.ingress.pubsub_push.as_ref().map(|it| (&it.path, &it.auth))),
            ];
            for (who, (path, auth)) in pushed.into_iter().filter_map(|(who, at)| Some((who, at?))) {
                lines.push(format!("  {who} pushes to {scheme}://{}{path}; {}", http.listen, pushers(auth)));
            }
        }
        None if config.ingress.kafka.is_some() => {}
        None => lines.push("  no events come in: ingress.http.listen is off".to_owned()),
    }
    if let (Some(source), Some(kafka)) = (&config.ingress.kafka, &config.kafka) {
        lines.push(format!(
            "  records come in from {} of Kafka at {}, for the group {}",
            source.topics.join(", "),
            kafka.brokers.join(", "),
            source.group.as_deref().unwrap_or_default()
        ));
    }
    for (what, topic) in
        [("replies", &config.replies.kafka_topic), ("dead letters", &config.dead_letters.kafka_topic)]
    {
        if let Some(topic) = topic {
            lines.push(format!("  {what} go into the topic {topic}"));
        }
    }
    lines.push(match &config.function.url {
        Some(url) => format!("  the function is called at {url}"),
        None => {
            "  no function.url: `outrigger run` needs a COMMAND that starts the function, or --url".to_owned()
        }
    });
    lines.join("\n")
}

/// Rules of these are made by the settings, so only the ways in are told.
fn pushers(auth: &Auth) -> String {
    match &auth.oidc {
        _ if auth.is_open() => "anyone who can connect may send".to_owned(),
        Some(oidc) if auth.secret.is_none() => format!("tokens of {} are let in", oidc.issuer),
        Some(oidc) => format!("tokens of {} and a secret are let in", oidc.issuer),
        None => "a secret is let in".to_owned(),
    }
}

fn senders(auth: &Auth) -> String {
    if auth.is_open() {
        return "anyone who can connect may send".to_owned();
    }
    let rules = match auth.allow.as_ref().map(Vec::len) {
        None => "anything".to_owned(),
        Some(1) => "what one rule allows".to_owned(),
        Some(count) => format!("what {count} rules allow"),
    };
    format!("who is known by {} may send {rules}", auth.ways().join(" or "))
}
