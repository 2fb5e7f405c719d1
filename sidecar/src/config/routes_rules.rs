//! What targets and rules may not say together.

use super::{
    problems::Problem,
    raw::Entry,
    routes::{DISCARD, FUNCTION},
    rules::Rules,
    settings::EXAMPLE_NAME,
};

/// Checks those that could be read.
pub(super) fn check(rules: &mut Rules<'_>) {
    let raw = rules.raw;
    for entry in raw.several("targets.NAME").unwrap_or_default() {
        target(rules, entry);
    }
    let (replies, dead) = (rules.config.replies.url.is_some(), rules.config.dead_letters.url.is_some());
    url(rules, "replies", replies);
    url(rules, "dead_letters", dead);
    let names: Vec<String> = raw
        .several("targets.NAME")
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.name.clone())
        .chain([FUNCTION.to_owned()])
        .collect();
    named(rules, "routes.otherwise", &names);
    let Some(entries) = raw.several("routes.rules") else {
        if ["name", "to", "discard"].iter().any(|name| rules.differs(&format!("routes.rules.{name}"))) {
            rule(rules, &names);
        }
        return;
    };
    let mut seen: Vec<String> = Vec::new();
    for entry in entries {
        rules.within(entry, |rules| {
            rule(rules, &names);
            let key = "routes.rules.name";
            let Some(name) = rules.says(key) else { return };
            if seen.contains(&name) {
                rules.wrong(key, format!("the name {name:?} twice"), "each rule by a name of its own");
            }
            seen.push(name);
        });
    }
}

/// The settings of one target, and what each is of.
const PLACES: [&str; 5] = ["url", "kafka_topic", "pubsub_topic", "eventgrid_topic", "journal"];
const OF_A_URL: [&str; 7] =
    ["timeout", "connect_timeout", "statuses", "bearer_file", "ca_file", "webhook", "retired_wait"];

fn target(rules: &mut Rules<'_>, entry: &Entry) {
    if entry.name == EXAMPLE_NAME {
        return;
    }
    rules.within_named("targets", entry, |rules| {
        if [FUNCTION, DISCARD].contains(&entry.name.as_str()) {
            rules.wrong(
                "targets.NAME",
                format!("a target named {}", entry.name),
                "another name, as this one is taken",
            );
        }
        let key = |name: &str| format!("targets.NAME.{name}");
        let given: Vec<_> = PLACES.into_iter().filter(|name| rules.differs(&key(name))).collect();
        match given.as_slice() {
            [] if rules.are_read(&["targets.NAME"]) => {
                rules.wrong(
                    "targets.NAME",
                    "a target without a place",
                    format!("one of {}", PLACES.join(", ")),
                );
            }
            [one, other, ..] => rules.wrong(&key(other), format!("a place beside {one}"), "one of both"),
            _ => {}
        }
        let (overflow, kept) = ("targets.NAME.overflow", "targets.NAME.journal");
        let overflows = rules.says(overflow).as_deref() == Some("journal");
        let keeps = rules.says(kept).as_deref() == Some("true");
        let journal = &rules.config.journal;
        let forgets = journal.storage == super::Storage::Ephemeral && !journal.accept_loss;
        for (key, needs, instead) in [(overflow, overflows, "pause"), (kept, keeps, "another place")] {
            if needs && forgets && rules.are_read(&[key]) {
                let expected = format!(
                    "{instead}; or journal.storage: durable where the file outlives the pod; or journal.ephemeral: \
                     accept-loss"
                );
                rules.wrong(key, "a journal that does not outlive the pod", expected);
            }
        }
        if keeps && overflows {
            rules.wrong(overflow, "a queue in the journal before the journal", "pause");
        }
        if !overflows && rules.differs(&key("lane_max")) {
            rules.wrong(&key("lane_max"), "a value that nothing uses", "no value, or overflow: journal");
        }
        url(rules, "targets.NAME", given == ["url"]);
    });
}

/// What belongs to a url in a section, with or without one.
fn url(rules: &mut Rules<'_>, section: &str, is_given: bool) {
    let at = |name: &str| format!("{section}.{name}");
    if !is_given {
        for key in OF_A_URL.map(at) {
            if rules.differs(&key) {
                rules.wrong(&key, "a value that nothing uses", "no value, or a url");
            }
        }
        return;
    }
    let key = &at("url");
    let Some(url) = rules.says(key).and_then(|text| text.parse::<http::Uri>().ok()) else { return };
    let (secret, webhook) = (rules.differs(&at("bearer_file")), &at("webhook"));
    if rules.differs(webhook) && !rules.says(webhook).is_some_and(|origin| super::webhook::is_host(&origin)) {
        let found = super::problems::quoted(&rules.says(webhook).unwrap_or_default());
        rules.wrong(webhook, found, format!("{}, or off", super::webhook::A_HOST));
    }
    if secret {
        rules.plain(key, &url, "; the token would be read on the way");
    }
    if url.scheme_str() == Some("http") && rules.differs(&at("ca_file")) {
        rules.wrong(&at("ca_file"), "authorities for a url without TLS", "none, or an https url");
    }
}

fn rule(rules: &mut Rules<'_>, targets: &[String]) {
    let (name, to, discard) = ("routes.rules.name", "routes.rules.to", "routes.rules.discard");
    if !rules.is_given(name) && rules.are_read(&[name]) {
        rules.wrong(name, "a rule without a name", "one of its own, for metrics and the dry run");
    }
    let discards = rules.says(discard).as_deref() == Some("true");
    match (rules.differs(to), discards) {
        (false, false) if rules.are_read(&[to, discard]) => {
            rules.wrong(to, "a rule that leads nowhere", "names of targets; or discard: true");
        }
        (true, true) => rules.wrong(discard, format!("a rule with {to} that discards"), "one of both"),
        _ => named(rules, to, targets),
    }
}

/// Whether each name is one of a target.
fn named(rules: &mut Rules<'_>, key: &str, targets: &[String]) {
    if !rules.are_read(&[key, "targets"]) {
        return;
    }
    let Some(node) = rules.raw.get(key) else { return };
    let entries = match &node.shape {
        super::raw::Shape::List(entries) => entries.as_slice(),
        _ => std::slice::from_ref(node),
    };
    for entry in entries {
        let Some(name) = entry.text() else { continue };
        let is_word = key == "routes.otherwise" && name == DISCARD && entries.len() == 1;
        if is_word || targets.iter().any(|target| *target == name) {
            continue;
        }
        let expected = format!("function, or one of targets ({})", known(targets));
        let meant = super::problems::nearest(&name, targets.iter().map(String::as_str)).map(str::to_owned);
        rules.wrong_within(Problem::new(entry.place, key, entry.found(), expected).meant(meant));
    }
}

fn known(targets: &[String]) -> String {
    match targets.iter().filter(|name| *name != FUNCTION).map(String::as_str).collect::<Vec<_>>() {
        names if names.is_empty() => "of which there are none".to_owned(),
        names => names.join(", "),
    }
}
