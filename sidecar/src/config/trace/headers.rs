//! Which headers may be sent to a collector.

use http::{HeaderName, HeaderValue};

/// What OTLP, HTTP or gRPC sets itself.
const OWN: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why a header cannot be sent along, where it cannot. Its value is not told: it may be secret.
#[must_use]
pub fn unfit(name: &str, value: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    if name.parse::<HeaderName>().is_err() {
        return Some("no name of a header");
    }
    if OWN.contains(&&*name) || name.starts_with("grpc-") {
        return Some("the protocol sets it itself");
    }
    if name.ends_with("-bin") {
        return Some("gRPC takes its value for binary");
    }
    let is_text = HeaderValue::from_str(value).is_ok_and(|value| value.to_str().is_ok());
    (!is_text).then_some("its value is more than ASCII that can be seen")
}

/// Whether this may be the key of a member of baggage.
pub(super) fn is_token(text: &str) -> bool {
    let is_mark = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || is_mark(b))
}
