//! `outrigger send`: events to an ingress, as a producer would send them.
//!
//! `input` reads, `template` describes, `client` sends, `report` counts; this file reads the arguments and
//! joins the four. Reading has a thread of its own, because standard input and disks block.

mod client;
mod input;
mod report;
mod template;
mod topic;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use http::HeaderValue;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outrigger_core::Event;
use outrigger_net::tls::{Authorities, ClientSettings, ClientTls, Pair, Version};
use tokio::{sync::mpsc, time::Instant};

use self::{
    client::{Outcome, Sender, Sent},
    input::{Origin, Reader, Unreadable},
    report::Report,
    template::Template,
    topic::Topic,
};
use super::{Exit, Failure};
use crate::{
    cli::{Input, SendArgs, SendMode},
    config::units,
};

/// How many events may be read ahead of what is sent.
const READ_AHEAD: usize = 256;
/// How many events are on their way to a topic at once.
const IN_FLIGHT: usize = 256;

/// Sends what the arguments name and prints a summary.
///
/// # Errors
/// [`Failure::Wrong`] for arguments that cannot be meant, before anything is sent; [`Failure::Problem`] when
/// nothing answers at the ingress.
pub fn run(args: &SendArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter(); // a topic may fetch tokens from here on
    let plan = Plan::of(args)?;
    drop(inside);
    let bar = bar(args);
    let (report, reply) = runtime.block_on(send(plan, &bar))?;
    bar.finish_and_clear();
    for complaint in report.complaints() {
        eprintln!("{complaint}");
    }
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report.json())?;
    } else {
        writeln!(out, "{report}")?;
        if let Some(reply) = reply {
            writeln!(out, "reply     {}", String::from_utf8_lossy(&reply))?;
        }
    }
    Ok(if report.is_good() { Exit::Success } else { Exit::Problem })
}

/// The arguments, read.
struct Plan {
    reader: Reader,
    to: Destination,
    batch_size: usize,
    concurrency: usize,
    per_second: Option<f64>,
    mode: &'static str,
}

/// Where events go.
enum Destination {
    Ingress(Box<Sender>),
    Topic(Topic),
}

impl Destination {
    fn name(&self) -> String {
        match self {
            Self::Ingress(sender) => sender.to.to_string(),
            Self::Topic(topic) => format!("topic {}", topic.name),
        }
    }

    async fn send(&self, events: &[Event]) -> Sent {
        match self {
            Self::Ingress(sender) => sender.send(events).await,
            Self::Topic(topic) => topic.send(events).await,
        }
    }
}

impl Plan {
    fn of(args: &SendArgs) -> Result<Self, Failure> {
        let wrong = |flag: &str, text: &str, expected: &str| {
            Failure::Wrong(format!("{flag}: {text:?} is not {expected}"))
        };
        let duration =
            |flag, text: &str| units::duration(text).ok_or_else(|| wrong(flag, text, units::A_DURATION));
        let rate = |text: &String| units::rate(text).ok_or_else(|| wrong("--rate", text, units::A_RATE));
        let to = args.to.parse().ok().filter(|to: &http::Uri| {
            matches!(to.scheme_str(), Some("http" | "https")) && to.host().is_some()
        });
        let to = to.ok_or_else(|| wrong("--to", &args.to, "a URL such as http://127.0.0.1:8080/"))?;
        let (retry_for, timeout) =
            (duration("--retry-for", &args.retry_for)?, duration("--timeout", &args.timeout)?);
        let to = if let Some(topic) = &args.kafka {
            Destination::Topic(Topic::open(topic, args.config.as_deref(), args.mode, retry_for)?)
        } else {
            let tls = tls(args, &to)?;
            let mut sender = Sender::new(to, tls, args.mode, retry_for, timeout);
            sender.authorization = args.bearer_file.as_deref().map(bearer).transpose()?;
            Destination::Ingress(Box::new(sender))
        };
        let template = Template::new(&args.attributes, fastrand::u64(..)).map_err(Failure::Wrong)?;
        if args.count == Some(0) {
            return Err(Failure::Wrong("--count: 0 events are none; give at least 1".to_owned()));
        }
        let input = match args.from {
            Some(from) => Input::Foreign(from),
            None if args.from_lines => Input::Lines,
            None => args.input,
        };
        Ok(Self {
            reader: Reader { from: origins(args)?, input, template, count: args.count },
            // A broker that acknowledges one by one would be slow; the producer keeps their order.
            concurrency: if args.kafka.is_some() { IN_FLIGHT } else { args.concurrency as usize },
            to,
            batch_size: if args.mode == SendMode::Batch { args.batch_size as usize } else { 1 },
            per_second: args.rate.as_ref().map(rate).transpose()?,
            mode: match args.mode {
                SendMode::Binary => "binary",
                SendMode::Structured => "structured",
                SendMode::Protobuf => "protobuf",
                SendMode::Batch => "batch",
            },
        })
    }
}

/// TLS toward `to`, as the flags say.
fn tls(args: &SendArgs, to: &http::Uri) -> Result<Arc<ClientTls>, Failure> {
    let is_https = to.scheme_str() == Some("https");
    if !is_https && (args.ca_file.is_some() || args.certificate_file.is_some()) {
        let what = "--ca-file and --certificate-file are for an https:// URL in --to";
        return Err(Failure::Wrong(what.to_owned()));
    }
    let pair = args.certificate_file.clone().zip(args.key_file.clone());
    let settings = ClientSettings {
        section: "send".to_owned(),
        authorities: match &args.ca_file {
            Some(file) => Authorities::File(file.clone()),
            None if is_https => Authorities::System,
            None => Authorities::Nobody,
        },
        pair: pair.map(|(certificate, key)| Pair { certificate, key }),
        version_min: Version::default(),
    };
    let opened = ClientTls::open(settings).map_err(|error| {
        let flag = |(key, what): (String, String)| {
            format!("--{}: {what}", key.trim_start_matches("send.").replace('_', "-"))
        };
        Failure::Wrong(error.problems.into_iter().map(flag).collect::<Vec<_>>().join("\n"))
    });
    opened.map(Arc::new)
}

