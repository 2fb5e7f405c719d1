//! Why somebody is not let in. The operator is told all of it, the caller as little as is needed to come again better.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use std::time::Duration;

/// The reason, as a metric counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nothing that could say who asks.
    Missing,
    /// A token or signature that cannot be read.
    Malformed,
    /// Another token than the expected one.
    Token,
    /// A token's algorithm is not allowed, or does not fit its key.
    Algorithm,
    /// A token names a key that its issuer does not have.
    Key,
    /// A token names a key that is not known, and the issuer was asked too lately to be asked again.
    Unsettled,
    /// A token's signature is not its key's.
    Signature,
    /// A token's time is over.
    Expired,
    /// A token's time has not come.
    NotYet,
    /// A token of another issuer.
    Issuer,
    /// A token for somebody else.
    Audience,
    /// A client certificate that nobody listed.
    Certificate,
    /// A body's signature is not its sender's.
    Body,
    /// Known, but not allowed to send this.
    Rule,
    /// It cannot be known now: the issuer's keys are out of reach.
    Unavailable,
}

impl Why {
    /// Every reason, for metrics that begin at zero.
    pub const ALL: [Why; 15] = [
        Why::Missing,
        Why::Malformed,
        Why::Token,
        Why::Algorithm,
        Why::Key,
        Why::Unsettled,
        Why::Signature,
        Why::Expired,
        Why::NotYet,
        Why::Issuer,
        Why::Audience,
        Why::Certificate,
        Why::Body,
        Why::Rule,
        Why::Unavailable,
    ];

    /// Its name in metrics and the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Why::Missing => "missing",
            Why::Malformed => "malformed",
            Why::Token => "token",
            Why::Algorithm => "algorithm",
            Why::Key => "key",
            Why::Unsettled => "key_unsettled",
            Why::Signature => "signature",
            Why::Expired => "expired",
            Why::NotYet => "not_yet",
            Why::Issuer => "issuer",
            Why::Audience => "audience",
            Why::Certificate => "certificate",
            Why::Body => "body",
            Why::Rule => "rule",
            Why::Unavailable => "unavailable",
        }
    }

    /// Whether the same event may be let in when it is sent again: by its sender's next token, or when our clock or the
    /// issuer's keys are right.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Why::Expired | Why::NotYet | Why::Key | Why::Unsettled | Why::Unavailable)
    }

    /// 403 for the known who may not, 503 for what will pass, else 401.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Why::Rule => StatusCode::FORBIDDEN,
            Why::Unavailable | Why::Unsettled => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }
}

/// A refusal. Its detail is for the operator: it may name claims, but never holds a token or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Denial {
    /// The reason.
    pub why: Why,
    /// What exactly, in one line.
    pub detail: String,
    /// When to come again; only with [`Why::Unavailable`] and [`Why::Unsettled`].
    pub retry_after: Option<Duration>,
    /// How one could identify oneself, for `WWW-Authenticate`. The guard fills it in.
    pub(super) scheme: &'static str,
}

impl Denial {
    /// A refusal for good.
    pub fn new(why: Why, detail: impl Into<String>) -> Self {
        Self { why, detail: detail.into(), retry_after: None, scheme: BEARER }
    }

    /// A refusal that will pass.
    pub fn passing(why: Why, detail: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(why, detail) }
    }

    /// The answer: a status, how to identify oneself (RFC 9110, section 11.6.1; for bearer tokens RFC 6750, section
    /// 3), and a line that tells nothing about us.
    #[must_use]
    pub fn answer(&self) -> Response<Bytes> {
        self.answer_with(self.why.status())
    }

    /// The same for a sender who drops an event that it is refused by 401: whatever [passes](Why::passes) is 503.
    #[must_use]
    pub fn careful_answer(&self) -> Response<Bytes> {
        let passes = self.why.passes();
        self.answer_with(if passes { StatusCode::SERVICE_UNAVAILABLE } else { self.why.status() })
    }

    fn answer_with(&self, status: StatusCode) -> Response<Bytes> {
        let line = match status {
            StatusCode::FORBIDDEN => "this sender may not send this\n",
            StatusCode::SERVICE_UNAVAILABLE => "senders cannot be checked at the moment; try again\n",
            _ => "the sender is not known here\n",
        };
        let mut answer = Response::new(Bytes::from_static(line.as_bytes()));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some(challenge) = self.challenge().filter(|_| status != StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        answer
    }

    fn challenge(&self) -> Option<&'static str> {
        match (self.why, self.scheme == BEARER) {
            (Why::Unavailable | Why::Unsettled, _) | (Why::Rule, false) => None,
            (Why::Missing, _) | (_, false) => Some(self.scheme),
            (Why::Rule, true) => Some("Bearer error=\"insufficient_scope\""),
            (_, true) => Some("Bearer error=\"invalid_token\""),
        }
    }
}

/// The scheme of tokens (RFC 6750). Those of the other methods are not registered: nothing that is would fit.
pub(super) const BEARER: &str = "Bearer";
pub(super) const BODY: &str = "Body-HMAC";
pub(super) const CERTIFICATE: &str = "Client-Certificate";
pub(super) const SECRET: &str = "Shared-Secret";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_learns_the_status_and_how_to_come_again_and_no_detail() {
        for (denial, status, challenge) in [
            (Denial::new(Why::Missing, "secret detail"), 401, Some("Bearer")),
            (Denial::new(Why::Expired, "secret detail"), 401, Some("Bearer error=\"invalid_token\"")),
            (Denial::new(Why::Rule, "secret detail"), 403, Some("Bearer error=\"insufficient_scope\"")),
            (Denial { scheme: BODY, ..Denial::new(Why::Body, "secret detail") }, 401, Some("Body-HMAC")),
            (Denial { scheme: CERTIFICATE, ..Denial::new(Why::Rule, "secret detail") }, 403, None),
            (Denial::passing(Why::Unavailable, "secret detail", Duration::from_millis(10)), 503, None),
        ] {
            let answer = denial.answer();
            assert_eq!(answer.status().as_u16(), status, "{denial:?}");
            let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header(WWW_AUTHENTICATE), challenge, "{denial:?}");
            assert_eq!(header(RETRY_AFTER), (status == 503).then_some("1"), "{denial:?}");
            assert!(!String::from_utf8_lossy(answer.body()).contains("secret"), "{denial:?}");
        }
    }

    #[test]
    fn a_sender_who_drops_events_is_not_told_for_good_what_will_pass() {
        for (why, usual, careful) in [
            (Why::Expired, 401, 503),
            (Why::NotYet, 401, 503),
            (Why::Key, 401, 503),
            (Why::Unsettled, 503, 503),
            (Why::Unavailable, 503, 503),
            (Why::Signature, 401, 401),
            (Why::Audience, 401, 401),
            (Why::Missing, 401, 401),
            (Why::Rule, 403, 403),
        ] {
            let denial = Denial::new(why, "");
            let statuses = [denial.answer().status().as_u16(), denial.careful_answer().status().as_u16()];
            assert_eq!(statuses, [usual, careful], "{why:?}");
            let challenged = denial.careful_answer().headers().contains_key(WWW_AUTHENTICATE);
            assert_eq!(challenged, careful != 503, "{why:?}");
        }
    }

    #[test]
    fn every_reason_is_listed_once() {
        let mut names: Vec<_> = Why::ALL.iter().map(|why| why.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Why::ALL.len());
    }
}
