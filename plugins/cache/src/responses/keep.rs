//! What of an answer is kept, and for how long (RFC 9111, sections 3 and 4.2). Pure.
//!
//! The rules are those of the crate `http-cache-semantics`, which gets what it reads in a form that has one meaning: it
//! looks at the first line of a header, at small letters, and at dates of one kind. What we are stricter about stands
//! before it: nothing that failed, and nothing that somebody with credentials got unless it is public.

use super::{
    ask::Asked,
    directives::{Directives, Word, members, seconds, span},
    page::{Freshness, Kept, selecting},
    settings::Settings,
    told::NAME,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{
        AGE, CACHE_CONTROL, CONTENT_RANGE, DATE, ETAG, EXPIRES, LAST_MODIFIED, PRAGMA, SET_COOKIE, TRAILER,
        VARY,
    },
};
use http_cache_semantics::{CacheOptions, CachePolicy};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What a function says to those before it alone (W3C's Edge Architecture); it goes before `Cache-Control`.
const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");
/// Of the hop to us.
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");

/// Statuses that may be kept where nothing but their last change is known (RFC 9110, section 15.1), and that have no parts
/// and are no failures.
const KNOWN: [u16; 10] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414];
/// Those that are about how one client asked, or how often, and not about what it asked for: the next one would get them in
/// place of the page. 428, 429 and 431 must not be kept (RFC 6585), nor are parts and what has not changed a page.
const OF_THE_ASKING: [u16; 12] = [206, 304, 407, 408, 412, 416, 417, 421, 425, 428, 429, 431];
/// Those that are understood besides, so that `must-understand` does not forbid them.
const UNDERSTOOD: [u16; 3] = [302, 303, 307];

/// An answer's head, and when it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// When the function was asked.
    pub(super) asked: Instant,
    pub(super) at: Instant,
    /// The same by the calendar.
    pub(super) date: SystemTime,
}

/// Whether an answer with this status says nothing of what was asked for.
pub(super) fn is_of_the_asking(status: StatusCode) -> bool {
    status.is_informational() || OF_THE_ASKING.contains(&status.as_u16())
}

/// Whether an answer is kept; without its body as yet.
pub(super) type Verdict = Result<Box<Kept>, &'static str>;

/// Judges an answer to a request with these headers. The error says in one word why it is not kept.
pub(super) fn judge(settings: &Settings, asked: &Asked, request: &HeaderMap, came: Came<'_>) -> Verdict {
    let Came { status, headers, .. } = came;
    if status.is_server_error() {
        return Err("failed");
    }
    if is_of_the_asking(status) {
        return Err("status");
    }
    if asked.range.is_some() && (status != StatusCode::OK || headers.contains_key(CONTENT_RANGE)) {
        return Err("range"); // it may be about the part
    }
    if headers.contains_key(TRAILER) {
        return Err("trailers"); // what is said behind the body is not kept
    }
    let control = Control::of(headers);
    let public = control.said.says(Word::Public);
    if asked.credentials && !public {
        return Err("credentials");
    }
    let vary = vary(headers, request).ok_or("vary")?;
    let fresh = freshness(settings, &control, came)?;
    let cookies = cookies(settings, &control, headers)?;
    let mut kept = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        if *name != AGE && *name != PROXY_AUTHENTICATION_INFO && (cookies || !sets_cookie(name)) {
            kept.append(name, owned(value));
        }
    }
    if !kept.contains_key(DATE)
        && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(came.date))
    {
        kept.insert(DATE, date);
    }
    let tags = settings.tags.iter().flat_map(|name| headers.get_all(name)).flat_map(tags).collect();
    let body = bytes::Bytes::new();
    Ok(Box::new(Kept { status, headers: kept, body, fresh, public, vary, tags }))
}

/// A value with bytes of its own: as it came it is a piece of the connection's buffer, which it would keep whole.
pub(super) fn owned(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

/// The tags of a line; bytes that are no text spoil only the one that has them.
fn tags(line: &HeaderValue) -> impl Iterator<Item = Box<str>> {
    let tags =
        line.as_bytes().split(|byte| matches!(byte, b',' | b' ' | b'\t')).filter(|tag| !tag.is_empty());
    tags.map(|tag| String::from_utf8_lossy(tag).into())
}

/// Whether the cookies that an answer sets are kept with it. They are the session of whoever got it, unless it says that
/// it is public; where it only says how long caches that are shared keep it, it is kept without them.
fn cookies(settings: &Settings, control: &Control, headers: &HeaderMap) -> Result<bool, &'static str> {
    let is_public = control.said.says(Word::Public) || settings.keeps_cookies;
    let is_shared = control.targeted || control.said.shared_max_age.is_some();
    if is_public || is_shared || !headers.keys().any(sets_cookie) { Ok(is_public) } else { Err("cookie") }
}

/// Whether it is a header that gives the client a cookie.
pub(super) fn sets_cookie(name: &HeaderName) -> bool {
    *name == SET_COOKIE || name.as_str() == "set-cookie2"
}

/// What a request must have to be served by it; none where no other can be.
fn vary(headers: &HeaderMap, request: &HeaderMap) -> Option<Vec<(HeaderName, Option<Vec<u8>>)>> {
    let mut vary = Vec::new();
    for name in headers.get_all(VARY).iter().flat_map(|line| members(line.as_bytes())) {
        let name = HeaderName::from_bytes(name).ok().filter(|name| name.as_str() != "*")?;
        if !vary.iter().any(|(other, _)| *other == name) {
            let value = selecting(request, &name);
            vary.push((name, value));
        }
    }
    vary.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    Some(vary)
}

