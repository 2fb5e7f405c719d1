//! What a collector's answer means: whether it has what it was sent, may have it later, in smaller parts, or never. Pure.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use outrigger_net::client::reason;
use prost::Message as _;
use std::{
    error::Error as _,
    time::{Duration, SystemTime},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How much of a collector's words is repeated, in characters.
const WORDS_CHARS_MAX: usize = 256;

/// Why the collector does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may take it later, after this time where it says one.
    Later { after: Option<Duration>, why: String },
    /// It was too much at once.
    TooLarge(String),
    /// It will not take it.
    Lost(String),
}

impl Failure {
    /// The reason, for people.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Later { why, .. } | Self::TooLarge(why) | Self::Lost(why) => why,
        }
    }

    /// By the table of OTLP's specification; what was too large, collectors say in different words.
    pub(crate) fn of_grpc(status: &Status) -> Self {
        let mut why = format!("{:?}: {}", status.code(), words(status.message()));
        if let Some(source) = status.source() {
            why = format!("{why}: {}", reason(source));
        }
        let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let says = |word: &str| status.message().to_ascii_lowercase().contains(word);
        let is_size = says("larger than max") || says("too large") || says("exceeds maximum") || says("413");
        match status.code() {
            Code::ResourceExhausted if after.is_some() => Self::Later { after, why },
            Code::ResourceExhausted | Code::OutOfRange | Code::Unknown | Code::Internal if is_size => {
                Self::TooLarge(why)
            }
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Self::Later { after, why },
            _ => Self::Lost(why),
        }
    }

    /// None where it has it. An answer without a body was too long to be read.
    pub(crate) fn of_http(answer: &Response<Option<Bytes>>) -> Option<Self> {
        let status = answer.status();
        if status.is_success() {
            return None;
        }
        let told = answer.body().as_ref().and_then(|body| tonic_types::Status::decode(body.clone()).ok());
        let told = told.map(|told| words(&told.message)).filter(|told| !told.is_empty());
        let why = told.map_or_else(|| format!("status {status}"), |told| format!("status {status}: {told}"));
        Some(match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
                Self::Later { after: after.and_then(|after| wait(after, SystemTime::now())), why }
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(why),
            _ => Self::Lost(why),
        })
    }
}

/// `Retry-After`, in seconds or as a date.
fn wait(after: &str, now: SystemTime) -> Option<Duration> {
    let after = after.trim();
    let seconds = after.parse().ok().map(Duration::from_secs);
    let until = || httpdate::parse_http_date(after).ok().and_then(|at| at.duration_since(now).ok());
    seconds.or_else(until)
}

/// What a collector says, as it may stand in a log.
pub(crate) fn words(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(WORDS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn http(status: u16, after: Option<&str>) -> Option<Failure> {
        let answer = Response::builder().status(status);
        let answer =
            after.into_iter().fold(answer, |answer, after| answer.header(header::RETRY_AFTER, after));
        Failure::of_http(&answer.body(None).unwrap())
    }

    #[test]
    fn an_answer_by_http_is_taken_later_smaller_or_never() {
        assert_eq!(http(200, None), None);
        for status in [429, 502, 503, 504] {
            let Some(Failure::Later { after, why }) = http(status, Some("3")) else { panic!("{status}") };
            assert!(after == Some(Duration::from_secs(3)) && why.contains(&status.to_string()), "{why}");
        }
        assert!(matches!(http(503, None), Some(Failure::Later { after: None, .. })));
        assert!(matches!(http(413, None), Some(Failure::TooLarge(_))));
        for status in [301, 400, 401, 404, 500] {
            assert!(matches!(http(status, Some("3")), Some(Failure::Lost(_))), "{status}");
        }
        let told = tonic_types::Status { code: 3, message: "no\nkey".to_owned(), details: Vec::new() };
        let answer = Response::builder().status(401).body(Some(told.encode_to_vec().into())).unwrap();
        assert_eq!(Failure::of_http(&answer).unwrap().why(), "status 401 Unauthorized: nokey");
    }

    #[test]
    fn a_date_is_a_wait_as_well() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!((wait("Sun, 06 Nov 1994 08:49:07 GMT", now), wait("soon", now)), (None, None));
    }

    #[test]
    fn an_answer_by_grpc_is_taken_later_smaller_or_never() {
        let of = |code, message: &str| Failure::of_grpc(&Status::new(code, message));
        assert!(matches!(of(Code::Unavailable, "down"), Failure::Later { after: None, .. }));
        assert!(matches!(of(Code::PermissionDenied, "no"), Failure::Lost(_)));
        assert!(matches!(of(Code::ResourceExhausted, "quota"), Failure::Lost(_)));
        let large = of(Code::ResourceExhausted, "grpc: received message larger than max (5 vs. 4)");
        assert!(matches!(&large, Failure::TooLarge(why) if why.contains("larger than max")), "{large:?}");
        let later = ErrorDetails::with_retry_info(Some(Duration::from_secs(2)));
        let later = Failure::of_grpc(&Status::with_error_details(Code::ResourceExhausted, "quota", later));
        assert!(matches!(later, Failure::Later { after: Some(after), .. } if after.as_secs() == 2));
    }
}
