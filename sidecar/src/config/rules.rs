//! What two settings may not say together. Each rule names the setting to change and what to change it to.

use std::net::IpAddr;

use super::{
    Purpose,
    checked::{Config, Http, Storage},
    problems::{Place, Problem, Problems, quoted},
    raw::{Entry, Node, Raw, printable},
    settings::{EXAMPLE_NAME, SETTINGS},
    units::{duration_text, size_text},
};

/// Checks every rule whose settings could be read: what has its default because of a mistake contradicts nothing.
/// `purpose` says whether a function must be known.
pub(crate) fn check(config: &Config, raw: &Raw, purpose: Purpose, problems: &mut Problems) {
    let unread: Vec<_> = problems.list.iter().flat_map(meant).collect();
    if unread.iter().any(String::is_empty) {
        return; // nothing of the file could be read
    }
    let mut rules = Rules { config, raw, whole: Place::Whole, unread, named: None, problems };
    rules.in_order();
    rules.window();
    rules.addresses();
    rules.ephemeral();
    if let Some(http) = &config.ingress.http {
        rules.http(http);
    }
    rules.function(purpose);
    super::function::check(&mut rules);
    super::kafka_rules::check(&mut rules);
    super::pubsub_rules::check(&mut rules);
    super::eventgrid_rules::check(&mut rules);
    super::homes::check(&mut rules);
    super::routes_rules::check(&mut rules);
    super::proxy::check(&mut rules);
    super::dedup::check(&mut rules);
    super::results::check(&mut rules);
    super::responses::check(&mut rules);
    super::push_rules::check(&mut rules);
    super::origins_rules::check(&mut rules);
    super::tls::check(&mut rules);
    super::trace::check(&mut rules);
}

pub(super) struct Rules<'a> {
    pub(super) config: &'a Config,
    pub(super) raw: &'a Raw,
    /// The place of what is not given.
    whole: Place,
    /// The paths with a mistake.
    unread: Vec<String>,
    /// The path that the table has for what is checked, and the one that the file has.
    named: Option<(String, String)>,
    problems: &'a mut Problems,
}

