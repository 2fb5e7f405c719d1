//! Targets beside the function, and the rules by which events go there, as the program uses them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use outrigger_cesql::{Expression, Filter};

use super::{
    build::Values,
    checked::{Config, OnPoison},
    eventgrid::Topic as EventGridTopic,
    function::{Meaning, Mode},
    settings::EXAMPLE_NAME,
};

/// The function's name among the targets.
pub const FUNCTION: &str = "function";
/// What stands in place of targets where events go nowhere.
pub const DISCARD: &str = "discard";

/// Where events may go.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What it is.
    pub place: Place,
    /// How events are written for it.
    pub mode: Mode,
    /// The most that are on their way to it, at least 1.
    pub concurrency: usize,
    /// The most attempts per second.
    pub rate: Option<f64>,
    /// Attempts before an event is poison; none is as for the function.
    pub attempts_max: Option<u32>,
    /// Time before an event is poison; none is as for the function.
    pub deadline: Option<Duration>,
    /// The longest wait between two attempts; none is as for the function.
    pub backoff_max: Option<Duration>,
    /// What a poison event does to its key; none is as for the function.
    pub on_poison: Option<OnPoison>,
    /// The most events that wait for it in memory while the others wait in the journal; none pauses the sources.
    pub overflows_at: Option<usize>,
}

/// What a target is.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// It takes events by POST.
    Url(Box<Posted>),
    /// A topic of Kafka.
    Kafka(String),
    /// A topic of Pub/Sub.
    Pubsub(String),
    /// A topic of Event Grid.
    EventGrid(EventGridTopic),
    /// The journal.
    Journal,
}

/// What takes events by POST.
#[derive(Debug, Clone, PartialEq)]
pub struct Posted {
    /// Where.
    pub url: http::Uri,
    /// Bound of one attempt.
    pub timeout: Duration,
    /// Bound of making a connection.
    pub connect_timeout: Duration,
    /// Statuses with another meaning than usual.
    pub statuses: BTreeMap<String, Meaning>,
    /// The file that holds the token it is sent.
    pub bearer_file: Option<PathBuf>,
    /// The authorities of an https URL; none is the system's.
    pub ca: Option<PathBuf>,
    /// As whom it is asked for leave first; none asks not.
    pub webhook_origin: Option<String>,
    /// How long one that is retired is left alone.
    pub retired_wait: Duration,
}

/// Which events go where.
#[derive(Debug, Clone, PartialEq)]
pub struct Routes {
    /// Whether an event goes wherever a rule says that it fits; else the first decides.
    pub matches_all: bool,
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// Where what fits none goes; empty discards it.
    pub otherwise: Vec<String>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Which events it is for.
    pub when: When,
    /// The names of the targets that they go to; empty discards them.
    pub to: Vec<String>,
}

/// Which events; it is known to be well formed.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// CESQL.
    Expression(String),
    /// A filter of the Subscriptions API, or an array of them.
    Filter(serde_json::Value),
}

impl When {
    /// Ready for any number of events.
    #[must_use]
    pub fn filter(&self) -> Filter {
        match self {
            Self::Expression(text) => match Expression::parse(text) {
                Ok(expression) => expression.into(),
                Err(error) => unreachable!("{text:?} was read before: {error}"),
            },
            Self::Filter(document) => match Filter::from_json(document) {
                Ok(filter) => filter,
                Err(error) => unreachable!("{document} was read before: {error}"),
            },
        }
    }
}

impl Config {
    /// The targets that take events by POST.
    pub fn url_targets(&self) -> impl Iterator<Item = (&Target, &Posted)> {
        self.targets.iter().filter_map(|target| match &target.place {
            Place::Url(at) => Some((target, &**at)),
            _ => None,
        })
    }

    /// The targets that are topics of Kafka, with their topics.
    pub fn kafka_targets(&self) -> impl Iterator<Item = (&Target, &str)> {
        self.targets.iter().filter_map(|target| match &target.place {
            Place::Kafka(topic) => Some((target, topic.as_str())),
            _ => None,
        })
    }

    /// The targets that are topics of Pub/Sub, with their topics.
    pub fn pubsub_targets(&self) -> impl Iterator<Item = (&Target, &str)> {
        self.targets.iter().filter_map(|target| match &target.place {
            Place::Pubsub(topic) => Some((target, topic.as_str())),
            _ => None,
        })
    }

