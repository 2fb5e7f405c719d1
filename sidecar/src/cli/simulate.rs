//! The flags of `outrigger simulate`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The verbs of `outrigger simulate`.
#[derive(Debug, Subcommand)]
pub enum SimulateCommand {
    /// Print the hit rates that the cache would have, beside those of LRU, moka and the optimum
    ///
    /// What decides is the code that decides in production. The optimum knows the future: with equal sizes it
    /// is exact (Belady's MIN), else a bound that no policy is above (PFOO-L).
    ///
    /// A trace has a line for each request, in one of three formats, which its first line tells: a key, which
    /// weighs one byte, so that --bytes counts keys; key,size with the size in bytes, which is all that
    /// counts; or those of ARC, where each block is a key that weighs one byte. A file may be packed by gzip.
    ///
    /// Examples:
    ///     outrigger simulate cache --trace keys.txt --bytes 10000
    ///     outrigger simulate cache --trace sizes.csv.gz --bytes 64MiB --json
    ///     zcat trace.jsonl.gz | jq '.hash_ids[]' | outrigger simulate cache --trace - --bytes 30000
    ///
    /// Exit status: 0 when it is done, 1 when a file cannot be read, 2 for a wrong call or a line that is no request.
    #[command(verbatim_doc_comment)]
    Cache(CacheArgs),
}

/// What `outrigger simulate cache` takes.
#[derive(Debug, Args)]
pub struct CacheArgs {
    /// The requests; - is standard input
    #[arg(long, value_name = "FILE")]
    pub trace: PathBuf,
    /// The bound, as 1000 or 64MiB; it can be repeated, for a row each
    #[arg(long, value_name = "N", required = true)]
    pub bytes: Vec<String>,
    /// How the trace is written [default: as its first line looks]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<TraceFormat>,
    /// Print one JSON object {bytes, requests, hit_rate: {ours, lru, optimum}} for each bound instead
    #[arg(long)]
    pub json: bool,
}

/// How a trace is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    /// A key a line
    Keys,
    /// key,size a line
    KeySize,
    /// First block, number of blocks, and two more numbers
    Arc,
}
