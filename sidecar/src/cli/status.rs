//! The flags of `outrigger status` and `outrigger parked`.

use clap::{Args, Subcommand};

use super::DeadArgs;

/// What `outrigger status` takes.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// What every verb over the socket takes.
    #[command(flatten)]
    pub common: DeadArgs,
    /// Show it again and again, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Show it again and again until N events have come in and every one is delivered or a dead letter
    #[arg(long, value_name = "N")]
    pub until_idle: Option<u64>,
}

/// The verbs of `outrigger parked`.
#[derive(Debug, Subcommand)]
pub enum ParkedCommand {
    /// List the parked events, with their keys and how many wait behind each
    List {
        /// What every verb over the socket takes.
        #[command(flatten)]
        common: DeadArgs,
    },
    /// Give a parked event its attempts again
    Retry {
        /// Which one.
        #[command(flatten)]
        which: ParkedArgs,
    },
    /// Make a parked event a dead letter, so that its key goes on
    Skip {
        /// Which one.
        #[command(flatten)]
        which: ParkedArgs,
    },
}

/// Which parked events.
#[derive(Debug, Args)]
pub struct ParkedArgs {
    /// What every verb over the socket takes.
    #[command(flatten)]
    pub common: DeadArgs,
    /// The event's id
    #[arg(long, value_name = "ID", required_unless_present = "all")]
    pub id: Option<String>,
    /// Every parked event
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
}
