//! What the settings of Event Grid need beside one another.

use http::Uri;

use super::{
    eventgrid::{Entra, Method, Secret, Topic},
    rules::Rules,
};

const ENDPOINT: &str = "eventgrid.endpoint";
const METHOD: &str = "eventgrid.entra.method";
const NAMESPACE_SECRETS: [&str; 2] = ["eventgrid.key_file", "eventgrid.sas_file"];

/// Checks those that could be read.
pub(super) fn check(rules: &mut Rules<'_>) {
    source(rules);
    endpoint(rules);
    for section in ["replies", "dead_letters"] {
        written(rules, section);
    }
    if let Some(entra) = rules.config.eventgrid.entra.clone() {
        tokens(rules, &entra);
    } else {
        unused_tokens(rules);
    }
    namespace_access(rules);
}

/// Which setting names something of the namespace, if one does.
fn namespace_user(rules: &Rules<'_>) -> Option<&'static str> {
    let in_namespace = |topic: &Option<Topic>| topic.as_ref().is_some_and(|topic| topic.url().is_none());
    if rules.config.ingress.eventgrid.is_some() {
        Some("ingress.eventgrid.topic")
    } else if in_namespace(&rules.config.replies.eventgrid) {
        Some("replies.eventgrid_topic")
    } else if in_namespace(&rules.config.dead_letters.eventgrid) {
        Some("dead_letters.eventgrid_topic")
    } else if rules.config.eventgrid_targets().any(|(_, topic)| topic.url().is_none()) {
        Some("an eventgrid_topic of targets")
    } else {
        None
    }
}

fn source(rules: &mut Rules<'_>) {
    let Some(source) = rules.config.ingress.eventgrid.clone() else { return };
    let (topic, subscription) = ("ingress.eventgrid.topic", "ingress.eventgrid.subscription");
    if rules.are_read(&[topic, subscription]) {
        match (source.topic.is_some(), source.subscription.is_some()) {
            (false, true) => rules.wrong(topic, "no topic", "the topic of ingress.eventgrid.subscription"),
            (true, false) => {
                rules.wrong(subscription, "no subscription", "one of its subscriptions, in queue mode");
            }
            _ => {}
        }
    }
    for (small, small_key, large, large_key) in [
        (source.lock, "ingress.eventgrid.lock", source.hold_max, "ingress.eventgrid.hold_max"),
        (
            source.backoff.initial,
            "ingress.eventgrid.backoff.initial",
            source.backoff.max,
            "ingress.eventgrid.backoff.max",
        ),
    ] {
        if small > large && rules.are_read(&[small_key, large_key]) {
            let at = rules.given([small_key, large_key]);
            let large = super::units::duration_text(large);
            let small = super::units::duration_text(small);
            rules.wrong(at, format!("{small_key} {small}"), format!("at most {large_key}, which is {large}"));
        }
    }
}

fn endpoint(rules: &mut Rules<'_>) {
    if !rules.are_read(&[ENDPOINT]) {
        return;
    }
    let Some(url) = rules.config.eventgrid.endpoint.clone() else {
        if let Some(user) = namespace_user(rules) {
            rules.wrong(ENDPOINT, "no namespace", format!("its URL, as {user} is given"));
        }
        return;
    };
    if url.path() != "/" || url.query().is_some() {
        let expected = "the namespace's URL alone, such as https://NAME.REGION-1.eventgrid.azure.net";
        rules.wrong(ENDPOINT, "a URL with a path or a query", expected);
    }
    rules.plain(ENDPOINT, &url, "");
}

fn written(rules: &mut Rules<'_>, section: &'static str) {
    let of = |name: &str| format!("{section}.eventgrid_{name}");
    let (topic_key, key_file, sas_file, schema) = (of("topic"), of("key_file"), of("sas_file"), of("schema"));
    let topic = match section {
        "replies" => rules.config.replies.eventgrid.clone(),
        _ => rules.config.dead_letters.eventgrid.clone(),
    };
    both(rules, &key_file, &sas_file);
    let url = topic.as_ref().and_then(Topic::url);
    if url.is_none() && rules.are_read(&[&topic_key]) {
        for key in [&key_file, &sas_file, &schema] {
            if rules.differs(key) {
                let expected = format!("no value, or the URL of a custom topic at {topic_key}");
                rules.wrong(key, "a value that nothing uses", expected);
            }
        }
    }
    let (Some(topic), Some(url)) = (topic, url) else { return };
    rules.plain(&topic_key, &url, "");
    if url.query().is_some() {
        let expected =
            "the topic's endpoint alone, such as https://NAME.REGION-1.eventgrid.azure.net/api/events";
        rules.wrong(&topic_key, "a URL with a query", expected);
    }
    let known = topic.secret.is_some() || rules.config.eventgrid.entra.is_some();
    if !known && rules.are_read(&[&key_file, &sas_file, METHOD]) {
        let expected =
            format!("{key_file} or {sas_file} with what the custom topic knows us by; or {METHOD}");
        rules.wrong(&key_file, "nothing that says who we are", expected);
    }
}

/// A key and a signature at once: one of them would be ignored.
fn both(rules: &mut Rules<'_>, key_file: &str, sas_file: &str) {
    if rules.differs(key_file) && rules.differs(sas_file) {
        rules.wrong(sas_file, format!("a signature beside {key_file}"), "one of them");
    }
}

fn namespace_access(rules: &mut Rules<'_>) {
    let [key_file, sas_file] = NAMESPACE_SECRETS;
    both(rules, key_file, sas_file);
    if !rules.are_read(&[key_file, sas_file, METHOD]) {
        return;
    }
    let eventgrid = &rules.config.eventgrid;
    match (&eventgrid.secret, &eventgrid.entra, namespace_user(rules)) {
        (Some(secret), Some(_), _) => {
            let key = if let Secret::Signature(_) = secret { sas_file } else { key_file };
            rules.wrong(key, format!("a secret beside {METHOD}"), "one of them");
        }
        (Some(secret), None, None) => {
            let key = if let Secret::Signature(_) = secret { sas_file } else { key_file };
            let expected =
                "no value, or a topic or subscription of the namespace; a custom topic has its own";
            rules.wrong(key, "a value that nothing uses", expected);
        }
        (None, None, Some(_)) => {
            let expected =
                format!("{key_file} or {sas_file} with what the namespace knows us by; or {METHOD}");
            rules.wrong(key_file, "nothing that says who we are", expected);
        }
        _ => {}
    }
}

fn tokens(rules: &mut Rules<'_>, entra: &Entra) {
    let (tenant, client, secret, token) = (
        ("eventgrid.entra.tenant", entra.tenant.is_none(), "the directory, here or in AZURE_TENANT_ID"),
        (
            "eventgrid.entra.client_id",
            entra.client_id.is_none(),
            "the application, here or in AZURE_CLIENT_ID",
        ),
        "eventgrid.entra.client_secret_file",
        "eventgrid.entra.token_file",
    );
    let (needed, idle) = match &entra.method {
        Method::ClientSecret(file) => {
            (vec![tenant, client, (secret, file.is_none(), "the file that holds the secret")], vec![token])
        }
        Method::WorkloadIdentity(file) => {
            let expected = "the service account's token, here or in AZURE_FEDERATED_TOKEN_FILE";
            (vec![tenant, client, (token, file.is_none(), expected)], vec![secret])
        }
        Method::ManagedIdentity { .. } => {
            (Vec::new(), vec![secret, token, tenant.0, "eventgrid.entra.ca_file"])
        }
    };
    for (key, missing, expected) in needed {
        if missing && rules.are_read(&[key]) {
            rules.wrong(key, "nothing", expected);
        }
    }
    for key in idle {
        if rules.differs(key) && rules.are_read(&[METHOD]) {
            rules.wrong(key, "a value that nothing uses", format!("no value, or another {METHOD}"));
        }
    }
    let authority = "eventgrid.entra.authority";
    let is_url = entra.authority.parse::<Uri>().is_ok_and(|url| {
        let is_plain = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        matches!(url.scheme_str(), Some("https" | "http")) && has_host && is_plain && url.query().is_none()
    });
    if !is_url && rules.are_read(&[authority]) {
        let expected = "a URL such as https://login.microsoftonline.com, here or in AZURE_AUTHORITY_HOST";
        rules.wrong(authority, super::problems::quoted(&entra.authority), expected);
    } else if let Ok(url) = entra.authority.parse() {
        rules.plain(authority, &url, "");
    }
}

fn unused_tokens(rules: &mut Rules<'_>) {
    if !rules.are_read(&[METHOD]) {
        return;
    }
    for name in ["tenant", "client_id", "client_secret_file", "token_file", "authority", "ca_file", "scope"] {
        let key = format!("eventgrid.entra.{name}");
        if rules.differs(&key) {
            let expected =
                format!("no value, or {METHOD}: client-secret, workload-identity or managed-identity");
            rules.wrong(&key, "a value that nothing uses", expected);
        }
    }
}

#[cfg(test)]
mod tests;
