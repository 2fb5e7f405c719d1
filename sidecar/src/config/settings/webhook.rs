//! The settings of the handshake of webhooks.

use super::{
    Setting,
    table::{count, setting},
};
use crate::config::kind::Kind;

/// Those of the ingress.
pub(super) const INGRESS: &[Setting] = &[
    setting(
        "ingress.http.webhook.origins",
        Kind::Or("none", &Kind::Origins),
        "none",
        "The senders that are granted leave to send; \"*\" is any, none is nobody.",
    ),
    setting(
        "ingress.http.webhook.rate",
        Kind::Or("*", &count(1, 1_000_000_000)),
        "\"*\"",
        "The requests per minute that they are granted; \"*\" is without limit. It is told them, not enforced.",
    ),
];
