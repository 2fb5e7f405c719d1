//! The table of every setting: its path, what it may hold, its default, its bounds and what it is for.
//!
//! The one place for all of these. The parser walks the file against it, the defaults are read from it by the
//! same code as a file's values, and `outrigger config example` and the README's table are printed from it.

mod auth;
mod dedup;
mod eventgrid;
mod function;
mod journal;
mod kafka;
mod origins;
mod proxy;
mod pubsub;
mod push;
mod responses;
mod results;
mod routes;
mod table;
mod tls;
mod trace;
mod webhook;

use super::{
    kind::{Kind, Value},
    raw,
};

pub(crate) use self::table::SETTINGS;

/// A group of settings.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its path, such as `function.breaker`.
    pub path: &'static str,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// The word that may stand in its place, for none of it.
    pub word: Option<&'static str>,
    /// How many of it may stand in its place, as a list; 0 is no list.
    pub several_max: usize,
    /// How many may stand below its parent, each under a name of its own, for which the last part of the path stands; 0
    /// where that part is the name itself.
    pub named_max: usize,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Its path, such as `function.timeout`.
    pub path: &'static str,
    /// What it may hold, within which bounds.
    pub kind: Kind,
    /// Its default, as YAML.
    pub default: &'static str,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// Whether a change of it counts without a restart.
    pub live: bool,
}

const fn section(path: &'static str, doc: &'static str) -> Section {
    Section { path, doc, word: None, several_max: 0, named_max: 0 }
}

const fn section_or(word: &'static str, path: &'static str, doc: &'static str) -> Section {
    Section { word: Some(word), ..section(path, doc) }
}

const fn section_or_several(most: usize, path: &'static str, doc: &'static str) -> Section {
    Section { several_max: most, ..section(path, doc) }
}

const fn section_of_each(most: usize, path: &'static str, doc: &'static str) -> Section {
    Section { named_max: most, ..section(path, doc) }
}

/// Every section, in the order of the example.
pub(crate) static SECTIONS: &[Section] = &[
    section("function", "The function that gets the events."),
    section(
        "function.batch",
        "Several events in one request, as a JSON array or a batch of Protobuf; at most one of each key. For the modes structured and protobuf.",
    ),
    section("function.restart_backoff", "How long a restart waits; the wait doubles up to max."),
    section("function.tls", "Where function.url is https://."),
    section("delivery", "In which order, how often and how long an event is tried."),
    section(
        "delivery.backoff",
        "How long a retry waits: a random time below a ceiling that doubles up to max.",
    ),
    section("delivery.retry_budget", "Bounds the retries over all events, against retry storms."),
    section(
        "delivery.breaker",
        "Stops calling a function that is down; the deadline stands still meanwhile.",
    ),
    section("window", "What is held in memory at once; when it is full, sources pause or answer 503."),
    section("ingress", "Where events come in."),
    section("ingress.http", "Events by HTTP POST: CloudEvents in binary, structured or batched mode."),
    section_or(
        "none",
        "ingress.http.auth",
        "Who may send; each way in is an alternative. `auth: none` lets anyone who can connect, also beyond loopback.",
    ),
    section_or_several(auth::ISSUERS_MAX, "ingress.http.auth.oidc", auth::ISSUERS),
    section("ingress.http.auth.hmac", "Bodies that are signed with a shared secret, such as GitHub's."),
    section("ingress.http.tls", "TLS for it; files that change are read again."),
    section(
        "ingress.http.webhook",
        "The handshake (OPTIONS) by which senders of CloudEvents webhooks ask whether they may deliver here.",
    ),
    section(
        "ingress.eventgrid_webhook",
        "Events that Azure Event Grid pushes to a path of ingress.http's listener, in both of its schemas.",
    ),
    section(
        "ingress.eventgrid_webhook.entra",
        "Tokens of Microsoft Entra ID, which Event Grid sends for its own application.",
    ),
    section_or_several(origins::ORIGINS_MAX, "ingress.origins", origins::DOC),
    section(
        "ingress.kafka",
        "Events from Kafka: CloudEvents in both modes, and plain records, which become events.",
    ),
    section(
        "ingress.pubsub_push",
        "Messages that Google Pub/Sub pushes to a path of ingress.http's listener, wrapped or unwrapped.",
    ),
    section(
        "ingress.pubsub",
        "Events from Google Pub/Sub, pulled: CloudEvents in both modes, and other messages, which become Google's own event.",
    ),
    section(
        "ingress.eventgrid",
        "Events from a namespace of Azure Event Grid, which is asked for them (pull).",
    ),
    section(
        "ingress.eventgrid.backoff",
        "How long a request waits after one that failed; doubles up to max.",
    ),
    section("kafka", "The cluster, for the source and for what is written."),
    section("kafka.tls", "Where kafka.security is tls or sasl-tls."),
    section("kafka.sasl", "Where kafka.security is sasl or sasl-tls."),
    section("kafka.producer", "How records are written."),
    section("pubsub", "The way to Google Pub/Sub, for the source and for what is written."),
    section("pubsub.publisher", "How messages are written."),
    section("eventgrid", "Azure Event Grid: the namespace, and who we are there."),
    section(
        "eventgrid.entra",
        "Where eventgrid.entra.method is not none: also for custom topics without a key.",
    ),
    section("replies", "Where events go that the function answers with; without a place they are dropped."),
    section("dead_letters", "Where events go that are given up, if not into the journal."),
    section("targets", "Where events may go besides the function, each place by a name of its own."),
    section_of_each(
        routes::TARGETS_MAX,
        "targets.NAME",
        "NAME is the target's own: small letters, digits, - and _. It has one place: a url, a topic or the journal.",
    ),
    section("routes", "Which events go where; without rules all go to the function."),
    section_or_several(
        routes::RULES_MAX,
        "routes.rules",
        "A list of rules, each with a name, when, and either to or discard.",
    ),
    section("proxy", "HTTP requests that pass through to the function, or by its rules to the ingress."),
    section_or(
        "none",
        "proxy.auth",
        "Who may pass; each way in is an alternative. `auth: none` lets anyone who can connect, also beyond loopback.",
    ),
    section_or_several(auth::ISSUERS_MAX, "proxy.auth.oidc", auth::ISSUERS),
    section("proxy.auth.hmac", "Not for the proxy, which passes bodies through unread: a rule refuses it."),
    section("proxy.tls", "TLS for it; files that change are read again."),
    section("cache", "What was done already and is not done again; each part is off until it is turned on."),
    section("cache.dedup", "Events that come again, by their source and id."),
    section(
        "cache.dedup.redis",
        "Redis or Valkey, where replicas share what they know; without an answer events go on.",
    ),
    section("cache.results", "What a pure function answered, by what its answer depends on."),
    section(
        "cache.responses",
        "The function's answers to GET and HEAD that pass through the proxy, kept after RFC 9111; off until bytes_max is given.",
    ),
    section("journal", "The file that holds accepted events and dead letters."),
    section(
        "journal.keep",
        "Events that stay for `outrigger events`: what was settled, and what targets keep (targets.NAME.journal).",
    ),
    section("admin", "Health, metrics, and the owner's socket for dead letters."),
    section("admin.tls", "TLS for admin.listen; files that change are read again."),
    section(
        "trace",
        "Spans and metrics by OTLP, and the timelines that `outrigger trace` shows. What is left out, OpenTelemetry's own \
         environment variables say.",
    ),
    section("trace.tls", "Where the collector's URL is https://."),
    section("drain", "What happens on SIGTERM."),
    section("log", "Log lines, on standard error."),
    section("runtime", "The process itself."),
];

