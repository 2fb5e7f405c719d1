//! `Cache-Status` (RFC 9211): what the cache did about a request. Pure.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write as _;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// Who says so.
pub(super) const NAME: &str = "outrigger";

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Why the function was asked; `None` where it was not.
    pub(super) forward: Option<&'static str>,
    /// What it answered, where the client gets something else.
    pub(super) status: Option<u16>,
    /// Its answer is kept, once it is whole.
    pub(super) stored: bool,
    /// It was asked by another request.
    pub(super) collapsed: bool,
    /// How long what is served is fresh, in seconds.
    pub(super) ttl: Option<i64>,
    /// More, in a word.
    pub(super) detail: Option<&'static str>,
}

impl Told {
    /// Served with `ttl` seconds to go.
    pub(super) fn hit(ttl: i64) -> Self {
        Self { ttl: Some(ttl), ..Self::default() }
    }

    /// The function was asked, for this reason.
    pub(super) fn forward(why: &'static str) -> Self {
        Self { forward: Some(why), ..Self::default() }
    }

    /// Writes it behind what others have said.
    pub(super) fn say(self, headers: &mut HeaderMap) {
        let mut said = String::with_capacity(48);
        said.push_str(NAME);
        match self.forward {
            Some(why) => said.extend(["; fwd=", why]),
            None if self.ttl.is_some() => said.push_str("; hit"),
            None => {}
        }
        if let Some(status) = self.status {
            let _ = write!(said, "; fwd-status={status}");
        }
        if let Some(ttl) = self.ttl {
            let _ = write!(said, "; ttl={ttl}");
        }
        for (is, word) in [(self.stored, "; stored"), (self.collapsed, "; collapsed")] {
            if is {
                said.push_str(word);
            }
        }
        if let Some(detail) = self.detail {
            said.extend(["; detail=", detail]);
        }
        if let Ok(said) = HeaderValue::try_from(said) {
            headers.append(CACHE_STATUS, said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(told: Told) -> String {
        let mut headers = HeaderMap::new();
        told.say(&mut headers);
        headers[CACHE_STATUS].to_str().unwrap().to_owned()
    }

    #[test]
    fn each_says_what_was_done() {
        assert_eq!(said(Told::hit(30)), "outrigger; hit; ttl=30");
        let stale = Told { detail: Some("stale-while-revalidate"), ..Told::hit(-2) };
        assert_eq!(said(stale), "outrigger; hit; ttl=-2; detail=stale-while-revalidate");
        let stored = Told { stored: true, ..Told::forward("uri-miss") };
        assert_eq!(said(stored), "outrigger; fwd=uri-miss; stored");
        let validated = Told { status: Some(304), ttl: Some(9), stored: true, ..Told::forward("stale") };
        assert_eq!(said(validated), "outrigger; fwd=stale; fwd-status=304; ttl=9; stored");
        assert_eq!(
            said(Told { collapsed: true, ..Told::forward("uri-miss") }),
            "outrigger; fwd=uri-miss; collapsed"
        );
    }

    #[test]
    fn what_others_said_stays_before_it() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_STATUS, HeaderValue::from_static("origin; hit"));
        Told::forward("method").say(&mut headers);
        let all: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(all, ["origin; hit", "outrigger; fwd=method"]);
    }
}
