//! What is a URL, for each kind of setting that holds one.

use super::TEXT_BYTES_MAX;
use http::Uri;

/// `http(s)://host:port/path`, without credentials: those end up in logs.
pub(super) fn url(text: &str) -> Option<Uri> {
    token_url(text).filter(|uri| uri.port_u16() != Some(0))
}

/// The same with any port.
pub(super) fn token_url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let host = uri.host().is_some_and(|host| !host.is_empty());
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    (matches!(uri.scheme_str(), Some("http" | "https")) && host && plain).then_some(uri)
}

/// The path of one.
pub(super) fn is_url_path(text: &str) -> bool {
    text.starts_with('/') && text.len() <= TEXT_BYTES_MAX && text.parse::<http::uri::PathAndQuery>().is_ok()
}
