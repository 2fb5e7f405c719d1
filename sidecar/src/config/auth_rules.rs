//! What the settings of `auth` need beside one another, for each listener that has them.

use super::{
    auth::{Auth, Oidc},
    problems::quoted,
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
    if let Some(oidc) = &auth.oidc {
        issuer(rules, &at("oidc"), oidc);
    }
    unused(rules, &at("oidc"), "issuer", auth.oidc.is_some(), &OIDC);
    unused(rules, &at("hmac"), "secret_file", auth.hmac.is_some(), &HMAC);
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
