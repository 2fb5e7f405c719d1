//! What is kept for how long, and whose it is.

use http::HeaderName;
use std::time::Duration;

/// The settings. The bounds and defaults stand in the table of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The most bytes of everything that is kept: keys, headers, bodies and what we need beside them.
    pub bytes_max: u64,
    /// The largest body that is kept.
    pub object_bytes_max: usize,
    /// The most answers of one URL that differ by `Vary`; the oldest goes first.
    pub variants_max: usize,
    /// How long an answer is fresh that says nothing of it, not even when it was last changed.
    pub fresh_default: Duration,
    /// How long an answer is fresh at most that only says when it was last changed: a tenth of its age until then.
    pub heuristic_max: Duration,
    /// How long a request waits for another that fetches the same; then it goes on by itself.
    pub coalesce_wait: Duration,
    /// How long requests do not wait for one another after an answer that is not kept, and nothing is fetched anew beside the
    /// path after that failed.
    pub pass_for: Duration,
    /// The headers of an answer whose members are its tags.
    pub tags: Vec<HeaderName>,
    /// Whose an answer is.
    pub tenant: Tenant,
    /// Whether a request with a cookie is one with credentials.
    pub cookies_are_credentials: bool,
    /// Whether cookies that an answer sets are kept like its other headers; else only those of an answer that is public.
    pub keeps_cookies: bool,
    /// Whether a client's `Cache-Control` is heeded.
    pub heeds_clients: bool,
}

/// What tells tenants apart, besides the host, which always does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenant {
    /// Nothing else.
    Host,
    /// Whom the guard knows; without anybody nothing is kept.
    Subject,
    /// The value of this header of the request; without it nothing is kept.
    Header(HeaderName),
}
