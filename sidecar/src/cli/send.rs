//! The command line of `outrigger send`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What `outrigger send` takes.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The ingress
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    pub to: String,
    /// A topic instead, of the cluster that the configuration names
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["to", "bearer_file", "concurrency"])]
    pub kafka: Option<String>,
    /// The configuration with the cluster of --kafka; found as by `run`
    #[arg(short, long, value_name = "FILE", requires = "kafka")]
    pub config: Option<PathBuf>,
    /// How events are written into requests
    #[arg(long, value_enum, default_value_t = SendMode::Binary)]
    pub mode: SendMode,
    /// The data of one event
    #[arg(short, long, value_name = "BODY", conflicts_with = "files")]
    pub data: Option<String>,
    /// Files with events or their data; - is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What the files hold
    #[arg(long, value_enum, default_value_t = Input::Auto)]
    pub input: Input,
    /// What wrote the files, where they hold what could not be delivered: their events are sent as they were published
    #[arg(long, value_enum, value_name = "KIND", requires = "files", conflicts_with_all = ["input", "from_lines", "data"])]
    pub from: Option<From>,
    /// The same as --input lines; reads standard input where no FILE is named
    #[arg(long, conflicts_with_all = ["input", "data"])]
    pub from_lines: bool,
    /// How an event is described
    #[command(flatten)]
    pub attributes: AttributeArgs,
    /// Send N events: the input again and again, or only its first ones
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// The most events per time, such as 100/s
    #[arg(long, value_name = "N/s")]
    pub rate: Option<String>,
    /// The events in one request of --mode batch
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch_size: u32,
    /// The most requests at once; with more than one, events may arrive in another order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,
    /// A file with the bearer token
    #[arg(long, value_name = "FILE")]
    pub bearer_file: Option<PathBuf>,
    /// The authorities of an https ingress (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "kafka")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM), for an https ingress that asks for one
    #[arg(long, value_name = "FILE", conflicts_with = "kafka", requires = "key_file")]
    pub certificate_file: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    pub key_file: Option<PathBuf>,
    /// How long one request is tried again after 429, 503 or a lost connection
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub retry_for: String,
    /// How long one answer may take
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub timeout: String,
    /// Print the summary as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How an event is described.
#[derive(Debug, Clone, Default, Args)]
pub struct AttributeArgs {
    /// The id; several events get ID, ID-2, ID-3, …
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// The type [default: outrigger.send]
    #[arg(long = "type", value_name = "TYPE")]
    pub ty: Option<String>,
    /// The source, a URI reference [default: /outrigger/send]
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// The subject
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// The partitionkey: events of one key are delivered in order
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Any other attribute; can be repeated
    #[arg(long = "attr", value_name = "NAME=VALUE")]
    pub attributes: Vec<String>,
    /// The data's type [default: application/json for JSON, text/plain for other text,
    /// application/octet-stream for the rest]
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
}

/// How events are written into requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SendMode {
    /// Attributes as ce- headers, the data as the body
    Binary,
    /// One event as one JSON object
    Structured,
    /// One event as one message of Protobuf
    Protobuf,
    /// Many events as one JSON array
    Batch,
}

/// What the files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Input {
    /// By name and content: see above
    Auto,
    /// Each file is one event's data, whatever it is
    Data,
    /// Each file is a CloudEvent in JSON or an array of them
    Event,
    /// Each line is a CloudEvent in JSON, or an event's data
    Lines,
    /// Each file is what --from says
    #[value(skip)]
    Foreign(From),
}

/// Whose files of what could not be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// Those of Azure Event Grid, with events of either schema
    EventgridDeadletter,
}
