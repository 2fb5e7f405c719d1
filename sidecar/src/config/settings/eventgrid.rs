//! The settings of Event Grid: the source, the namespace, and the topics for replies and dead letters.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, KIB, MIB, TO_AN_HOUR, control, count, setting, size, span},
};
use crate::config::{eventgrid::DELAYS, kind::Kind};

const SECOND: Duration = Duration::from_secs(1);

/// A subscription as a source; they follow those of `ingress.kafka`.
pub(super) const SOURCE: &[Setting] = &[
    setting(
        "ingress.eventgrid.topic",
        Kind::Or("none", &Kind::Topic),
        "none",
        "The topic of the namespace in eventgrid.endpoint.",
    ),
    setting(
        "ingress.eventgrid.subscription",
        Kind::Or("none", &Kind::Topic),
        "none",
        "The subscription to it, in queue (pull) mode.",
    ),
    setting(
        "ingress.eventgrid.polls",
        count(1, 32),
        "1",
        "Requests for events that are out at once; more may help where the service is far away.",
    ),
    setting(
        "ingress.eventgrid.wait",
        span(Duration::from_secs(10), Duration::from_mins(2)),
        "60s",
        "How long the service waits for events before it answers without any.",
    ),
    setting(
        "ingress.eventgrid.receive_events_max",
        count(1, 100),
        "100",
        "The most events that are asked for at once; never more than the window has room for.",
    ),
    setting(
        "ingress.eventgrid.receive_bytes_max",
        size(2 * MIB, GIB),
        "16MiB",
        "The largest answer with events; a larger one is asked for again in smaller pieces.",
    ),
    setting(
        "ingress.eventgrid.events_max",
        count(1, 1_000_000),
        "2048",
        "The most events in hand, with those whose outcome the service has not taken yet.",
    ),
    setting(
        "ingress.eventgrid.lock",
        span(SECOND, Duration::from_mins(5)),
        "60s",
        "The subscription's receive lock duration: locks are renewed at its half.",
    ),
    setting(
        "ingress.eventgrid.hold_max",
        span(SECOND, Duration::from_hours(1)),
        "55m",
        "How long an event is held at most; what has not been begun by then goes back. Event Grid renews no lock \
         beyond an hour.",
    ),
    setting(
        "ingress.eventgrid.hold_delay",
        Kind::Word(DELAYS),
        "1h",
        "How long the service keeps back what was held that long.",
    ),
    setting(
        "ingress.eventgrid.release_delay",
        Kind::Word(DELAYS),
        "0s",
        "How long the service keeps back what goes back otherwise, such as at a drain.",
    ),
    setting(
        "ingress.eventgrid.tell_every",
        span(Duration::ZERO, Duration::from_secs(10)),
        "20ms",
        "How long an outcome waits for others to be told with it: what may be delivered again after a crash.",
    ),
    setting(
        "ingress.eventgrid.tell_events_max",
        count(1, 1_000),
        "100",
        "The most outcomes, or locks to renew, in one request.",
    ),
    setting("ingress.eventgrid.tells", count(1, 32), "2", "Requests with outcomes that are out at once."),
    setting("ingress.eventgrid.backoff.initial", TO_AN_HOUR, "500ms", "The first wait."),
    setting("ingress.eventgrid.backoff.max", TO_AN_HOUR, "30s", "The longest wait."),
    control("ingress.eventgrid.control"),
    setting(
        "ingress.eventgrid.leave_timeout",
        TO_AN_HOUR,
        "5s",
        "How long the last outcomes of a drain may take.",
    ),
];

