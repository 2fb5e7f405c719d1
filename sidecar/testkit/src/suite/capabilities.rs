//! What a source says of itself. What it declines, it declines with a reason.

use std::time::Duration;

use crate::Trouble;

/// What a source can do, and the figures that the judges need of it.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// How the source is called in reports, such as `kafka`.
    pub source: &'static str,
    /// How long after the function's answer the broker may not know of it yet: what a crash may repeat.
    pub settles_within: Duration,
    /// Events that the broker may have handed out beyond the sidecar's window; 0 where it hands out none ahead.
    pub ahead: usize,
    /// The events of a key come in the order of publishing.
    pub order: Declared<()>,
    /// The broker keeps an event that was published twice as two.
    pub duplicates: Declared<()>,
    /// How long the broker waits for a sidecar that does not show itself, before it gives its events out again. The
    /// suite lets the function take longer, so choose the shortest that the broker can be told.
    pub lease: Declared<Duration>,
    /// The sidecar holds a connection to the broker, which can be cut.
    pub reconnect: Declared<Reconnect>,
}

/// A capability that a source has, or the reason why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared<T> {
    /// It has it.
    Has(T),
    /// It has not, for this reason: half a sentence, for people.
    Lacks(&'static str),
}

/// How a source's connection can be cut, and what that may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// The ways in which it is cut, one after the other.
    pub troubles: &'static [Trouble],
    /// Whether what the function finished during the cut may come again, because the broker could not be told.
    pub repeats: bool,
}

impl<T> Declared<T> {
    /// Why the source lacks it, if it does.
    #[must_use]
    pub fn why_not(&self) -> Option<&'static str> {
        match self {
            Self::Has(_) => None,
            Self::Lacks(why) => Some(why),
        }
    }

    /// What it has.
    ///
    /// # Panics
    /// It lacks it. A scenario that needs it does not run then.
    #[must_use]
    pub fn get(&self) -> &T {
        match self {
            Self::Has(value) => value,
            Self::Lacks(why) => panic!("the source lacks what the scenario stands on: {why}"),
        }
    }
}
