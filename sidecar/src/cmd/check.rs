//! `outrigger check`: every mistake of a configuration, before it is run.

mod cache;
mod loops;
mod ours;
mod proxy;
mod routes;

use std::{
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use super::{Exit, Failure};
use crate::{
    cli::CheckArgs,
    config::{
        Auth, Config, Env, EventGridTopic, Place, Places, Purpose, Reading, Rule, Storage, load_reading,
        locate, shown,
    },
    guard, registry, tls,
};
use outrigger_core::Error;

/// Reads the file as `outrigger run` would and tells what is wrong with it: mistakes on standard error, or with
/// `--json` one object `{file, ok, problems, warnings}` on standard output. What is only warned of changes no exit status.
///
/// # Errors
/// Only when standard output cannot be written.
pub fn run(args: &CheckArgs, env: &dyn Env) -> Result<Exit, Failure> {
    let file = locate(env, args.file.as_deref().or(args.config.as_deref()));
    let read = load_reading(env, file.as_deref(), &[], Purpose::Look);
    if let Ok(Reading { config, places, .. }) = &read {
        // Google's libraries begin with a task that keeps tokens fresh. Nothing drives this runtime, so it never runs.
        let runtime = super::run::runtime(1)?;
        let _entered = runtime.enter();
        let wrong = findings(config);
        if !wrong.is_empty() {
            return refused(args, file.as_deref(), places, &wrong);
        }
    }
    let checked = read.map(|reading| reading.config);
    let exit = if checked.is_ok() { Exit::Success } else { Exit::Wrong };
    let mut out = io::stdout().lock();
    let warned = checked.as_ref().map(warnings).unwrap_or_default();
    match (checked, args.json) {
        (checked, true) => {
            let problems = checked
                .as_ref()
                .err()
                .map_or_else(|| serde_json::json!([]), super::super::config::Problems::json);
            let warning = |(key, what): &(&str, String)| serde_json::json!({ "key": key, "message": what });
            let warned: Vec<_> = warned.iter().map(warning).collect();
            let ok = checked.is_ok();
            let report =
                serde_json::json!({ "file": file, "ok": ok, "problems": problems, "warnings": warned });
            writeln!(out, "{report}")?;
        }
        (Ok(config), false) => {
            for (key, what) in warned {
                eprintln!("warning: {key}: {what}");
            }
            writeln!(out, "{}", summary(file.as_deref(), &config))?;
        }
        (Err(problems), false) => eprintln!("{problems}"),
    }
    Ok(exit)
}

/// What is wrong with the files that it names, or for an adapter alone: the setting's name, and what.
pub(crate) fn findings(config: &Config) -> Vec<(String, String)> {
    let mut wrong = tls::check(config, SystemTime::now());
    wrong.extend(registry::check_brokers(config).err().map(|error| keyed(&error)));
    wrong.extend(registry::push::check(config).err().map(|error| keyed(&error)));
    wrong.extend(registry::check_trace(config).err().map(|error| keyed(&error)));
    wrong.extend(guard::check(config).err().map(|error| keyed(&error)));
    wrong
}

/// What is no mistake, and may not be meant all the same: the setting's name, and what.
pub(crate) fn warnings(config: &Config) -> Vec<(&'static str, String)> {
    let mut warnings = proxy::warnings(config);
    warnings.extend(loops::warnings(config));
    warnings.extend(ours::warnings(config));
    warnings.extend(routes::warnings(config));
    warnings.extend(cache::warnings(config));
    warnings.extend(config.trace_notes.warnings.iter().cloned());
    warnings
}

/// What is known by its files, or to an adapter alone, to be wrong.
fn refused(
    args: &CheckArgs,
    file: Option<&Path>,
    places: &Places,
    wrong: &[(String, String)],
) -> Result<Exit, Failure> {
    if args.json {
        let problem = |(key, what): &(String, String)| {
            let (line, column) = match places.place(key) {
                Place::Line { line, column } => (Some(line), Some(column)),
                Place::Flag(_) | Place::Whole => (None, None),
            };
            serde_json::json!({ "file": file, "line": line, "column": column, "key": key, "message": what })
        };
        let problems: Vec<_> = wrong.iter().map(problem).collect();
        let report = serde_json::json!({ "file": file, "ok": false, "problems": problems });
        writeln!(io::stdout(), "{report}")?;
    } else {
        for (key, what) in wrong {
            eprintln!("{}", places.line(key, what));
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
            lines.push(format!("  {}", who(&http.auth, "send")));
            if judges_signers(&http.auth) {
                let told = "    of a signed body sources and types count where they stand in it: structured and batched";
                lines.push(told.to_owned());
            }
            let pushed = [
                ("Event Grid", config.ingress.eventgrid_webhook.as_ref().map(|it| (&it.path, &it.auth))),
                ("Pub/Sub", config.ingress.pubsub_push.as_ref().map(|it| (&it.path, &it.auth))),
            ];
            let origins =
                config.ingress.origins.iter().map(|it| (it.from.name(), Some((&it.path, &it.auth))));
            let pushed = pushed.into_iter().chain(origins);
            for (who, (path, auth)) in pushed.filter_map(|(who, at)| Some((who, at?))) {
                lines.push(format!("  {who} pushes to {scheme}://{}{path}; {}", http.listen, pushers(auth)));
            }
        }
        None if config.ingress.is_pulled() => {}
        None => lines.push("  no events come in: ingress.http.listen is off".to_owned()),
    }
    lines.extend(brokers(config));
    lines.extend(written(config));
    lines.extend(routes::lines(config));
    lines.extend(proxy::lines(config));
    lines.push(match &config.function.url {
        Some(url) => format!("  the function is called at {}", shown(&url.to_string())),
        None => {
            "  no function.url: `outrigger run` needs a COMMAND that starts the function, or --url".to_owned()
        }
    });
    if config.trace_notes.disabled {
        lines.push("  there are no traces and no timelines: OTEL_SDK_DISABLED is true".to_owned());
    }
    lines.join("\n")
}

/// What comes in from brokers, a line for each.
fn brokers(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(source), Some(kafka)) = (&config.ingress.kafka, &config.kafka) {
        lines.push(format!(
            "  records come in from {} of Kafka at {}, for the group {}",
            source.topics.join(", "),
            kafka.brokers.join(", "),
            source.group.as_deref().unwrap_or_default()
        ));
    }
    if let Some(source) = &config.ingress.pubsub {
        let (pubsub, names) = (&config.pubsub, source.subscriptions.join(", "));
        let at = match (&pubsub.endpoint, &pubsub.emulator) {
            (Some(endpoint), _) => format!(" at {endpoint}"),
            (None, Some(host)) => format!(" at {host}, by PUBSUB_EMULATOR_HOST"),
            (None, None) => String::new(),
        };
        lines.push(format!("  messages come in from {names} of Pub/Sub{at}"));
    }
    if let (Some(source), Some(namespace)) = (&config.ingress.eventgrid, &config.eventgrid.endpoint) {
        lines.push(format!(
            "  events come in from the subscription {} of the topic {} of Event Grid at {}",
            source.subscription.as_deref().unwrap_or_default(),
            source.topic.as_deref().unwrap_or_default(),
            namespace.host().unwrap_or_default()
        ));
    }
    lines
}

