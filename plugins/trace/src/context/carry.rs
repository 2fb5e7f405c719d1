//! Telling the next hop.

use super::HEADERS;
use crate::{config::Propagator, hex};
use outrigger_core::timeline::{Carry, Leg, Place, Trace};

/// Writes the headers of the configured propagators.
#[derive(Debug)]
pub(crate) struct Carrier(Vec<Propagator>);

impl Carrier {
    pub(crate) fn new(propagators: &[Propagator]) -> Self {
        Self(propagators.to_vec())
    }
}

impl Carry for Carrier {
    fn owns(&self, name: &str) -> bool {
        HEADERS.iter().any(|header| header.eq_ignore_ascii_case(name))
    }

    fn carry(&self, trace: &Trace, leg: Leg, put: &mut dyn FnMut(&'static str, &str)) {
        let place = Place { span: trace.span(leg), ..trace.own };
        for propagator in &self.0 {
            match propagator {
                Propagator::TraceContext => {
                    put("traceparent", text(&written(&place)));
                    if let Some(state) = &trace.state {
                        put("tracestate", state);
                    }
                }
                Propagator::Baggage => {
                    if let Some(baggage) = &trace.baggage {
                        put("baggage", baggage);
                    }
                }
                Propagator::B3 => {
                    let sampled = u8::from(place.sampled);
                    put("b3", &format!("{:032x}-{:016x}-{sampled}", place.trace, place.span));
                }
                Propagator::B3Multi => {
                    put("x-b3-traceid", &format!("{:032x}", place.trace));
                    put("x-b3-spanid", &format!("{:016x}", place.span));
                    put("x-b3-sampled", if place.sampled { "1" } else { "0" });
                }
                Propagator::XRay => {
                    let (seconds, rest) = (place.trace >> 96, place.trace & (u128::MAX >> 32));
                    let sampled = u8::from(place.sampled);
                    let (root, parent) = (format_args!("1-{seconds:08x}-{rest:024x}"), place.span);
                    put("x-amzn-trace-id", &format!("Root={root};Parent={parent:016x};Sampled={sampled}"));
                }
            }
        }
    }
}

/// A `traceparent`. Written for every attempt, so without the machinery of formats.
fn written(place: &Place) -> [u8; 55] {
    let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
    #[expect(clippy::cast_possible_truncation, reason = "one half after the other")]
    let (high, low) = ((place.trace >> 64) as u64, place.trace as u64);
    hex::put_u64(&mut out, 3, high);
    hex::put_u64(&mut out, 19, low);
    hex::put_u64(&mut out, 36, place.span);
    out[54] += u8::from(place.sampled);
    out
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default() // digits are
}
