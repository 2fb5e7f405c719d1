//! The command line of timelines.

use std::path::PathBuf;

use clap::Args;

/// What `outrigger trace` takes.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The event's id
    #[arg(value_name = "ID")]
    pub id: String,
    /// The configuration that outrigger runs with; found as by `run`
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
