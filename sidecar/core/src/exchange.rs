//! One HTTP request to the function and its answer: the place where timeouts, limits and caches live once.

use crate::{BoxFuture, CallCx, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use std::sync::Arc;

/// A streaming body in either direction.
pub type Body = UnsyncBoxBody<Bytes, crate::Error>;

/// Sends one request and gives back the answer, streaming both ways.
pub trait Exchange: Send + Sync + 'static {
    /// Sends `request`. The answer's status may be any; only a missing answer is an error.
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// `Unreachable` before the request was sent, `Interrupted` or `TimedOut` after.
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>>;
}

/// Who asks, as the guard of a listener knows them: among the extensions of a request that passes through where somebody
/// must say who they are, and something stands before its turn that wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The same text for the same caller, and never for two of them: method, issuer and subject.
    pub key: Arc<str>,
}
