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
