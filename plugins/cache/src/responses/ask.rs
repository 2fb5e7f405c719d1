//! What a request asks of the cache: which answer may serve it, and how fresh it must be. Pure.

use super::{
    directives::{Directives, Word, members},
    range::Range,
    settings::{Settings, Tenant},
};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request,
    header::{
        AUTHORIZATION, CACHE_CONTROL, COOKIE, FORWARDED, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
        IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA, RANGE, UPGRADE,
    },
};
use outrigger_core::Caller;

/// What the names of headers begin with in which proxies tell how a request came to them.
const X_FORWARDED: &str = "x-forwarded-";

/// A request that an answer that is kept may serve.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Host, path and query, what proxies say of how it came, and whose it is; in this order, a line each (the last may have
    /// more).
    pub(super) key: String,
    /// Only the head is wanted.
    pub(super) head: bool,
    pub(super) said: Directives,
    /// Somebody says who they are: only what is marked public may serve them, or be kept of what they get.
    pub(super) credentials: bool,
    /// A part is wanted.
    pub(super) range: Option<Range>,
    /// The client has an answer already.
    pub(super) conditional: bool,
}

/// How the names of headers begin in which whoever ends TLS tells the client's certificate (RFC 9440, section 4, and what
/// nginx and others write).
const CERTIFICATE: [&str; 4] = ["client-cert", "x-client-cert", "ssl-client-", "x-ssl-client-"];

/// What is to become of a request.
#[derive(Debug)]
pub(super) enum Ask {
    /// It goes to the function, and its answer back, without a look at it.
    Past(&'static str),
    /// The same, but the function must not be asked.
    Lacks,
    /// An answer that is kept may serve it.
    Look(Asked),
}

/// Reads a request without a body.
pub(super) fn ask<B>(settings: &Settings, request: &Request<B>) -> Ask {
    let said = said(settings, request.headers());
    match asked(settings, request, said) {
        Ok(asked) => Ask::Look(asked),
        Err(_) if said.says(Word::OnlyIfCached) => Ask::Lacks,
        Err(why) => Ask::Past(why),
    }
}

fn asked<B>(settings: &Settings, request: &Request<B>, said: Directives) -> Result<Asked, &'static str> {
    let headers = request.headers();
    let head = match *request.method() {
        Method::GET => false,
        Method::HEAD => true,
        _ => return Err("method"),
    };
    if [IF_MATCH, IF_UNMODIFIED_SINCE, IF_RANGE, UPGRADE].iter().any(|name| headers.contains_key(name)) {
        return Err("condition");
    }
    if said.says(Word::NoStore) {
        return Err("no-store");
    }
    let mut ranges = headers.get_all(RANGE).iter();
    let range = match (ranges.next().map(|range| Range::read(range.as_bytes())), ranges.next()) {
        (Some(None), _) | (_, Some(_)) => return Err("range"),
        (range, None) => range.flatten(),
    };
    let key = key(settings, request).ok_or("tenant")?;
    Ok(Asked {
        key,
        head,
        said,
        credentials: has_credentials(settings, headers, request.extensions()),
        range,
        conditional: headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE),
    })
}

/// What the client says of how fresh the answer must be.
fn said(settings: &Settings, headers: &HeaderMap) -> Directives {
    if !settings.heeds_clients {
        return Directives::default();
    }
    if headers.contains_key(CACHE_CONTROL) {
        return Directives::read(headers.get_all(CACHE_CONTROL));
    }
    let mut said = Directives::default();
    let mut old = headers.get_all(PRAGMA).iter().flat_map(|line| members(line.as_bytes()));
    if old.any(|member| member.eq_ignore_ascii_case(b"no-cache")) {
        said.say(Word::NoCache);
    }
    said
}

fn has_credentials(settings: &Settings, headers: &HeaderMap, extensions: &Extensions) -> bool {
    headers.contains_key(AUTHORIZATION)
        || (settings.cookies_are_credentials && headers.contains_key(COOKIE))
        || extensions.get::<Caller>().is_some()
        || headers.iter().any(is_certificate)
}

/// Not where a proxy says that the client showed none (nginx' `$ssl_client_verify`), or says nothing.
fn is_certificate((name, value): (&HeaderName, &HeaderValue)) -> bool {
    let may_be = matches!(name.as_str().as_bytes().first(), Some(b'c' | b's' | b'x'));
    let is_shown = || !value.is_empty() && value != "NONE";
    may_be && is_shown() && CERTIFICATE.iter().any(|start| after_like(name.as_str(), start).is_some())
}

