//! `outrigger cache`: what a running outrigger keeps of what was done, and having it forgotten.

use std::io::{self, Write as _};

use comfy_table::{Table, presets};
use http::Method;
use serde_json::Value;

use super::{
    Exit, Failure,
    status::{block_on, socket},
};
use crate::{
    cli::{CacheCommand, DeadArgs, InvalidateArgs},
    config::Env,
};

/// Shows it or has it forgotten.
///
/// # Errors
/// When no outrigger runs there, or it keeps nothing.
pub fn run(command: &CacheCommand, env: &dyn Env) -> Result<Exit, Failure> {
    match command {
        CacheCommand::Stats { common } => stats(common, env),
        CacheCommand::Invalidate(args) => invalidate(args, env),
    }
}

fn stats(common: &DeadArgs, env: &dyn Env) -> Result<Exit, Failure> {
    let stats = block_on(ask(common, env, Method::GET, "/cache".to_owned()))?;
    let mut out = io::stdout().lock();
    if common.json {
        writeln!(out, "{stats}")?;
    } else {
        writeln!(out, "{}", table(&stats))?;
    }
    Ok(Exit::Success)
}

fn table(stats: &Value) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(["part", "number", "value"]);
    for (part, numbers) in stats.as_object().into_iter().flatten() {
        for (at, (name, value)) in numbers.as_object().into_iter().flatten().enumerate() {
            let part = if at == 0 { part.as_str() } else { "" };
            table.add_row([part, &name.replace('_', " "), &value.to_string()]);
        }
    }
    table
}

fn invalidate(args: &InvalidateArgs, env: &dyn Env) -> Result<Exit, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, values) in [("key", &args.key), ("tag", &args.tag), ("prefix", &args.prefix)] {
        query.extend_pairs(values.iter().map(|value| (name, value)));
    }
    if args.all {
        query.append_pair("all", "true");
    }
    let uri = format!("/cache/invalidate?{}", query.finish());
    let done = block_on(ask(&args.common, env, Method::POST, uri))?;
    let mut out = io::stdout().lock();
    if args.common.json {
        writeln!(out, "{done}")?;
    } else {
        writeln!(out, "forgotten: {}", done["forgotten"])?;
    }
    Ok(Exit::Success)
}

async fn ask(common: &DeadArgs, env: &dyn Env, method: Method, uri: String) -> Result<Value, Failure> {
    let answer = socket(common, env)?.ask(method, uri, Vec::new()).await;
    let answer = answer.map_err(|error| Failure::Problem(error.to_string()))?;
    answer.ok_or_else(|| Failure::Problem("the outrigger that runs there is of another version".to_owned()))
}