    /// The targets that are topics of Event Grid, with their topics.
    pub fn eventgrid_targets(&self) -> impl Iterator<Item = (&Target, &EventGridTopic)> {
        self.targets.iter().filter_map(|target| match &target.place {
            Place::EventGrid(topic) => Some((target, topic)),
            _ => None,
        })
    }
}

impl Values {
    pub(super) fn targets(&self) -> Vec<Target> {
        let entries = self.several("targets.NAME").unwrap_or_default().iter();
        entries.filter(|values| values.name != EXAMPLE_NAME).filter_map(Self::target).collect()
    }

    fn target(&self) -> Option<Target> {
        let place = if let Some(url) = self.url("targets.NAME.url") {
            Place::Url(Box::new(Posted {
                url,
                timeout: self.span("targets.NAME.timeout"),
                connect_timeout: self.span("targets.NAME.connect_timeout"),
                statuses: self.statuses("targets.NAME.statuses"),
                bearer_file: self.some_file("targets.NAME.bearer_file"),
                ca: self.some_file("targets.NAME.ca_file"),
                webhook_origin: self.some_text("targets.NAME.webhook"),
                retired_wait: self.span("targets.NAME.retired_wait"),
            }))
        } else if let Some(topic) = self.some_text("targets.NAME.kafka_topic") {
            Place::Kafka(topic)
        } else if let Some(topic) = self.some_text("targets.NAME.pubsub_topic") {
            Place::Pubsub(topic)
        } else if self.word("targets.NAME.journal") == "true" {
            Place::Journal
        } else {
            Place::EventGrid(self.eventgrid_topic("targets.NAME")?)
        };
        Some(Target {
            name: self.name.clone(),
            place,
            mode: if self.word("targets.NAME.mode") == "binary" { Mode::Binary } else { Mode::Structured },
            concurrency: self.count("targets.NAME.concurrency"),
            rate: self.rate("targets.NAME.rate"),
            attempts_max: self
                .some_count("targets.NAME.attempts_max")
                .and_then(|count| u32::try_from(count).ok()),
            deadline: self.some_span("targets.NAME.deadline"),
            backoff_max: self.some_span("targets.NAME.backoff_max"),
            on_poison: match self.word("targets.NAME.on_poison") {
                "park" => Some(OnPoison::Park),
                "skip" => Some(OnPoison::Skip),
                _ => None,
            },
            overflows_at: (self.word("targets.NAME.overflow") == "journal")
                .then(|| self.count("targets.NAME.lane_max")),
        })
    }

    /// What takes replies or dead letters by POST.
    pub(super) fn home(&self, section: &str) -> Option<Posted> {
        let of = |name: &str| format!("{section}.{name}");
        Some(Posted {
            url: self.url(&of("url"))?,
            timeout: self.span(&of("timeout")),
            connect_timeout: self.span("function.connect_timeout"),
            statuses: BTreeMap::new(),
            bearer_file: self.some_file(&of("bearer_file")),
            ca: self.some_file(&of("ca_file")),
            webhook_origin: self.some_text(&of("webhook")),
            retired_wait: self.span(&of("retired_wait")),
        })
    }

    pub(super) fn event_routes(&self) -> Option<Routes> {
        let one = [self];
        let entries: Vec<&Self> = match self.several("routes.rules") {
            Some(several) => several.iter().collect(),
            None => one.to_vec(),
        };
        let rule = |values: &&Self| {
            Some(Rule {
                name: values.some_text("routes.rules.name")?,
                when: values.filter("routes.rules.when"),
                to: match values.word("routes.rules.discard") {
                    "true" => Vec::new(),
                    _ => values.list("routes.rules.to")?,
                },
            })
        };
        let rules: Vec<_> = entries.iter().filter_map(rule).collect();
        let otherwise = self.list("routes.otherwise").unwrap_or_default();
        if rules.is_empty() && otherwise == [FUNCTION] {
            return None;
        }
        Some(Routes { matches_all: self.word("routes.match") == "all", rules, otherwise })
    }
}

#[cfg(test)]
mod tests;
