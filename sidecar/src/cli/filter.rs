//! The flags of `outrigger filter`.

use std::path::PathBuf;

use clap::Args;

/// What `outrigger filter` takes.
#[derive(Debug, Args)]
pub struct FilterVerbArgs {
    /// What events must be: CESQL, or a filter or an array of filters in JSON
    #[arg(value_name = "EXPRESSION")]
    pub expression: String,
    /// Files with a CloudEvent a line; - is standard input, as is none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Say of every event whether it passes and what each subexpression came to, instead of printing it
    #[arg(long)]
    pub explain: bool,
    /// With --explain, print one JSON object {place, passes, id, source, type, explanation} for each event
    #[arg(long, requires = "explain")]
    pub json: bool,
}
