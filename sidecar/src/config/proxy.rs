//! The proxy's settings as the program uses them, and the reader of its rules.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use super::{
    auth::Auth,
    build::Values,
    kind::{ENTRIES_MAX, Kind, Value},
    problems::{Problem, quoted},
    raw::{Node, Shape, printable},
    rules::Rules,
};

/// Requests that pass through to the function.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may enter.
    pub auth: Auth,
    /// TLS; none speaks without.
    pub tls: Option<super::ListenerTls>,
    /// Where requests go; what fits none goes to the function.
    pub routes: Vec<Route>,
    /// Whether `X-Forwarded-*` is set.
    pub x_forwarded: bool,
    /// Whether `Forwarded` is set.
    pub forwarded: bool,
    /// Whether a client's own such headers pass.
    pub trusts_forwarded: bool,
    /// How long a request waits for the function.
    pub wait: Duration,
    /// The most that wait.
    pub waiting_max: usize,
    /// From a request's head to its answer's, however steadily its body comes.
    pub upload_timeout: Duration,
    /// The longest rest within an answer or an upgraded connection.
    pub stream_idle_timeout: Duration,
    /// The most upgraded connections.
    pub upgrades_max: usize,
    /// The most headers.
    pub headers_max: usize,
    /// The most bytes of headers.
    pub header_bytes_max: usize,
    /// The most connections.
    pub connections_max: usize,
    /// Bound of a request's headers.
    pub header_timeout: Duration,
    /// Bound of the rest between two requests.
    pub idle_timeout: Duration,
}

/// Where requests of one path or of all below it go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method; none is any.
    pub method: Option<String>,
    /// The path, with a `*` at its end for all that begin so.
    pub path: String,
    /// Where they go.
    pub to: To,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// To the function, as it is.
    Function,
    /// Into the ingress, as an event.
    Ingress,
    /// Nowhere: 404.
    Refuse,
}

/// Where a rule may send a request.
pub(super) const PLACES: &[&str] = &["function", "ingress", "refuse"];
const A_RULE: &str = "a path, or a method and a path, such as /admin/* or POST /events";

/// Reads the rules.
pub(super) fn routes(key: &str, node: &Node) -> Result<Value, Vec<Problem>> {
    let entries = match &node.shape {
        Shape::Map(entries) if entries.len() <= ENTRIES_MAX => entries.as_slice(),
        Shape::Null => &[],
        _ => return Err(vec![Problem::new(node.place, key, node.found(), Kind::Routes.expected())]),
    };
    let (mut good, mut bad) = (BTreeMap::new(), Vec::new());
    for (rule, place) in entries {
        let at = format!("{key}.{}", printable(&rule.name));
        if !is_rule(&rule.name) {
            bad.push(Problem::new(rule.place, &at, quoted(&rule.name), A_RULE));
            continue;
        }
        match Kind::Word(PLACES).read(&at, place) {
            Ok(Value::Word(word)) if good.insert(rule.name.clone(), word).is_none() => {}
            Ok(_) => bad.push(Problem::new(rule.place, &at, "the same rule twice", "each rule once")),
            Err(problems) => bad.extend(problems),
        }
    }
    if bad.is_empty() { Ok(Value::Routes(good)) } else { Err(bad) }
}

/// A path as a request has it that is compared with rules: nothing in it can be written in another way.
fn is_rule(text: &str) -> bool {
    let (method, path) = text.split_once(' ').map_or((None, text), |(method, path)| (Some(method), path));
    let plain = path.strip_suffix('*').unwrap_or(path);
    let is_segment = |segment: &str| {
        segment != "."
            && segment != ".."
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,=:@".contains(&byte))
    };
    method.is_none_or(|method| !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()))
        && path.strip_suffix('*').is_none_or(|before| before.ends_with('/'))
        && plain.starts_with('/')
        && !plain.contains("//")
        && plain.split('/').all(is_segment)
}

impl Values {
    pub(super) fn proxy(&self) -> Option<Proxy> {
        let word = self.word("proxy.forwarded");
        let route = |(rule, word): (String, &'static str)| {
            let (method, path) = rule.split_once(' ').map_or((None, &*rule), |(m, path)| (Some(m), path));
            let to = match word {
                "ingress" => To::Ingress,
                "refuse" => To::Refuse,
                _ => To::Function,
            };
            Route { method: method.map(str::to_owned), path: path.to_owned(), to }
        };
        Some(Proxy {
            listen: self.listen("proxy.listen")?,
            auth: self.auth("proxy"),
            tls: self.listener_tls("proxy.tls"),
            routes: self.routes("proxy.routes").into_iter().map(route).collect(),
            x_forwarded: word == "x-forwarded" || word == "both",
            forwarded: word == "forwarded" || word == "both",
            trusts_forwarded: self.word("proxy.forwarded_from") == "anyone",
            wait: self.span("proxy.wait"),
            waiting_max: self.count("proxy.waiting_max"),
            upload_timeout: self.span("proxy.upload_timeout"),
            stream_idle_timeout: self.span("proxy.stream_idle_timeout"),
            upgrades_max: self.count("proxy.upgrades_max"),
            headers_max: self.count("proxy.headers_max"),
            header_bytes_max: self.size("proxy.header_bytes_max"),
            connections_max: self.count("proxy.connections_max"),
            header_timeout: self.span("proxy.header_timeout"),
            idle_timeout: self.span("proxy.idle_timeout"),
        })
    }
}

/// What the proxy's settings may not say together with others.
pub(super) fn check(rules: &mut Rules<'_>) {
    let Some(proxy) = &rules.config.proxy else { return };
    super::auth_rules::check(rules, "proxy", proxy.listen, proxy.tls.as_ref(), &proxy.auth);
    super::auth_rules::without_events(rules, "proxy");
    let signed = "proxy.auth.hmac.secret_file";
    if proxy.auth.hmac.is_some() && rules.are_read(&[signed]) {
        rules.wrong(
            signed,
            "signed bodies at the proxy, which passes them through unread",
            "another way in; or a rule in proxy.routes to the ingress, and ingress.http.auth.hmac",
        );
    }
    let http = rules.config.ingress.http.as_ref().map(|http| http.listen);
    for (other, key) in [(http, "ingress.http.listen"), (rules.config.admin.listen, "admin.listen")] {
        let same = proxy.listen.port() != 0 && other == Some(proxy.listen);
        if same && rules.are_read(&["proxy.listen", key]) {
            let at = rules.given(["proxy.listen", key]);
            rules.wrong(at, format!("{} for both {key} and proxy.listen", proxy.listen), "two addresses");
        }
    }
    let to_ingress = proxy.routes.iter().any(|route| route.to == To::Ingress);
    if to_ingress && http.is_none() && rules.are_read(&["proxy.routes", "ingress.http"]) {
        rules.wrong("proxy.routes", "a rule to an ingress that is off", "an address at ingress.http.listen");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_path_that_can_be_written_in_one_way_only() {
        for good in ["/", "/*", "POST /events", "/a/b.c/*", "DELETE /a"] {
            assert!(is_rule(good), "{good}");
        }
        for bad in
            ["", "events", "post /a", "/a*", "/a*/b", "//a", "/a/../b", "/%61", "/a?b", " /a", "/a;b", "*"]
        {
            assert!(!is_rule(bad), "{bad}");
        }
    }
}