/// What stands in the table for a name that a file gives.
pub(crate) const EXAMPLE_NAME: &str = "NAME";

impl Section {
    /// Whether it stands below `parent`, once for each name that the file gives there.
    pub(crate) fn is_of_each(&self, parent: &str) -> bool {
        self.named_max > 0
            && self.path.strip_suffix(EXAMPLE_NAME).and_then(|path| path.strip_suffix('.')) == Some(parent)
    }

    /// The path of the one of that name.
    pub(crate) fn named(&self, name: &str) -> String {
        self.in_words(name, self.path)
    }

    /// A path of the table as the file has it, for what stands below that name.
    pub(crate) fn in_words(&self, name: &str, path: &str) -> String {
        match path.strip_prefix(self.path) {
            Some(rest) if self.named_max > 0 => {
                format!("{}{}{rest}", self.path.trim_end_matches(EXAMPLE_NAME), raw::printable(name))
            }
            _ => path.to_owned(),
        }
    }
}

impl Setting {
    /// The same, as one whose change counts without a restart.
    const fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// What it is for, and whether a change of it needs no restart.
    pub(crate) fn told(&self) -> String {
        let live = if self.live { " A change counts at once." } else { "" };
        format!("{}{live}", self.doc)
    }

    /// The default, read as if it stood in a file; that each can be read is tested.
    pub(crate) fn default_value(&self) -> Value {
        let value = raw::parse(self.default).map_err(|problem| vec![problem]);
        match value.and_then(|node| self.kind.read(self.path, &node)) {
            Ok(value) => value,
            Err(problems) => unreachable!("the table's default of {}: {problems:?}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(path: &str) -> &str {
        path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    #[test]
    fn every_setting_and_section_stands_under_a_section() {
        for path in SETTINGS.iter().map(|s| s.path).chain(SECTIONS.iter().map(|s| s.path)) {
            let parent = parent(path);
            assert!(parent.is_empty() || SECTIONS.iter().any(|section| section.path == parent), "{path}");
        }
    }

    #[test]
    fn no_path_is_there_twice() {
        let mut paths: Vec<_> =
            SETTINGS.iter().map(|s| s.path).chain(SECTIONS.iter().map(|s| s.path)).collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }

    #[test]
    fn the_settings_of_a_section_stand_together() {
        let mut seen: Vec<&str> = Vec::new();
        for setting in SETTINGS {
            let top = setting.path.split('.').next().unwrap_or_default();
            assert!(seen.last() == Some(&top) || !seen.contains(&top), "{} comes too late", setting.path);
            seen.push(top);
        }
    }
}
