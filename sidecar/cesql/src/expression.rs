//! One expression, parsed once.

use std::{fmt, str::FromStr};

use crate::{
    error::{EvaluationError, ParseError},
    eval::Run,
    explain::{Explanation, explain},
    outcome::Outcome,
    parser::{Note, parse},
    print::Printed,
    program::{Builder, Id, Program},
    value::{Attributes, Value},
};

/// An expression of CESQL 1.0, parsed and ready for any number of events.
///
/// Its [`Display`](fmt::Display) is the same expression in one way of writing: keywords and functions in upper case,
/// attributes in lower case, brackets only where they are needed or where operators of one rank meet.
#[derive(Debug, Clone)]
pub struct Expression {
    program: Program,
    root: Id,
    notes: Vec<Note>,
}

/// What an expression comes to on an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Its value. There always is one; where something went wrong, it is what the specification says.
    pub value: Value<'static>,
    /// What went wrong, in the order in which it did.
    pub errors: Vec<EvaluationError>,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When `text` is none, calls a function that does not exist, is longer than
    /// [`TEXT_BYTES_MAX`](crate::TEXT_BYTES_MAX) or nests deeper than [`DEPTH_MAX`](crate::DEPTH_MAX): the place of the
    /// first mistake and what was expected there.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut builder = Builder::default();
        let (root, notes) = parse(text, &mut builder)?;
        let (program, root) = builder.finish(root);
        Ok(Self { program, root, notes })
    }

    /// The value on this event, and every error on the way to it.
    #[must_use]
    pub fn evaluate<A: Attributes + ?Sized>(&self, event: &A) -> Evaluation {
        let run = Run::complete(&self.program, event);
        let Outcome { value, .. } = run.outcome(self.root);
        let value = value.into_owned();
        Evaluation { value, errors: run.into_errors().into_iter().map(|(_, error)| error).collect() }
    }

    /// Whether the event passes: the value is `TRUE`, and nothing went wrong.
    ///
    /// Gives up at the first error, so it is faster than [`Expression::evaluate`]. For many expressions on one event a
    /// [`Set`](crate::Set) is faster still.
    #[must_use]
    pub fn matches<A: Attributes + ?Sized>(&self, event: &A) -> bool {
        Run::quick(&self.program, event).holds(self.root)
    }

    /// What every subexpression comes to on this event.
    #[must_use]
    pub fn explain<A: Attributes + ?Sized>(&self, event: &A) -> Explanation {
        explain(&self.program, self.root, event)
    }

    /// Places where the expression says something else than many take it for; usually none.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The names of the attributes that it asks for, in lower case and each once.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.program.names.iter().map(|name| &**name)
    }

    pub(crate) fn parts(&self) -> (&Program, Id) {
        (&self.program, self.root)
    }
}

/// Two expressions are equal when they say the same in the same order, however they are written.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
            && self.program.nodes == other.program.nodes
            && self.program.names == other.program.names
    }
}

impl Eq for Expression {}

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printed::whole(&self.program, self.root).fmt(f)
    }
}