/// What is written to topics, a line for each.
fn written(config: &Config) -> impl Iterator<Item = String> {
    let in_event_grid = |topic: &Option<EventGridTopic>| topic.as_ref().map(|topic| topic.place.clone());
    let (replies, dead) = (&config.replies, &config.dead_letters);
    let topics = [
        ("replies", replies.kafka_topic.clone(), ""),
        ("replies", replies.pubsub_topic.clone(), " of Pub/Sub"),
        ("replies", in_event_grid(&replies.eventgrid), " of Event Grid"),
        ("dead letters", dead.kafka_topic.clone(), ""),
        ("dead letters", dead.pubsub_topic.clone(), " of Pub/Sub"),
        ("dead letters", in_event_grid(&dead.eventgrid), " of Event Grid"),
    ];
    let named = topics.into_iter().filter_map(|(what, topic, of)| Some((what, topic?, of)));
    let posted = [("replies", &replies.url), ("dead letters", &dead.url)];
    let posted = posted.into_iter().filter_map(|(what, at)| Some((what, at.as_ref()?)));
    let posted = posted.map(|(what, at)| format!("  {what} go to {}", shown(&at.url.to_string())));
    named.map(|(what, topic, of)| format!("  {what} go into the topic {topic}{of}")).chain(posted)
}

/// Rules of these are made by the settings, so only the ways in are told.
fn pushers(auth: &Auth) -> String {
    match auth.oidc.first() {
        _ if auth.is_open() => "anyone who can connect may send".to_owned(),
        Some(oidc) if auth.secret.is_none() => format!("tokens of {} are let in", oidc.issuer),
        Some(oidc) => format!("tokens of {} and a secret are let in", oidc.issuer),
        None if auth.hmac.is_some() => "who signs the body with a secret is let in".to_owned(),
        None => "a secret is let in".to_owned(),
    }
}

/// Whether a rule about events is also about who signs the body.
fn judges_signers(auth: &Auth) -> bool {
    let judges = |rule: &Rule| {
        let any_sender = rule.claims.is_empty() && rule.certificates.is_empty();
        let by_signature = rule.methods.is_empty() || rule.methods.iter().any(|method| method == "hmac");
        any_sender && by_signature && !(rule.sources.is_empty() && rule.types.is_empty())
    };
    auth.hmac.is_some() && auth.allow.iter().flatten().any(judges)
}

/// Who may do it: `send` or `pass`.
fn who(auth: &Auth, may: &str) -> String {
    if auth.is_open() {
        return format!("anyone who can connect may {may}");
    }
    let rules = match auth.allow.as_ref().map(Vec::len) {
        None => "anything".to_owned(),
        Some(1) => "what one rule allows".to_owned(),
        Some(count) => format!("what {count} rules allow"),
    };
    format!("who is known by {} may {may} {rules}", auth.ways().join(" or "))
}
