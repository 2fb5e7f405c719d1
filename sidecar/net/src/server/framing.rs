//! Requests of HTTP/1.1 whose body's end, or whose body, is not what everybody takes it for.

use http::{HeaderMap, StatusCode, header::TRANSFER_ENCODING};

use crate::connection::Phase;

/// A request of HTTP/1.1 whose body may end elsewhere for another reader, or is not what hyper takes it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misframed {
    /// It has a `Content-Length` too (RFC 9112, section 6.3).
    TwoLengths,
    /// It is chunked more than once, which nobody may do (RFC 9112, section 6.1).
    ChunkedTwice,
    /// It is coded in a way that is not undone here (RFC 9112, section 6.1): its bytes are not its body's.
    UnknownCoding,
}

impl Misframed {
    /// How it is answered.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TwoLengths | Self::ChunkedTwice => StatusCode::BAD_REQUEST,
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
        }
    }

    /// Costs a request without `Transfer-Encoding` one look. That the last coding is `chunked` hyper has seen to.
    pub(super) fn of(headers: &HeaderMap, phase: &Phase) -> Option<Self> {
        if !headers.contains_key(TRANSFER_ENCODING) {
            return None;
        }
        if phase.has_length() {
            return Some(Self::TwoLengths);
        }
        let lines = headers.get_all(TRANSFER_ENCODING).iter();
        let codings =
            lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let mut chunked = 0;
        for coding in codings.filter(|coding| !coding.is_empty()) {
            if !coding.eq_ignore_ascii_case(b"chunked") {
                return Some(Self::UnknownCoding);
            }
            chunked += 1;
        }
        (chunked > 1).then_some(Self::ChunkedTwice)
    }
}