impl Rules<'_> {
    pub(super) fn wrong(&mut self, key: &str, found: impl Into<String>, expected: impl Into<String>) {
        let place = match self.raw.place(key) {
            Place::Whole => self.whole,
            place => place,
        };
        let rest =
            self.named.as_ref().and_then(|(table, file)| Some((file, key.strip_prefix(table.as_str())?)));
        let key = rest.map_or_else(|| key.to_owned(), |(file, rest)| format!("{file}{rest}"));
        self.problems.push(Problem::new(place, &key, found, expected));
    }

    /// What `check` finds by what one of several sections says in place of the file.
    pub(super) fn within(&mut self, Entry { place, raw, .. }: &Entry, check: impl FnOnce(&mut Rules<'_>)) {
        let unread = self.unread.clone();
        check(&mut Rules {
            config: self.config,
            raw,
            whole: *place,
            unread,
            named: None,
            problems: self.problems,
        });
    }

    /// The same of one that has a name below `parent`.
    pub(super) fn within_named(
        &mut self,
        parent: &str,
        Entry { place, raw, name }: &Entry,
        check: impl FnOnce(&mut Rules<'_>),
    ) {
        let (table, file) = (format!("{parent}.{EXAMPLE_NAME}"), format!("{parent}.{name}"));
        let in_table = |path: &String| path.strip_prefix(&file).map(|rest| format!("{table}{rest}"));
        let unread = self.unread.iter().filter_map(in_table).collect();
        let named = Some((table.clone(), file.clone()));
        check(&mut Rules { config: self.config, raw, whole: *place, unread, named, problems: self.problems });
    }

    /// The same of something within a setting.
    pub(super) fn wrong_within(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether all of these could be read, or are not given.
    pub(super) fn are_read(&self, keys: &[&str]) -> bool {
        let within = |path: &str, outer: &str| {
            path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let unread = |key: &&str| self.unread.iter().any(|path| within(path, key) || within(key, path));
        !keys.iter().any(unread)
    }

    /// What the file says there, where it says something.
    pub(super) fn says(&self, key: &str) -> Option<String> {
        self.raw.get(key).and_then(Node::text).map(std::borrow::Cow::into_owned)
    }

    /// Whether the file says something else there than the default.
    pub(super) fn differs(&self, key: &str) -> bool {
        let setting = SETTINGS.iter().find(|setting| setting.path == key);
        let read =
            setting.zip(self.raw.get(key)).map(|(setting, node)| (setting.kind.read(key, node), setting));
        read.is_some_and(|(given, setting)| given.is_ok_and(|value| value != setting.default_value()))
    }

    /// Whether the file says anything there.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.raw.get(key).is_some_and(|node| node.shape != super::raw::Shape::Null)
    }

    /// A value as the file has it, where it does: 1MB is not given back as 1000000B.
    fn written(&self, key: &str, otherwise: impl Into<String>) -> String {
        let given = self.raw.get(key).and_then(Node::text);
        given.map_or_else(|| otherwise.into(), |text| printable(&text))
    }

    /// Over http everybody on the way reads along; on this machine there is nobody.
    pub(super) fn plain(&mut self, key: &str, url: &http::Uri, otherwise: &str) {
        if url.scheme_str() == Some("http") && !is_local(url) {
            let found = "http to another machine, which shows everything to everybody on the way";
            self.wrong(key, found, format!("https{otherwise}"));
        }
    }

    /// The place of a contradiction is the key that the file names; a default is nobody's mistake.
    pub(super) fn given<'k>(&self, keys: [&'k str; 2]) -> &'k str {
        if self.raw.get(keys[0]).is_some() { keys[0] } else { keys[1] }
    }

    fn in_order(&mut self) {
        let (function, delivery) = (&self.config.function, &self.config.delivery);
        let (backoff, breaker) = (delivery.backoff, delivery.breaker);
        for (small, small_key, large, large_key) in [
            (backoff.initial, "delivery.backoff.initial", backoff.max, "delivery.backoff.max"),
            (breaker.open, "delivery.breaker.open", breaker.open_max, "delivery.breaker.open_max"),
            (
                function.restart_backoff.initial,
                "function.restart_backoff.initial",
                function.restart_backoff.max,
                "function.restart_backoff.max",
            ),
            (function.connect_timeout, "function.connect_timeout", function.timeout, "function.timeout"),
        ] {
            if small > large && self.are_read(&[small_key, large_key]) {
                let key = self.given([small_key, large_key]);
                let small = self.written(small_key, duration_text(small));
                let large = self.written(large_key, duration_text(large));
                self.wrong(
                    key,
                    format!("{small_key} {small}"),
                    format!("at most {large_key}, which is {large}"),
                );
            }
        }
    }

    fn window(&mut self) {
        let (window, concurrency) = (self.config.window, self.config.function.concurrency);
        if window.events < concurrency && self.are_read(&["window.events", "function.concurrency"]) {
            let key = self.given(["window.events", "function.concurrency"]);
            let found = format!("a window of {} events", window.events);
            self.wrong(key, found, format!("at least function.concurrency, which is {concurrency}"));
        }
        let (bytes, overflow) = ("window.bytes", "journal.overflow_bytes_max");
        let overflows = self.config.targets.iter().any(|target| target.overflows_at.is_some());
        let (room, held) = (self.config.journal.overflow_bytes_max, window.bytes as u64);
        if overflows && room < held && self.are_read(&[bytes, overflow, "targets"]) {
            let key = self.given([overflow, bytes]);
            let found = format!("room for copies of {}", self.written(overflow, size_text(room)));
            let held = self.written(bytes, size_text(held));
            self.wrong(
                key,
                found,
                format!("at least {bytes}, which is {held}, as one event may be as large"),
            );
        }
        let Some(largest) = self.config.ingress.http.as_ref().map(|http| http.decompressed_bytes_max) else {
            return;
        };
        let (bytes, decompressed) = ("window.bytes", "ingress.http.decompressed_bytes_max");
        if window.bytes < largest && self.are_read(&[bytes, decompressed]) {
            let key = self.given([bytes, decompressed]);
            let found = format!("a window of {}", self.written(bytes, size_text(window.bytes as u64)));
            let largest = self.written(decompressed, size_text(largest as u64));
            self.wrong(key, found, format!("at least {decompressed}, which is {largest}"));
        }
    }

    fn addresses(&mut self) {
        let http = self.config.ingress.http.as_ref().map(|http| http.listen);
        if let (Some(http), Some(admin)) = (http, self.config.admin.listen)
            && http.port() != 0
            && http == admin
            && self.are_read(&["admin.listen", "ingress.http.listen"])
        {
            let key = self.given(["admin.listen", "ingress.http.listen"]);
            self.wrong(key, format!("{http} for both ingress and admin"), "two addresses");
        }
        let same = self.config.journal.path == self.config.admin.socket;
        if same && self.are_read(&["admin.socket", "journal.path"]) {
            let key = self.given(["admin.socket", "journal.path"]);
            let found = format!(
                "{} for both the journal and the socket",
                quoted(&self.config.journal.path.to_string_lossy())
            );
            self.wrong(key, found, "two paths");
        }
    }

    fn ephemeral(&mut self) {
        let refuses = self.config.journal.storage == Storage::Ephemeral && !self.config.journal.accept_loss;
        let key = "ingress.http.sync";
        let says_no = self.raw.get(key).and_then(super::raw::Node::text).is_some_and(|text| text == "false");
        if refuses && says_no && self.are_read(&["journal"]) {
            self.wrong(
                key,
                "false on a journal whose storage is ephemeral",
                "true or auto, as an accepted event would be lost with the pod; or journal.storage: durable where \
                 the file outlives it; or journal.ephemeral: accept-loss",
            );
        }
        let kept = "journal.keep.settled";
        if refuses && self.config.journal.keep_settled && self.are_read(&["journal"]) {
            self.wrong(
                kept,
                "true on a journal whose storage is ephemeral, which is not opened",
                "false; or journal.storage: durable where the file outlives the pod; or journal.ephemeral: accept-loss",
            );
        }
    }

    fn http(&mut self, http: &Http) {
        let (decompressed, body) = ("ingress.http.decompressed_bytes_max", "ingress.http.body_bytes_max");
        if http.decompressed_bytes_max < http.body_bytes_max && self.are_read(&[decompressed, body]) {
            let key = self.given([decompressed, body]);
            let found = self.written(decompressed, size_text(http.decompressed_bytes_max as u64));
            let largest = self.written(body, size_text(http.body_bytes_max as u64));
            self.wrong(
                key,
                format!("{decompressed} {found}"),
                format!("at least {body}, which is {largest}"),
            );
        }
        super::auth_rules::check(self, "ingress.http", http.listen, http.tls.as_ref(), &http.auth);
    }

    fn function(&mut self, purpose: Purpose) {
        let key = "function.url";
        if !self.are_read(&[key]) {
            return;
        }
        let Some(url) = &self.config.function.url else {
            if purpose == Purpose::Call {
                let expected = "the function's URL here or by --url, or a COMMAND after `--` that starts it";
                self.wrong(key, "no function", expected);
            }
            return;
        };
        let host = url.host().unwrap_or_default();
        let local = is_local(url);
        let port = super::port_of(url);
        let http = self.config.ingress.http.as_ref().map(|http| http.listen.port());
        let admin = self.config.admin.listen.map(|listen| listen.port());
        let proxy = self.config.proxy.as_ref().map(|proxy| proxy.listen.port());
        let ports_read = self.are_read(&["ingress.http.listen", "admin.listen", "proxy.listen"]);
        if local && ports_read && [http, admin, proxy].contains(&Some(port)) {
            self.wrong(key, format!("outrigger's own port {port}"), "the port that the function listens on");
        }
        if purpose == Purpose::Start && !local {
            let expected = "a URL on 127.0.0.1, as the COMMAND runs on this machine; or no COMMAND";
            self.wrong(key, quoted(host), expected);
        }
        let other = self.config.function.port.filter(|other| *other != port);
        if let (Purpose::Start, Some(other)) = (purpose, other) {
            let expected = format!("the port of function.url, which is {port}; or only one of the two");
            self.wrong("function.port", other.to_string(), expected);
        }
    }
}

/// What a mistake leaves unread: its key, and the one that was probably meant by it.
fn meant(problem: &Problem) -> impl Iterator<Item = String> {
    let beside = |name: &String| match problem.key.rsplit_once('.') {
        Some((section, _)) if !name.contains('.') => format!("{section}.{name}"),
        _ => name.clone(),
    };
    [problem.key.clone()].into_iter().chain(problem.nearest.as_ref().map(beside))
}

/// Whether it leads to this machine: what is sent there passes nobody.
pub(super) fn is_local(url: &http::Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(is_loopback)
}

pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
