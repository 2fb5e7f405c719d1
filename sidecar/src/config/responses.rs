//! Answers that are kept, as the program uses them.

use std::time::Duration;

use super::{build::Values, rules::Rules};

/// Answers to requests that pass through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responses {
    /// The most bytes.
    pub bytes_max: u64,
    /// The largest body.
    pub object_bytes_max: usize,
    /// The most answers of one URL.
    pub variants_max: usize,
    /// How long an answer is fresh that says nothing of it.
    pub fresh_default: Duration,
    /// How long an answer is fresh at most that only says when it was changed.
    pub heuristic_max: Duration,
    /// How long a request waits for another.
    pub coalesce_wait: Duration,
    /// How long requests do not wait for one another after an answer that was not kept.
    pub pass_for: Duration,
    /// The headers that name tags.
    pub tags: Vec<String>,
    /// Whose an answer is.
    pub tenant: Tenant,
    /// Whether a cookie is a credential.
    pub cookies_are_credentials: bool,
    /// Whether cookies that an answer sets are kept with each, not only with those marked public.
    pub keeps_cookies: bool,
    /// Whether a client's own `Cache-Control` is heeded.
    pub heeds_clients: bool,
}

/// What tells whose an answer is, besides host and scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenant {
    /// Nothing else.
    Host,
    /// Whom the guard knows.
    Subject,
    /// A header of the request.
    Header(http::HeaderName),
}

impl Values {
    pub(super) fn responses(&self) -> Option<Responses> {
        let of = |name: &str| format!("cache.responses.{name}");
        Some(Responses {
            bytes_max: self.some_size(&of("bytes_max"))? as u64,
            object_bytes_max: self.size(&of("object_bytes_max")),
            variants_max: self.count(&of("variants_max")),
            fresh_default: self.span(&of("fresh_default")),
            heuristic_max: self.span(&of("heuristic_max")),
            coalesce_wait: self.span(&of("coalesce_wait")),
            pass_for: self.span(&of("pass_for")),
            tags: self.list(&of("tags")).unwrap_or_default(),
            tenant: match self.word(&of("tenant")) {
                "subject" => Tenant::Subject,
                "header" => Tenant::Header(self.header(&of("tenant_header"))),
                _ => Tenant::Host,
            },
            cookies_are_credentials: self.word(&of("cookies")) == "credentials",
            keeps_cookies: self.word(&of("set_cookie")) == "kept",
            heeds_clients: self.word(&of("client_control")) == "heeded",
        })
    }
}

/// What they may not say together with others.
pub(super) fn check(rules: &mut Rules<'_>) {
    let Some(responses) = &rules.config.responses else {
        super::dedup::off(rules, "cache.responses.", "cache.responses.bytes_max, such as 64MiB,");
        return;
    };
    let (bytes, object) = ("cache.responses.bytes_max", "cache.responses.object_bytes_max");
    if rules.config.proxy.is_none() && rules.are_read(&["proxy.listen", bytes]) {
        rules.wrong(
            bytes,
            "answers are to be kept, but no request passes through",
            "an address at proxy.listen",
        );
    }
    if responses.object_bytes_max as u64 > responses.bytes_max && rules.are_read(&[object, bytes]) {
        let at = rules.given([object, bytes]);
        rules.wrong(
            at,
            "one answer that may be larger than all that are kept",
            "object_bytes_max within bytes_max",
        );
    }
    let (tenant, header) = ("cache.responses.tenant", "cache.responses.tenant_header");
    let reads_header = matches!(responses.tenant, Tenant::Header(_));
    if !reads_header && rules.differs(header) && rules.are_read(&[tenant, header]) {
        rules.wrong(
            header,
            "a header that nothing reads, so that all tenants are one",
            "tenant: header beside it; or no tenant_header",
        );
    }
    let guarded = rules.config.proxy.as_ref().is_none_or(|proxy| !proxy.auth.is_open());
    if responses.tenant == Tenant::Subject && !guarded && rules.are_read(&[tenant, "proxy.auth"]) {
        rules.wrong(
            tenant,
            "subject, where nobody is asked who they are",
            "an auth section at proxy.auth, or tenant: host",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Process, Purpose, read};

    fn read_responses(responses: &str, proxy: &str) -> Result<Responses, String> {
        let text = format!("cache: {{responses: {{{responses}}}}}\n{proxy}");
        let read = read(&Process, "", &text, &[], Purpose::Look).map_err(|problems| problems.to_string());
        read.map(|config| config.responses.expect("they are kept"))
    }

    const PROXY: &str = "proxy: {listen: 127.0.0.1:0}\n";

    #[test]
    fn one_line_turns_it_on_and_a_header_can_name_the_tenant() {
        let plain = read_responses("bytes_max: 64MiB", PROXY).unwrap();
        assert_eq!((plain.bytes_max, plain.tenant), (64 << 20, Tenant::Host));
        assert_eq!(plain.tags, ["Cache-Tag", "Surrogate-Key"]);
        let by_header =
            read_responses("bytes_max: 64MiB, tenant: header, tenant_header: X-Shop", PROXY).unwrap();
        assert_eq!(by_header.tenant, Tenant::Header("x-shop".parse().unwrap()));
    }

    #[test]
    fn what_cannot_work_together_is_told() {
        for (responses, proxy, told) in [
            ("bytes_max: 64MiB", "", "an address at proxy.listen"),
            ("bytes_max: 64MiB, object_bytes_max: 65MiB", PROXY, "within bytes_max"),
            ("bytes_max: 64MiB, tenant: subject", PROXY, "an auth section at proxy.auth"),
            ("object_bytes_max: 2MiB", PROXY, "cache.responses.bytes_max, such as 64MiB, beside it"),
            ("bytes_max: 64MiB, tenant_header: X-Org", PROXY, "tenant: header beside it"),
            ("bytes_max: 64MiB, tags: [\"a b\"]", PROXY, "the name of a header"),
        ] {
            let problems = read_responses(responses, proxy).unwrap_err();
            assert!(problems.contains(told), "{problems}");
        }
        let guarded = "proxy: {listen: 127.0.0.1:0, auth: {bearer_file: t}}\n";
        assert!(read_responses("bytes_max: 64MiB, tenant: subject", guarded).is_ok());
        let both = read_responses("bytes_max: 64MiB, tenant: subject, tenant_header: X-Org", guarded);
        assert!(both.unwrap_err().contains("tenant: header beside it"));
    }
}
