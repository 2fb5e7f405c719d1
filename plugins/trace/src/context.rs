//! Where in a trace somebody is, as headers tell it: W3C Trace Context and Baggage, B3, X-Ray. Pure.
//!
//! What is not well formed is passed over, as its specifications ask: a trace then begins anew.

mod carry;
mod state;

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

/// W3C's bound on the members of baggage that are passed on.
const BAGGAGE_BYTES_MAX: usize = 8192;
/// The most members of it.
const BAGGAGE_MEMBERS_MAX: usize = 64;

/// What the headers of a hop say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The span that sent it.
    pub place: Option<Place>,
    /// The trace that is gone on with where no span is named.
    pub root: Option<u128>,
    /// Whether it is sampled, where they say so.
    pub sampled: Option<bool>,
    /// `tracestate` that came with it.
    pub state: Option<Box<str>>,
    /// The members of baggage that are passed on.
    pub baggage: Option<Box<str>>,
    /// Whether the hop brought several events.
    pub is_batch: bool,
}

/// What one way of telling says.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    place: Option<Place>,
    root: Option<u128>,
    sampled: Option<bool>,
}

impl Said {
    fn by(place: Option<Place>) -> Self {
        Self { place, root: None, sampled: place.map(|place| place.sampled) }
    }

    fn is_anything(self) -> bool {
        self.place.is_some() || self.root.is_some() || self.sampled.is_some()
    }
}

/// Reads what the headers say; of several ways in which they name a span, the first of `propagators` counts.
#[must_use]
pub fn find(propagators: &[Propagator], baggage: &[String], headers: &[(String, String)]) -> Found {
    let mut found = Found::default();
    if headers.is_empty() {
        return found;
    }
    let headers = Headers(headers);
    found.is_batch = headers.get(hop::BATCH).is_some();
    let mut is_told = false;
    for propagator in propagators {
        let said = match propagator {
            Propagator::Baggage => {
                found.baggage = headers.get("baggage").and_then(|text| allowed(text, baggage));
                continue;
            }
            _ if is_told => continue,
            Propagator::TraceContext => {
                let (text, state) = match headers.only("traceparent") {
                    None => (headers.only("googclient_traceparent"), "googclient_tracestate"),
                    text => (text, "tracestate"),
                };
                let place = text.and_then(traceparent);
                found.state = place.and_then(|_| state::joined(headers.all(state)));
                Said::by(place)
            }
            Propagator::B3 | Propagator::B3Multi => headers.b3(),
            Propagator::XRay => headers.get("x-amzn-trace-id").map(xray).unwrap_or_default(),
        };
        is_told = said.is_anything();
        (found.place, found.root, found.sampled) = (said.place, said.root, said.sampled);
    }
    found
}

/// Those of a hop.
struct Headers<'a>(&'a [(String, String)]);

impl<'a> Headers<'a> {
    fn all(&self, wanted: &str) -> impl Iterator<Item = &'a str> {
        let is_it = move |(name, _): &&(String, String)| name.eq_ignore_ascii_case(wanted);
        self.0.iter().filter(is_it).map(|(_, value)| value.as_str())
    }

    fn get(&self, wanted: &str) -> Option<&'a str> {
        self.all(wanted).next().map(str::trim)
    }

    /// One that may be there once: empty, and so not well formed, where it is there several times.
    fn only(&self, wanted: &str) -> Option<&'a str> {
        let mut all = self.all(wanted);
        let first = all.next()?;
        Some(if all.next().is_none() { first.trim() } else { "" })
    }

    fn b3(&self) -> Said {
        let said = self.get("b3").map(b3).unwrap_or_default();
        if said.is_anything() {
            return said;
        }
        let flag = self.get("x-b3-flags").filter(|flag| *flag == "1").map(|_| "d");
        let sampled = flag.or_else(|| self.get("x-b3-sampled"));
        match self.get("x-b3-traceid").zip(self.get("x-b3-spanid")) {
            Some((trace, span)) => Said::by(b3_of(trace, span, sampled)),
            None => Said { sampled: sampled.and_then(decision), ..Said::default() },
        }
    }
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

/// B3 in one header: `trace-span-sampled-parent`, of which the last two may be left out, or the decision alone.
fn b3(text: &str) -> Said {
    match text.split_once('-') {
        None => Said { sampled: decision(text), ..Said::default() },
        Some((trace, rest)) => {
            let mut parts = rest.split('-');
            Said::by(parts.next().and_then(|span| b3_of(trace, span, parts.next())))
        }
    }
}

/// What B3 says of sampling.
fn decision(text: &str) -> Option<bool> {
    match text {
        "0" | "false" => Some(false),
        "1" | "true" | "d" => Some(true),
        _ => None,
    }
}

fn b3_of(trace: &str, span: &str, sampled: Option<&str>) -> Option<Place> {
    let (trace, span) = (trace.to_ascii_lowercase(), span.to_ascii_lowercase());
    let trace = hex::read(&trace, 32).or_else(|| hex::read(&trace, 16))?;
    // Without a decision it is ours, and here whoever sends ids means them to be seen.
    let sampled = sampled.and_then(decision).unwrap_or(true);
    place(trace, hex::read(&span, 16)?, sampled)
}

/// `Root=1-58406520-a006649127e371903a2de979;Parent=4c721bf33e3caf8f;Sampled=1`, in any order. A load balancer names the
/// root alone, and whoever has not decided says nothing of sampling, or `?`.
fn xray(text: &str) -> Said {
    let get = |wanted: &str| {
        text.split(';')
            .find_map(|part| part.trim().split_once('=').filter(|(name, _)| *name == wanted))
            .map(|it| it.1)
    };
    let root = || {
        let (seconds, rest) = get("Root")?.strip_prefix("1-")?.split_once('-')?;
        Some(hex::read(seconds, 8)? << 96 | hex::read(rest, 24)?)
    };
    let Some(root) = root().filter(|root| *root != 0) else { return Said::default() };
    let sampled = match get("Sampled") {
        Some("1") => Some(true),
        Some("0") => Some(false),
        _ => None,
    };
    let parent = get("Parent").and_then(|parent| hex::read(parent, 16));
    let place = parent.and_then(|parent| place(root, parent, sampled == Some(true)));
    Said { place, root: Some(root), sampled }
}

fn place(trace: u128, span: u128, sampled: bool) -> Option<Place> {
    let span = u64::try_from(span).ok()?;
    (trace != 0 && span != 0).then_some(Place { trace, span, sampled })
}

/// The members whose keys are allowed, without their properties: those are nobody's whom the list names.
fn allowed(text: &str, keys: &[String]) -> Option<Box<str>> {
    let member = |member: &str| {
        let (key, value) = member.split(';').next()?.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        let is_octet = |b: u8| b.is_ascii_graphic() && !b"\"\\".contains(&b);
        let is_allowed = keys.iter().any(|allowed| allowed == key) && value.bytes().all(is_octet);
        is_allowed.then(|| format!("{key}={value}"))
    };
    let members: Vec<_> = text.split(',').filter_map(member).take(BAGGAGE_MEMBERS_MAX).collect();
    let kept = members.join(",");
    (!kept.is_empty() && kept.len() <= BAGGAGE_BYTES_MAX).then(|| kept.into())
}

#[cfg(test)]
mod tests;
