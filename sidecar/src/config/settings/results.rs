//! The settings of kept results.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, KIB, setting, size, span},
};
use crate::config::kind::Kind;

/// All of them.
pub(super) const RESULTS: &[Setting] = &[
    setting(
        "cache.results.key",
        Kind::Or("off", &Kind::Pointers),
        "off",
        "What the function's answer depends on, as JSON Pointers into the event's JSON form, such as [/data/city, /tenant]; \
         with it you say that the function is pure. Source and type are part of the key anyway.",
    ),
    setting(
        "cache.results.ttl",
        span(Duration::from_secs(1), Duration::from_hours(24 * 366)),
        "10m",
        "How long a result is good.",
    ),
    setting(
        "cache.results.bytes_max",
        size(16 * KIB, 16 * GIB),
        "32MiB",
        "What results may take of memory, keys and all; what is used least goes first.",
    ),
    setting(
        "cache.results.keep_empty",
        Kind::Word(&["true", "false"]),
        "false",
        "Whether an answer without a reply is a result too: then the call is saved where the call is all there is.",
    ),
    setting(
        "cache.results.tags",
        Kind::Or("none", &Kind::Pointers),
        "none",
        "What results are tagged with, as JSON Pointers: each value found, and of an array each member.",
    ),
];
