//! One error for the whole path: what happened, and whether trying again may help.

use std::{fmt, time::Duration};

/// The result of everything on the path.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong. Each kind is a different next step, so there is no catch-all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No connection: the request was never sent, so the function cannot have seen the event.
    Unreachable,
    /// The connection broke, or the answer was cut short, after the request was sent.
    Interrupted,
    /// No whole answer within the time allowed, after the request was sent.
    TimedOut,
    /// The other side answered with a status that is not a success.
    Status,
    /// The answer broke its protocol, or a bound on it.
    BadAnswer,
    /// Too many at once; a moment later there may be room.
    Overloaded,
    /// Storage is full; it may have space again.
    Full,
    /// Storage failed in a way that only a person can mend.
    Storage,
    /// The component was stopped.
    Closed,
    /// The input or the configuration is wrong.
    Invalid,
}

/// Whether trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same thing would fail again.
    Permanent,
    /// It may pass by itself.
    Temporary,
    /// It will not pass before somebody acts; trying on is harmless.
    Persistent,
}

/// What happened, where, and what to do, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: Kind,
    message: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
}

impl Error {
    /// An error of `kind`; `message` says what happened, where, and what to do.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), status: None, retry_after: None }))
    }

    /// The error of an answer whose status is not a success; `detail` is a bounded piece of its body.
    pub fn status(status: u16, retry_after: Option<Duration>, detail: impl Into<String>) -> Self {
        let message = detail.into();
        Self(Box::new(Inner { kind: Kind::Status, message, status: Some(status), retry_after }))
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The HTTP status, where the other side answered with one.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.status
    }

    /// How long the other side asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What happened, without the status.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The status and the `Retry-After` that tell it to a sender by HTTP.
    #[must_use]
    pub fn told(&self) -> (u16, Option<Duration>) {
        match self.0.kind {
            Kind::Status => (self.0.status.unwrap_or(500), self.0.retry_after),
            Kind::Overloaded => (429, Some(Duration::from_secs(1))),
            Kind::Invalid => (400, None),
            _ => (503, Some(Duration::from_secs(5))),
        }
    }

    /// Whether the function may have seen the event: what was sent counts as an attempt.
    #[must_use]
    pub fn sent(&self) -> bool {
        matches!(self.0.kind, Kind::Interrupted | Kind::TimedOut | Kind::Status | Kind::BadAnswer)
    }

    /// Whether trying again may help. A status is judged by [`crate::decide::verdict`] instead.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self.0.kind {
            Kind::Unreachable | Kind::Interrupted | Kind::TimedOut | Kind::Status | Kind::Overloaded => {
                Retry::Temporary
            }
            Kind::Full | Kind::Storage => Retry::Persistent,
            Kind::BadAnswer | Kind::Closed | Kind::Invalid => Retry::Permanent,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.status, self.0.message.is_empty()) {
            (Some(status), true) => write!(f, "status {status}"),
            (Some(status), false) => write!(f, "status {status}: {}", self.0.message),
            (None, _) => f.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_that_was_sent_is_an_attempt() {
        assert!(!Error::new(Kind::Unreachable, "refused").sent());
        assert!(!Error::new(Kind::Overloaded, "no room").sent());
        for kind in [Kind::Interrupted, Kind::TimedOut, Kind::BadAnswer] {
            assert!(Error::new(kind, "").sent(), "{kind:?}");
        }
        assert!(Error::status(500, None, "").sent());
    }

    #[test]
    fn a_status_is_told_with_its_detail() {
        assert_eq!(Error::status(503, None, "no workers").to_string(), "status 503: no workers");
        assert_eq!(Error::status(503, None, "").to_string(), "status 503");
    }
}
