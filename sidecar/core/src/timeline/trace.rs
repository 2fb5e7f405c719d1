//! A place in a distributed trace, as W3C's Trace Context has it.

use std::{fmt, sync::Arc};

/// A span of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Whether it is recorded.
    pub sampled: bool,
}

/// Where in a trace an event is. Its spans have ids that follow from that of the whole, so that each can be told to the
/// next hop before anything is recorded.
#[derive(Clone)]
pub struct Trace {
    /// The span of the whole event here.
    pub own: Place,
    /// The span that it continues.
    pub parent: Option<u64>,
    /// Whether that one is another process's.
    pub parent_is_remote: bool,
    /// Spans of other traces that it comes from, such as the one in which the event began.
    pub links: Vec<Place>,
    /// `tracestate` as it came.
    pub state: Option<Box<str>>,
    /// What is passed on of `baggage`.
    pub baggage: Option<Box<str>>,
    /// How it is told to the next hop.
    pub carrier: Arc<dyn Carry>,
}

/// Tells the next hop where in a trace it is.
pub trait Carry: Send + Sync + 'static {
    /// Gives names and values of headers to `put`.
    fn carry(&self, trace: &Trace, leg: Leg, put: &mut dyn FnMut(&'static str, &str));

    /// Whether a header of this name tells of traces, and is not passed on as it came.
    fn owns(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

/// A part of what happens to an event, and its span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// All of it.
    Whole,
    /// From its source to its lane.
    Receive,
    /// The wait before this try.
    Queue(u32),
    /// This try, whether or not it counts as an attempt; 1 is the first.
    Attempt(u32),
    /// The writing of a reply; 1 is the first.
    Reply(u32),
    /// What follows the last attempt.
    Settle,
}

impl Trace {
    /// The span of a leg.
    #[must_use]
    pub fn span(&self, leg: Leg) -> u64 {
        let number = match leg {
            Leg::Whole => return self.own.span,
            Leg::Receive => 1,
            Leg::Settle => 2,
            Leg::Queue(attempt) => 1 << 40 | u64::from(attempt),
            Leg::Attempt(attempt) => 2 << 40 | u64::from(attempt),
            Leg::Reply(number) => 3 << 40 | u64::from(number),
        };
        derived(self.own.span, number)
    }

    /// The same of an event that goes to several targets, for the one of this number.
    pub(super) fn branch(&self, number: u32) -> Self {
        let own = Place { span: derived(self.own.span, 4 << 40 | u64::from(number)), ..self.own };
        let parent = Some(self.own.span);
        Self { own, parent, parent_is_remote: false, links: Vec::new(), ..self.clone() }
    }

    pub(super) fn heap(&self) -> usize {
        let texts = [&self.state, &self.baggage].map(|text| text.as_deref().map_or(0, str::len));
        texts.iter().sum::<usize>() + self.links.len() * size_of::<Place>()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("own", &self.own).field("parent", &self.parent).finish_non_exhaustive()
    }
}

/// Another id for each number, never 0 (the finalizer of `SplitMix64`, which is one to one).
fn derived(span: u64, number: u64) -> u64 {
    let mut id = span.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (id ^ (id >> 31)).max(1)
}
