//! The settings of what is pushed to paths of `ingress.http`'s listener: Google Pub/Sub and Azure Event Grid.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, MIB, control, count, setting, size, span},
};
use crate::config::kind::Kind;

const MINUTE: Duration = Duration::from_mins(1);

/// Pub/Sub's messages; they follow those of Kafka, and Google's tokens follow them.
pub(super) const PUBSUB_PUSH: &[Setting] = &[
    setting(
        "ingress.pubsub_push.path",
        Kind::Or("off", &Kind::UrlPath),
        "off",
        "The path that takes what a push subscription sends; one of its own.",
    ),
    setting(
        "ingress.pubsub_push.topic",
        Kind::Or("none", &Kind::Line),
        "none",
        "The topic of the subscription, as projects/PROJECT/topics/TOPIC: what is pushed does not name it.",
    ),
    setting(
        "ingress.pubsub_push.auth",
        Kind::Word(&["required", "none"]),
        "required",
        "required lets in Google's tokens for audience and service_account; none lets anyone who can connect.",
    ),
    setting(
        "ingress.pubsub_push.service_account",
        Kind::Or("none", &Kind::Lines),
        "none",
        "The e-mail of the service account that the subscription pushes as, which Google must have verified.",
    ),
    control("ingress.pubsub_push.control"),
    setting(
        "ingress.pubsub_push.body_bytes_max",
        size(64 << 10, GIB),
        "14MiB",
        "The largest body, packed or not; the default holds Pub/Sub's largest message (10 MB) with its envelope.",
    ),
];

/// Event Grid's events; they follow those of `ingress.http`, and Entra's tokens follow them.
pub(super) const EVENTGRID_WEBHOOK: &[Setting] = &[
    setting(
        "ingress.eventgrid_webhook.path",
        Kind::Or("off", &Kind::UrlPath),
        "off",
        "The path that takes what an event subscription sends; one of its own.",
    ),
    setting(
        "ingress.eventgrid_webhook.auth",
        Kind::Word(&["required", "none"]),
        "required",
        "required lets in tokens of entra, or a secret of secret_file; none lets anyone who can connect.",
    ),
    setting(
        "ingress.eventgrid_webhook.secret_file",
        Kind::Or("none", &Kind::File),
        "none",
        "The secrets of which a request shows one: one a line, at most four; read again when it changes.",
    ),
    setting(
        "ingress.eventgrid_webhook.secret_query",
        Kind::Or("none", &Kind::Line),
        "access_token",
        "The parameter of the URL that shows the secret.",
    ),
    setting(
        "ingress.eventgrid_webhook.secret_header",
        Kind::Or("none", &Kind::Header),
        "none",
        "The header that shows the secret: a static delivery property of the subscription.",
    ),
    setting(
        "ingress.eventgrid_webhook.origins",
        Kind::Or("none", &Kind::Origins),
        "eventgrid.azure.net",
        "The senders that are granted leave to send CloudEvents (OPTIONS); \"*\" is any, none is nobody.",
    ),
    setting(
        "ingress.eventgrid_webhook.rate",
        Kind::Or("*", &count(1, 1_000_000_000)),
        "\"*\"",
        "The requests per minute that they are granted; \"*\" is without limit. It is told them, not enforced.",
    ),
    setting(
        "ingress.eventgrid_webhook.validation",
        Kind::Word(&["answer", "follow", "refuse"]),
        "answer",
        "How a subscription in the EventGrid schema is confirmed: answer with its code, follow its validationUrl after \
         the answer, or refuse it.",
    ),
    setting(
        "ingress.eventgrid_webhook.validation_hosts",
        Kind::Hosts,
        "eventgrid.azure.net",
        "Where a validationUrl may lead: these hosts and those below them, by https.",
    ),
    setting(
        "ingress.eventgrid_webhook.validation_ca_file",
        Kind::Or("system", &Kind::File),
        "system",
        "The authorities of their certificates, in PEM.",
    ),
    setting(
        "ingress.eventgrid_webhook.validation_timeout",
        span(Duration::from_millis(100), MINUTE),
        "30s",
        "How long following a validationUrl may take.",
    ),
    setting(
        "ingress.eventgrid_webhook.body_bytes_max",
        size(MIB, GIB),
        "2MiB",
        "The largest body, packed or not. Event Grid drops what is answered 413, and sends up to 1 MB and its envelope.",
    ),
    control("ingress.eventgrid_webhook.control"),
    setting(
        "ingress.eventgrid_webhook.batch_events_max",
        count(5_000, 65_536),
        "5000",
        "The most events in one batch; the default is Event Grid's own bound.",
    ),
    setting(
        "ingress.eventgrid_webhook.entra.app_id",
        Kind::Or("any", &Kind::Line),
        "4962773b-9cdb-44cf-a8bf-237846a00ab7",
        "Whose tokens are let in (appid or azp); the default is Event Grid's application in Azure's public cloud.",
    ),
];
