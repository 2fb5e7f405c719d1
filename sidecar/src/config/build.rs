//! From what the file says to the typed configuration: every setting is read by its kind, the rest are defaults.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, time::Duration};

use crate::transform;

use super::{
    auth::Rule,
    checked::{
        Admin, Audit, Backoff, Breaker, Config, DeadLetters, Delivery, Drain, Http, Ingress, Journal, Log,
        LogFormat, OnPoison, Outgoing, Replies, RetryBudget, Runtime, Storage, Window,
    },
    env::{Env, KUBERNETES_VARIABLE},
    function::{Meaning, Mode},
    kafka::Start,
    kind::Value,
    problems::Problems,
    raw::{Entry, Raw},
    routes::When,
    settings::{SECTIONS, SETTINGS},
};

/// Reads every setting; what is wrong becomes a problem and has its default in the result, so that the rules
/// between settings can still be checked.
pub(crate) fn build(raw: &Raw, env: &dyn Env, problems: &mut Problems) -> Config {
    let values = Values::read(raw, problems);
    let (journal, origins) = (values.journal(env), values.origins());
    let (trace, trace_notes) = values.trace(env);
    Config {
        function: values.function(),
        transform: values.transforms("transform"),
        delivery: values.delivery(),
        window: Window { events: values.count("window.events"), bytes: values.size("window.bytes") },
        ingress: Ingress {
            http: values.http(&journal),
            eventgrid_webhook: values.eventgrid_webhook(),
            origins: origins.clone(),
            kafka: values.kafka_ingress(),
            pubsub: values.pubsub_ingress(),
            pubsub_push: values.pubsub_push(),
            eventgrid: values.eventgrid_ingress(),
        },
        kafka: values.kafka(),
        pubsub: values.pubsub(env),
        eventgrid: values.eventgrid(env),
        proxy: values.proxy(),
        control: values.control(&origins),
        dedup: values.dedup(),
        results: values.results(),
        responses: values.responses(),
        replies: Replies {
            kafka_topic: values.some_text("replies.kafka_topic"),
            pubsub_topic: values.some_text("replies.pubsub_topic"),
            mode: Mode::of(values.word("replies.mode")),
            eventgrid: values.eventgrid_topic("replies"),
            hops_max: values.count("replies.hops_max"),
            url: values.home("replies"),
        },
        dead_letters: DeadLetters {
            kafka_topic: values.some_text("dead_letters.kafka_topic"),
            pubsub_topic: values.some_text("dead_letters.pubsub_topic"),
            eventgrid: values.eventgrid_topic("dead_letters"),
            url: values.home("dead_letters"),
        },
        targets: values.targets(),
        routes: values.event_routes(),
        journal,
        admin: Admin {
            listen: values.listen("admin.listen"),
            tls: values.listener_tls("admin.tls"),
            socket: values.file("admin.socket"),
        },
        drain: Drain {
            lame_duck: values.span("drain.lame_duck"),
            deadline: values.span("drain.deadline"),
            storage_timeout: values.span("drain.storage_timeout"),
        },
        log: values.log(),
        runtime: Runtime {
            threads: values.count("runtime.threads"),
            seed: values.some_count("runtime.seed"),
        },
        trace,
        trace_notes,
        outgoing: Outgoing {
            https_proxy: either_case(env, "HTTPS_PROXY"),
            no_proxy: either_case(env, "NO_PROXY").unwrap_or_default(),
        },
    }
}

impl Values {
    fn log(&self) -> Log {
        Log {
            level: self.word("log.level"),
            format: match self.word("log.format") {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => LogFormat::Auto,
            },
            audit: match self.word("log.audit") {
                "off" => Audit::Off,
                "all" => Audit::All,
                _ => Audit::Refused,
            },
        }
    }
}

/// A variable that other programs read in both cases.
fn either_case(env: &dyn Env, name: &str) -> Option<String> {
    env.variable(name).or_else(|| env.variable(&name.to_ascii_lowercase()))
}

/// The value of every setting of the table. The readers below are named after the kinds; that each fits its
/// setting is settled by any one call of [`build`], as the table is constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    given: HashMap<&'static str, Value>,
    /// Those of sections that stand in a list, each with nothing but its own.
    several: HashMap<&'static str, Vec<Values>>,
    /// The name that the file gives it; empty where it gives none.
    pub(super) name: String,
}

impl Values {
    pub(super) fn read(raw: &Raw, problems: &mut Problems) -> Self {
        let mut values = Self::below("", raw, problems);
        for section in SECTIONS.iter().filter(|section| section.several_max > 0 || section.named_max > 0) {
            if let Some(entries) = raw.several(section.path) {
                let mut read = |entry: &Entry| {
                    let before = problems.list.len();
                    let values = Self::below(section.path, &entry.raw, problems);
                    for problem in &mut problems.list[before..] {
                        problem.key = section.in_words(&entry.name, &problem.key);
                    }
                    Self { name: entry.name.clone(), ..values }
                };
                values.several.insert(section.path, entries.iter().map(&mut read).collect());
            }
        }
        values
    }

