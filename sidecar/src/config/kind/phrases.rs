//! What a setting may hold, in words: for messages, the example and the README's table.

use super::{Kind, VERDICTS};
use crate::config::{results, units, webhook};

/// A topic as [`Kind::Topics`] reads it.
pub(super) const A_TOPIC: &str = "the name of a topic, or a pattern that begins with ^";
/// A certificate as [`Kind::Peers`] reads it.
pub(super) const A_PEER: &str = "any, spiffe://ID, or subject:, dns:, uri: or email: and a pattern";
/// A subject as [`Kind::Subjects`] reads it.
pub(super) const A_SUBJECT: &str = "a whole subject such as \"CN=billing,O=Example\"";
/// A target as [`Kind::Names`] reads it.
pub(super) const A_TARGET: &str = "function, or the name of one of targets";
/// A SPIFFE id as [`Kind::SpiffeIds`] reads it.
pub(super) const A_SPIFFE_ID: &str =
    "a SPIFFE id such as spiffe://example.org/billing, or spiffe://example.org/* for all below";

impl Kind {
    /// The words and bounds alone, where the default does not tell them: `1ms to 1h`.
    pub(crate) fn bounds(&self) -> Option<String> {
        match self {
            Self::Count { min, max: u64::MAX } => Some(format!("at least {min}")),
            Self::Count { min, max } => Some(format!("{min} to {max}")),
            Self::Number { min, max } => Some(format!("{min} to {max}")),
            Self::Span { min, max } => {
                Some(format!("{} to {}", units::duration_text(*min), units::duration_text(*max)))
            }
            Self::Size { min, max } => {
                Some(format!("{} to {}", units::size_text(*min), units::size_text(*max)))
            }
            Self::Rate { max } => Some(format!("at most {max}/s")),
            Self::Word(words) => Some(words.join(", ")),
            Self::Words(words) => Some(format!("some of {}", words.join(", "))),
            Self::Or(word, kind) => {
                Some(format!("{}; {word}", kind.bounds().unwrap_or_else(|| kind.expected())))
            }
            _ => None,
        }
    }

    /// What may stand there, as a phrase.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Count { min, max: u64::MAX } => format!("a whole number, at least {min}"),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Span { min, max } => {
                format!(
                    "{}, from {} to {}",
                    units::A_DURATION,
                    units::duration_text(*min),
                    units::duration_text(*max)
                )
            }
            Self::Size { min, max } => {
                format!("{}, from {} to {}", units::A_SIZE, units::size_text(*min), units::size_text(*max))
            }
            Self::Rate { max } => format!("{}, at most {max}/s", units::A_RATE),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Variable => "the name of an environment variable".to_owned(),
            Self::Variables => "a list of names of environment variables".to_owned(),
            Self::Attributes => {
                "the name of a CloudEvents attribute (a-z, 0-9), or a list of them".to_owned()
            }
            Self::File => "a path".to_owned(),
            Self::Url => "a URL such as http://127.0.0.1:8081/".to_owned(),
            Self::UrlPath => "a path such as /events".to_owned(),
            Self::TokenUrl => "a URL such as https://login.example.com/token".to_owned(),
            Self::Line => "a text of one line".to_owned(),
            Self::Brokers => "host:port, or a list of them".to_owned(),
            Self::Topic => "the name of a topic".to_owned(),
            Self::EventGridTopic => {
                "the name of a topic, or a URL such as https://NAME.REGION-1.eventgrid.azure.net/api/events"
                    .to_owned()
            }
            Self::Topics => format!("{A_TOPIC}, or a list of them"),
            Self::Subjects => format!("{A_SUBJECT}, or a list of them"),
            Self::SpiffeIds => format!("{A_SPIFFE_ID}, or a list of them"),
            Self::Properties => "a map of librdkafka's properties".to_owned(),
            Self::Named(what) => format!("a map of {what}"),
            Self::CollectorUrl => "a URL such as http://collector.example:4317".to_owned(),
            Self::Start => {
                "earliest, latest, a time such as 2026-01-31T12:00:00Z, or an offset such as offset:42"
                    .to_owned()
            }
            Self::Listen => "an IP address and a port, such as 127.0.0.1:8080".to_owned(),
            Self::Routes => "a map such as POST /events: ingress (to function, ingress, refuse)".to_owned(),
            Self::Statuses => {
                format!("a map such as \"404\": refused or \"5xx\": retry (to {})", VERDICTS.join(", "))
            }
            Self::Words(words) => format!("some of {}", words.join(", ")),
            Self::Lines => "a text of one line, or a list of them".to_owned(),
            Self::Peers => format!("{A_PEER}, or a list of them"),
            Self::Issuer => "a URL such as https://accounts.google.com, without a query".to_owned(),
            Self::Header => "the name of a header".to_owned(),
            Self::Headers => "the name of a header, or a list of them".to_owned(),
            Self::Rules => "a list of rules, at most 100".to_owned(),
            Self::Transforms => {
                "a list of at most 100 rules, such as {name: by-customer, key: {pointer: /customer/id}}"
                    .to_owned()
            }
            Self::Origins => format!("{}, or a list of them", webhook::AN_ORIGIN),
            Self::Hosts => format!("{}, or a list of them", webhook::A_HOST),
            Self::Name => "a name of letters, digits, ., - and _, at most 63 of them".to_owned(),
            Self::Pointers => format!("{}, or a list of such", results::A_POINTER),
            Self::Names => format!("{A_TARGET}, or a list of them"),
            Self::Filter => "CESQL, a filter of the Subscriptions API, or a list of filters".to_owned(),
            Self::Or(word, kind) => format!("{}, or {word}", kind.expected()),
        }
    }
}
