//! What the settings of other senders need beside one another.

use super::{
    checked::Ingress,
    origins::{From, Origin, SECTION, Service},
    problems::{Problem, quoted},
    rules::Rules,
    settings::SETTINGS,
    units::size_text,
};
use outrigger_core::Event;

/// Checks each that could be read.
pub(super) fn check(rules: &mut Rules<'_>) {
    let config = rules.config;
    let origins = &config.ingress.origins;
    let path = at("path");
    let Some(entries) = rules.raw.several(SECTION) else {
        match &origins[..] {
            [] => unused(rules, "path", |name| name != "path", "ingress.origins.path as well"),
            [origin, ..] => one(rules, origin, &[]),
        }
        return;
    };
    if !rules.are_read(&[&path]) {
        return; // which of them belongs to which is not known
    }
    let (mut of_entries, mut before) = (origins.iter(), Vec::new());
    for entry in entries {
        let is_named = entry.raw.get(&path).is_some_and(|node| !node.is_word("off") && node.text().is_some());
        let Some(origin) = is_named.then(|| of_entries.next()).flatten() else {
            rules.wrong_within(Problem::new(
                entry.place,
                &path,
                "nothing",
                "the path that the sender sends to",
            ));
            continue;
        };
        rules.within(entry, |rules| one(rules, origin, &before));
        before.push(origin);
    }
}

fn at(name: &str) -> String {
    format!("{SECTION}.{name}")
}

fn one(rules: &mut Rules<'_>, origin: &Origin, before: &[&Origin]) {
    place(rules, origin, before);
    known(rules, origin);
    let (from, of) = (origin.from, |name: &str| at(name));
    let is_used = |name: &str| match name {
        "type" | "id_header" => from == From::Http,
        "source" => matches!(from, From::Http | From::Aws(Service::Sqs)),
        "topics" => from == From::Aws(Service::Sns),
        "confirm_timeout" => !origin.topics.is_empty(),
        "secret_header" | "secret_query" => from != From::GitHub,
        _ => true,
    };
    if rules.are_read(&[&of("from")]) {
        unused(rules, "from", |name| !is_used(name), &format!("another sender than {}", from.name()));
    }
    if let Err(invalid) = Event::new("1", origin.source(), origin.ty()) {
        let key = of(if invalid.at() == "type" { "type" } else { "source" });
        if rules.are_read(&[&key]) {
            let found = if invalid.at() == "type" { origin.ty() } else { origin.source() };
            rules.wrong(
                &key,
                quoted(found),
                "a URI reference for the source, and text without control characters",
            );
        }
    }
    let topics = of("topics");
    if let Some(other) = origin.topics.iter().find(|topic| !is_topic(topic))
        && rules.are_read(&[&topics])
    {
        rules.wrong(
            &topics,
            quoted(other),
            "ARNs of topics, such as arn:aws:sns:eu-west-1:123456789012:orders",
        );
    }
    let (window, bytes) = (rules.config.window.bytes, of("body_bytes_max"));
    if window < origin.body_bytes_max && rules.are_read(&["window.bytes", &bytes]) {
        let expected = format!("at most window.bytes, which is {}", size_text(window as u64));
        rules.wrong(&bytes, format!("a body of {}", size_text(origin.body_bytes_max as u64)), expected);
    }
}

/// Its path is its own, at a listener that is there.
fn place(rules: &mut Rules<'_>, origin: &Origin, before: &[&Origin]) {
    let (key, path) = (at("path"), &origin.path);
    if !rules.are_read(&[&key, "ingress.http"]) {
        return;
    }
    let Ingress { http, pubsub_push, eventgrid_webhook, .. } = &rules.config.ingress;
    let Some(http) = http else {
        rules.wrong(&key, "a path of a listener that is off", "an address at ingress.http.listen as well");
        return;
    };
    if path.contains('?') {
        rules.wrong(&key, quoted(path), "a path without a query");
    }
    let others = [
        ("ingress.http.path", Some(&http.path)),
        ("ingress.pubsub_push.path", pubsub_push.as_ref().map(|it| &it.path)),
        ("ingress.eventgrid_webhook.path", eventgrid_webhook.as_ref().map(|it| &it.path)),
    ];
    let others = others.into_iter().chain(before.iter().map(|it| ("another of the list", Some(&it.path))));
    let same = others.filter(|(_, other)| *other == Some(path)).map(|(name, _)| name).next();
    if let Some(other) = same {
        rules.wrong(&key, format!("{}, which is that of {other}", quoted(path)), "a path of its own");
    }
}

/// Somebody is known, or everybody may send by choice.
fn known(rules: &mut Rules<'_>, origin: &Origin) {
    let (auth, secret) = (at("auth"), at("secret_file"));
    if !rules.are_read(&[&auth, &secret, &at("secret_header"), &at("secret_query")]) {
        return;
    }
    let says_none = rules.says(&auth).is_some_and(|word| word == "none");
    if says_none && rules.differs(&secret) {
        rules.wrong(&auth, format!("none, and {secret} too"), "one or the other");
    } else if !says_none && origin.auth.is_open() {
        let expected =
            "a file with the secret that the sender shows or signs with; or auth: none to let anyone send";
        rules.wrong(&secret, "no way to know who sends", expected);
    }
    if let Some(shared) = &origin.auth.secret {
        if shared.query.is_none() && shared.header.is_none() {
            rules.wrong(&secret, "a secret that nothing shows", "secret_query or secret_header as well");
        } else if origin.from == From::Aws(Service::Sns) && shared.query.is_none() {
            let expected = "the parameter of the endpoint's URL that shows the secret, as SNS sends no header of one's own";
            rules.wrong(&at("secret_query"), "none", expected);
        }
    }
}

/// A setting that is given and not used is a mistake that nobody would notice.
fn unused(rules: &mut Rules<'_>, because: &str, is_unused: impl Fn(&str) -> bool, instead: &str) {
    if !rules.are_read(&[&at(because)]) {
        return;
    }
    let names = SETTINGS.iter().filter_map(|setting| setting.path.strip_prefix("ingress.origins."));
    for name in names.filter(|name| is_unused(name)) {
        let key = at(name);
        if rules.differs(&key) && rules.are_read(&[&key]) {
            rules.wrong(&key, "a value that nothing uses", format!("{instead}, or no value"));
        }
    }
}

fn is_topic(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    matches!(&parts[..], ["arn", partition, "sns", region, account, name]
        if partition.starts_with("aws") && ![region, account, name].iter().any(|part| part.is_empty()))
}

#[cfg(test)]
mod tests;
