//! Targets beside the function, and the rules by which events go there, as the program uses them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use outrigger_cesql::{Expression, Filter};

use super::{
    build::Values,
    checked::{Config, OnPoison},
    eventgrid::Topic as EventGridTopic,
    function::{Meaning, Mode},
    problems::Problem,
    raw::Entry,
    rules::Rules,
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

/// What targets and rules may not say together.
pub(super) fn check(rules: &mut Rules<'_>) {
    let raw = rules.raw;
    for entry in raw.several("targets.NAME").unwrap_or_default() {
        target(rules, entry);
    }
    let (replies, dead) = (rules.config.replies.url.is_some(), rules.config.dead_letters.url.is_some());
    url(rules, "replies", replies);
    url(rules, "dead_letters", dead);
    let names: Vec<String> = raw
        .several("targets.NAME")
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.name.clone())
        .chain([FUNCTION.to_owned()])
        .collect();
    named(rules, "routes.otherwise", &names);
    let Some(entries) = raw.several("routes.rules") else {
        if ["name", "to", "discard"].iter().any(|name| rules.differs(&format!("routes.rules.{name}"))) {
            rule(rules, &names);
        }
        return;
    };
    let mut seen: Vec<String> = Vec::new();
    for entry in entries {
        rules.within(entry, |rules| {
            rule(rules, &names);
            let key = "routes.rules.name";
            let Some(name) = rules.says(key) else { return };
            if seen.contains(&name) {
                rules.wrong(key, format!("the name {name:?} twice"), "each rule by a name of its own");
            }
            seen.push(name);
        });
    }
}

/// The settings of one target, and what each is of.
const PLACES: [&str; 5] = ["url", "kafka_topic", "pubsub_topic", "eventgrid_topic", "journal"];
const OF_A_URL: [&str; 7] =
    ["timeout", "connect_timeout", "statuses", "bearer_file", "ca_file", "webhook", "retired_wait"];

fn target(rules: &mut Rules<'_>, entry: &Entry) {
    if entry.name == EXAMPLE_NAME {
        return;
    }
    rules.within_named("targets", entry, |rules| {
        if [FUNCTION, DISCARD].contains(&entry.name.as_str()) {
            rules.wrong(
                "targets.NAME",
                format!("a target named {}", entry.name),
                "another name, as this one is taken",
            );
        }
        let key = |name: &str| format!("targets.NAME.{name}");
        let given: Vec<_> = PLACES.into_iter().filter(|name| rules.differs(&key(name))).collect();
        match given.as_slice() {
            [] if rules.are_read(&["targets.NAME"]) => {
                rules.wrong(
                    "targets.NAME",
                    "a target without a place",
                    format!("one of {}", PLACES.join(", ")),
                );
            }
            [one, other, ..] => rules.wrong(&key(other), format!("a place beside {one}"), "one of both"),
            _ => {}
        }
        let (overflow, kept) = ("targets.NAME.overflow", "targets.NAME.journal");
        let overflows = rules.says(overflow).as_deref() == Some("journal");
        let keeps = rules.says(kept).as_deref() == Some("true");
        let journal = &rules.config.journal;
        let forgets = journal.storage == super::Storage::Ephemeral && !journal.accept_loss;
        for (key, needs, instead) in [(overflow, overflows, "pause"), (kept, keeps, "another place")] {
            if needs && forgets && rules.are_read(&[key]) {
                let expected = format!(
                    "{instead}; or journal.storage: durable where the file outlives the pod; or journal.ephemeral: \
                     accept-loss"
                );
                rules.wrong(key, "a journal that does not outlive the pod", expected);
            }
        }
        if keeps && overflows {
            rules.wrong(overflow, "a queue in the journal before the journal", "pause");
        }
        if !overflows && rules.differs(&key("lane_max")) {
            rules.wrong(&key("lane_max"), "a value that nothing uses", "no value, or overflow: journal");
        }
        url(rules, "targets.NAME", given == ["url"]);
    });
}

/// What belongs to a url in a section, with or without one.
fn url(rules: &mut Rules<'_>, section: &str, is_given: bool) {
    let at = |name: &str| format!("{section}.{name}");
    if !is_given {
        for key in OF_A_URL.map(at) {
            if rules.differs(&key) {
                rules.wrong(&key, "a value that nothing uses", "no value, or a url");
            }
        }
        return;
    }
    let key = &at("url");
    let Some(url) = rules.says(key).and_then(|text| text.parse::<http::Uri>().ok()) else { return };
    let (secret, webhook) = (rules.differs(&at("bearer_file")), &at("webhook"));
    if rules.differs(webhook) && !rules.says(webhook).is_some_and(|origin| super::webhook::is_host(&origin)) {
        let found = super::problems::quoted(&rules.says(webhook).unwrap_or_default());
        rules.wrong(webhook, found, format!("{}, or off", super::webhook::A_HOST));
    }
    if secret {
        rules.plain(key, &url, "; the token would be read on the way");
    }
    if url.scheme_str() == Some("http") && rules.differs(&at("ca_file")) {
        rules.wrong(&at("ca_file"), "authorities for a url without TLS", "none, or an https url");
    }
}

fn rule(rules: &mut Rules<'_>, targets: &[String]) {
    let (name, to, discard) = ("routes.rules.name", "routes.rules.to", "routes.rules.discard");
    if !rules.is_given(name) && rules.are_read(&[name]) {
        rules.wrong(name, "a rule without a name", "one of its own, for metrics and the dry run");
    }
    let discards = rules.says(discard).as_deref() == Some("true");
    match (rules.differs(to), discards) {
        (false, false) if rules.are_read(&[to, discard]) => {
            rules.wrong(to, "a rule that leads nowhere", "names of targets; or discard: true");
        }
        (true, true) => rules.wrong(discard, format!("a rule with {to} that discards"), "one of both"),
        _ => named(rules, to, targets),
    }
}

/// Whether each name is one of a target.
fn named(rules: &mut Rules<'_>, key: &str, targets: &[String]) {
    if !rules.are_read(&[key, "targets"]) {
        return;
    }
    let Some(node) = rules.raw.get(key) else { return };
    let entries = match &node.shape {
        super::raw::Shape::List(entries) => entries.as_slice(),
        _ => std::slice::from_ref(node),
    };
    for entry in entries {
        let Some(name) = entry.text() else { continue };
        let is_word = key == "routes.otherwise" && name == DISCARD && entries.len() == 1;
        if is_word || targets.iter().any(|target| *target == name) {
            continue;
        }
        let expected = format!("function, or one of targets ({})", known(targets));
        let meant = super::problems::nearest(&name, targets.iter().map(String::as_str)).map(str::to_owned);
        rules.wrong_within(Problem::new(entry.place, key, entry.found(), expected).meant(meant));
    }
}

fn known(targets: &[String]) -> String {
    match targets.iter().filter(|name| *name != FUNCTION).map(String::as_str).collect::<Vec<_>>() {
        names if names.is_empty() => "of which there are none".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests;
