//! The settings of other senders that come to paths of `ingress.http`'s listener: services of AWS, GitHub, any request.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, control, count, setting, size, span},
};
use crate::config::kind::Kind;

/// The most of them.
pub(super) const ORIGINS_MAX: usize = 64;
/// What their section is for.
pub(super) const DOC: &str = "Events of other senders, which come to a path of ingress.http's listener; or a list of such sections, \
                              each with a path of its own.";

/// They follow Event Grid's.
pub(super) const ORIGINS: &[Setting] = &[
    setting(
        "ingress.origins.path",
        Kind::Or("off", &Kind::UrlPath),
        "off",
        "The path that takes what the sender sends; one of its own.",
    ),
    setting(
        "ingress.origins.from",
        Kind::Word(&["http", "eventbridge", "github", "lambda", "s3", "sns", "sqs"]),
        "http",
        "What comes there: http is any request, which becomes an event of type and source unless it is a CloudEvent.",
    ),
    setting(
        "ingress.origins.auth",
        Kind::Word(&["required", "none"]),
        "required",
        "required lets in who shows a secret of secret_file, or, of github, who signs with it; none lets anyone who can \
         connect.",
    ),
    setting(
        "ingress.origins.secret_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The secrets, one a line, at most four; read again when it changes.",
    ),
    setting(
        "ingress.origins.secret_header",
        Kind::Or("none", &Kind::Header),
        "X-Api-Key",
        "The header that shows the secret, as of an API destination of EventBridge.",
    ),
    setting(
        "ingress.origins.secret_query",
        Kind::Or("none", &Kind::Line),
        "none",
        "The parameter of the URL that shows the secret: SNS sends no headers of one's own.",
    ),
    setting(
        "ingress.origins.source",
        Kind::Or("none", &Kind::Line),
        "none",
        "The source of http's events, a URI reference, which is /http by default; of sqs, that of messages without a queue.",
    ),
    setting(
        "ingress.origins.type",
        Kind::Or("none", &Kind::Line),
        "none",
        "The type of http's events; http.request by default.",
    ),
    setting(
        "ingress.origins.id_header",
        Kind::Or("none", &Kind::Header),
        "none",
        "The header of http's requests that holds the event's id, such as Idempotency-Key; without one an id is made.",
    ),
    setting(
        "ingress.origins.topics",
        Kind::Or("none", &Kind::Lines),
        "none",
        "The topics of sns, by ARN, whose subscriptions are confirmed, by a GET of SNS' own SubscribeURL after the answer; \
         of none no URL is followed.",
    ),
    setting(
        "ingress.origins.confirm_timeout",
        span(Duration::from_millis(100), Duration::from_mins(1)),
        "30s",
        "How long confirming one may take.",
    ),
    setting(
        "ingress.origins.body_bytes_max",
        size(1 << 10, GIB),
        "1MiB",
        "The largest body, packed or not; GitHub sends up to 25 MB.",
    ),
    control("ingress.origins.control"),
    setting(
        "ingress.origins.batch_events_max",
        count(1, 65_536),
        "1000",
        "The most events in one request; beyond it 413.",
    ),
];