    fn below(prefix: &str, raw: &Raw, problems: &mut Problems) -> Self {
        let mut values = HashMap::new();
        for setting in SETTINGS.iter().filter(|setting| setting.path.starts_with(prefix)) {
            let given = raw.get(setting.path).map(|node| setting.kind.read(setting.path, node));
            let value = match given {
                Some(Ok(value)) => value,
                Some(Err(found)) => {
                    problems.list.extend(found);
                    setting.default_value()
                }
                None => setting.default_value(),
            };
            values.insert(setting.path, value);
        }
        Self { given: values, several: HashMap::new(), name: String::new() }
    }

    /// Whether both say the same of a setting.
    pub(super) fn agree(&self, other: &Self, path: &str) -> bool {
        self.given.get(path) == other.given.get(path)
    }

    /// Whether it is not the default.
    pub(super) fn differs(&self, path: &str) -> bool {
        SETTINGS.iter().any(|setting| setting.path == path && self.given[path] != setting.default_value())
    }

    /// Whether both have the same list in the section's place, or none.
    pub(super) fn agree_on_several(&self, other: &Self, section: &str) -> bool {
        self.several.get(section) == other.several.get(section)
    }

    /// Those of each section that stands in a list at this one's place.
    pub(super) fn several(&self, section: &str) -> Option<&[Values]> {
        self.several.get(section).map(Vec::as_slice)
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            key: self.list("delivery.key").unwrap_or_default(),
            attempts_max: self.count("delivery.attempts_max"),
            deadline: self.span("delivery.deadline"),
            on_poison: if self.word("delivery.on_poison") == "park" {
                OnPoison::Park
            } else {
                OnPoison::Skip
            },
            backoff: self.backoff("delivery.backoff.initial", "delivery.backoff.max"),
            retry_budget: RetryBudget {
                ratio: self.number("delivery.retry_budget.ratio"),
                per_second_min: self.number("delivery.retry_budget.per_second_min"),
                burst: f64::from(self.count::<u32>("delivery.retry_budget.burst")),
            },
            breaker: Breaker {
                failures: self.count("delivery.breaker.failures"),
                open: self.span("delivery.breaker.open"),
                open_max: self.span("delivery.breaker.open_max"),
            },
        }
    }

    fn http(&self, journal: &Journal) -> Option<Http> {
        let loses = journal.storage == Storage::Ephemeral && !journal.accept_loss;
        Some(Http {
            listen: self.listen("ingress.http.listen")?,
            path: self.text("ingress.http.path"),
            auth: self.auth("ingress.http"),
            sync: loses || self.word("ingress.http.sync") == "true",
            sync_timeout: self.span("ingress.http.sync_timeout"),
            body_bytes_max: self.size("ingress.http.body_bytes_max"),
            decompressed_bytes_max: self.size("ingress.http.decompressed_bytes_max"),
            receiving_bytes_max: self.size("ingress.http.receiving_bytes_max"),
            headers_max: self.count("ingress.http.headers_max"),
            header_bytes_max: self.size("ingress.http.header_bytes_max"),
            batch_events_max: self.count("ingress.http.batch_events_max"),
            connections_max: self.count("ingress.http.connections_max"),
            header_timeout: self.span("ingress.http.header_timeout"),
            body_timeout: self.span("ingress.http.body_timeout"),
            idle_timeout: self.span("ingress.http.idle_timeout"),
            http2_streams_max: self.count("ingress.http.http2_streams_max"),
            tls: self.listener_tls("ingress.http.tls"),
            webhook: self.webhook("ingress.http.webhook"),
        })
    }

    fn journal(&self, env: &dyn Env) -> Journal {
        let path = self.file("journal.path");
        let storage = match self.word("journal.storage") {
            "durable" => Storage::Durable,
            "ephemeral" => Storage::Ephemeral,
            // In doubt it is ephemeral: that costs time, the other mistake costs events.
            _ if env.variable(KUBERNETES_VARIABLE).is_some() || env.volatile(&path) => Storage::Ephemeral,
            _ => Storage::Durable,
        };
        Journal {
            path,
            storage,
            accept_loss: self.word("journal.ephemeral") == "accept-loss",
            bytes_max: self.size("journal.bytes_max"),
            dead_bytes_max: self.size("journal.dead_bytes_max"),
            overflow_bytes_max: self.size("journal.overflow_bytes_max"),
            marks_max: self.count("journal.marks_max"),
            marks_age_max: self.span("journal.marks_age_max"),
            dead_age_max: self.some_span("journal.dead_age_max"),
            keep_settled: self.word("journal.keep.settled") == "true",
            keep_age_max: self.span("journal.keep.age_max"),
            keep_bytes_max: self.size("journal.keep.bytes_max"),
            audit_max: self.count("journal.audit_max"),
            commit_every: self.span("journal.commit_every"),
            group_events_max: self.count("journal.group_events_max"),
            group_bytes_max: self.size("journal.group_bytes_max"),
            gather_max: self.span("journal.gather_max"),
            waiting_events_max: self.count("journal.waiting_events_max"),
            waiting_bytes_max: self.size("journal.waiting_bytes_max"),
            handoff_events_max: self.count("journal.handoff_events_max"),
            handoff_bytes_max: self.size("journal.handoff_bytes_max"),
            wal_bytes_max: self.size("journal.wal_bytes_max"),
            stalled_after: self.span("journal.stalled_after"),
        }
    }

    pub(super) fn backoff(&self, initial: &str, max: &str) -> Backoff {
        Backoff { initial: self.span(initial), max: self.span(max) }
    }
}

