//! The flags of `outrigger routes`.

use std::path::PathBuf;

use clap::Args;

/// What `outrigger routes` takes.
#[derive(Debug, Args)]
pub struct RoutesArgs {
    /// The configuration; else the file that OUTRIGGER_CONFIG names, else outrigger.yaml
    #[arg(value_name = "CONFIG")]
    pub config: Option<PathBuf>,
    /// A file with a CloudEvent a line, and it can be repeated; - is standard input, as is none
    #[arg(long, value_name = "FILE")]
    pub events: Vec<PathBuf>,
    /// Print one JSON object {place, id, source, type, rule, targets, discarded, rules} for each event instead
    #[arg(long)]
    pub json: bool,
}
