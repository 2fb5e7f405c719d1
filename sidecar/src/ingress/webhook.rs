//! The handshake of "Web Hooks for Event Delivery" (`CloudEvents` 1.0.2, section 4): a sender asks by OPTIONS whether
//! it may deliver here, so that nobody can be flooded by a sender who was given a stranger's address.
//!
//! Consent is the answer's headers, never its status. It is no authentication: who may send is decided for each POST.
//! `WebHook-Request-Callback` is never followed: a URL out of a request that anyone can make would let anyone have us
//! call what only we can reach. An operator who has to confirm by it opens it by hand.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::config::Webhook;

/// The header by which a sender asks.
pub(super) const REQUEST_ORIGIN: &str = "webhook-request-origin";
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// What a request by OPTIONS asked for, and was granted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// It is none: it names no origin.
    No,
    /// The origin may not send.
    Refused(Refusal),
    /// The headers that say that it may.
    Granted([(HeaderName, HeaderValue); 2]),
}

/// Why a handshake is refused, as a metric counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No origin is listed, so nobody may.
    Off,
    /// The origin is not listed.
    Origin,
    /// It names no origin, or several.
    Malformed,
}

impl Refusal {
    /// Every reason, for metrics that begin at zero.
    pub const ALL: [Self; 3] = [Self::Off, Self::Origin, Self::Malformed];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Origin => "origin",
            Self::Malformed => "malformed",
        }
    }
}

/// Whether a request is a handshake: it is answered whoever sends it, and lets nobody in.
#[must_use]
pub fn asks_leave(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(REQUEST_ORIGIN)
}

/// Decides about a request by OPTIONS.
pub(super) fn handshake(webhook: &Webhook, headers: &HeaderMap) -> Handshake {
    let mut asked = headers.get_all(REQUEST_ORIGIN).iter();
    let (Some(origin), None) = (asked.next(), asked.next()) else {
        let several = headers.contains_key(REQUEST_ORIGIN);
        return if several { Handshake::Refused(Refusal::Malformed) } else { Handshake::No };
    };
    if origin.is_empty() {
        return Handshake::Refused(Refusal::Malformed);
    }
    let Some(origins) = &webhook.origins else { return Handshake::Refused(Refusal::Off) };
    let allowed = if origins.iter().any(|allowed| allowed == "*") {
        HeaderValue::from_static("*")
    } else if origins.iter().any(|allowed| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes())) {
        origin.clone()
    } else {
        return Handshake::Refused(Refusal::Origin);
    };
    let rate = webhook.rate.map_or(HeaderValue::from_static("*"), HeaderValue::from);
    Handshake::Granted([(ALLOWED_ORIGIN, allowed), (ALLOWED_RATE, rate)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(origins: &[&str], rate: Option<u64>, asks: &[&'static str]) -> Handshake {
        let origins = Some(origins.iter().map(ToString::to_string).collect());
        let name = HeaderName::from_static(REQUEST_ORIGIN);
        let headers = asks.iter().map(|origin| (name.clone(), HeaderValue::from_static(origin))).collect();
        handshake(&Webhook { origins, rate }, &headers)
    }

    fn granted(origin: &'static str, rate: &'static str) -> Handshake {
        Handshake::Granted([
            (ALLOWED_ORIGIN, HeaderValue::from_static(origin)),
            (ALLOWED_RATE, HeaderValue::from_static(rate)),
        ])
    }

    #[test]
    fn a_named_origin_is_granted_as_it_was_asked_for() {
        let origins = ["a.example", "B.example"];
        assert_eq!(asked(&origins, Some(120), &["b.Example"]), granted("b.Example", "120"));
        assert_eq!(asked(&origins, None, &["a.example"]), granted("a.example", "*"));
        assert_eq!(asked(&["*"], Some(1), &["anyone"]), granted("*", "1"));
    }

    #[test]
    fn nobody_else_is() {
        for asks in [&["c.example"][..], &["a.example.evil"], &["*"]] {
            assert_eq!(asked(&["a.example"], None, asks), Handshake::Refused(Refusal::Origin), "{asks:?}");
        }
        for asks in [&[""][..], &["a.example", "a.example"]] {
            assert_eq!(asked(&["a.example"], None, asks), Handshake::Refused(Refusal::Malformed), "{asks:?}");
        }
        assert_eq!(asked(&["*"], None, &[""]), Handshake::Refused(Refusal::Malformed));
        assert_eq!(asked(&["*"], None, &[]), Handshake::No);
        let off = Webhook { origins: None, rate: None };
        let headers = [(HeaderName::from_static(REQUEST_ORIGIN), HeaderValue::from_static("a.example"))];
        assert_eq!(handshake(&off, &headers.into_iter().collect()), Handshake::Refused(Refusal::Off));
    }
}
