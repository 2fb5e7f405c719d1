//! What the settings of pushed events need beside one another.

use super::{
    auth_rules::{self, OIDC, issuer},
    eventgrid_webhook::{self, ENTRA, EventGridWebhook, Validation},
    problems::quoted,
    pubsub_push::{self, PubsubPush, is_topic},
    rules::Rules,
    settings::SETTINGS,
    units::size_text,
};

const HTTP: &str = "ingress.http.path";
const PUBSUB: &str = "ingress.pubsub_push.path";
const EVENTGRID: &str = "ingress.eventgrid_webhook.path";

/// Checks those that could be read.
pub(super) fn check(rules: &mut Rules<'_>) {
    let ingress = &rules.config.ingress;
    paths(rules);
    unused(rules, PUBSUB, ingress.pubsub_push.is_some());
    unused(rules, EVENTGRID, ingress.eventgrid_webhook.is_some());
    if let Some(push) = &ingress.pubsub_push {
        pubsub(rules, push);
        body(rules, "ingress.pubsub_push.body_bytes_max", push.body_bytes_max);
    }
    if let Some(webhook) = &ingress.eventgrid_webhook {
        eventgrid(rules, webhook);
        body(rules, "ingress.eventgrid_webhook.body_bytes_max", webhook.body_bytes_max);
    }
}

/// Each has a path of its own, at a listener that is there.
fn paths(rules: &mut Rules<'_>) {
    let ingress = &rules.config.ingress;
    let http = ingress.http.as_ref().map(|http| http.path.as_str());
    let pushed = [
        (PUBSUB, ingress.pubsub_push.as_ref().map(|push| push.path.as_str())),
        (EVENTGRID, ingress.eventgrid_webhook.as_ref().map(|webhook| webhook.path.as_str())),
    ];
    let given: Vec<_> = pushed.iter().filter_map(|(key, path)| Some((*key, (*path)?))).collect();
    for (index, (key, path)) in given.iter().enumerate() {
        if !rules.are_read(&[key, HTTP, "ingress.http.listen"]) {
            continue;
        }
        let Some(http) = http else {
            rules.wrong(key, "a path of a listener that is off", "an address at ingress.http.listen as well");
            continue;
        };
        if path.contains('?') {
            rules.wrong(key, quoted(path), "a path without a query");
        }
        let before = given[..index].iter().find(|(_, other)| other == path).map(|(other, _)| *other);
        if let Some(other) = (http == *path).then_some(HTTP).or(before) {
            rules.wrong(key, format!("{} for both {other} and {key}", quoted(path)), "a path of its own");
        }
    }
}

/// Without its path, nothing of a section counts: the first setting that says otherwise is named.
fn unused(rules: &mut Rules<'_>, path: &'static str, is_used: bool) {
    if is_used || !rules.are_read(&[path]) {
        return;
    }
    let section = path.trim_end_matches("path");
    let mut others = SETTINGS.iter().map(|setting| setting.path);
    if let Some(key) = others.find(|key| key.starts_with(section) && *key != path && rules.differs(key)) {
        rules.wrong(key, "a value that nothing uses", format!("{path} as well, or no value"));
    }
}

/// What is taken must fit into memory.
fn body(rules: &mut Rules<'_>, key: &'static str, bytes_max: usize) {
    let window = rules.config.window.bytes;
    if window < bytes_max && rules.are_read(&["window.bytes", key]) {
        let at = rules.given(["window.bytes", key]);
        let expected = format!("at least {key}, which is {}", size_text(bytes_max as u64));
        rules.wrong(at, format!("a window of {}", size_text(window as u64)), expected);
    }
}

fn pubsub(rules: &mut Rules<'_>, push: &PubsubPush) {
    let at = |name: &str| format!("{}.{name}", pubsub_push::SECTION);
    let topic = at("topic");
    if !is_topic(&push.topic) && rules.are_read(&[&topic]) {
        let found = if push.topic.is_empty() { "no topic".to_owned() } else { quoted(&push.topic) };
        rules.wrong(
            &topic,
            found,
            "projects/PROJECT/topics/TOPIC, as the source of events that are made of messages",
        );
    }
    let (auth, account) = (at("auth"), at("service_account"));
    if !rules.are_read(&[&auth, &account, &at("audience"), &at("issuer")]) {
        return;
    }
    if push.auth.is_open() {
        let required = rules.says(&auth).is_none_or(|word| word != "none");
        if required {
            rules.wrong(
                &at("issuer"),
                "no issuer",
                "https://accounts.google.com, or auth: none to let anyone send",
            );
            return;
        }
        for name in OIDC.iter().copied().chain(["service_account"]) {
            spoken_twice(rules, &auth, &at(name));
        }
        return;
    }
    if rules.config.ingress.pubsub_push.is_some() && !rules.is_given(&account) {
        let expected = "the e-mail of the subscription's push service account, as anybody can have Google sign a token \
                        for our audience; or auth: none to let anyone send";
        rules.wrong(&account, "nobody", expected);
    }
    for oidc in &push.auth.oidc {
        issuer(rules, pubsub_push::SECTION, oidc);
    }
}

fn eventgrid(rules: &mut Rules<'_>, webhook: &EventGridWebhook) {
    let at = |name: &str| format!("{}.{name}", eventgrid_webhook::SECTION);
    let (auth, secret, entra) = (at("auth"), at("secret_file"), format!("{ENTRA}.issuer"));
    if rules.are_read(&[&auth, &secret, &entra]) {
        let says_none = rules.says(&auth).is_some_and(|word| word == "none");
        if says_none {
            for key in [&secret, &entra] {
                spoken_twice(rules, &auth, key);
            }
        } else if webhook.auth.is_open() {
            let expected = "entra.issuer or secret_file beside it, as others can connect to the listener's address by \
                            whatever stands before it; or auth: none to let anyone send";
            rules.wrong(&auth, "no way to know who sends", expected);
        }
    }
    if let Some(shared) = &webhook.auth.secret
        && shared.query.is_none()
        && shared.header.is_none()
        && rules.are_read(&[&at("secret_query"), &at("secret_header")])
    {
        rules.wrong(&secret, "a secret that nothing shows", "secret_query or secret_header as well");
    }
    validation(rules, webhook);
    for oidc in &webhook.auth.oidc {
        issuer(rules, ENTRA, oidc);
    }
    let is_known = !webhook.auth.oidc.is_empty() || rules.says(&auth).is_some_and(|word| word == "none");
    auth_rules::unused(rules, ENTRA, "issuer", is_known, &[&OIDC[..], &["app_id"]].concat());
}

/// What concerns following a URL out of a request is of no use where none is followed.
fn validation(rules: &mut Rules<'_>, webhook: &EventGridWebhook) {
    let at = |name: &str| format!("{}.{name}", eventgrid_webhook::SECTION);
    if webhook.validation == Validation::Follow || !rules.are_read(&[&at("validation")]) {
        return;
    }
    for name in ["validation_hosts", "validation_ca_file", "validation_timeout"] {
        let key = at(name);
        if rules.differs(&key) && rules.are_read(&[&key]) {
            rules.wrong(&key, "a value that nothing uses", "validation: follow as well, or no value");
        }
    }
}

/// Who writes how senders are known means that the others may not send.
fn spoken_twice(rules: &mut Rules<'_>, auth: &str, key: &str) {
    if rules.differs(key) && rules.are_read(&[key]) {
        rules.wrong(auth, format!("none, and {key} too"), "one or the other");
    }
}

#[cfg(test)]
mod tests;
