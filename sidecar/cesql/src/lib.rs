//! CloudEvents SQL (CESQL 1.0) and the filter dialects of the CloudEvents Subscriptions API.
//!
//! ```
//! use outrigger_cesql::{Expression, Value};
//!
//! let expression = Expression::parse("type LIKE 'com.example.%' AND int(hop) < 5")?;
//! let event = [("type", "com.example.order".into()), ("hop", "3".into())];
//! assert!(expression.matches(&event));
//!
//! // Every expression has a value, also where something went wrong.
//! let evaluation = expression.evaluate(&[("type", Value::from("com.example.order"))]);
//! assert_eq!(evaluation.value, Value::Boolean(false));
//! assert_eq!(evaluation.errors[0].to_string(), "hop: the event has no attribute hop");
//!
//! // A mistake is found when the text is read, with its place.
//! let error = Expression::parse("type LIKE 5").unwrap_err();
//! assert_eq!(error.to_string(), "column 11: found `5`, expected a pattern in quotes, such as 'abc%'");
//! # Ok::<(), outrigger_cesql::ParseError>(())
//! ```
//!
//! [`Expression`] is one text, parsed once; [`Filter`] is what a subscription says, of which an expression is one dialect;
//! [`Set`] is many filters on one event, which share what they have in common. An event is whatever has [`Attributes`]:
//! nothing here knows how events are stored or sent.
//!
//! Where the parts are, in reading order: `lexer` and `parser` make nodes, `program` keeps each of them once, `eval` gives
//! them their values, with `functions`, `like` and the casts in `value`; `explain` tells how it came to one, `print` writes
//! an expression down again.
//!
//! # Bounds
//! Evaluation ends: the language has no loops, and a pattern of LIKE is never tried twice at a place. A text is at most
//! [`TEXT_BYTES_MAX`] long and nests at most [`DEPTH_MAX`] deep; a text that a function makes has at most 1 MiB.
//!
//! # Where the specification leaves a choice
//! - AND, OR and XOR are of one rank and go from left to right, as section 3.6 says. Parsers made from the grammar beside
//!   the specification go from right to left; [`Expression::notes`] tells where that, or what SQL would say, may differ.
//! - An operator whose operand failed gives the zero value of its own type, and so does one that cannot cast an operand.
//! - `NOT 10` is an error, and `TRUE`, as in the test kit, though section 3.7 has a cast from Integer to Boolean; AND, OR
//!   and XOR use that cast.
//! - A result of `+`, `-`, `*` and `/` beyond 32 bits is a math error with the value 0.
//! - `IN` looks at its elements from the left, up to the one that is equal.
//! - In a text `\` is an escape only before the quote that would end it, in a pattern also before `%` and `_`. Before
//!   anything else it is itself, and `\\` are two.
//! - Functions of one's own cannot be added.

mod error;
mod eval;
mod explain;
mod expression;
mod filter;
mod functions;
mod lexer;
mod like;
mod outcome;
mod parser;
mod print;
mod program;
mod set;
mod value;

pub use error::{ErrorKind, EvaluationError, ParseError};
pub use explain::Explanation;
pub use expression::{Evaluation, Expression};
pub use filter::{Comparing, Filter, FilterError};
pub use parser::{DEPTH_MAX, Note, TEXT_BYTES_MAX};
pub use set::{Judgement, Set};
pub use value::{Attributes, Type, Value};

#[cfg(test)]
mod tests;

/// The example in the README, so that it runs.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../README.md")]
struct Readme;
