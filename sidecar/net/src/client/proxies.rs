//! Proxies for what we ask of others, as `HTTPS_PROXY` and `NO_PROXY` name them.
//!
//! Matching is hyper-util's, by curl's rules: `NO_PROXY` is a list of domains (with all below them), addresses,
//! networks such as `10.0.0.0/8`, or `*`. Only https:// goes through a proxy, by CONNECT, so the proxy sees a name
//! and no content; plain http:// is for endpoints inside.

use std::{fmt, sync::Arc};

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// Which proxy a URL goes through. The default is none.
#[derive(Clone, Default)]
pub struct Proxies(Option<Arc<Matcher>>);

/// A proxy that cannot be used. What it says may be shown: credentials are left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no proxy: http://host:port or https://host:port is wanted, with user:password@ before the host if it needs that"
)]
pub struct ProxyError(String);

impl Proxies {
    /// Through `https_proxy`, a URL or `host:port`, but for the hosts that `no_proxy` lists.
    ///
    /// # Errors
    /// [`ProxyError`] where it is no proxy.
    pub fn new(https_proxy: &str, no_proxy: &str) -> Result<Self, ProxyError> {
        let wrong = || ProxyError(https_proxy.rsplit('@').next().unwrap_or_default().to_owned());
        let url = if https_proxy.contains("://") {
            https_proxy.to_owned()
        } else {
            format!("http://{https_proxy}")
        };
        let parsed: Uri = url.parse().map_err(|_| wrong())?;
        let is_http = matches!(parsed.scheme_str(), Some("http" | "https"));
        if !is_http || parsed.host().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        Ok(Self(Some(Arc::new(Matcher::builder().https(url).no(no_proxy).build()))))
    }

    /// The proxy for `url`; none where it is asked without.
    pub(super) fn of(&self, url: &Uri) -> Option<Intercept> {
        self.0.as_ref()?.intercept(url)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its URL may hold a password.
        f.debug_tuple("Proxies").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(https_proxy: &str, no_proxy: &str, url: &str) -> Option<String> {
        let proxies = Proxies::new(https_proxy, no_proxy).unwrap();
        proxies.of(&url.parse().unwrap()).map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn only_https_goes_through_the_proxy_and_not_where_it_is_excepted() {
        let no = "internal.example,10.0.0.0/8,192.0.2.7";
        for (url, expected) in [
            ("https://login.example/token", true),
            ("http://login.example/token", false),
            ("https://internal.example/", false),
            ("https://a.internal.example/", false),
            ("https://notinternal.example/", true),
            ("https://10.1.2.3/", false),
            ("https://192.0.2.7/", false),
            ("https://192.0.2.8/", true),
        ] {
            assert_eq!(through("http://proxy:3128", no, url).is_some(), expected, "{url}");
        }
        assert_eq!(through("proxy:3128", "*", "https://login.example/"), None);
        let named = through("proxy:3128", "", "https://login.example/");
        assert_eq!(named.as_deref(), Some("http://proxy:3128/"));
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_password() {
        for bad in ["http://", "socks5://me:geheim@proxy:1080", "http://me:geheim@a b", "ftp://proxy"] {
            let error = Proxies::new(bad, "").unwrap_err().to_string();
            assert!(error.contains("is no proxy") && !error.contains("geheim"), "{error}");
        }
        let debug = format!("{:?}", Proxies::new("http://me:geheim@proxy:1", "").unwrap());
        assert!(!debug.contains("geheim"), "{debug}");
    }
}
