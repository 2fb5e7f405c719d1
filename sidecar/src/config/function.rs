//! The function, as the program uses its settings.

use super::{build::Values, checked::Backoff, homes, rules::Rules, tls::FunctionTls};
use std::{collections::BTreeMap, time::Duration};

/// The function and how it is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Where it listens: scheme http or https, with a host. None only where a COMMAND is started on [`Function::port`].
    pub url: Option<http::Uri>,
    /// The port that a COMMAND gets; none takes a free one. With a COMMAND and a URL, the URL's port.
    pub port: Option<u16>,
    /// The variable that tells a COMMAND its port.
    pub port_env: String,
    /// How an event is written into the request.
    pub mode: FunctionMode,
    /// How events are gathered into one request; none sends each alone.
    pub batch: Option<Batch>,
    /// What the function speaks.
    pub protocol: Protocol,
    /// Bound of making a connection.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Bound of one attempt in all.
    pub timeout: Duration,
    /// The most requests at once, at least 1.
    pub concurrency: usize,
    /// The most requests per second, more than 0.
    pub rate: Option<f64>,
    /// The largest reply, in bytes.
    pub reply_bytes_max: usize,
    /// The path that answers 2xx when the function is ready; none asks for a TCP connection.
    pub ready_path: Option<String>,
    /// How long the function may take to be ready; none waits for ever.
    pub ready_timeout: Option<Duration>,
    /// Statuses (`404`) and classes (`5xx`) with another meaning than usual; a status goes before its class.
    pub statuses: BTreeMap<String, Meaning>,
    /// Whether a COMMAND that ends is started again.
    pub restart: Restart,
    /// How long a restart waits.
    pub restart_backoff: Backoff,
    /// What becomes of a COMMAND's output.
    pub output: Output,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    /// The variables that a COMMAND inherits besides [`ENV_ALWAYS`]; none inherits all.
    pub env: Option<Vec<String>>,
    /// How TLS is spoken, where the URL says https.
    pub tls: FunctionTls,
}

/// The variables that a COMMAND inherits even where `function.env` is a list.
pub const ENV_ALWAYS: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes as headers, the data as the body.
    Binary,
    /// All of it as one JSON.
    Structured,
    /// All of it as one message of Protobuf.
    Protobuf,
}

impl Mode {
    /// As the file names it.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "structured" => Self::Structured,
            "protobuf" => Self::Protobuf,
            _ => Self::Binary,
        }
    }
}

/// How an event is written into a request to the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionMode {
    /// As an event.
    Event(Mode),
    /// The bare data, with the headers of `OpenFaaS`'s connectors.
    Raw,
}

/// How events are gathered into one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The most events, at least 2.
    pub events_max: usize,
    /// The most bytes of them.
    pub bytes_max: usize,
    /// How long the first one waits for others.
    pub wait: Duration,
}

/// What the function speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    H2c,
}

/// What a status is made to mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The function has the event.
    Delivered,
    /// The same event may succeed later.
    Retry,
    /// The same event would be refused again.
    Refused,
}

impl Meaning {
    /// As the file names it.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "delivered" => Self::Delivered,
            "retry" => Self::Retry,
            _ => Self::Refused,
        }
    }
}

/// When a COMMAND is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// After a status other than 0, or a signal.
    OnFailure,
    /// Whenever it ends.
    Always,
    /// Never: outrigger ends with it.
    Never,
}

/// What becomes of a COMMAND's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Each line gets a prefix.
    Prefix,
    /// The COMMAND writes to outrigger's own streams.
    Pass,
}

impl Values {
    pub(super) fn function(&self) -> Function {
        Function {
            url: self.url("function.url"),
            port: self.some_count("function.port").and_then(|port| u16::try_from(port).ok()),
            port_env: self.text("function.port_env"),
            mode: match self.word("function.mode") {
                "raw" => FunctionMode::Raw,
                word => FunctionMode::Event(Mode::of(word)),
            },
            batch: Some(self.count("function.batch.events_max")).filter(|most| *most > 1).map(|events_max| {
                Batch {
                    events_max,
                    bytes_max: self.size("function.batch.bytes_max"),
                    wait: self.span("function.batch.wait"),
                }
            }),
            protocol: if self.word("function.protocol") == "h2c" { Protocol::H2c } else { Protocol::Http1 },
            connect_timeout: self.span("function.connect_timeout"),
            idle_timeout: self.span("function.idle_timeout"),
            timeout: self.span("function.timeout"),
            concurrency: self.count("function.concurrency"),
            rate: self.rate("function.rate"),
            reply_bytes_max: self.size("function.reply_bytes_max"),
            ready_path: self.some_text("function.ready_path"),
            ready_timeout: self.some_span("function.ready_timeout"),
            statuses: self.statuses("function.statuses"),
            restart: match self.word("function.restart") {
                "always" => Restart::Always,
                "never" => Restart::Never,
                _ => Restart::OnFailure,
            },
            restart_backoff: self.backoff("function.restart_backoff.initial", "function.restart_backoff.max"),
            output: if self.word("function.output") == "pass" { Output::Pass } else { Output::Prefix },
            stop_timeout: self.span("function.stop_timeout"),
            env: self.list("function.env"),
            tls: self.function_tls(),
        }
    }
}

/// What batches may not stand beside.
pub(super) fn check(rules: &mut Rules<'_>) {
    let (key, mode, concurrency) = ("function.batch.events_max", "function.mode", "function.concurrency");
    let function = &rules.config.function;
    let Some(Batch { events_max, .. }) = function.batch else { return };
    let has_batches = matches!(function.mode, FunctionMode::Event(Mode::Structured | Mode::Protobuf));
    if !has_batches && rules.are_read(&[mode]) {
        rules.wrong(
            key,
            format!("{events_max}, while {mode} is {}", rules.says(mode).as_deref().unwrap_or("binary")),
            format!("{mode}: structured or protobuf beside it, as no other has batches; or 1"),
        );
    }
    let most = rules.config.function.concurrency;
    if events_max > most && rules.are_read(&[concurrency]) {
        let at = rules.given([key, concurrency]);
        rules.wrong(
            at,
            format!("batches of {events_max}"),
            format!("at most {concurrency}, which is {most} and counts events"),
        );
    }
    if let Some((place, _)) = homes::replies(rules.config).into_iter().find(|(_, is_given)| *is_given) {
        rules.wrong(
            key,
            format!("{events_max} beside {place}"),
            "1, as the answer to a batch holds no reply; or no place for replies",
        );
    }
}
