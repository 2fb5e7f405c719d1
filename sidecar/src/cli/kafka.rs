//! What the verbs of Kafka take.

use clap::{Args, Subcommand};

use super::DeadArgs;

/// The verbs of `outrigger kafka`.
#[derive(Debug, Subcommand)]
pub enum KafkaCommand {
    /// Show the partitions that are ours: offsets, lag, what is in flight, and why one is paused
    Status {
        /// Where and how.
        #[command(flatten)]
        common: DeadArgs,
    },
    /// Fetch no more from a topic or one partition; what was fetched goes on
    Pause(PlaceArgs),
    /// Fetch again
    Resume(PlaceArgs),
    /// Go on behind what is damaged, or at an offset: what lies before it and was not fetched is never delivered
    Skip {
        /// Which partitions.
        #[command(flatten)]
        place: PlaceArgs,
        /// The first offset to read; not needed behind what is damaged
        #[arg(long, value_name = "OFFSET")]
        to: Option<i64>,
    },
}

/// What `outrigger replay` takes.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The topic, or one of its partitions
    #[arg(long, value_name = "TOPIC[/PARTITION]")]
    pub kafka: String,
    /// The first record: earliest, a time such as 2026-01-31T12:00:00Z, or offset:N
    #[arg(long, value_name = "TIME|OFFSET")]
    pub from: String,
    /// The first record that is not delivered any more [default: the end as it is now]
    #[arg(long, value_name = "TIME|OFFSET")]
    pub to: Option<String>,
    /// Where and how.
    #[command(flatten)]
    pub common: DeadArgs,
}

/// Which partitions.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// The topic, or one of its partitions
    #[arg(value_name = "TOPIC[/PARTITION]")]
    pub place: String,
    /// Where and how.
    #[command(flatten)]
    pub common: DeadArgs,
}
