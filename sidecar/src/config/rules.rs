//! What two settings may not say together. Each rule names the setting to change and what to change it to.

use std::net::IpAddr;

use super::{
    Purpose,
    checked::{Config, Http, Storage},
    problems::{Problem, Problems, quoted},
    raw::Raw,
    units::{duration_text, size_text},
};

/// Checks every rule. `purpose` says whether a function must be known.
pub(crate) fn check(config: &Config, raw: &Raw, purpose: Purpose, problems: &mut Problems) {
    let mut rules = Rules { config, raw, problems };
    rules.in_order();
    rules.window();
    rules.addresses();
    rules.ephemeral();
    if let Some(http) = &config.ingress.http {
        rules.http(http);
    }
    rules.function(purpose);
}

struct Rules<'a> {
    config: &'a Config,
    raw: &'a Raw,
    problems: &'a mut Problems,
}

impl Rules<'_> {
    fn wrong(&mut self, key: &str, found: impl Into<String>, expected: impl Into<String>) {
        self.problems.push(Problem::new(self.raw.place(key), key, found, expected));
    }

    /// The place of a contradiction is the key that the file names; a default is nobody's mistake.
    fn given<'k>(&self, keys: [&'k str; 2]) -> &'k str {
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
            if small > large {
                let key = self.given([small_key, large_key]);
                let (small, large) = (duration_text(small), duration_text(large));
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
        if window.events < concurrency {
            let key = self.given(["window.events", "function.concurrency"]);
            let found = format!("a window of {} events", window.events);
            self.wrong(key, found, format!("at least function.concurrency, which is {concurrency}"));
        }
        let Some(largest) = self.config.ingress.http.as_ref().map(|http| http.decompressed_bytes_max) else {
            return;
        };
        if window.bytes < largest {
            let key = self.given(["window.bytes", "ingress.http.decompressed_bytes_max"]);
            let found = format!("a window of {}", size_text(window.bytes as u64));
            let largest = size_text(largest as u64);
            self.wrong(
                key,
                found,
                format!("at least ingress.http.decompressed_bytes_max, which is {largest}"),
            );
        }
    }

    fn addresses(&mut self) {
        let http = self.config.ingress.http.as_ref().map(|http| http.listen);
        if let (Some(http), Some(admin)) = (http, self.config.admin.listen)
            && http.port() != 0
            && http == admin
        {
            let key = self.given(["admin.listen", "ingress.http.listen"]);
            self.wrong(key, format!("{http} for both ingress and admin"), "two addresses");
        }
        if self.config.journal.path == self.config.admin.socket {
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
        if refuses && says_no {
            self.wrong(
                key,
                "false on a journal whose storage is ephemeral",
                "true or auto, as an accepted event would be lost with the pod; or journal.storage: durable where \
                 the file outlives it; or journal.ephemeral: accept-loss",
            );
        }
    }

    fn http(&mut self, http: &Http) {
        if http.decompressed_bytes_max < http.body_bytes_max {
            let (decompressed, body) = ("ingress.http.decompressed_bytes_max", "ingress.http.body_bytes_max");
            let key = self.given([decompressed, body]);
            let found = format!("{decompressed} {}", size_text(http.decompressed_bytes_max as u64));
            self.wrong(
                key,
                found,
                format!("at least {body}, which is {}", size_text(http.body_bytes_max as u64)),
            );
        }
        if !is_loopback(http.listen.ip()) && self.raw.get("ingress.http.auth").is_none() {
            self.wrong(
                "ingress.http.listen",
                format!("{} without auth", http.listen),
                "ingress.http.auth: {bearer_file: PATH}, as others can connect to this address; or auth: none to \
                 let anyone send",
            );
        }
    }

    fn function(&mut self, purpose: Purpose) {
        let key = "function.url";
        let Some(url) = &self.config.function.url else {
            if purpose == Purpose::Call {
                let expected = "the function's URL here or by --url, or a COMMAND after `--` that starts it";
                self.wrong(key, "no function", expected);
            }
            return;
        };
        let host = url.host().unwrap_or_default();
        let local = host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(is_loopback);
        let port = url.port_u16().unwrap_or(80);
        let http = self.config.ingress.http.as_ref().map(|http| http.listen.port());
        let admin = self.config.admin.listen.map(|listen| listen.port());
        if local && [http, admin].contains(&Some(port)) {
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

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
