//! Google's errors as ours: what happened, where, what to do, and whether it may pass.

use google_cloud_gax::error::{Error as Theirs, rpc::Code};
use outrigger_core::{Error, Kind};
use std::fmt::Write as _;

/// The error of what was asked for, such as `reading from projects/P/subscriptions/S`.
pub(crate) fn error(theirs: &Theirs, doing: &str) -> Error {
    let (kind, hint) = judge(theirs);
    let said = theirs.status().map_or_else(|| chain(theirs), |status| status.message.clone());
    let code = theirs.status().map(|status| status.code.name().to_owned() + ": ").unwrap_or_default();
    Error::new(kind, format!("pubsub: {doing}: {code}{said}{hint}"))
}

/// What kind of error it is, and what to do where somebody has to.
fn judge(theirs: &Theirs) -> (Kind, &'static str) {
    if theirs.is_authentication() {
        return (
            Kind::Storage,
            "; the credentials (pubsub.credentials_file, or Google's default chain) give no token",
        );
    }
    let Some(status) = theirs.status() else {
        return match theirs.http_status_code() {
            Some(401) => (Kind::Storage, UNAUTHENTICATED),
            Some(403) => (Kind::Storage, DENIED),
            Some(404) => (Kind::Storage, MISSING),
            _ if theirs.is_timeout() || theirs.is_exhausted() => (Kind::TimedOut, ""),
            _ => (Kind::Unreachable, ""),
        };
    };
    match status.code {
        Code::NotFound => (Kind::Storage, MISSING),
        Code::PermissionDenied => (Kind::Storage, DENIED),
        Code::Unauthenticated => (Kind::Storage, UNAUTHENTICATED),
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => (Kind::Invalid, ""),
        Code::FailedPrecondition => (Kind::Storage, ""),
        Code::ResourceExhausted => (Kind::Overloaded, ""),
        Code::DeadlineExceeded => (Kind::TimedOut, ""),
        _ => (Kind::Unreachable, ""),
    }
}

const MISSING: &str = "; make it, or correct its name";
const DENIED: &str = "; grant roles/pubsub.subscriber or roles/pubsub.publisher to who we say that we are";
const UNAUTHENTICATED: &str = "; correct pubsub.credentials_file, or what Google's default chain finds";

/// An error with what caused it, without saying a thing twice.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}"); // writing to a string cannot fail
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_gax::error::rpc::Status;
    use outrigger_core::Retry;

    #[test]
    fn an_error_says_where_and_whether_somebody_must_act() {
        for (code, retry, hint) in [
            (Code::NotFound, Retry::Persistent, "correct its name"),
            (Code::PermissionDenied, Retry::Persistent, "grant"),
            (Code::Unauthenticated, Retry::Persistent, "credentials_file"),
            (Code::InvalidArgument, Retry::Permanent, ""),
            (Code::Unavailable, Retry::Temporary, ""),
            (Code::ResourceExhausted, Retry::Temporary, ""),
        ] {
            let theirs = Theirs::service(Status::default().set_code(code).set_message("because"));
            let ours = error(&theirs, "reading from s");
            assert_eq!(ours.retry(), retry, "{code:?}");
            let text = ours.to_string();
            assert!(text.starts_with("pubsub: reading from s: ") && text.contains("because"), "{text}");
            assert!(text.contains(hint), "{text}");
        }
    }
}
