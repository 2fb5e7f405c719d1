//! Where in a trace somebody is, as headers tell it: W3C Trace Context and Baggage, B3, X-Ray. Pure.
//!
//! What is not well formed is passed over, as its specifications ask: a trace then begins anew.

mod carry;

pub(crate) use carry::Carrier;

use crate::{config::Propagator, hex};
use outrigger_core::{event::hop, timeline::Place};

/// Every header that any propagator reads, as adapters keep them beside an event.
pub const HEADERS: &[&str] = &[
    "baggage",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-amzn-trace-id",
    "googclient_traceparent",
    "googclient_tracestate",
];

/// The same where no member of baggage is passed on: then it is kept nowhere.
pub const WITHOUT_BAGGAGE: &[&str] = HEADERS.split_at(1).1;

/// W3C's bound on a list of members of `tracestate` that is passed on.
const STATE_BYTES_MAX: usize = 512;
/// The same of baggage.
const BAGGAGE_BYTES_MAX: usize = 8192;
/// The most members of it.
const BAGGAGE_MEMBERS_MAX: usize = 64;

/// What the headers of a hop say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The span that sent it.
    pub place: Option<Place>,
    /// `tracestate` that came with it.
    pub state: Option<Box<str>>,
    /// The members of baggage that are passed on.
    pub baggage: Option<Box<str>>,
    /// Whether the hop brought several events.
    pub is_batch: bool,
}

/// Reads what the headers say; of several ways in which they name a span, the first of `propagators` counts.
#[must_use]
pub fn find(propagators: &[Propagator], baggage: &[String], headers: &[(String, String)]) -> Found {
    let mut found = Found::default();
    if headers.is_empty() {
        return found;
    }
    let get = |wanted: &str| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    found.is_batch = get(hop::BATCH).is_some();
    for propagator in propagators {
        match propagator {
            Propagator::Baggage => found.baggage = get("baggage").and_then(|text| allowed(text, baggage)),
            _ if found.place.is_some() => {}
            Propagator::TraceContext => {
                let text = get("traceparent").or_else(|| get("googclient_traceparent"));
                found.place = text.and_then(traceparent);
                let state =
                    get("tracestate").filter(|state| !state.is_empty() && state.len() <= STATE_BYTES_MAX);
                found.state = state.filter(|_| found.place.is_some()).map(Into::into);
            }
            Propagator::B3 | Propagator::B3Multi => {
                found.place = get("b3").and_then(b3).or_else(|| {
                    let flag = get("x-b3-flags").filter(|flag| *flag == "1").map(|_| "d");
                    b3_of(get("x-b3-traceid")?, get("x-b3-spanid")?, flag.or(get("x-b3-sampled")))
                });
            }
            Propagator::XRay => found.place = get("x-amzn-trace-id").and_then(xray),
        }
    }
    found
}

/// The span that a `traceparent` names.
#[must_use]
pub fn traceparent(text: &str) -> Option<Place> {
    let mut parts = text.split('-');
    let mut next = |digits| hex::read(parts.next()?, digits);
    let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    // A later version may say more behind these; this one may not, and 255 is none.
    let is_known = if version == 0 { parts.next().is_none() } else { version != 0xff };
    place(trace, span, flags & 1 == 1).filter(|_| is_known)
}

/// B3 in one header: `trace-span-sampled-parent`, of which the last two may be left out.
fn b3(text: &str) -> Option<Place> {
    let mut parts = text.split('-');
    b3_of(parts.next()?, parts.next()?, parts.next())
}

fn b3_of(trace: &str, span: &str, sampled: Option<&str>) -> Option<Place> {
    let (trace, span) = (trace.to_ascii_lowercase(), span.to_ascii_lowercase());
    let trace = hex::read(&trace, 32).or_else(|| hex::read(&trace, 16))?;
    // Without a decision it is ours, and here whoever sends ids means them to be seen.
    let sampled = !matches!(sampled, Some("0" | "false"));
    place(trace, hex::read(&span, 16)?, sampled)
}

/// `Root=1-58406520-a006649127e371903a2de979;Parent=4c721bf33e3caf8f;Sampled=1`, in any order.
fn xray(text: &str) -> Option<Place> {
    let get = |wanted: &str| {
        text.split(';')
            .find_map(|part| part.trim().split_once('=').filter(|(name, _)| *name == wanted))
            .map(|it| it.1)
    };
    let (seconds, rest) = get("Root")?.strip_prefix("1-")?.split_once('-')?;
    let trace = hex::read(seconds, 8)? << 96 | hex::read(rest, 24)?;
    place(trace, hex::read(get("Parent")?, 16)?, get("Sampled") == Some("1"))
}

fn place(trace: u128, span: u128, sampled: bool) -> Option<Place> {
    let span = u64::try_from(span).ok()?;
    (trace != 0 && span != 0).then_some(Place { trace, span, sampled })
}

/// The members whose keys are allowed, as they came.
fn allowed(text: &str, keys: &[String]) -> Option<Box<str>> {
    let is_allowed = |member: &&str| {
        let key = member.split(['=', ';']).next().unwrap_or_default().trim();
        keys.iter().any(|allowed| allowed == key)
    };
    let members: Vec<_> =
        text.split(',').map(str::trim).filter(is_allowed).take(BAGGAGE_MEMBERS_MAX).collect();
    let kept = members.join(",");
    (!kept.is_empty() && kept.len() <= BAGGAGE_BYTES_MAX).then(|| kept.into())
}

#[cfg(test)]
mod tests;
