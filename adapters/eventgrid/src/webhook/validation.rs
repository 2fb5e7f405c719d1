//! Where a `validationUrl` may lead. It comes out of a request, so it must not reach what only we can reach. Pure.

use http::Uri;
use std::net::IpAddr;

/// The URL, where it is https to one of these hosts or one below; an address in place of a name is never one.
///
/// # Errors
/// Why it is not followed; nothing of the URL is repeated, as it holds what confirms the subscription.
pub(super) fn fit(url: &str, hosts: &[String]) -> Result<Uri, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    if uri.scheme_str() != Some("https") {
        return Err("it is not https");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("it holds credentials");
    }
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err("it names an address instead of a host");
    }
    let is_below = |allowed: &String| {
        let allowed = allowed.to_ascii_lowercase();
        host == allowed || host.strip_suffix(&allowed).is_some_and(|below| below.ends_with('.'))
    };
    if hosts.iter().any(is_below) { Ok(uri) } else { Err("its host is none of validation_hosts") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_to_azures_hosts_is_followed() {
        let hosts = ["eventgrid.azure.net".to_owned()];
        for good in [
            "https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/s/validate?id=1&t=2&token=3",
            "https://EventGrid.Azure.Net/",
        ] {
            assert!(fit(good, &hosts).is_ok(), "{good}");
        }
        for bad in [
            "http://rp.eventgrid.azure.net/",
            "https://eventgrid.azure.net.evil.example/",
            "https://evileventgrid.azure.net/",
            "https://eventgrid.azure.net@evil.example/",
            "https://me@rp.eventgrid.azure.net/",
            "https://169.254.169.254/latest",
            "https://[fe80::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://localhost/",
            "https://azure.net/",
            "//rp.eventgrid.azure.net/",
            "/eventsubscriptions",
            "",
        ] {
            assert!(fit(bad, &hosts).is_err(), "{bad}");
        }
        assert!(fit("https://10.0.0.1/", &["10.0.0.1".to_owned()]).is_err(), "even where somebody lists it");
    }
}