/// What is said of keeping an answer, and by which header.
struct Control {
    said: Directives,
    /// To us alone: then the other headers say nothing.
    targeted: bool,
}

impl Control {
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(SURROGATE_CONTROL).iter();
        let ours = lines.flat_map(|line| members(line.as_bytes())).filter_map(for_us);
        let ours: Vec<_> = ours.filter_map(|member| HeaderValue::from_bytes(member).ok()).collect();
        let targeted = Directives::read(&ours);
        if targeted != Directives::default() {
            return Self { said: targeted, targeted: true };
        }
        let mut said = Directives::read(headers.get_all(CACHE_CONTROL));
        let mut old = headers.get_all(PRAGMA).iter().flat_map(|line| members(line.as_bytes()));
        if !headers.contains_key(CACHE_CONTROL) && old.any(|member| member.eq_ignore_ascii_case(b"no-cache"))
        {
            said.say(Word::NoCache);
        }
        Self { said, targeted: false }
    }
}

/// A directive to surrogates, unless it names another one.
fn for_us(member: &[u8]) -> Option<&[u8]> {
    match member.iter().position(|&byte| byte == b';') {
        None => Some(member),
        Some(at) => (member[at + 1..].trim_ascii() == NAME.as_bytes()).then_some(&member[..at]),
    }
}

fn freshness(settings: &Settings, control: &Control, came: Came<'_>) -> Result<Freshness, &'static str> {
    let Came { status, headers, .. } = came;
    let (said, code) = (&control.said, status.as_u16());
    let explicit = said.max_age.is_some()
        || said.shared_max_age.is_some()
        || (!control.targeted && headers.contains_key(EXPIRES));
    if said.says(Word::MustUnderstand) && !KNOWN.contains(&code) && !UNDERSTOOD.contains(&code) {
        return Err("status");
    }
    if !explicit && !KNOWN.contains(&code) {
        return Err("status");
    }
    if !explicit && headers.contains_key(SET_COOKIE) {
        return Err("cookie"); // nobody has said that it is for others
    }
    let policy = policy(control, came);
    if !policy.is_storable() {
        return Err("directive");
    }
    let mut lifetime = policy.time_to_live(came.date);
    let validate = said.says(Word::NoCache);
    if !explicit && !validate {
        let known = headers.contains_key(LAST_MODIFIED);
        lifetime = if known { lifetime.min(settings.heuristic_max) } else { settings.fresh_default };
    }
    let strict =
        said.says(Word::MustRevalidate) || said.says(Word::ProxyRevalidate) || said.shared_max_age.is_some();
    let fresh = Freshness {
        came: came.at,
        age: age(came),
        lifetime,
        validate,
        strict,
        while_revalidate: span(said.while_revalidate),
        if_error: span(said.if_error),
    };
    let windows = fresh.while_revalidate.max(fresh.if_error);
    let used_stale = !validate && !strict && fresh.age < lifetime + windows;
    let has_validator = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
    let is_used = !fresh.is_never_fresh() || used_stale || has_validator;
    if is_used { Ok(fresh) } else { Err("stale") }
}

/// The crate's view of the answer. A status that it does not know, but that says how long it is fresh, may be kept like any
/// other (RFC 9111, section 3): it is told as one that it knows.
fn policy(control: &Control, came: Came<'_>) -> CachePolicy {
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    let directives = control.said.plain();
    if !directives.is_empty() {
        put(CACHE_CONTROL, directives);
    }
    for name in [EXPIRES, LAST_MODIFIED, DATE] {
        if (name == EXPIRES && control.targeted) || !came.headers.contains_key(&name) {
            continue;
        }
        match date(came.headers, &name) {
            Some(date) => put(name, httpdate::fmt_http_date(date)),
            None if name == EXPIRES => put(name, "0".to_owned()), // past
            None => {}
        }
    }
    let mut plain = Response::new(());
    *plain.headers_mut() = headers;
    if KNOWN.contains(&came.status.as_u16()) {
        *plain.status_mut() = came.status;
    }
    let options = CacheOptions { immutable_min_time_to_live: Duration::ZERO, ..CacheOptions::default() };
    CachePolicy::new_options(&Request::new(()), &plain, came.date, options)
}

/// A date that stands there once and can be read.
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?.to_str().ok()?;
    if lines.next().is_some() {
        return None;
    }
    httpdate::parse_http_date(line.trim()).ok()
}

/// How old it was when it came (RFC 9111, section 4.2.3).
fn age(came: Came<'_>) -> Duration {
    // A date has whole seconds only, so that a part of one says nothing.
    let apparent = date(came.headers, &DATE).and_then(|date| came.date.duration_since(date).ok());
    let apparent = apparent.map(|age| Duration::from_secs(age.as_secs()));
    let told = told_age(came.headers) + came.at.saturating_duration_since(came.asked);
    told.max(apparent.unwrap_or_default())
}

/// What its `Age` says. Of a list the first counts (RFC 9111, section 5.1). Where several stand there, on lines of their own or
/// put together by somebody on the way, who are told by the blank behind the comma, or it is no number, nobody knows
/// how old it is: too old.
fn told_age(headers: &HeaderMap) -> Duration {
    let unknown = Duration::from_secs(1 << 32);
    let mut lines = headers.get_all(AGE).iter();
    let Some(line) = lines.next() else { return Duration::ZERO };
    let mut list = line.as_bytes().split(|&byte| byte == b',');
    let first = list.next().and_then(seconds);
    let together = list.any(|member| member.first().is_some_and(u8::is_ascii_whitespace));
    match (first, lines.next()) {
        (Some(age), None) if !together => Duration::from_secs(age),
        _ => unknown,
    }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
