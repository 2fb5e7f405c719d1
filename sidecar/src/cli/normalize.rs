//! The flags of `outrigger normalize`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What `outrigger normalize` takes.
#[derive(Debug, Args)]
pub struct NormalizeArgs {
    /// What the input is, as it comes from there
    #[arg(long, value_name = "ORIGIN")]
    pub from: Origin,
    /// Write the events as messages of this form, instead of CloudEvents in JSON
    #[arg(long, value_name = "FORM")]
    pub to: Option<Form>,
    /// Files of JSON; - is standard input, as is none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The topic: of kafka, that of records that name none; of pubsub and pubsub-push, projects/PROJECT/topics/TOPIC, for
    /// the source
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// The subscription of pubsub: projects/PROJECT/subscriptions/NAME
    #[arg(long, value_name = "SUBSCRIPTION")]
    pub subscription: Option<String>,
    /// The source of what is no CloudEvent, of kafka (ingress.kafka.plain.source), sqs (where a message names no queue) and
    /// http (ingress.origins.source)
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Its type, of kafka (ingress.kafka.plain.type) and http (ingress.origins.type)
    #[arg(long = "type", value_name = "TYPE")]
    pub ty: Option<String>,
    /// A header of documents that are no requests themselves; can be repeated. github needs X-GitHub-Event and
    /// X-GitHub-Delivery
    #[arg(long = "header", value_name = "NAME:VALUE")]
    pub headers: Vec<String>,
    /// The header that holds the id, of http (ingress.origins.id_header)
    #[arg(long, value_name = "NAME")]
    pub id_header: Option<String>,
}

/// Where input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Origin {
    /// Records: {"topic","partition","offset","timestamp","key","value","headers"}
    Kafka,
    /// Messages, as the API of Google Pub/Sub and gcloud write them
    Pubsub,
    /// What a push subscription sends
    PubsubPush,
    /// What an event subscription sends, in both schemas, and what a namespace answers
    Eventgrid,
    /// Events of Amazon EventBridge
    Eventbridge,
    /// Notifications of Amazon S3
    S3,
    /// Messages of Amazon SNS, as they come by HTTP or to a function
    Sns,
    /// Messages of Amazon SQS, and what is in them: events of EventBridge, S3 and SNS, and CloudEvents
    Sqs,
    /// What a trigger of AWS Lambda hands a function
    Lambda,
    /// Webhooks of GitHub
    Github,
    /// Any request: a CloudEvent, or one that becomes an event
    Http,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Requests with the attributes as headers: {"headers","body"}
    HttpBinary,
    /// Requests with the event as their body
    Structured,
    /// Events of Event Grid's own schema
    Eventgrid,
    /// Messages of Pub/Sub
    Pubsub,
    /// Records of Kafka
    Kafka,
}
