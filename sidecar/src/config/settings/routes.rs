//! The settings of targets beside the function, and of the rules by which events go there.

use std::time::Duration;

use super::{
    Setting,
    table::{MILLISECOND, PAUSE, TO_A_DAY, TO_AN_HOUR, count, setting, span},
};
use crate::config::kind::Kind;

/// The most targets beside the function.
pub(super) const TARGETS_MAX: usize = 64;
/// The most rules.
pub(super) const RULES_MAX: usize = 1_000;

/// Those of each target.
pub(super) const TARGETS: &[Setting] = &[
    setting(
        "targets.NAME.url",
        Kind::Or("none", &Kind::Url),
        "none",
        "Another function, or whatever takes CloudEvents by POST; 2xx says that it has the event.",
    ),
    setting(
        "targets.NAME.mode",
        Kind::Word(&["binary", "structured"]),
        "binary",
        "How an event is written for it.",
    ),
    setting(
        "targets.NAME.timeout",
        TO_A_DAY,
        "30s",
        "How long one attempt at the url may take, from connecting to the answer's last byte.",
    ),
    setting("targets.NAME.connect_timeout", TO_AN_HOUR, "1s", "How long a connection to it may take."),
    setting(
        "targets.NAME.statuses",
        Kind::Statuses,
        "{}",
        "Statuses of the url that mean something else than usual, as function.statuses has them.",
    ),
    setting(
        "targets.NAME.bearer_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file with the token that the url is sent (Authorization: Bearer); read again when it changes.",
    ),
    setting(
        "targets.NAME.ca_file",
        Kind::Or("system", &Kind::File),
        "system",
        "The authorities (PEM) of an https url; system is the system's.",
    ),
    setting(
        "targets.NAME.webhook",
        Kind::Or("off", &Kind::Line),
        "off",
        "Asks the url for leave first (OPTIONS, CloudEvents webhooks) as a sender from this origin, such as \
         events.example.com, and keeps to the rate that it grants.",
    ),
    setting(
        "targets.NAME.retired_wait",
        TO_A_DAY,
        "10m",
        "How long a url that answers 410 (it is retired) is left alone before it is asked again; its events wait.",
    ),
    setting(
        "targets.NAME.kafka_topic",
        Kind::Or("none", &Kind::Topic),
        "none",
        "A topic of the cluster that kafka names.",
    ),
    setting("targets.NAME.pubsub_topic", Kind::Or("none", &Kind::Line), "none", "A topic of Pub/Sub."),
    setting(
        "targets.NAME.eventgrid_topic",
        Kind::Or("none", &Kind::EventGridTopic),
        "none",
        "A topic of Event Grid: one of the namespace, or the URL of a custom topic.",
    ),
    setting(
        "targets.NAME.eventgrid_schema",
        Kind::Word(&["cloudevents", "eventgrid"]),
        "cloudevents",
        "The schema of a custom topic.",
    ),
    setting(
        "targets.NAME.eventgrid_key_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file that holds an access key of a custom topic.",
    ),
    setting(
        "targets.NAME.eventgrid_sas_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file that holds a shared access signature for it.",
    ),
    setting(
        "targets.NAME.journal",
        Kind::Word(&["false", "true"]),
        "false",
        "The journal itself: its events are kept there for `outrigger events`, for as long as journal.keep says.",
    ),
    setting(
        "targets.NAME.concurrency",
        count(1, 10_000),
        "16",
        "The most events on their way to it at once.",
    ),
    setting(
        "targets.NAME.rate",
        Kind::Or("none", &Kind::Rate { max: 1_000_000.0 }),
        "none",
        "The most attempts per time, such as 100/s.",
    ),
    setting(
        "targets.NAME.attempts_max",
        Kind::Or("inherit", &count(1, 1_000)),
        "inherit",
        "Attempts before an event is poison for it; inherit is delivery.attempts_max.",
    ),
    setting(
        "targets.NAME.deadline",
        Kind::Or("inherit", &span(MILLISECOND, Duration::from_hours(24 * 366))),
        "inherit",
        "How long an event is tried there in all; inherit is delivery.deadline.",
    ),
    setting(
        "targets.NAME.backoff_max",
        Kind::Or("inherit", &PAUSE),
        "inherit",
        "The longest wait between two attempts; inherit is delivery.backoff.max.",
    ),
    setting(
        "targets.NAME.on_poison",
        Kind::Word(&["inherit", "skip", "park"]),
        "inherit",
        "What a poison event does to its key there; inherit is delivery.on_poison.",
    ),
    setting(
        "targets.NAME.overflow",
        Kind::Word(&["pause", "journal"]),
        "pause",
        "What a slow target does: pause holds up all sources once the window is full of what waits for it; journal moves \
         its copies to the journal as they come, from where they follow in order.",
    ),
    setting(
        "targets.NAME.lane_max",
        count(1, 1_000_000),
        "256",
        "With overflow: journal, the most events that wait for it in memory; the others wait on disk.",
    ),
];

