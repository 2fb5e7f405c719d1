//! The filter dialects of the CloudEvents Subscriptions API: `exact`, `prefix`, `suffix`, `all`, `any`, `not`, `sql`.
//!
//! A filter says yes or no and has no errors: where an attribute is missing or an expression fails, the answer is no, of
//! which `not` makes yes. Every dialect becomes the same nodes as expressions do, so a [`Set`](crate::Set) shares them.

use std::fmt;

use crate::{
    eval::Run,
    explain::{Explanation, explain},
    expression::Expression,
    like::Pattern,
    parser::DEPTH_MAX,
    print::Printed,
    program::{Builder, Comparison, Id, Logic, Node, Program},
    value::Attributes,
};

#[cfg(feature = "json")]
mod json;

/// A filter, ready for any number of events.
///
/// Its [`Display`](fmt::Display) is what it says in the words of CESQL, for people.
#[derive(Debug, Clone)]
pub struct Filter {
    program: Program,
    root: Id,
}

/// A document of filters that cannot be used: where in it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    path: String,
    message: String,
}

impl FilterError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// The path to the mistake in the document, such as `[0].any[1].sql`; empty for the whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there, and what would be right.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.path, self.message)
    }
}

impl std::error::Error for FilterError {}

/// How a text is compared with an attribute. Upper and lower case are different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparing {
    /// It is all of it.
    Exact,
    /// It begins with it.
    Prefix,
    /// It ends with it.
    Suffix,
}

impl Filter {
    /// Every event passes: what no filters at all say.
    #[must_use]
    pub fn everything() -> Self {
        Self::built(|builder| builder.node(Node::Boolean(true)))
    }

    /// The dialects `exact`, `prefix` and `suffix` for one attribute: whether its canonical text is, begins with or ends
    /// with `text`. An event without the attribute does not pass.
    ///
    /// # Errors
    /// When `attribute` is not the name of one (letters and digits), or `text` is empty.
    pub fn compare(how: Comparing, attribute: &str, text: &str) -> Result<Self, FilterError> {
        if attribute.is_empty() || !attribute.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let shown = crate::error::shortened(attribute, 24);
            return Err(FilterError::new(
                "",
                format!("`{shown}` is no attribute's name, which has letters and digits"),
            ));
        }
        if text.is_empty() {
            return Err(FilterError::new("", "an empty text, where one to compare with is expected"));
        }
        Ok(Self::built(|builder| {
            let name = builder.name(&attribute.to_ascii_lowercase());
            let attribute = builder.node(Node::Attribute(name));
            let compared = match how {
                Comparing::Exact => {
                    let text = builder.node(Node::Text(text.into()));
                    Node::Compare(Comparison::Equal, attribute, text)
                }
                Comparing::Prefix => Node::Like(attribute, Pattern::prefix(text)),
                Comparing::Suffix => Node::Like(attribute, Pattern::suffix(text)),
            };
            let compared = builder.node(compared);
            builder.node(Node::Holds(compared))
        }))
    }

    /// The dialect `all`: every one of them says yes. Of none that is so.
    ///
    /// # Errors
    /// When they nest deeper than [`DEPTH_MAX`].
    pub fn all(filters: &[Self]) -> Result<Self, FilterError> {
        Self::joined(Logic::And, filters)
    }

    /// The dialect `any`: at least one of them says yes. Of none that is not so.
    ///
    /// # Errors
    /// When they nest deeper than [`DEPTH_MAX`].
    pub fn any(filters: &[Self]) -> Result<Self, FilterError> {
        Self::joined(Logic::Or, filters)
    }

    /// The dialect `not`: yes where the other says no.
    ///
    /// # Errors
    /// When it nests deeper than [`DEPTH_MAX`].
    pub fn negated(&self) -> Result<Self, FilterError> {
        Self::checked(|builder| {
            let inner = builder.adopt(&self.program, self.root);
            builder.node(Node::Not(inner))
        })
    }

    /// Whether the event passes.
    #[must_use]
    pub fn matches<A: Attributes + ?Sized>(&self, event: &A) -> bool {
        Run::quick(&self.program, event).holds(self.root)
    }

    /// What every part comes to on this event.
    #[must_use]
    pub fn explain<A: Attributes + ?Sized>(&self, event: &A) -> Explanation {
        explain(&self.program, self.root, event)
    }

    pub(crate) fn parts(&self) -> (&Program, Id) {
        (&self.program, self.root)
    }

    fn joined(logic: Logic, filters: &[Self]) -> Result<Self, FilterError> {
        Self::checked(|builder| {
            let parts: Vec<_> =
                filters.iter().map(|filter| builder.adopt(&filter.program, filter.root)).collect();
            match parts.as_slice() {
                [] => builder.node(Node::Boolean(logic == Logic::And)),
                parts => builder.logic(logic, parts),
            }
        })
    }

    fn built(build: impl FnOnce(&mut Builder) -> Id) -> Self {
        let mut builder = Builder::default();
        let root = build(&mut builder);
        let (program, root) = builder.finish(root);
        Self { program, root }
    }

    /// An expression may have as many levels by itself, so a filter may have twice as many.
    fn checked(build: impl FnOnce(&mut Builder) -> Id) -> Result<Self, FilterError> {
        let mut builder = Builder::default();
        let root = build(&mut builder);
        if builder.levels(root) > 2 * DEPTH_MAX {
            return Err(FilterError::new("", format!("more than {DEPTH_MAX} levels of filters")));
        }
        let (program, root) = builder.finish(root);
        Ok(Self { program, root })
    }
}

/// The dialect `sql`: the expression is `TRUE`, and nothing went wrong.
impl From<&Expression> for Filter {
    fn from(expression: &Expression) -> Self {
        let (program, root) = expression.parts();
        Self::built(|builder| {
            let inner = builder.adopt(program, root);
            builder.node(Node::Holds(inner))
        })
    }
}

impl From<Expression> for Filter {
    fn from(expression: Expression) -> Self {
        Self::from(&expression)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printed::whole(&self.program, self.root).fmt(f)
    }
}
