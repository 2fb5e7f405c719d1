//! What `outrigger check` says of the proxy, and what it warns of.

use super::who;
use crate::config::{ClientCertificates, Config, ListenerTls, Proxy, Route, To};

/// What it comes to, a line each; none where there is no proxy.
pub(super) fn lines(config: &Config) -> Vec<String> {
    let Some(proxy) = &config.proxy else { return Vec::new() };
    let scheme = if proxy.tls.is_some() { "https" } else { "http" };
    let mut lines = vec![format!("  requests pass through at {scheme}://{} to the function", proxy.listen)];
    for (to, what) in [(To::Ingress, "become events"), (To::Refuse, "are refused")] {
        let rules: Vec<_> = proxy.routes.iter().filter(|route| route.to == to).map(rule).collect();
        if !rules.is_empty() {
            lines.push(format!("    {} {what}", rules.join(", ")));
        }
    }
    lines.push(format!("    {}", who(&proxy.auth, "pass")));
    if let Some(clients) = clients(proxy.tls.as_ref()) {
        let must = if clients.required { "must" } else { "may" };
        lines.push(format!("    clients {must} show a certificate of {}", clients.ca.display()));
    }
    lines
}

/// What is no mistake, and may be one all the same: the setting's name, and what.
pub(super) fn warnings(config: &Config) -> Vec<(&'static str, String)> {
    let (Some(proxy), Some(http)) = (&config.proxy, &config.ingress.http) else { return Vec::new() };
    let mut warnings = Vec::new();
    if !proxy.routes.iter().any(|route| route.to == To::Ingress) {
        return warnings;
    }
    let theirs = clients(http.tls.as_ref());
    let ours = clients(proxy.tls.as_ref());
    let shared = ours.zip(theirs).is_some_and(|(ours, theirs)| ours.knows_as(theirs));
    if http.auth.is_open() && theirs.is_some_and(|clients| clients.required) && !is_as_closed(proxy, shared) {
        let told = "a rule leads to the ingress past the client certificates of ingress.http.tls, which are all that \
                    guards it: whoever passes here sends events; give proxy.tls the same client_ca_file and \
                    clients, or an auth section to either";
        warnings.push(("proxy.routes", told.to_owned()));
    }
    if http.auth.ways() == ["certificates"] && !shared {
        let told = "a rule leads to the ingress, which knows senders by certificates alone, and none that is shown here \
                    counts there: every event that comes this way is refused; give proxy.tls the client_ca_file, \
                    client_subjects and client_spiffe_ids of ingress.http.tls";
        warnings.push(("proxy.routes", told.to_owned()));
    }
    warnings
}

/// Whether it lets in only whom the ingress would, or asks by itself who comes.
fn is_as_closed(proxy: &Proxy, shared: bool) -> bool {
    let required = clients(proxy.tls.as_ref()).is_some_and(|clients| clients.required);
    !proxy.auth.is_open() || (required && shared)
}

fn clients(tls: Option<&ListenerTls>) -> Option<&ClientCertificates> {
    tls?.clients.as_ref()
}

fn rule(route: &Route) -> String {
    let method = route.method.as_ref().map_or_else(String::new, |method| format!("{method} "));
    format!("{method}{}", route.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Process, Purpose, load};

    fn config(text: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("outrigger.yaml");
        std::fs::write(&file, text).unwrap();
        load(&Process, Some(file.as_path()), &[], Purpose::Look).unwrap()
    }

    const MUTUAL: &str = "{certificate_file: c.pem, key_file: k.pem, client_ca_file: ca.pem}";

    #[test]
    fn the_proxy_is_summed_up() {
        let text = format!(
            "proxy:\n  listen: 127.0.0.1:8081\n  tls: {MUTUAL}\n  auth: {{bearer_file: t}}\n  \
             routes: {{POST /events: ingress, /admin/*: refuse, /open: function}}\n"
        );
        let expected = [
            "  requests pass through at https://127.0.0.1:8081 to the function",
            "    POST /events become events",
            "    /admin/* are refused",
            "    who is known by bearer_file may pass anything",
            "    clients must show a certificate of ca.pem",
        ];
        assert_eq!(lines(&config(&text)), expected);
        assert_eq!(lines(&config("")), [""; 0]);
    }

    fn warned(ingress: &str, proxy: &str) -> Vec<String> {
        let routes = "routes: {/events: ingress}";
        let text =
            format!("ingress: {{http: {{{ingress}}}}}\nproxy: {{listen: 127.0.0.1:0, {routes}{proxy}}}\n");
        warnings(&config(&text)).into_iter().map(|(_, told)| told).collect()
    }

    #[test]
    fn a_way_around_the_certificates_of_the_ingress_is_warned_of() {
        let ingress = format!("tls: {MUTUAL}");
        let past = |proxy: &str| warned(&ingress, proxy).iter().any(|told| told.contains("past the client"));
        assert!(past(""));
        assert!(past(", tls: {certificate_file: c.pem, key_file: k.pem}"));
        assert!(past(&format!(", tls: {}", MUTUAL.replace("ca.pem", "other.pem"))));
        assert!(past(&format!(", tls: {}", MUTUAL.replace('}', ", clients: optional}"))));
        assert!(!past(&format!(", tls: {MUTUAL}")));
        assert!(!past(", auth: {bearer_file: t}"));
        assert!(warned("", "").is_empty(), "an ingress that is open by itself has nothing to be passed");
        assert!(warned("auth: {bearer_file: t}", "").is_empty(), "its own guard decides about events");
    }

    #[test]
    fn a_way_on_which_nobody_can_be_known_is_warned_of() {
        let ingress = format!("tls: {MUTUAL}, auth: {{certificates: [\"subject:CN=a\"]}}");
        let refused = |proxy: &str| warned(&ingress, proxy).iter().any(|told| told.contains("is refused"));
        assert!(refused(", auth: {bearer_file: t}"));
        assert!(!refused(&format!(", tls: {MUTUAL}")));
    }
}