/// The rules.
pub(super) const ROUTES: &[Setting] = &[
    setting(
        "routes.match",
        Kind::Word(&["first", "all"]),
        "first",
        "Whether the first rule that an event fits decides, or it goes wherever any of them says.",
    ),
    setting(
        "routes.rules.name",
        Kind::Or("none", &Kind::Name),
        "none",
        "The rule's name, in metrics and in the dry run; every rule has one of its own.",
    ),
    setting(
        "routes.rules.when",
        Kind::Filter,
        "\"true\"",
        "Which events it is for: CESQL such as \"type LIKE 'com.example.%'\", or a filter of the Subscriptions API such \
         as {prefix: {type: debug.}}, or a list of them, all of which must fit.",
    ),
    setting(
        "routes.rules.to",
        Kind::Or("none", &Kind::Names),
        "none",
        "Where they go: function, or names of targets.",
    ),
    setting(
        "routes.rules.discard",
        Kind::Word(&["false", "true"]),
        "false",
        "Whether they are discarded instead: counted by the rule's name, and acknowledged.",
    ),
    setting(
        "routes.otherwise",
        Kind::Or("discard", &Kind::Names),
        "function",
        "Where an event goes that fits no rule: function, names of targets, or discard.",
    ),
];

/// The settings of a place that takes what `$section` is about by POST.
macro_rules! home {
    ($section:literal, $what:literal) => {
        &[
            setting(
                concat!($section, ".url"),
                Kind::Or("none", &Kind::Url),
                "none",
                concat!("Where ", $what, " go by POST, each as a CloudEvent; 2xx says that it is kept there."),
            ),
            setting(
                concat!($section, ".timeout"),
                TO_A_DAY,
                "30s",
                "How long one attempt at the url may take, from connecting to the answer's last byte.",
            ),
            setting(
                concat!($section, ".bearer_file"),
                Kind::Or("none", &Kind::File),
                "none",
                "The file with the token that the url is sent (Authorization: Bearer); read again when it changes.",
            ),
            setting(
                concat!($section, ".ca_file"),
                Kind::Or("system", &Kind::File),
                "system",
                "The authorities (PEM) of an https url; system is the system's.",
            ),
            setting(
                concat!($section, ".webhook"),
                Kind::Or("off", &Kind::Line),
                "off",
                "Asks the url for leave first, as targets.NAME.webhook does.",
            ),
            setting(
                concat!($section, ".retired_wait"),
                TO_A_DAY,
                "10m",
                "How long a url that answers 410 (it is retired) is left alone before it is asked again.",
            ),
        ]
    };
}

/// Those of `replies`.
pub(super) const REPLIES: &[Setting] = home!("replies", "replies");
/// Those of `dead_letters`.
pub(super) const DEAD_LETTERS: &[Setting] = home!("dead_letters", "dead letters");
