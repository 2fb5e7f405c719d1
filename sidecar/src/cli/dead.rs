//! The command line of dead letters.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use outrigger_core::Code;

/// The verbs of `outrigger dead`.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List dead letters, oldest first
    List {
        /// Which ones.
        #[command(flatten)]
        filter: FilterArgs,
        /// Where and how.
        #[command(flatten)]
        common: DeadArgs,
    },
    /// Show one dead letter with its attributes, its history and its data
    Show {
        /// The letter's number, as `list` prints it
        #[arg(value_name = "N")]
        id: u64,
        /// Write the data alone, byte for byte
        #[arg(long, conflicts_with = "json")]
        raw: bool,
        /// Where and how.
        #[command(flatten)]
        common: DeadArgs,
    },
    /// Deliver dead letters again: they go back to the journal's queue with no attempts counted
    Replay(ChangeArgs),
    /// Delete dead letters for good
    Drop(ChangeArgs),
}

/// What `outrigger dead replay` and `drop` take.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// The letters' numbers, as `list` prints them
    #[arg(value_name = "N")]
    pub ids: Vec<u64>,
    /// Which ones.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// Where and how.
    #[command(flatten)]
    pub common: DeadArgs,
}

/// Where the dead letters are and how they are printed.
#[derive(Debug, Args)]
pub struct DeadArgs {
    /// The configuration that outrigger runs with; found as by `run`
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which dead letters: those that all given filters take.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterArgs {
    /// The letter's number; can be repeated
    #[arg(long, value_name = "N")]
    pub id: Vec<u64>,
    /// The event's type
    #[arg(long = "type", value_name = "TYPE")]
    pub ty: Option<String>,
    /// The event's source
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Why it died.
    #[arg(long, value_name = "CODE", help = format!("Why it died: {}", Code::ALL.map(Code::name).join(", ")))]
    pub reason: Option<String>,
    /// Part of the event's id, type, source or key, or of why it died
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Died within the last so long, such as 1h
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// Died longer ago than so long, such as 10m
    #[arg(long, value_name = "DURATION")]
    pub until: Option<String>,
    /// The most letters
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
}
