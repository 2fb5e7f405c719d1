//! What the settings of `auth` need beside one another, for each listener that has them.

use super::{
    auth::{Auth, Oidc},
    problems::{Problem, quoted},
    raw::Shape,
    rules::{Rules, is_local, is_loopback},
    tls::ListenerTls,
    units::duration_text,
};
use std::net::SocketAddr;

/// Checks the `auth` of one listener, such as `ingress.http`, that has this `tls`.
pub(super) fn check(
    rules: &mut Rules<'_>,
    listener: &str,
    listen: SocketAddr,
    tls: Option<&ListenerTls>,
    auth: &Auth,
) {
    let at = |name: &str| format!("{listener}.auth.{name}");
    let whole = format!("{listener}.auth");
    let says_none = rules.says(&whole).is_some();
    if rules.are_read(&[&whole]) {
        if auth.is_open() && !says_none && !is_loopback(listen.ip()) {
            let found = format!("{listen} without auth");
            let expected = format!(
                "{whole} with bearer_file, oidc, hmac or certificates, as others can connect to this address; or \
                 auth: none to let anyone send"
            );
            rules.wrong(&format!("{listener}.listen"), found, expected);
        }
        if says_none && !auth.is_open() {
            rules.wrong(&whole, format!("none, and {} too", auth.ways().join(", ")), "one or the other");
        }
        if auth.allow.is_some() && auth.is_open() {
            let expected = format!("a way to know who sends ({whole}.oidc, for example), or no rules");
            rules.wrong(&at("allow"), "rules for senders that nobody knows", expected);
        }
    }
    let authorities = format!("{listener}.tls.client_ca_file");
    let verified = tls.is_some_and(|tls| tls.clients.is_some());
    if !auth.certificates.is_empty() && !verified && rules.are_read(&[&authorities, &at("certificates")]) {
        let expected = format!("{authorities} as well: without it no client is asked for a certificate");
        rules.wrong(&at("certificates"), "certificates that nobody verifies", expected);
    }
    issuers(rules, &at("oidc"), &auth.oidc);
    unused(rules, &at("hmac"), "secret_file", auth.hmac.is_some(), &HMAC);
}

/// Rules about events at a listener where requests pass unread: nothing that comes there could ever fit one, not even
/// what a route makes an event, as that is judged at the ingress.
pub(super) fn without_events(rules: &mut Rules<'_>, listener: &str) {
    let allow = format!("{listener}.auth.allow");
    let Some(Shape::List(given)) = rules.raw.get(&allow).map(|node| &node.shape) else { return };
    if !rules.are_read(&[&allow]) {
        return;
    }
    let mut found = Vec::new();
    for (index, rule) in given.iter().enumerate() {
        let Shape::Map(parts) = &rule.shape else { continue };
        let about_events = parts.iter().filter(|(name, _)| ["sources", "types"].contains(&&*name.name));
        found.extend(about_events.map(|(name, _)| {
            let key = format!("{allow}.{}.{}", index + 1, name.name);
            let what = format!("{} of events, which are not read here: nobody could ever fit the rule", name.name);
            let expected = "a rule about paths; or, for events that a route sends to the ingress, the rule at \
                            ingress.http.auth.allow, which alone decides about them then";
            Problem::new(name.place, &key, what, expected)
        }));
    }
    for problem in found {
        rules.wrong_within(problem);
    }
}

pub(super) const OIDC: [&str; 11] = [
    "audience",
    "algorithms",
    "leeway",
    "keys_url",
    "ca_file",
    "refresh_every",
    "refresh_min",
    "keys_age_max",
    "timeout",
    "answer_bytes_max",
    "tokens_max",
];
const HMAC: [&str; 4] = ["header", "prefix", "encoding", "hash"];

/// Checks one issuer, or each of a list.
fn issuers(rules: &mut Rules<'_>, section: &str, issuers: &[Oidc]) {
    let raw = rules.raw;
    let Some(entries) = raw.several(section) else {
        for oidc in issuers {
            issuer(rules, section, oidc);
        }
        unused(rules, section, "issuer", !issuers.is_empty(), &OIDC);
        return;
    };
    let name = format!("{section}.issuer");
    for key in OIDC.iter().map(|beside| format!("{section}.{beside}")).chain([name.clone()]) {
        if rules.is_given(&key) {
            rules.wrong(&key, "a value beside a list of issuers", "it in each of the list that needs it");
        }
    }
    if !rules.are_read(&[&name]) {
        return; // which of them belongs to which is not known
    }
    let mut of_entries = issuers.iter();
    let mut known = Vec::new();
    for entry in entries {
        let is_named =
            entry.raw.get(&name).is_some_and(|node| !node.is_word("none") && node.text().is_some());
        let Some(oidc) = is_named.then(|| of_entries.next()).flatten() else {
            let expected = "the URL by which the issuer's tokens name it, as each of the list has another";
            rules.wrong_within(Problem::new(entry.place, &name, "nothing", expected));
            continue;
        };
        if known.contains(&&oidc.issuer) {
            let found = format!("{} twice", quoted(&oidc.issuer));
            rules.wrong_within(Problem::new(entry.raw.place(&name), &name, found, "each issuer once"));
        }
        known.push(&oidc.issuer);
        rules.within(entry, |rules| issuer(rules, section, oidc));
    }
}

pub(super) fn issuer(rules: &mut Rules<'_>, section: &str, oidc: &Oidc) {
    let at = |name: &str| format!("{section}.{name}");
    if oidc.audiences.is_empty() && rules.are_read(&[&at("audience")]) {
        let expected = "what the issuer calls this listener in aud: without it, a token for anybody would do";
        rules.wrong(&at("audience"), "nothing", expected);
    }
    let keys = oidc.keys_url.as_ref().map(http::Uri::to_string);
    let urls = [("issuer", Some(oidc.issuer.clone())), ("keys_url", keys)];
    for (name, url) in urls {
        let is_elsewhere = |url: &String| url.parse().is_ok_and(|url| !is_local(&url));
        let plain = url.filter(|url| url.starts_with("http://") && is_elsewhere(url));
        if let Some(url) = plain.filter(|_| rules.are_read(&[&at(name)])) {
            let expected =
                "https, as anybody on the way could answer with keys of their own; http only on this machine";
            rules.wrong(&at(name), quoted(&url), expected);
        }
    }
    let (every, most) = (at("refresh_every"), at("keys_age_max"));
    if oidc.refresh_every > oidc.keys_age_max && rules.are_read(&[&every, &most]) {
        let expected = format!("at least {every}, which is {}", duration_text(oidc.refresh_every));
        rules.wrong(&most, "keys that are too old before they are fetched again", expected);
    }
}

/// A setting that is given and not used is a mistake that nobody would notice.
pub(super) fn unused(rules: &mut Rules<'_>, section: &str, needed: &str, is_used: bool, names: &[&str]) {
    let needed = format!("{section}.{needed}");
    if is_used || !rules.are_read(&[&needed]) {
        return;
    }
    for name in names {
        let key = format!("{section}.{name}");
        if rules.differs(&key) && rules.are_read(&[&key]) {
            rules.wrong(&key, "a value that nothing uses", format!("{needed} as well, or no value"));
        }
    }
}

#[cfg(test)]
mod tests;