/// The namespace; they follow those of the Kafka cluster.
pub(super) const NAMESPACE: &[Setting] = &[
    setting(
        "eventgrid.endpoint",
        Kind::Or("none", &Kind::Url),
        "none",
        "The namespace, such as https://NAME.REGION-1.eventgrid.azure.net.",
    ),
    setting("eventgrid.api_version", Kind::Line, "2024-06-01", "The version of the namespace's protocol."),
    setting(
        "eventgrid.key_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file that holds an access key of the namespace; read again when it changes.",
    ),
    setting(
        "eventgrid.sas_file",
        Kind::Or("none", &Kind::File),
        "none",
        "Instead of a key, the file that holds a shared access signature; read again when it changes.",
    ),
    setting(
        "eventgrid.key_as",
        Kind::Word(&["header", "signature"]),
        "header",
        "Whether keys are sent, or sign each request for an hour and stay here; also those of replies and dead letters.",
    ),
    setting(
        "eventgrid.ca_file",
        Kind::Or("system", &Kind::File),
        "system",
        "The authorities that Event Grid's certificates may come from, as PEM.",
    ),
    setting(
        "eventgrid.timeout",
        TO_AN_HOUR,
        "30s",
        "How long one request may take, beside the wait for events, before it counts as failed.",
    ),
    setting(
        "eventgrid.publish_events_max",
        count(1, 5_000),
        "1000",
        "The most events in one request that writes.",
    ),
    setting("eventgrid.publish_bytes_max", size(KIB, GIB), "1MB", "The most bytes of events in it."),
    setting(
        "eventgrid.buffer_bytes_max",
        size(64 * KIB, GIB),
        "8MiB",
        "The most bytes of events that wait to be written.",
    ),
    setting(
        "eventgrid.entra.method",
        Kind::Word(&["none", "client-secret", "workload-identity", "managed-identity"]),
        "none",
        "Tokens of Microsoft Entra instead of keys, and by what they are had: a client's secret, the token of a Kubernetes \
         service account, or the machine's own identity.",
    ),
    setting(
        "eventgrid.entra.tenant",
        Kind::Or("env", &Kind::Line),
        "env",
        "The directory; env is AZURE_TENANT_ID.",
    ),
    setting(
        "eventgrid.entra.client_id",
        Kind::Or("env", &Kind::Line),
        "env",
        "The application; env is AZURE_CLIENT_ID, and for a managed identity the machine's own.",
    ),
    setting(
        "eventgrid.entra.client_secret_file",
        Kind::Or("none", &Kind::File),
        "none",
        "client-secret: the file that holds it; read for each token.",
    ),
    setting(
        "eventgrid.entra.token_file",
        Kind::Or("env", &Kind::File),
        "env",
        "workload-identity: the service account's token; env is AZURE_FEDERATED_TOKEN_FILE. Read for each token.",
    ),
    setting(
        "eventgrid.entra.authority",
        Kind::Or("env", &Kind::Line),
        "env",
        "Where tokens are given out; env is AZURE_AUTHORITY_HOST, else https://login.microsoftonline.com.",
    ),
    setting(
        "eventgrid.entra.ca_file",
        Kind::Or("system", &Kind::File),
        "system",
        "The authorities that its certificate may come from, as PEM.",
    ),
    setting(
        "eventgrid.entra.scope",
        Kind::Line,
        "https://eventgrid.azure.net/.default",
        "What tokens are asked for.",
    ),
];

/// Those of `replies`.
pub(super) const REPLIES: &[Setting] = &[
    setting(
        "replies.eventgrid_topic",
        Kind::Or("none", &Kind::EventGridTopic),
        "none",
        "The same in Event Grid: a topic of the namespace, or the URL of a custom topic \
         (https://NAME.REGION-1.eventgrid.azure.net/api/events).",
    ),
    setting(
        "replies.eventgrid_schema",
        Kind::Word(&["cloudevents", "eventgrid"]),
        "cloudevents",
        "The schema of a custom topic.",
    ),
    setting(
        "replies.eventgrid_key_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file that holds an access key of a custom topic.",
    ),
    setting(
        "replies.eventgrid_sas_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file that holds a shared access signature for it.",
    ),
];

/// Those of `dead_letters`.
pub(super) const DEAD_LETTERS: &[Setting] = &[
    setting(
        "dead_letters.eventgrid_topic",
        Kind::Or("none", &Kind::EventGridTopic),
        "none",
        "The same in Event Grid: a topic of the namespace, or the URL of a custom topic of the CloudEvents schema.",
    ),
    setting(
        "dead_letters.eventgrid_key_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file that holds an access key of a custom topic.",
    ),
    setting(
        "dead_letters.eventgrid_sas_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The file that holds a shared access signature for it.",
    ),
];