/// The key of a request; none where nobody can tell whose the answer would be.
///
/// Neither a host nor a path has a line's end in it, and what follows them is the tenant's to its end, so that no two keys
/// of different parts are the same. What a proxy before us says of host and scheme belongs to it: functions write them into
/// their answers, and whoever may say it could otherwise have links of their own served to all.
pub(super) fn key<B>(settings: &Settings, request: &Request<B>) -> Option<String> {
    let headers = request.headers();
    let tenant: &[u8] = match &settings.tenant {
        Tenant::Host => b"",
        Tenant::Subject => request.extensions().get::<Caller>()?.key.as_bytes(),
        Tenant::Header(name) => {
            let mut values = headers.get_all(name).iter();
            let value = values.next()?.as_bytes();
            if values.next().is_some() || value.is_empty() {
                return None; // which of them would it be
            }
            value
        }
    };
    let host = headers.get(HOST)?.to_str().ok()?;
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut key = String::with_capacity(host.len() + path.len() + tenant.len() + 16);
    key.push_str(host);
    key.make_ascii_lowercase();
    key.push('\n');
    key.push_str(path);
    key.push('\n');
    forwarded(headers, &mut key)?;
    key.push('\n');
    key.push_str(std::str::from_utf8(tenant).ok()?);
    Some(key)
}

/// What is said of how the request came to us, but for whom it is from. `None` where it is no text.
fn forwarded(headers: &HeaderMap, key: &mut String) -> Option<()> {
    let is_said = |name: &HeaderName| {
        let rest = after_like(name.as_str(), X_FORWARDED);
        rest.is_some_and(|rest| rest != "for")
    };
    let mut said: Vec<_> = headers.iter().filter(|(name, _)| is_said(name)).collect();
    said.sort_by_key(|(name, _)| name.as_str()); // of one name they stay in their order
    for (name, value) in said {
        write_pair(key, name.as_str(), value.as_bytes())?;
    }
    for element in headers.get_all(FORWARDED).iter().flat_map(|line| members(line.as_bytes())) {
        for pair in element.split(|&byte| byte == b';').filter(|pair| !is_of_a_client(pair)) {
            write_pair(key, "forwarded", pair.trim_ascii())?;
        }
    }
    Some(())
}

/// What is behind `start`; some read `_` as `-`.
fn after_like<'a>(name: &'a str, start: &str) -> Option<&'a str> {
    let (begin, rest) = name.split_at_checked(start.len())?;
    let is_like = begin.bytes().map(|byte| if byte == b'_' { b'-' } else { byte }).eq(start.bytes());
    is_like.then_some(rest)
}

/// Neither a name nor a value of a header has the byte behind it.
fn write_pair(key: &mut String, name: &str, value: &[u8]) -> Option<()> {
    key.push_str(name);
    key.push(' ');
    key.push_str(std::str::from_utf8(value).ok()?);
    key.push('\u{1f}');
    Some(())
}

/// Whether a pair of `Forwarded` only names who sent the request, or who took it: each client would have a key of its own.
/// One that is written in a way of its own is not one, as somebody may read more out of it.
fn is_of_a_client(pair: &[u8]) -> bool {
    let Some(at) = pair.iter().position(|&byte| byte == b'=') else { return false };
    let (name, node) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
    let is_node = node.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"._-:[]\"".contains(&byte));
    is_node && [&b"for"[..], b"by"].iter().any(|who| name.eq_ignore_ascii_case(who))
}

/// The key of another URL of the same host and tenant.
pub(super) fn beside(key: &str, path: &str) -> Option<String> {
    let (host, rest) = key.split_once('\n')?;
    let (_, tenant) = rest.split_once('\n')?;
    Some(format!("{host}\n{path}\n{tenant}"))
}

/// The host, path and query of a key: its URL, however requests for it come and whosever they are.
fn url(key: &str) -> &str {
    let end = key.match_indices('\n').nth(1).map_or(key.len(), |(at, _)| at);
    &key[..end]
}

/// What proxies say of how the requests of a key come.
pub(super) fn way(key: &str) -> &str {
    key.split('\n').nth(2).unwrap_or_default()
}

/// The key of the same URL and tenant for requests that come another way.
pub(super) fn by(key: &str, way: &str) -> String {
    let tenant = key.splitn(4, '\n').nth(3).unwrap_or_default();
    format!("{}\n{way}\n{tenant}", url(key))
}

/// The path and query of a key.
pub(super) fn path(key: &str) -> &str {
    key.split('\n').nth(1).unwrap_or_default()
}

