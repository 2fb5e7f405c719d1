//! What a setting may hold: reads what stands in the file into a [`Value`], or says what was expected.
//!
//! Pure, and knows no setting by name: those are in the table ([`super::settings`]).

mod phrases;
mod routes;
mod rules;
mod schema;
mod transforms;
mod urls;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use outrigger_net::tls::Rules;
use urls::{is_url_path, token_url, url};

use super::{
    auth::Rule,
    kafka::Start,
    problems::{Place, Problem, nearest, quoted},
    raw::{Node, Shape},
    results,
    routes::When,
    units, webhook,
};
use crate::transform;
use phrases::{A_PEER, A_SPIFFE_ID, A_SUBJECT, A_TARGET, A_TOPIC};

/// What may stand at a key. Every bound includes its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// A whole number.
    Count {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A number with or without a fraction.
    Number {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// A duration with its unit.
    Span {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A size with its unit.
    Size {
        /// The smallest, in bytes.
        min: u64,
        /// The largest, in bytes.
        max: u64,
    },
    /// So many per second, minute or hour.
    Rate {
        /// The largest, per second.
        max: f64,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// The name of an environment variable.
    Variable,
    /// Names of environment variables.
    Variables,
    /// The name of a `CloudEvents` attribute, or several.
    Attributes,
    /// A path in the file system.
    File,
    /// `http(s)://host:port/path`.
    Url,
    /// The path of a URL.
    UrlPath,
    /// `http(s)://…`, where a token is fetched.
    TokenUrl,
    /// An IP address and a port.
    Listen,
    /// Any text of one line.
    Line,
    /// `host:port`, or a list of them.
    Brokers,
    /// The name of a topic.
    Topic,
    /// A topic of an Event Grid namespace, or the URL of a custom topic.
    EventGridTopic,
    /// Names or patterns of topics.
    Topics,
    /// Subjects of certificates.
    Subjects,
    /// SPIFFE ids, or all below one.
    SpiffeIds,
    /// Names of librdkafka's properties to their values.
    Properties,
    /// Names of these to their values.
    Named(&'static str),
    /// `http(s)://…` of a collector of OTLP.
    CollectorUrl,
    /// Where a partition begins.
    Start,
    /// A status or class of statuses to what it means.
    Statuses,
    /// Some of these words.
    Words(&'static [&'static str]),
    /// Texts of one line.
    Lines,
    /// Patterns of client certificates.
    Peers,
    /// The URL by which an issuer names itself.
    Issuer,
    /// The name of a header.
    Header,
    /// Names of headers.
    Headers,
    /// Who may send what.
    Rules,
    /// What becomes of the attributes of events.
    Transforms,
    /// Origins of webhooks.
    Origins,
    /// Names of hosts, without an asterisk and without addresses.
    Hosts,
    /// Paths, with a method before them or not, to where requests go.
    Routes,
    /// The name of a rule.
    Name,
    /// Names of targets.
    Names,
    /// JSON Pointers into an event.
    Pointers,
    /// Which events: CESQL, or a filter of the Subscriptions API.
    Filter,
    /// The word, which stands for the absence of a value, or what the kind says.
    Or(&'static str, &'static Kind),
}

/// What stood at a key, as the kind of the same name reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Count(u64),
    Number(f64),
    Span(Duration),
    Size(u64),
    Rate(f64),
    Word(&'static str),
    Text(String),
    List(Vec<String>),
    File(PathBuf),
    Url(http::Uri),
    Listen(SocketAddr),
    Statuses(BTreeMap<String, &'static str>),
    Properties(BTreeMap<String, String>),
    Routes(BTreeMap<String, &'static str>),
    Start(Start),
    Header(http::HeaderName),
    Rules(Vec<Rule>),
    Transforms(Vec<transform::Rule>),
    Filter(When),
    /// The word of [`Kind::Or`].
    Absent,
}

/// What a function's status may be made to mean.
pub(crate) const VERDICTS: &[&str] = &["delivered", "retry", "refused"];
/// The most entries of a list or map in one setting.
pub(super) const ENTRIES_MAX: usize = 1_000;
/// The longest text of one setting, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;

impl Kind {
    /// Reads the node that stands at `key`.
    ///
    /// # Errors
    /// The mistakes, at the place of the node or of the entry within it.
    pub(crate) fn read(&self, key: &str, node: &Node) -> Result<Value, Vec<Problem>> {
        let wrong = || vec![Problem::new(node.place, key, node.found(), self.expected())];
        match self {
            Self::Or(word, _) if node.is_word(word) || matches!(node.shape, Shape::Null) => Ok(Value::Absent),
            Self::Or(word, kind) => kind.read(key, node).map_err(|problems| {
                let or = |mut problem: Problem| {
                    // What is wrong deeper within is not mended by the word.
                    if problem.key == key {
                        problem.expected = format!("{}, or {word}", problem.expected);
                    }
                    problem
                };
                problems.into_iter().map(or).collect()
            }),
            Self::Statuses => statuses(key, node),
            Self::Rules => rules::rules(key, node),
            Self::Transforms => transforms::transforms(key, node),
            Self::Routes => super::proxy::routes(key, node),
            Self::Words(words) => rules::some_words(key, node, words),
            Self::Lines => list(key, node, "a list of texts", is_line, "a text of one line"),
            Self::Origins => list(key, node, "a list of origins", webhook::is_origin, webhook::AN_ORIGIN),
            Self::Hosts => list(key, node, "a list of hosts", webhook::is_host, webhook::A_HOST),
            Self::Headers => list(key, node, "a list of headers", is_header, "the name of a header"),
            Self::Peers => list(key, node, "a list of certificates", rules::is_peer, A_PEER),
            Self::Filter => routes::filter(key, node),
            Self::Pointers => list(key, node, "a list of pointers", results::is_pointer, results::A_POINTER),
            Self::Names => list(key, node, "a list of targets", routes::is_target, A_TARGET),
            Self::Properties | Self::Named(_) => properties(key, node, &self.expected()),
            Self::Brokers => list(key, node, "a list of brokers", is_broker, "host:port"),
            Self::Topics => list(key, node, "a list of topics", is_topics, A_TOPIC),
            Self::Subjects => list(key, node, "a list of subjects", is_subject, A_SUBJECT),
            Self::SpiffeIds => list(key, node, "a list of SPIFFE ids", Rules::is_spiffe, A_SPIFFE_ID),
            Self::Attributes => {
                list(key, node, "a list of names", is_attribute, "a CloudEvents attribute name (a-z, 0-9)")
            }
            Self::Variables => {
                list(key, node, "a list of names", is_variable, "the name of an environment variable")
            }
            Self::Word(words) => {
                let text = node.text().ok_or_else(wrong)?;
                let known = words.iter().find(|word| **word == text);
                let meant = || nearest(&text, words.iter().copied()).map(str::to_owned);
                known
                    .map(|word| Value::Word(word))
                    .ok_or_else(|| wrong().into_iter().map(|problem| problem.meant(meant())).collect())
            }
            _ => node.text().and_then(|text| self.scalar(&text)).ok_or_else(wrong),
        }
    }

    fn scalar(&self, text: &str) -> Option<Value> {
        match *self {
            Self::Count { min, max } => {
                text.parse().ok().filter(|n| (min..=max).contains(n)).map(Value::Count)
            }
            Self::Number { min, max } => {
                text.parse().ok().filter(|n| (min..=max).contains(n)).map(Value::Number)
            }
            Self::Span { min, max } => {
                units::duration(text).filter(|span| (min..=max).contains(span)).map(Value::Span)
            }
            Self::Size { min, max } => units::size(text).filter(|n| (min..=max).contains(n)).map(Value::Size),
            Self::Rate { max } => units::rate(text).filter(|rate| *rate <= max).map(Value::Rate),
            Self::Variable => is_variable(text).then(|| Value::Text(text.to_owned())),
            Self::File => is_path(text).then(|| Value::File(text.into())),
            Self::Url | Self::CollectorUrl => url(text).map(Value::Url),
            Self::UrlPath => is_url_path(text).then(|| Value::Text(text.to_owned())),
            Self::TokenUrl => token_url(text).map(Value::Url),
            Self::Line => is_line(text).then(|| Value::Text(text.to_owned())),
            Self::Topic => is_topic(text).then(|| Value::Text(text.to_owned())),
            Self::EventGridTopic => {
                let good = is_topic(text) || url(text).is_some_and(|url| url.path().len() > 1);
                good.then(|| Value::Text(text.to_owned()))
            }
            Self::Start => Start::read(text).map(Value::Start),
            Self::Listen => text.parse().ok().map(Value::Listen),
            Self::Issuer => rules::is_issuer(text).then(|| Value::Text(text.to_owned())),
            Self::Header => text.parse().ok().map(Value::Header),
            Self::Name => routes::is_name(text).then(|| Value::Text(text.to_owned())),
            _ => None,
        }
    }
}

fn list(
    key: &str,
    node: &Node,
    what: &str,
    is_good: fn(&str) -> bool,
    expected: &str,
) -> Result<Value, Vec<Problem>> {
    let entries = match &node.shape {
        Shape::List(entries) if !entries.is_empty() && entries.len() <= ENTRIES_MAX => entries.as_slice(),
        Shape::Text(_) => std::slice::from_ref(node),
        _ => {
            return Err(vec![Problem::new(
                node.place,
                key,
                node.found(),
                format!("{what}: each {expected}"),
            )]);
        }
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.text().filter(|text| is_good(text)) {
            Some(text) if good.contains(&text.to_string()) => {
                bad.push(Problem::new(
                    entry.place,
                    key,
                    format!("{} twice", entry.found()),
                    "each name once",
                ));
            }
            Some(text) => good.push(text.into_owned()),
            None => bad.push(Problem::new(entry.place, key, entry.found(), expected)),
        }
    }
    if bad.is_empty() { Ok(Value::List(good)) } else { Err(bad) }
}

fn is_header(text: &str) -> bool {
    http::HeaderName::try_from(text).is_ok()
}

fn statuses(key: &str, node: &Node) -> Result<Value, Vec<Problem>> {
    let entries = match &node.shape {
        Shape::Map(entries) if entries.len() <= ENTRIES_MAX => entries.as_slice(),
        Shape::Null => &[],
        _ => return Err(vec![Problem::new(node.place, key, node.found(), Kind::Statuses.expected())]),
    };
    let (mut good, mut bad) = (BTreeMap::new(), Vec::new());
    for (status, meaning) in entries {
        let at = format!("{key}.{}", super::raw::printable(&status.name));
        if !is_status(&status.name) {
            let expected = "a status from 100 to 599, or a class from 1xx to 5xx";
            bad.push(Problem::new(status.place, &at, quoted(&status.name), expected));
            continue;
        }
        match Kind::Word(VERDICTS).read(&at, meaning) {
            Ok(Value::Word(word)) if good.insert(status.name.clone(), word).is_none() => {}
            Ok(_) => bad.push(Problem::new(status.place, &at, "the same status twice", "each status once")),
            Err(problems) => bad.extend(problems),
        }
    }
    if bad.is_empty() { Ok(Value::Statuses(good)) } else { Err(bad) }
}

fn properties(key: &str, node: &Node, expected: &str) -> Result<Value, Vec<Problem>> {
    let entries = match &node.shape {
        Shape::Map(entries) if entries.len() <= ENTRIES_MAX => entries.as_slice(),
        Shape::Null => &[],
        _ => return Err(vec![Problem::new(node.place, key, node.found(), expected)]),
    };
    let (mut good, mut bad) = (BTreeMap::new(), Vec::new());
    for (name, value) in entries {
        let at = format!("{key}.{}", super::raw::printable(&name.name));
        match value.text().map(std::borrow::Cow::into_owned) {
            Some(text) if !good.contains_key(&name.name) => drop(good.insert(name.name.clone(), text)),
            Some(_) => bad.push(Problem::new(name.place, &at, "the same name twice", "each once")),
            None => {
                bad.push(Problem::new(value.place, &at, value.found(), "a text, a number or true or false"));
            }
        }
    }
    if bad.is_empty() { Ok(Value::Properties(good)) } else { Err(bad) }
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

fn is_broker(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| {
        is_line(host) && !host.contains([',', '/', ' ']) && port.parse::<u16>().is_ok()
    })
}

/// What Kafka allows: 1 to 249 characters, and neither `.` nor `..`.
fn is_topic(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=249).contains(&text.len()) && text != "." && text != ".." && text.bytes().all(good)
}

fn is_subject(text: &str) -> bool {
    is_line(text) && text.contains('=')
}

fn is_topics(text: &str) -> bool {
    if text.starts_with('^') { is_line(text) } else { is_topic(text) }
}

fn is_status(text: &str) -> bool {
    let class = text.strip_suffix("xx").is_some_and(|class| matches!(class, "1" | "2" | "3" | "4" | "5"));
    let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    class || (digits && (b'1'..=b'5').contains(&text.as_bytes()[0]))
}

fn is_attribute(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_variable(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// A text as a value of the command line: the flag's place, and what YAML would have read.
pub(crate) fn node_of_flag(flag: &'static str, text: &str) -> Node {
    let shape = match text {
        "true" => Shape::Flag(true),
        "false" => Shape::Flag(false),
        _ => Shape::Text(text.to_owned()),
    };
    Node { place: Place::Flag(flag), shape }
}

#[cfg(test)]
mod tests;