/// A reader for each kind: `$name` gives the value, or stops the program where the table says another kind,
/// which no file can bring about.
macro_rules! readers {
    ($($(#[$doc:meta])* $name:ident -> $type:ty { $($pattern:pat => $value:expr),+ $(,)? })+) => {
        impl Values {
            $($(#[$doc])* pub(super) fn $name(&self, path: &str) -> $type {
                match &self.given[path] {
                    $($pattern => $value,)+
                    other => unreachable!("{path} is read as {}, but is {other:?}", stringify!($name)),
                }
            })+
        }
    };
}

readers! {
    number -> f64 { Value::Number(number) => *number }
    rate_of -> Option<f64> { Value::Number(number) => Some(*number), Value::Absent => None }
    rate -> Option<f64> { Value::Rate(rate) => Some(*rate), Value::Absent => None }
    span -> Duration { Value::Span(span) => *span }
    some_span -> Option<Duration> { Value::Span(span) => Some(*span), Value::Absent => None }
    some_count -> Option<u64> { Value::Count(count) => Some(*count), Value::Absent => None }
    some_size -> Option<usize> { Value::Size(bytes) => usize::try_from(*bytes).ok(), Value::Absent => None }
    word -> &'static str { Value::Word(word) => word }
    text -> String { Value::Text(text) => text.clone() }
    some_text -> Option<String> { Value::Text(text) => Some(text.clone()), Value::Absent => None }
    list -> Option<Vec<String>> { Value::List(list) => Some(list.clone()), Value::Absent => None }
    some_file -> Option<PathBuf> { Value::File(path) => Some(path.clone()), Value::Absent => None }
    routes -> std::collections::BTreeMap<String, &'static str> { Value::Routes(routes) => routes.clone() }
    start -> Start { Value::Start(start) => *start }
    properties -> std::collections::BTreeMap<String, String> { Value::Properties(map) => map.clone() }
    file -> PathBuf { Value::File(path) => path.clone() }
    url -> Option<http::Uri> { Value::Url(url) => Some(url.clone()), Value::Absent => None }
    listen -> Option<SocketAddr> { Value::Listen(address) => Some(*address), Value::Absent => None }
    header -> http::HeaderName { Value::Header(name) => name.clone() }
    some_header -> Option<http::HeaderName> { Value::Header(name) => Some(name.clone()), Value::Absent => None }
    transforms -> Vec<transform::Rule> { Value::Transforms(rules) => rules.clone(), Value::Absent => Vec::new() }
    filter -> When { Value::Filter(when) => when.clone() }
    rules -> Option<Vec<Rule>> { Value::Rules(rules) => Some(rules.clone()), Value::Absent => None }
    statuses -> std::collections::BTreeMap<String, Meaning> {
        Value::Statuses(statuses) => statuses.iter().map(|(status, word)| (status.clone(), Meaning::of(word))).collect(),
    }
    raw_count -> u64 { Value::Count(count) => *count, Value::Size(bytes) => *bytes }
}

impl Values {
    /// A count as the type that its user wants; the table's bounds fit each.
    pub(super) fn count<T: TryFrom<u64>>(&self, path: &str) -> T {
        let Ok(count) = T::try_from(self.raw_count(path)) else { unreachable!("{path} exceeds its type") };
        count
    }

    pub(super) fn size<T: TryFrom<u64>>(&self, path: &str) -> T {
        self.count(path)
    }
}

// The table allows sizes beyond 4 GiB.
const _: () = assert!(usize::BITS == 64, "outrigger is built for 64-bit machines");
