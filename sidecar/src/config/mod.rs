//! The configuration: from a YAML file and a few flags to typed values, or to every mistake with its place.
//!
//! `raw` reads what the file says, `settings` is the table of what may be said, `kind` reads one value, `build`
//! makes the typed [`Config`], `rules` finds what contradicts itself. `example` and `schema` print the table.
//! It decides nothing at run time; `reading` tells what a later one has otherwise.

mod auth;
mod auth_rules;
mod build;
mod checked;
mod control;
mod dedup;
mod env;
mod eventgrid;
mod eventgrid_rules;
mod eventgrid_webhook;
mod example;
mod function;
mod homes;
mod kafka;
mod kafka_rules;
mod kind;
mod origins;
mod origins_rules;
mod places;
mod problems;
mod proxy;
mod pubsub;
mod pubsub_push;
mod pubsub_rules;
mod push_rules;
mod raw;
mod reading;
mod responses;
mod results;
mod routes;
mod routes_rules;
mod rules;
mod schema;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod trace;
pub mod units;
mod webhook;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

pub use self::{
    auth::{Auth, Claim, Hmac, Oidc, Rule, Secret},
    checked::*,
    dedup::{Conflict, Dedup, Redis},
    env::{Env, Process},
    eventgrid::{
        Entra, EventGrid, IdentityHeader, Ingress as EventGridIngress, Method as EntraMethod,
        Secret as EventGridSecret, Topic as EventGridTopic,
    },
    eventgrid_webhook::{EventGridWebhook, Validation},
    example::{markdown, yaml},
    function::{Batch, ENV_ALWAYS, Function, FunctionMode, Meaning, Mode, Output, Protocol, Restart},
    kafka::{Compression, Ingress as KafkaIngress, Kafka, Order, Producer, Rebalance, Sasl, Start, Tls},
    origins::{From, Origin, Service},
    places::Places,
    problems::{Place, Problem, Problems},
    proxy::{Proxy, Route, To},
    pubsub::{Ingress as PubsubIngress, Pubsub},
    pubsub_push::PubsubPush,
    reading::{Changes, Reading},
    responses::{Responses, Tenant},
    results::Results,
    routes::{
        DISCARD, FUNCTION, Place as TargetPlace, Posted as TargetUrl, Routes, Rule as RouteRule, Target, When,
    },
    schema::schema,
    tls::{ClientCertificates, FunctionTls, KeyPair, ListenerTls},
    trace::{
        Headers as TraceHeaders, Named as TraceFile, Trace, TraceExport, TraceNotes, TraceWay,
        unfit as unfit_header,
    },
    webhook::Webhook,
};

#[cfg(test)]
pub(crate) use self::env::Nothing;
pub(crate) use self::problems::shown;

/// What the configuration is wanted for: whether it must say where the function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be looked at, or for another verb than `run`.
    Look,
    /// To call a function that already runs: `function.url` must be there.
    Call,
    /// To start the function by a COMMAND.
    Start,
}

/// A setting given on the command line; it goes before the file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as it was written, such as `--url`.
    pub name: &'static str,
    /// The setting's path, such as `function.url`.
    pub path: &'static str,
    /// The value, as it would stand in the file.
    pub value: String,
}

/// The file that holds: the one named on the command line, else by `OUTRIGGER_CONFIG`, else `outrigger.yaml`
/// where there is one, else none.
pub fn locate(env: &dyn Env, named: Option<&Path>) -> Option<PathBuf> {
    let by_variable = || env.variable(env::CONFIG_VARIABLE).map(PathBuf::from);
    let by_default = || Some(PathBuf::from(env::FILE_DEFAULT)).filter(|file| env.exists(file));
    named.map(Path::to_owned).or_else(by_variable).or_else(by_default)
}

/// Reads the configuration from `file` (none means defaults) and `flags`.
///
/// # Errors
/// Every mistake in it, in the order of the file.
pub fn load(
    env: &dyn Env,
    file: Option<&Path>,
    flags: &[Flag],
    purpose: Purpose,
) -> Result<Config, Problems> {
    load_reading(env, file, flags, purpose).map(|reading| reading.config)
}

/// The same, to be held against a later one.
///
/// # Errors
/// Every mistake in it, in the order of the file.
pub fn load_reading(
    env: &dyn Env,
    file: Option<&Path>,
    flags: &[Flag],
    purpose: Purpose,
) -> Result<Reading, Problems> {
    let name = file.map(|file| file.display().to_string()).unwrap_or_default();
    match file.map(text_of).transpose() {
        Ok(text) => reading(env, &name, text.as_deref().unwrap_or_default(), flags, purpose),
        Err(problem) => Err(Problems { file: name, list: vec![*problem] }),
    }
}

/// The owner's socket, as far as `file` can be read: the one that it names, else the default; and every mistake in it.
pub fn socket(env: &dyn Env, file: Option<&Path>) -> (PathBuf, Option<Problems>) {
    match load(env, file, &[], Purpose::Look) {
        Ok(config) => (config.admin.socket, None),
        Err(problems) => {
            let text = file.and_then(|file| text_of(file).ok()).unwrap_or_default();
            let mut told = Problems::default();
            let raw = raw::Raw::read(&text, &mut told);
            (build::build(&raw, env, &mut told).admin.socket, Some(problems))
        }
    }
}

/// Reads the configuration from a file's `text`; `name` is for messages.
///
/// # Errors
/// Every mistake in it, in the order of the file.
pub fn read(
    env: &dyn Env,
    name: &str,
    text: &str,
    flags: &[Flag],
    purpose: Purpose,
) -> Result<Config, Problems> {
    reading(env, name, text, flags, purpose).map(|reading| reading.config)
}

fn reading(
    env: &dyn Env,
    name: &str,
    text: &str,
    flags: &[Flag],
    purpose: Purpose,
) -> Result<Reading, Problems> {
    let mut problems = Problems::of(name);
    let mut raw = raw::Raw::read(text, &mut problems);
    for flag in flags {
        raw.set(flag.path, kind::node_of_flag(flag.name, &flag.value));
    }
    let config = build::build(&raw, env, &mut problems);
    rules::check(&config, &raw, purpose, &mut problems);
    problems.sort();
    if !problems.list.is_empty() {
        return Err(problems);
    }
    let values = build::Values::read(&raw, &mut problems);
    let words = settings::SECTIONS.iter().map(|section| section.path);
    let words = words.filter(|path| raw.get(path).is_some()).collect();
    Ok(Reading { config, places: places::Places::of(name, &raw), values, words })
}

/// The port that a URL means: its own, else its scheme's.
#[must_use]
pub fn port_of(url: &http::Uri) -> u16 {
    let scheme = if url.scheme_str() == Some("https") { 443 } else { 80 };
    url.port_u16().unwrap_or(scheme)
}

fn text_of(file: &Path) -> Result<String, Box<Problem>> {
    let expected = "a YAML file; `outrigger config example` prints one";
    let problem = |found: String| Box::new(Problem::new(Place::Whole, "", found, expected));
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(file)?.take(raw::FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| problem(format!("no readable file ({error})")))?;
    if bytes.len() as u64 > raw::FILE_BYTES_MAX {
        return Err(problem(format!("more than {}", units::size_text(raw::FILE_BYTES_MAX))));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        problem(format!("bytes that are no UTF-8 in line {}", good.matches('\n').count() + 1))
    })
}
