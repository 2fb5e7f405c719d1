//! Where a request goes by its method and path. Pure.

use crate::config::{Route, To};
use http::Method;

/// The rules, the one that counts first: longer paths before shorter ones, an exact one before one with `*`, one with
/// a method before one without.
#[derive(Debug, Default)]
pub(super) struct Routes(Vec<Route>);

impl Routes {
    pub(super) fn new(mut routes: Vec<Route>) -> Self {
        let weight = |route: &Route| {
            (route.path.trim_end_matches('*').len(), !route.path.ends_with('*'), route.method.is_some())
        };
        routes.sort_by_key(|route| std::cmp::Reverse(weight(route)));
        Self(routes)
    }

    /// Where it goes: to the function where no rule fits. `None` when `path` can be read in more than one way, so
    /// that a rule could be passed by. So can `*`, which is no path and meant for OPTIONS alone (RFC 9112, section 3.2.4).
    pub(super) fn of(&self, method: &Method, path: &str) -> Option<To> {
        if !path.starts_with('/') {
            return (self.0.is_empty() && method == Method::OPTIONS).then_some(To::Function);
        }
        if self.0.is_empty() {
            return Some(To::Function); // the path is the function's business alone
        }
        if !is_plain(path) {
            return None;
        }
        let fits = |route: &&Route| {
            route.method.as_deref().is_none_or(|wanted| wanted == method.as_str())
                && match route.path.strip_suffix('*') {
                    Some(start) => path.starts_with(start),
                    None => path == route.path,
                }
        };
        Some(self.0.iter().find(fits).map_or(To::Function, |route| route.to))
    }
}

/// Whether every reader takes the path for the same one: no dots or slashes that somebody folds, none that are
/// written in another way, no parameters that somebody cuts off.
fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    if path.contains("//") || bytes.iter().any(|byte| matches!(byte, b'\\' | b';')) {
        return false;
    }
    let escaped = |at: usize| {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    let is_odd =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/\\;%".contains(&byte) || byte.is_ascii_control();
    let odd_escape = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .any(|(at, _)| escaped(at).is_none_or(is_odd));
    !odd_escape && !path.split('/').any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(rules: &[(Option<&str>, &str, To)]) -> Routes {
        let route = |&(method, path, to): &(Option<&str>, &str, To)| Route {
            method: method.map(str::to_owned),
            path: path.to_owned(),
            to,
        };
        Routes::new(rules.iter().map(route).collect())
    }

    #[test]
    fn the_longest_path_decides_and_a_method_goes_before_none() {
        let routes = routes(&[
            (None, "/*", To::Refuse),
            (None, "/a", To::Function),
            (Some("POST"), "/a", To::Ingress),
            (None, "/a/*", To::Ingress),
            (None, "/a/b/*", To::Function),
        ]);
        for (method, path, to) in [
            (Method::GET, "/", To::Refuse),
            (Method::GET, "/a", To::Function),
            (Method::POST, "/a", To::Ingress),
            (Method::GET, "/a/c", To::Ingress),
            (Method::GET, "/a/b/c", To::Function),
            (Method::GET, "/A", To::Refuse),
        ] {
            assert_eq!(routes.of(&method, path), Some(to), "{method} {path}");
        }
    }

    #[test]
    fn a_path_that_others_read_in_another_way_passes_by_no_rule() {
        let routes = routes(&[(None, "/admin/*", To::Refuse)]);
        for trick in [
            "//admin/x",
            "/./admin/x",
            "/a/../admin/x",
            "/a/..;/admin/x",
            "/%61dmin/x",
            "/admin%2fx",
            "/a%2e%2e/x",
            "/a\\x",
            "/admin;a=b/x",
            "/%",
            "/%zz",
            "/%2",
            "/a/..",
            "/%00",
            "/%5cadmin",
            "/%25",
        ] {
            assert_eq!(routes.of(&Method::GET, trick), None, "{trick}");
        }
        for plain in ["/", "/a%20b/%C3%A9", "/a..b/.well-known/x", "/a:b@c"] {
            assert_eq!(routes.of(&Method::GET, plain), Some(To::Function), "{plain}");
        }
    }

    #[test]
    fn what_is_no_path_passes_by_no_rule_and_is_for_options_alone() {
        let routes = routes(&[(None, "/*", To::Refuse)]);
        for method in [Method::POST, Method::GET, Method::OPTIONS] {
            assert_eq!(routes.of(&method, "*"), None, "{method}");
        }
        assert_eq!(Routes::default().of(&Method::OPTIONS, "*"), Some(To::Function));
        assert_eq!(Routes::default().of(&Method::POST, "*"), None);
    }

    #[test]
    fn without_rules_a_path_is_the_functions_business() {
        assert_eq!(Routes::default().of(&Method::GET, "//a/../%61"), Some(To::Function));
    }
}
