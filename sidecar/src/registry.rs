//! From the configuration to the adapters: the one file that knows which ones are compiled in.

use crate::{admin::Health, config, dead_api::Dead, ingress::Accept};
use outrigger_core::{
    BoxFuture, Call, DeadLetter, DeadLetters, Error, Event, Exchange, Key, Kind, Ledger, Plugin, Result,
    Source,
};
use std::sync::Arc;

/// The function client, plugins wrapped around it in their order. `replies` says whether a caller waits for what
/// the function answers.
///
/// # Errors
/// When the URL or a setting is not what the adapter takes.
pub fn function(
    config: &config::Function,
    url: &http::Uri,
    replies: bool,
    plugins: &[Arc<dyn Plugin>],
) -> Result<Arc<dyn Call>> {
    let settings = outrigger_http::Config {
        mode: match config.mode {
            config::Mode::Binary => outrigger_http::Mode::Binary,
            config::Mode::Structured => outrigger_http::Mode::Structured,
        },
        connect_timeout: config.connect_timeout,
        idle_timeout: config.idle_timeout,
        timeout: config.timeout,
        idle_connections_max: config.concurrency,
        replies: if replies { outrigger_http::Replies::Used } else { outrigger_http::Replies::Ignored },
        reply_bytes_max: config.reply_bytes_max,
        ..outrigger_http::Config::new(url.clone())?
    };
    let mut exchange: Arc<dyn Exchange> = Arc::new(outrigger_http::Client::new(&settings));
    for plugin in plugins {
        exchange = plugin.around_exchange(exchange);
    }
    let mut call: Arc<dyn Call> = Arc::new(outrigger_http::FunctionCall::new(&settings, exchange));
    for plugin in plugins {
        call = plugin.around_call(call);
    }
    Ok(call)
}

/// The plugins that the configuration turns on. None is compiled in yet: trace and cache come with their issues.
#[must_use]
pub fn plugins(_config: &config::Config) -> Vec<Arc<dyn Plugin>> {
    Vec::new()
}

/// What the journal is to the rest.
pub struct Storage {
    /// Events come in here.
    pub accept: Arc<dyn Accept>,
    /// And go on from here.
    pub source: Arc<dyn Source>,
    /// Given-up events rest here.
    pub dead: Arc<dyn DeadLetters>,
    /// What is done is known here.
    pub ledger: Arc<dyn Ledger>,
    /// How it is.
    pub health: Arc<dyn Health>,
    /// They are listed, replayed and dropped here.
    pub letters: Arc<dyn Dead>,
    /// The journal itself, for the last flush.
    pub journal: Arc<outrigger_journal::Journal>,
}

/// The configuration's journal.
#[must_use]
pub fn journal_config(config: &config::Journal) -> outrigger_journal::Config {
    outrigger_journal::Config {
        bytes_max: config.bytes_max,
        dead_bytes_max: config.dead_bytes_max,
        dead_age_max: config.dead_age_max,
        commit_every: config.commit_every,
        group_events_max: config.group_events_max,
        marks_age_max: config.marks_age_max,
        marks_max: config.marks_max,
        ..outrigger_journal::Config::new(&config.path)
    }
}

/// Opens the journal. `on_fatal` is called from its thread when it must not go on.
///
/// # Errors
/// One line with what to do: another process holds it, it is damaged, or from a newer version.
pub fn journal(config: &config::Journal, on_fatal: impl FnOnce(Error) + Send + 'static) -> Result<Storage> {
    let journal = outrigger_journal::Journal::open(journal_config(config), on_fatal)?;
    let shared = Arc::new(Shared(journal.clone()));
    Ok(Storage {
        accept: shared.clone(),
        source: journal.clone(),
        dead: journal.clone(),
        ledger: journal.clone(),
        health: shared,
        letters: journal.clone(),
        journal,
    })
}

/// The journal behind the sidecar's own traits.
struct Shared(Arc<outrigger_journal::Journal>);

impl Accept for Shared {
    fn accept(&self, events: Vec<(Event, Option<Key>)>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let entries = events.into_iter().map(|(event, key)| outrigger_journal::Entry { event, key });
            self.0.append(entries.collect()).await.map(drop)
        })
    }
}

impl Health for Shared {
    fn trouble(&self) -> Option<String> {
        match self.0.health() {
            outrigger_journal::stats::Health::Sound => None,
            outrigger_journal::stats::Health::Full(error)
            | outrigger_journal::stats::Health::Failed(error) => Some(error.to_string()),
        }
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let stats = self.0.stats();
        vec![
            ("outrigger_journal_pending_events", "Accepted events that are not settled", stats.pending),
            ("outrigger_journal_pending_bytes", "Their bytes", stats.pending_bytes),
            ("outrigger_journal_dead_letters", "Dead letters that are kept", stats.dead),
            ("outrigger_journal_dead_bytes", "Their bytes", stats.dead_bytes),
            ("outrigger_journal_commits", "Commits since the start, each with one fsync", stats.commits),
            (
                "outrigger_journal_discarded",
                "Dead letters discarded for their age since the start",
                stats.discarded,
            ),
        ]
    }
}

/// The home of dead letters where there is no storage that outlives the pod: nothing is kept there, so nothing
/// is taken. Synchronous ingress, the only way in then, never asks for it.
pub struct Homeless;

impl DeadLetters for Homeless {
    fn put<'a>(&'a self, _letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        let message =
            "there is no journal on durable storage, so a dead letter cannot be kept; set journal.storage";
        Box::pin(async move { Err(Error::new(Kind::Storage, message)) })
    }
}
