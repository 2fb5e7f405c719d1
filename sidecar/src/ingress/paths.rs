//! The paths of one listener: `CloudEvents` at one, what brokers push at others.

use super::Ingress;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use outrigger_net::server::Remote;
use std::sync::Arc;

/// Every path that takes events.
pub struct Paths {
    /// Takes `CloudEvents`, and answers for paths that are nobody's.
    pub http: Arc<Ingress>,
    /// Those of brokers that push.
    pub pushed: Vec<Arc<Ingress>>,
}

impl Paths {
    /// Who takes a request for `path`.
    #[must_use]
    pub fn of(&self, path: &str) -> &Arc<Ingress> {
        self.pushed.iter().find(|pushed| pushed.path == path).unwrap_or(&self.http)
    }

    /// Answers one request, which came over a connection from `remote`.
    pub fn handle(
        &self,
        mut request: Request<Incoming>,
        remote: Remote,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send + use<> {
        request.extensions_mut().insert(remote); // for the audit log
        self.of(request.uri().path()).clone().handle(request)
    }
}
