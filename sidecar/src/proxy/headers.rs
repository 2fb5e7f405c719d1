//! What of a request's and an answer's headers is meant for the next hop only, and what tells who asked.

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE,
        FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
        UPGRADE,
    },
};
use outrigger_net::server::Remote;
use std::net::IpAddr;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// How the names of headers begin by which a function may tell who asked: those of proxies, of whoever checks users
/// before it, and of certificates (RFC 9440, section 4, and what nginx and others write). A client's own are lies until
/// somebody vouches for them.
const WHO_ASKED: [&[u8]; 7] = [
    b"x-forwarded",
    b"forwarded",
    b"x-real-ip",
    b"client-cert",
    b"x-client-cert",
    b"ssl-client-",
    b"x-ssl-client-",
];

/// Fields that must not come behind a body, where nobody looks for them before it is used (RFC 9110, section 6.5.1).
const NOT_BEHIND: [HeaderName; 9] = [
    AUTHORIZATION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    HOST,
    SET_COOKIE,
    TRAILER,
];

/// Whether a function may tell by it who asked. An underscore counts as a hyphen, since many hand headers on as variables,
/// where both are the same.
fn tells_who_asked(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let begins = |start: &[u8]| {
        name.len() >= start.len() && start.iter().zip(name).all(|(a, b)| a == b || (*a == b'-' && *b == b'_'))
    };
    matches!(name.first(), Some(b'c' | b'f' | b's' | b'x')) && WHO_ASKED.iter().any(|start| begins(start))
}

/// Takes out of trailers what has no place there.
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    let odd = |name: &&HeaderName| NOT_BEHIND.contains(name) || is_of_the_hop(name) || tells_who_asked(name);
    let odd: Vec<HeaderName> = trailers.keys().filter(odd).cloned().collect();
    for name in odd {
        trailers.remove(name);
    }
}

/// Makes an answer say once how long it is: what is chunked has no other length (RFC 9112, section 6.3), and what has no
/// content has none at all (RFC 9110, section 8.6).
pub(super) fn settle_length(status: StatusCode, headers: &mut HeaderMap) {
    if status == StatusCode::NO_CONTENT || headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Takes out what belongs to one connection (RFC 9110, section 7.6.1), also what `Connection` names. `TE: trailers`
/// stays: our own client and server pass trailers on.
pub(super) fn strip(headers: &mut HeaderMap) {
    if !headers.keys().any(is_of_the_hop) {
        return; // most have none
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // Whose place in the message is fixed cannot be named away.
        .filter(|name| ![HOST, CONTENT_LENGTH, TE].contains(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
    let trailers = headers.get_all(TE).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, TRAILERS);
    }
}

/// Puts the cookies into one line, as a client of HTTP/2 may send each in a field of its own (RFC 9113, section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

fn is_of_the_hop(name: &HeaderName) -> bool {
    [CONNECTION, TRANSFER_ENCODING, TE, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION].contains(name)
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

/// Why a request cannot be told from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ambiguous {
    /// No `Host` where HTTP/1.1 asks for one.
    NoHost,
    /// Several.
    Hosts,
    /// One that is no host.
    BadHost,
}

impl Ambiguous {
    pub(super) fn why(self) -> &'static str {
        match self {
            Ambiguous::NoHost => "the request has no Host",
            Ambiguous::Hosts => "the request has more than one Host",
            Ambiguous::BadHost => "the request's Host is no host",
        }
    }
}

/// Looks that `Host` names one host, or none where that is allowed.
pub(super) fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Ambiguous> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Ambiguous::Hosts),
        (Some(host), None) if !host.as_bytes().iter().copied().all(may_be_in_a_host) => {
            Err(Ambiguous::BadHost)
        }
        (None, None) if version == Version::HTTP_11 => Err(Ambiguous::NoHost),
        _ => Ok(()),
    }
}

/// The target's own host goes before the header's (RFC 9112, section 3.2.2), and is taken out of the target.
pub(super) fn settle_host(uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), Ambiguous> {
    let Some(authority) = uri.authority() else { return Ok(()) };
    if authority.as_str().contains('@') {
        return Err(Ambiguous::BadHost);
    }
    headers.insert(HOST, HeaderValue::from_str(authority.as_str()).map_err(|_| Ambiguous::BadHost)?);
    let path = uri.path_and_query().cloned();
    *uri = path.map(Uri::from).unwrap_or_default();
    Ok(())
}

/// A list or a user in a host would be read by one as this host and by another as that.
fn may_be_in_a_host(byte: u8) -> bool {
    const MAY: [bool; 256] = {
        let (mut may, mut byte) = ([false; 256], 0_u8);
        while byte < 0x7f {
            may[byte as usize] = byte.is_ascii_alphanumeric() || is_in(b"-._~!$&'()*+;=:[]%", byte);
            byte += 1;
        }
        may
    };
    MAY[usize::from(byte)]
}

const fn is_in(mut bytes: &[u8], byte: u8) -> bool {
    while let Some((first, rest)) = bytes.split_first() {
        if *first == byte {
            return true;
        }
        bytes = rest;
    }
    false
}

/// What the function is told about who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) x_forwarded: bool,
    pub(super) forwarded: bool,
    /// Whether what the client says of it passes.
    pub(super) trusts: bool,
}

/// A connection's client, written once for all of its requests.
#[derive(Debug, Clone)]
pub(super) struct WhoAsks {
    address: HeaderValue,
    node: String,
    scheme: &'static str,
}

impl WhoAsks {
    pub(super) fn of(remote: Remote) -> Self {
        let ip = remote.address.map(|address| address.ip().to_canonical());
        let node = match ip {
            Some(IpAddr::V4(ip)) => ip.to_string(),
            Some(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
            None => "unknown".to_owned(),
        };
        let address = ip.and_then(|ip| HeaderValue::try_from(ip.to_string()).ok());
        let scheme = if remote.tls { "https" } else { "http" };
        Self { address: address.unwrap_or(HeaderValue::from_static("unknown")), node, scheme }
    }

    /// Takes out what is not vouched for, and says what is to be said.
    pub(super) fn tell(&self, telling: Telling, headers: &mut HeaderMap) {
        if !telling.trusts && headers.keys().any(tells_who_asked) {
            let lies: Vec<HeaderName> =
                headers.keys().filter(|name| tells_who_asked(name)).cloned().collect();
            for name in lies {
                headers.remove(name);
            }
        }
        if telling.x_forwarded {
            headers.append(X_FORWARDED_FOR, self.address.clone());
            if let (false, Some(host)) = (headers.contains_key(X_FORWARDED_HOST), headers.get(HOST).cloned())
            {
                headers.insert(X_FORWARDED_HOST, host);
            }
            if !headers.contains_key(X_FORWARDED_PROTO) {
                headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(self.scheme));
            }
        }
        if telling.forwarded {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            let element = format!("for={};host=\"{host}\";proto={}", self.node, self.scheme);
            if let Ok(element) = HeaderValue::try_from(element) {
                headers.append(FORWARDED, element);
            }
        }
    }
}

#[cfg(test)]
mod tests;
