//! A client of one service that is asked again and again: its connections are kept for the next question.

use super::{Connector, Proxies, reason};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::Client as Legacy,
    rt::{TokioExecutor, TokioTimer},
};
use std::{fmt, time::Duration};

/// How long a connection is kept that nobody uses: less than services and what stands before them keep theirs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most connections that are kept although nobody uses them.
const IDLE_MAX: usize = 8;

/// Asks one service. Cheap to clone.
#[derive(Clone)]
pub struct Kept(Legacy<Connector, Full<Bytes>>);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// No connection: nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke after the request was sent.
    #[error("{0}")]
    Interrupted(String),
    /// Not all of an answer within the time allowed.
    #[error("no answer within {:?}", .0)]
    TimedOut(Duration),
    /// The answer is longer than allowed.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Kept {
    /// A client that connects by `connector`, through `proxies`.
    #[must_use]
    pub fn new(mut connector: Connector, proxies: Proxies) -> Self {
        connector.proxies = proxies;
        let mut builder = Legacy::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT);
        Self(builder.pool_max_idle_per_host(IDLE_MAX).build(connector))
    }

    /// Asks, and waits at most `timeout` for the whole of an answer of at most `bytes_max` bytes. A status that is no
    /// success is an answer. Redirects are not followed.
    ///
    /// # Errors
    /// [`KeptError`].
    ///
    /// # Cancellation
    /// Dropping the future closes the connection; the service may have acted.
    pub async fn ask(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, KeptError> {
        let answer = self.ask_cut(request, timeout, bytes_max).await?;
        let (parts, body) = answer.into_parts();
        body.map(|body| Response::from_parts(parts, body)).ok_or(KeptError::TooLong(bytes_max))
    }

    /// The same, but a longer answer is one without its body: for whoever wants to know the status in any case.
    ///
    /// # Errors
    /// [`KeptError`], but never `TooLong`.
    ///
    /// # Cancellation
    /// As [`Kept::ask`].
    pub async fn ask_cut(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
        bytes_max: usize,
    ) -> Result<Response<Option<Bytes>>, KeptError> {
        let asked = async {
            let response = self.0.request(request).await.map_err(|error| {
                let why = reason(&error);
                if error.is_connect() { KeptError::Unreachable(why) } else { KeptError::Interrupted(why) }
            })?;
            let (parts, body) = response.into_parts();
            let body = match Limited::new(body, bytes_max).collect().await {
                Ok(body) => Some(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => None,
                Err(error) => return Err(KeptError::Interrupted(format!("the answer broke off: {error}"))),
            };
            Ok(Response::from_parts(parts, body))
        };
        tokio::time::timeout(timeout, asked).await.unwrap_or(Err(KeptError::TimedOut(timeout)))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
