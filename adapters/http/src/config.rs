//! Where the function is, how long it may take and how an event is written into a request.

use std::time::Duration;

use http::Uri;
use outrigger_core::{Error, Kind, Result};

/// The settings of one function; [`Config::new`] gives the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where events go by POST: `http(s)://host[:port][/path][?query]`.
    pub url: Uri,
    /// How an event is written into the request.
    pub mode: Mode,
    /// What the function speaks. [`Protocol::Http1`].
    pub protocol: Protocol,
    /// From the start of an attempt to a connection; over all addresses of the host. 1 s.
    pub connect_timeout: Duration,
    /// From the start of an attempt to the last byte of the answer. 30 s.
    pub timeout: Duration,
    /// How long an unused connection is kept. Shorter than the function's own keep-alive, or now and then
    /// a request meets a connection that the function is just closing. 15 s.
    pub idle_timeout: Duration,
    /// Unused connections kept at most. 64.
    pub idle_connections_max: usize,
    /// Whether anybody wants what the function answers. [`Replies::Used`].
    pub replies: Replies,
    /// The largest body that is kept of a 2xx. 1 MiB.
    pub reply_bytes_max: usize,
}

/// What the function speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1, one request at a time on each connection.
    #[default]
    Http1,
    /// HTTP/2 without TLS, which the function must speak without being asked first. Upgrades do not pass.
    H2c,
}

/// How an event is written into a request (CloudEvents HTTP binding 1.0.2, sections 3.1 and 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Attributes as `ce-` headers, the data as the body, untouched.
    #[default]
    Binary,
    /// All of it as one JSON object.
    Structured,
    /// All of it as one message of Protobuf.
    Protobuf,
    /// The bare data, with the headers of `OpenFaaS`'s connectors; nothing says that it is an event.
    Raw,
}

/// What becomes of the body of a 2xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replies {
    /// A `CloudEvent` becomes the reply, another body is handed to a caller who waits. The answer must be
    /// whole: a 2xx that breaks off or stalls is a failed attempt. The request says `Prefer: reply`.
    #[default]
    Used,
    /// The status alone counts; the body is thrown away, whole or not.
    Ignored,
}

impl Config {
    /// The function at `url`, with the defaults for everything else.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when `url` is not `http://` or `https://` with a host, or holds credentials.
    pub fn new(url: Uri) -> Result<Config> {
        let invalid = |what: &str| Err(Error::new(Kind::Invalid, format!("function.url: {url} {what}")));
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return invalid(
                "is neither an http:// nor an https:// URL, which is all that a function is called by",
            );
        }
        let Some(authority) = url.authority() else { return invalid("names no host") };
        if authority.as_str().contains('@') {
            // Not shown: what stands before the @ is a secret.
            return Err(Error::new(Kind::Invalid, "function.url: it holds credentials; leave them out"));
        }
        if authority.host().is_empty() {
            return invalid("names no host");
        }
        Ok(Config {
            url,
            mode: Mode::default(),
            protocol: Protocol::default(),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(15),
            idle_connections_max: 64,
            replies: Replies::default(),
            reply_bytes_max: 1024 * 1024,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_http_url_is_taken() {
        for good in
            ["http://127.0.0.1:8080", "http://[::1]:8080/", "http://localhost/a/b?c=d", "https://127.0.0.1"]
        {
            assert!(Config::new(good.parse().unwrap()).is_ok(), "{good}");
        }
        for bad in ["ftp://127.0.0.1", "/path", "127.0.0.1:8080", "http://u:geheim@127.0.0.1/"] {
            let error = Config::new(bad.parse().unwrap()).unwrap_err();
            assert!(error.message().starts_with("function.url: "), "{error}");
            assert!(!error.message().contains("geheim"), "{error}");
        }
    }
}
