//! Answers, and refusals in the form in which Azure's services give theirs.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use serde_json::json;

/// The body of every answer.
pub(crate) type Body = Full<Bytes>;

/// What the service says no with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// Azure's name for it, such as `BadRequest`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Refusal {
    /// 400.
    pub fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "BadRequest", message: message.into() }
    }

    /// 401.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, code: "Unauthorized", message: message.into() }
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "NotFound", message: message.into() }
    }

    /// 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: "PayloadTooLarge", message: message.into() }
    }

    /// The answer that says it.
    pub(crate) fn answer(&self) -> Response<Body> {
        let Self { code, message, .. } = self;
        let mut answer = json_of(&json!({"error": {"code": code, "message": message}}));
        *answer.status_mut() = self.status;
        answer.headers_mut().insert("x-ms-error-code", HeaderValue::from_static(code));
        answer
    }
}

/// 200 with JSON.
pub(crate) fn json_of(value: &impl Serialize) -> Response<Body> {
    let mut answer = Response::new(Full::from(serde_json::to_vec(value).unwrap_or_default()));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

/// A status without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
