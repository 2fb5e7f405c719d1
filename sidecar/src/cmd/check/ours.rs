//! URLs that lead back to the sidecar itself: what is posted there comes in again. That of the function may not; it is
//! refused where the configuration is read.

use crate::config::{Config, TargetPlace, TargetUrl, port_of};
use http::Uri;
use std::net::{IpAddr, SocketAddr};

/// What is posted to our own listeners: the setting's name, and what.
pub(super) fn warnings(config: &Config) -> Vec<(&'static str, String)> {
    let posted =
        |key, at: &Option<TargetUrl>| at.iter().map(move |at| (key, at.url.clone())).collect::<Vec<_>>();
    let targets = config.targets.iter().filter_map(|target| match &target.place {
        TargetPlace::Url(at) => Some(("targets", at.url.clone())),
        _ => None,
    });
    let mut warnings = Vec::new();
    for (key, url) in posted("replies.url", &config.replies.url)
        .into_iter()
        .chain(posted("dead_letters.url", &config.dead_letters.url))
        .chain(targets)
    {
        let Some(by) = ingress_at(config, &url) else { continue };
        let what = match key {
            "replies.url" => "reply",
            "targets" => "event that is routed there",
            _ => "dead letter",
        };
        let told = format!(
            "each {what} comes back in as an event by {by}, and may bring the next; name another place"
        );
        warnings.push((key, told));
    }
    warnings
}

/// The setting of the path by which what is posted to `url` comes in.
fn ingress_at(config: &Config, url: &Uri) -> Option<&'static str> {
    let ingress = &config.ingress;
    let http = ingress.http.as_ref()?;
    if !leads_to(url, http.listen) {
        return None;
    }
    let pushed = [
        ("ingress.http.listen", Some(&http.path)),
        ("ingress.pubsub_push.path", ingress.pubsub_push.as_ref().map(|push| &push.path)),
        ("ingress.eventgrid_webhook.path", ingress.eventgrid_webhook.as_ref().map(|webhook| &webhook.path)),
    ];
    let origins = ingress.origins.iter().map(|origin| ("ingress.origins.path", Some(&origin.path)));
    let is_it = |path: Option<&String>| path.is_some_and(|path| path == url.path());
    pushed.into_iter().chain(origins).find(|(_, path)| is_it(*path)).map(|(key, _)| key)
}

/// Whether `url` leads to what listens at `listen`, as far as this can be known without asking for names.
fn leads_to(url: &Uri, listen: SocketAddr) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_local = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    let is_host = match host.parse::<IpAddr>() {
        Ok(ip) if listen.ip().is_unspecified() => is_local(ip),
        Ok(ip) => ip == listen.ip(),
        Err(_) => host.eq_ignore_ascii_case("localhost") && is_local(listen.ip()),
    };
    is_host && port_of(url) == listen.port()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Nothing, Purpose, read};

    fn warned(text: &str) -> Vec<(&'static str, String)> {
        let config = read(&Nothing, "f", text, &[], Purpose::Look);
        warnings(&config.unwrap_or_else(|problems| panic!("{problems}")))
    }

    fn keys(text: &str) -> Vec<&'static str> {
        warned(text).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_is_posted_to_our_own_ingress_is_warned_of() {
        assert_eq!(keys("replies: {url: \"http://127.0.0.1:8080/\"}"), ["replies.url"]);
        assert_eq!(keys("replies: {url: \"http://LOCALHOST:8080\"}"), ["replies.url"]);
        assert_eq!(keys("dead_letters: {url: \"http://localhost:8080/\"}"), ["dead_letters.url"]);
        assert_eq!(keys("targets: {a: {url: \"http://localhost:8080/\"}}"), ["targets"]);
        for elsewhere in ["http://127.0.0.1:8081/", "http://127.0.0.1:8080/else", "http://10.0.0.1:8080/"] {
            assert_eq!(keys(&format!("replies: {{url: \"{elsewhere}\"}}")), [""; 0], "{elsewhere}");
        }
    }

    #[test]
    fn every_address_and_every_path_of_the_listener_is_ours() {
        let open = "ingress:\n  http: {listen: \"0.0.0.0:80\", auth: none, path: /in}\n  origins: [{path: /o, auth: none}]\n";
        let by = |url: &str| {
            let found = warned(&format!("{open}replies: {{url: \"{url}\"}}"));
            found.first().map(|(_, told)| told.clone()).unwrap_or_default()
        };
        assert!(
            by("http://127.0.0.9/in").contains("by ingress.http.listen"),
            "{}",
            by("http://127.0.0.9/in")
        );
        assert!(by("http://[::1]/o?x=1").contains("by ingress.origins.path"));
        assert_eq!(by("http://127.0.0.1/"), "");
        assert_eq!(by("http://192.0.2.1/in"), "");
    }
}