fn origins(args: &SendArgs) -> Result<Vec<Origin>, Failure> {
    if let Some(data) = &args.data {
        return Ok(vec![Origin::Body(data.clone())]);
    }
    if args.files.is_empty() && args.from_lines {
        return Ok(vec![Origin::Stdin]);
    }
    if args.files.is_empty() {
        return Err(Failure::Wrong(
            "nothing to send: give -d BODY, FILE…, or - for standard input".to_owned(),
        ));
    }
    let origin = |path: &PathBuf| match path.metadata() {
        _ if path.as_os_str() == "-" => Ok(Origin::Stdin),
        Ok(found) if found.is_dir() => {
            Err(Failure::Wrong(format!("{0} is a folder; name its files, such as {0}/*", path.display())))
        }
        Ok(_) => Ok(Origin::File(path.clone())),
        Err(error) => Err(Failure::Wrong(format!("{} cannot be read: {error}", path.display()))),
    };
    args.files.iter().map(origin).collect()
}

fn bearer(file: &Path) -> Result<HeaderValue, Failure> {
    let name = file.display();
    let token = std::fs::read_to_string(file)
        .map_err(|error| Failure::Wrong(format!("--bearer-file: {name} cannot be read: {error}")))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .ok()
        .filter(|_| !token.trim().is_empty())
        .ok_or_else(|| Failure::Wrong(format!("--bearer-file: {name} holds no token of one line")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn bar(args: &SendArgs) -> ProgressBar {
    if args.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let files = || (args.data.is_some() || !args.from_lines).then_some(args.files.len().max(1) as u64);
    let (total, template) = match args.count.or_else(files) {
        Some(total) => (Some(total), "{bar:30} {pos}/{len} events  {per_sec}  {msg}"),
        None => (None, "{spinner} {pos} events  {per_sec}  {msg}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_style(style)
}

/// One step of the work, done.
enum Done {
    Sent(Sent),
    Skipped(Unreadable),
}

/// Sends everything; the reply is that of a single event.
async fn send(plan: Plan, bar: &ProgressBar) -> Result<(Report, Option<bytes::Bytes>), Failure> {
    let Plan { reader, to, batch_size, concurrency, per_second, mode } = plan;
    let mut report = Report::new(to.name(), mode);
    let mut reply = None;
    let started = Instant::now();
    let to = &to;
    let requests =
        Requests { events: read(reader), skipped: None, batch_size, per_second, started, taken: 0 };
    let requests =
        stream::unfold(requests, |mut requests| async { Some((requests.next().await?, requests)) });
    let work = requests.map(|batch| async move {
        match batch {
            Ok(events) => Done::Sent(to.send(&events).await),
            Err(unreadable) => Done::Skipped(unreadable),
        }
    });
    let mut work = std::pin::pin!(work.buffer_unordered(concurrency));
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let done = tokio::select! {
            done = work.next() => done,
            _ = &mut stop => { report.interrupted = true; None }
        };
        match done {
            None => break,
            Some(Done::Skipped(unreadable)) => report.skip(&unreadable),
            Some(Done::Sent(Sent { outcome: Outcome::Unreachable(why), .. })) if !report.has_answers() => {
                let to = to.name();
                return Err(Failure::Problem(format!(
                    "nothing answers at {to} ({why}); is `outrigger run` running?"
                )));
            }
            Some(Done::Sent(sent)) => {
                report.count(&sent);
                bar.set_position(report.sent());
                if let Outcome::Accepted(body) = sent.outcome {
                    reply = Some(body);
                }
            }
        }
    }
    report.elapsed = started.elapsed();
    let reply = reply.filter(|body| !body.is_empty() && report.sent() == 1);
    Ok((report, reply))
}

/// Reads on a thread of its own, which ends when the receiver is dropped.
fn read(reader: Reader) -> mpsc::Receiver<Result<Event, Unreadable>> {
    let (push, events) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || reader.read(&mut |event| push.blocking_send(event).is_ok()));
    events
}

/// Events as requests, each at its time.
struct Requests {
    events: mpsc::Receiver<Result<Event, Unreadable>>,
    /// What came while a batch was open: it follows the batch.
    skipped: Option<Unreadable>,
    batch_size: usize,
    per_second: Option<f64>,
    started: Instant,
    taken: usize,
}

impl Requests {
    async fn next(&mut self) -> Option<Result<Vec<Event>, Unreadable>> {
        if let Some(skipped) = self.skipped.take() {
            return Some(Err(skipped));
        }
        let mut batch = Vec::new();
        while batch.len() < self.batch_size {
            match self.events.recv().await {
                Some(Ok(event)) => batch.push(event),
                Some(Err(skipped)) if batch.is_empty() => return Some(Err(skipped)),
                Some(Err(skipped)) => {
                    self.skipped = Some(skipped);
                    break;
                }
                None if batch.is_empty() => return None,
                None => break,
            }
        }
        if let Some(per_second) = self.per_second {
            #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^52 events")]
            let due = Duration::try_from_secs_f64(self.taken as f64 / per_second).unwrap_or(Duration::MAX);
            if let Some(due) = self.started.checked_add(due) {
                tokio::time::sleep_until(due).await;
            }
        }
        self.taken += batch.len();
        Some(Ok(batch))
    }
}

#[cfg(test)]
mod tests;
