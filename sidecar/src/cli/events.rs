//! The command line of events.

use clap::{Args, Subcommand};

use super::DeadArgs;
use crate::events_api::OUTCOMES;

/// The verbs of `outrigger events`.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List events, oldest first
    List {
        /// Which ones.
        #[command(flatten)]
        filter: EventFilterArgs,
        /// Go on behind this number, as the last list told
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
        /// Where and how.
        #[command(flatten)]
        common: DeadArgs,
    },
    /// Show one event with its attributes, its history and its data
    Show {
        /// The event's number, as `list` prints it, or its id: of several the newest
        #[arg(value_name = "SEQ|ID")]
        what: String,
        /// Write the data alone, byte for byte
        #[arg(long, conflicts_with = "json")]
        data_only: bool,
        /// Where and how.
        #[command(flatten)]
        common: DeadArgs,
    },
    /// Deliver kept events once more: copies go to the journal's queue, past the marks, by the rules as they are now
    Replay {
        /// The events' numbers, as `list` prints them
        #[arg(value_name = "SEQ", value_parser = seq)]
        seqs: Vec<u64>,
        /// Which ones.
        #[command(flatten)]
        filter: EventFilterArgs,
        /// All of them
        #[arg(long)]
        all: bool,
        /// Deliver to this target alone, whatever the rules say
        #[arg(long, value_name = "TARGET")]
        to: Option<String>,
        /// Only tell which ones it would be
        #[arg(long)]
        dry_run: bool,
        /// Where and how.
        #[command(flatten)]
        common: DeadArgs,
    },
    /// List who replayed or dropped what, paused or skipped a partition, or released a parked key; newest first
    Audit {
        /// The most entries
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Go on before this number, as the last list told
        #[arg(long, value_name = "N")]
        before: Option<u64>,
        /// Where and how.
        #[command(flatten)]
        common: DeadArgs,
    },
}

/// Which events: those that all given filters take.
#[derive(Debug, Clone, Default, Args)]
pub struct EventFilterArgs {
    /// The event's id
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// The event's type
    #[arg(long = "type", value_name = "TYPE")]
    pub ty: Option<String>,
    /// The event's source
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// The event's subject
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// The ordering key
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// What became of it.
    #[arg(long, value_name = "OUTCOME", help = format!("What became of it: {}", OUTCOMES.join(", ")))]
    pub outcome: Option<String>,
    /// A target that it went to, or the rule that discarded it
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Received within the last so long, such as 1h
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// Received longer ago than so long, such as 10m
    #[arg(long, value_name = "DURATION")]
    pub until: Option<String>,
    /// The most events
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
}

/// A number of the list.
fn seq(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        "it is no number of `outrigger events list`; by its id an event is meant with --id".to_owned()
    })
}