/// The host of a key.
pub(super) fn host(key: &str) -> &str {
    key.split('\n').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::tests::settings;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/a?b").header("host", "Example.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn looked(settings: &Settings, headers: &[(&str, &str)]) -> Asked {
        match ask(settings, &request(headers)) {
            Ask::Look(asked) => asked,
            past => panic!("{past:?}"),
        }
    }

    #[test]
    fn the_key_is_of_host_path_and_query_and_of_what_a_proxy_says_of_them() {
        let plain = looked(&settings(), &[]);
        assert_eq!(plain.key, "example.test\n/a?b\n\n");
        assert_eq!((host(&plain.key), path(&plain.key)), ("example.test", "/a?b"));
        assert_eq!(beside(&plain.key, "/c").unwrap(), "example.test\n/c\n\n");
        let key = "h\n/p\nx-forwarded-host a\u{1f}\noidc\niss\nsub";
        assert_eq!((url(key), way(key)), ("h\n/p", "x-forwarded-host a\u{1f}"));
        assert_eq!((by(key, way(key)), by(key, "")), (key.to_owned(), "h\n/p\n\noidc\niss\nsub".to_owned()));
        for header in [
            ("x-forwarded-host", "evil.test"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "81"),
            ("x_forwarded_host", "evil.test"),
            ("x-forwarded-prefix", "/evil"),
            ("forwarded", "for=a; Host=evil.test"),
            ("forwarded", "host = evil.test"),
            ("forwarded", "for=\"a;host=evil.test\""),
            ("forwarded", "for=a host=evil.test"),
            ("forwarded", "evil.test"),
        ] {
            assert_ne!(looked(&settings(), &[header]).key, plain.key, "{header:?}");
        }
        let of = |client| looked(&settings(), &[("forwarded", client)]).key;
        assert_eq!(of("for=192.0.2.1;proto=http"), of("for=192.0.2.2;proto=http"), "not of each client");
        assert_eq!(of("for=192.0.2.1;by=\"[::1]:80\""), plain.key);
        let hosts =
            |second| looked(&settings(), &[("x-forwarded-host", "a.test"), ("x-forwarded-host", second)]).key;
        assert_ne!(hosts("b.test"), hosts("c.test"), "the function reads both");
        assert_eq!(looked(&settings(), &[("x-forwarded-for", "192.0.2.1")]).key, plain.key);
    }

    #[test]
    fn what_is_nobodys_is_not_looked_for() {
        let by_header =
            Settings { tenant: Tenant::Header(HeaderName::from_static("x-tenant")), ..settings() };
        assert!(looked(&by_header, &[("x-tenant", "one")]).key.ends_with("\none"));
        for headers in [&[][..], &[("x-tenant", "one"), ("x-tenant", "two")], &[("x-tenant", "")]] {
            assert!(matches!(ask(&by_header, &request(headers)), Ask::Past("tenant")), "{headers:?}");
        }
        let by_subject = Settings { tenant: Tenant::Subject, ..settings() };
        assert!(matches!(ask(&by_subject, &request(&[])), Ask::Past("tenant")));
        let mut known = request(&[]);
        known.extensions_mut().insert(Caller { key: "oidc\nissuer\nsub".into() });
        let Ask::Look(asked) = ask(&by_subject, &known) else { panic!("it is somebody's") };
        assert!(asked.key.ends_with("\noidc\nissuer\nsub") && asked.credentials);
    }

    #[test]
    fn who_says_who_they_are_has_credentials() {
        let certificates =
            ["client-cert", "client-cert-chain", "x-ssl-client-cert", "ssl_client_s_dn", "x-client-cert"];
        for header in [("authorization", "Bearer x"), ("cookie", "a=b")]
            .into_iter()
            .chain(certificates.map(|it| (it, "x")))
        {
            assert!(looked(&settings(), &[header]).credentials, "{header:?}");
        }
        for none in [("x-ssl-client-verify", "NONE"), ("x-ssl-client-cert", "")] {
            assert!(!looked(&settings(), &[none]).credentials, "{none:?}");
        }
        let ignored = Settings { cookies_are_credentials: false, ..settings() };
        assert!(!looked(&ignored, &[("cookie", "a=b")]).credentials);
    }

    #[test]
    fn what_asks_for_something_else_than_an_answer_goes_past() {
        for header in [
            ("if-match", "\"a\""),
            ("if-range", "\"a\""),
            ("range", "bytes=0-1,5-6"),
            ("cache-control", "no-store"),
        ] {
            assert!(matches!(ask(&settings(), &request(&[header])), Ask::Past(_)), "{header:?}");
            let only = ("cache-control", "only-if-cached");
            assert!(matches!(ask(&settings(), &request(&[header, only])), Ask::Lacks), "{header:?}");
        }
    }
}
