//! Asks an issuer for its keys: where they are (`OpenID` Connect Discovery 1.0, section 4), then for them.

use super::Settings;
use crate::{auth::jwks::Keys, client::Client};
use bytes::Bytes;
use http::{Response, StatusCode, Uri, header::DATE};
use serde::Deserialize;
use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

/// What an issuer answered.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: Keys,
    /// Why each key that cannot be used is left out.
    pub(super) left_out: Vec<String>,
    /// How far our clock is ahead of the issuer's; 0 where it does not tell its time.
    pub(super) clock_ahead_s: i64,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys of now. Cancel safe.
///
/// # Errors
/// What is wrong with the issuer, in one line that names the host.
pub(super) async fn keys(client: &Client, settings: &Settings) -> Result<Fetched, String> {
    let url = match settings.keys_url.clone() {
        Some(url) => url,
        None => discover(client, &settings.issuer).await?,
    };
    let answer = get(client, &url).await?;
    let (keys, left_out) =
        Keys::read(answer.body(), &settings.algorithms).map_err(|why| format!("{}: {why}", plain(&url)))?;
    Ok(Fetched { keys, left_out, clock_ahead_s: clock_ahead_s(&answer, SystemTime::now()) })
}

async fn discover(client: &Client, issuer: &str) -> Result<Uri, String> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let url: Uri = url.parse().map_err(|_| format!("{issuer:?} is no URL"))?;
    let answer = get(client, &url).await?;
    let at = plain(&url);
    let found: Discovery = serde_json::from_slice(answer.body())
        .map_err(|_| format!("{at}: the answer is no discovery document (with issuer and jwks_uri)"))?;
    if found.issuer != issuer {
        let named: String = found.issuer.chars().take(200).collect();
        return Err(format!("{at}: it is the document of {named:?}; the issuer must be written exactly so"));
    }
    let keys: Uri = found.jwks_uri.parse().map_err(|_| format!("{at}: its jwks_uri is no URL"))?;
    sound(&keys, &url).map_err(|why| format!("{at}: its jwks_uri {why}"))?;
    Ok(keys)
}

/// Whether keys may be fetched there: an issuer over https must not lead us to a place where anybody could answer, nor
/// to the address by which clouds hand out credentials.
fn sound(url: &Uri, issuer: &Uri) -> Result<(), &'static str> {
    let secure = match url.scheme_str() {
        Some("https") => true,
        Some("http") => issuer.scheme_str() == Some("http"),
        _ => false,
    };
    let host = url.host().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let local = address.is_some_and(|address| match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified(),
    });
    match (secure, host.is_empty(), local) {
        (false, ..) => Err("is not https"),
        (_, true, _) => Err("names no host"),
        (.., true) => Err("is a link-local address"),
        _ => Ok(()),
    }
}

async fn get(client: &Client, url: &Uri) -> Result<Response<Bytes>, String> {
    let answer = client.get(url).await.map_err(|error| error.to_string())?;
    match answer.status() {
        StatusCode::OK => Ok(answer),
        status if status.is_redirection() => {
            Err(format!("{}: it answers {status}, which is not followed; name the place itself", plain(url)))
        }
        status => Err(format!("{}: it answers {status}", plain(url))),
    }
}

/// By the `Date` of the answer, which has whole seconds.
fn clock_ahead_s(answer: &Response<Bytes>, now: SystemTime) -> i64 {
    let date =
        answer.headers().get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match date.map(|date| now.duration_since(date)) {
        Some(Ok(ahead)) => seconds(ahead),
        Some(Err(behind)) => -seconds(behind.duration()),
        None => 0,
    }
}

/// A URL without its query, which may say more than a log should.
fn plain(url: &Uri) -> String {
    let host = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    format!("{}://{host}{}", url.scheme_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_over_https_and_from_no_link_local_address() {
        let (secure, plain): (Uri, Uri) =
            ("https://id.example/".parse().unwrap(), "http://id/".parse().unwrap());
        let verdict = |url: &str, issuer: &Uri| sound(&url.parse().unwrap(), issuer);
        assert_eq!(verdict("https://keys.example/a", &secure), Ok(()));
        assert_eq!(verdict("http://keys.example/a", &plain), Ok(()));
        for url in [
            "http://keys.example/a",
            "/a",
            "https://169.254.169.254/a",
            "https://[fe80::1]/a",
            "https://0.0.0.0/",
        ] {
            assert!(verdict(url, &secure).is_err(), "{url}");
        }
        for url in ["http://169.254.169.254/a", "http://[::ffff:169.254.169.254]/a"] {
            assert!(verdict(url, &plain).is_err(), "{url}");
        }
    }

    #[test]
    fn a_clock_that_is_off_is_known_by_the_issuers_date() {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let answer =
            Response::builder().header(DATE, httpdate::fmt_http_date(date)).body(Bytes::new()).unwrap();
        assert_eq!(clock_ahead_s(&answer, date + Duration::from_secs(100)), 100);
        assert_eq!(clock_ahead_s(&answer, date - Duration::from_secs(100)), -100);
        assert_eq!(clock_ahead_s(&Response::new(Bytes::new()), date), 0);
    }
}
