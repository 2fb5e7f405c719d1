//! What subexpressions come to.

use crate::value::{Type, Value};

/// What a node comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome<'a> {
    pub(crate) value: Value<'a>,
    /// Whether something went wrong on the way to it.
    pub(crate) has_failed: bool,
}

impl<'a> Outcome<'a> {
    pub(crate) fn good(value: Value<'a>) -> Self {
        Self { value, has_failed: false }
    }

    pub(crate) fn zero(of: Type) -> Self {
        Self { value: Value::zero(of), has_failed: true }
    }

    /// Whether an event with this outcome passes a filter.
    pub(crate) fn holds(&self) -> bool {
        !self.has_failed && self.value == Value::Boolean(true)
    }

    pub(crate) fn borrowed(&self) -> Outcome<'_> {
        Outcome { value: self.value.borrowed(), has_failed: self.has_failed }
    }
}

/// What a node that gives a Boolean comes to: small, since most nodes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) value: bool,
    pub(crate) has_failed: bool,
}

impl Truth {
    pub(crate) const FAILED: Self = Self { value: false, has_failed: true };

    pub(crate) fn good(value: bool) -> Self {
        Self { value, has_failed: false }
    }

    pub(crate) fn holds(self) -> bool {
        self.value && !self.has_failed
    }
}

impl From<Truth> for Outcome<'_> {
    fn from(truth: Truth) -> Self {
        Self { value: Value::Boolean(truth.value), has_failed: truth.has_failed }
    }
}

/// Something went wrong on the way to an operand, or it cannot be cast; it is noted already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed;
