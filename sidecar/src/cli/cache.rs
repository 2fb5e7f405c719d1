//! What the verbs of the cache take.

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use super::DeadArgs;

/// The verbs of `outrigger cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Show what is kept, how often it served, and what it takes of memory
    Stats {
        /// Where and how.
        #[command(flatten)]
        common: DeadArgs,
    },
    /// Forget what is kept: results by their keys and tags, responses by theirs; never marks of what was handled
    Invalidate(InvalidateArgs),
}

/// What is to be forgotten.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true)]
pub struct InvalidateArgs {
    /// Exactly this key: of a result the JSON array `["SOURCE","TYPE","function",VALUE,…]`, of a response path and query
    #[arg(long, value_name = "KEY", group = "what")]
    pub key: Vec<String>,
    /// What bears this tag
    #[arg(long, value_name = "TAG", group = "what", value_parser = NonEmptyStringValueParser::new())]
    pub tag: Vec<String>,
    /// What has a key that begins so
    #[arg(long, value_name = "PREFIX", group = "what", value_parser = NonEmptyStringValueParser::new())]
    pub prefix: Vec<String>,
    /// Everything
    #[arg(long, group = "what", conflicts_with_all = ["key", "tag", "prefix"])]
    pub all: bool,
    /// Where and how.
    #[command(flatten)]
    pub common: DeadArgs,
}
