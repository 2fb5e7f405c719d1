//! The settings of answers that are kept.

use std::time::Duration;

use super::{
    Setting,
    table::{GIB, KIB, TO_AN_HOUR, count, setting, size, span},
};
use crate::config::kind::Kind;

/// All of them.
pub(super) const RESPONSES: &[Setting] = &[
    setting(
        "cache.responses.bytes_max",
        Kind::Or("off", &size(64 * KIB, 64 * GIB)),
        "off",
        "The most bytes of memory for answers that are kept, with keys, headers and overhead; what is used least goes.",
    ),
    setting(
        "cache.responses.object_bytes_max",
        size(KIB, GIB),
        "1MiB",
        "The largest body that is kept; a larger one passes through.",
    ),
    setting(
        "cache.responses.variants_max",
        count(1, 1_000),
        "16",
        "The most answers of one URL that differ by Vary; then the oldest goes.",
    ),
    setting(
        "cache.responses.fresh_default",
        span(Duration::ZERO, Duration::from_hours(24)),
        "0s",
        "How long an answer is fresh that says nothing of it, not even when it was last changed.",
    ),
    setting(
        "cache.responses.heuristic_max",
        span(Duration::ZERO, Duration::from_hours(24)),
        "1h",
        "How long an answer is fresh at most that only says when it was last changed: a tenth of its age until then.",
    ),
    setting(
        "cache.responses.coalesce_wait",
        span(Duration::ZERO, Duration::from_hours(1)),
        "5s",
        "How long requests wait for one that fetches the same answer; then one more goes, and after as long again all do.",
    ),
    setting(
        "cache.responses.pass_for",
        TO_AN_HOUR,
        "10s",
        "How long equal requests do not wait for one another after an answer that was not kept, and nothing is \
         fetched anew beside the path after that failed.",
    ),
    setting(
        "cache.responses.tags",
        Kind::Or("none", &Kind::Headers),
        "[Cache-Tag, Surrogate-Key]",
        "The headers of an answer that name its tags, by which it can be invalidated.",
    ),
    setting(
        "cache.responses.tenant",
        Kind::Word(&["host", "subject", "header"]),
        "host",
        "What tells whose an answer is, besides host and scheme: whom proxy.auth knows (subject), or the request's \
         tenant_header. Where that is not known nothing is kept.",
    ),
    setting(
        "cache.responses.tenant_header",
        Kind::Header,
        "X-Tenant",
        "The header that names the tenant, which somebody before us must vouch for; for tenant: header.",
    ),
    setting(
        "cache.responses.cookies",
        Kind::Word(&["credentials", "ignored"]),
        "credentials",
        "Whether a request with a cookie is one with credentials, which gets and leaves only what is marked public.",
    ),
    setting(
        "cache.responses.set_cookie",
        Kind::Word(&["public", "kept"]),
        "public",
        "Of which answers the cookies that they set are kept and given to all: of those marked public, or of all that are \
         kept. Another answer that sets one is kept without it where it has s-maxage, else not at all.",
    ),
    setting(
        "cache.responses.client_control",
        Kind::Word(&["heeded", "ignored"]),
        "heeded",
        "Whether a client's own Cache-Control is heeded, by which any client can have the function asked.",
    ),
];
