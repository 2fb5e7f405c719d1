//! `outrigger kafka`: what a running outrigger reads from Kafka, and what its owner may change.

use std::io::{self, Write as _};

use comfy_table::{Table, presets};
use http::Method;
use serde_json::Value;

use super::{
    Exit, Failure,
    status::{block_on, socket},
};
use crate::{
    cli::{DeadArgs, KafkaCommand, PlaceArgs},
    config::Env,
};

/// Shows or changes it.
///
/// # Errors
/// When no outrigger runs there, it reads nothing from Kafka, or what is asked makes no sense.
pub fn run(command: &KafkaCommand, env: &dyn Env) -> Result<Exit, Failure> {
    match command {
        KafkaCommand::Status { common } => status(common, env),
        KafkaCommand::Pause(place) => change("pause", place, None, env),
        KafkaCommand::Resume(place) => change("resume", place, None, env),
        KafkaCommand::Skip { place, to } => change("skip", place, *to, env),
    }
}

fn status(common: &DeadArgs, env: &dyn Env) -> Result<Exit, Failure> {
    let status = block_on(ask(common, env, Method::GET, "/kafka".to_owned()))?;
    let mut out = io::stdout().lock();
    if common.json {
        writeln!(out, "{status}")?;
        return Ok(Exit::Success);
    }
    writeln!(out, "{}", table(&status))?;
    let number = |name: &str| status[name].as_u64().unwrap_or(0);
    writeln!(
        out,
        "{} rebalances, {} commits ({} failed), {} outcomes after a loss, {} heals, {} records gone unread",
        number("rebalances"),
        number("commits"),
        number("commits_failed"),
        number("fenced"),
        number("heals"),
        number("missing"),
    )?;
    if let Some(trouble) = status["trouble"].as_str() {
        writeln!(out, "{trouble}")?;
    }
    Ok(Exit::Success)
}

fn table(status: &Value) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header([
        "partition",
        "committed",
        "fetched",
        "lag",
        "lag s",
        "in flight",
        "paused",
    ]);
    for partition in status["partitions"].as_array().into_iter().flatten() {
        let text = |name: &str| match &partition[name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let name = format!("{}/{}", text("topic"), text("partition"));
        let rest = ["next", "position", "lag_records", "lag_seconds", "in_flight", "paused"].map(text);
        table.add_row(std::iter::once(name).chain(rest));
    }
    table
}

fn change(verb: &str, args: &PlaceArgs, to: Option<i64>, env: &dyn Env) -> Result<Exit, Failure> {
    let mut query = place(&args.place)?;
    query.extend_pairs(to.map(|to| ("to", to.to_string())));
    let uri = format!("/kafka/{verb}?{}", query.finish());
    let done = block_on(ask(&args.common, env, Method::POST, uri))?;
    let mut out = io::stdout().lock();
    if args.common.json {
        writeln!(out, "{done}")?;
    } else {
        let names: Vec<&str> =
            done["done"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        writeln!(out, "{verb}: {}", names.join(", "))?;
    }
    Ok(Exit::Success)
}

/// A topic, or a partition of it, as a query.
pub(super) fn place(text: &str) -> Result<form_urlencoded::Serializer<'static, String>, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let (topic, number) = text.rsplit_once('/').map_or((text, None), |(topic, number)| (topic, Some(number)));
    query.append_pair("topic", topic);
    if let Some(number) = number {
        let wrong = || Failure::Wrong(format!("{text:?} is no TOPIC or TOPIC/PARTITION"));
        query.append_pair("partition", &number.parse::<u16>().map_err(|_| wrong())?.to_string());
    }
    Ok(query)
}

async fn ask(common: &DeadArgs, env: &dyn Env, method: Method, uri: String) -> Result<Value, Failure> {
    let answer = socket(common, env)?.ask(method, uri, Vec::new()).await;
    let answer = answer.map_err(|error| Failure::Problem(error.to_string()))?;
    answer.ok_or_else(|| Failure::Problem("the outrigger that runs there is of another version".to_owned()))
}
