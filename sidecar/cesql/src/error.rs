//! What can be wrong: with a text that is to be an expression, and with an expression when it meets an event.

use std::fmt;

/// The error types of the specification (section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A text is no expression.
    Parse,
    /// A division by zero, or a result that is no number of 32 bits.
    Math,
    /// A value that cannot become one of the type that is wanted.
    Cast,
    /// An attribute that the event has not.
    MissingAttribute,
    /// A function that does not exist with so many arguments; told when the text is parsed.
    MissingFunction,
    /// A function that cannot work with these arguments.
    FunctionEvaluation,
}

impl ErrorKind {
    /// The name that it has in the specification's test kit, such as `missingAttribute`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Math => "math",
            Self::Cast => "cast",
            Self::MissingAttribute => "missingAttribute",
            Self::MissingFunction => "missingFunction",
            Self::FunctionEvaluation => "functionEvaluation",
        }
    }
}

/// A text that is no expression: where, what stands there, and what was expected.
///
/// Its text is one line of bounded length: `column 8: found `)`, expected an expression`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub(crate) kind: ErrorKind,
    pub(crate) offset: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) found: String,
    pub(crate) expected: String,
}

impl ParseError {
    /// An error at `offset` of `text`.
    pub(crate) fn new(text: &str, offset: usize, found: String, expected: impl Into<String>) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            kind: ErrorKind::Parse,
            offset,
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            found,
            expected: expected.into(),
        }
    }

    /// [`ErrorKind::Parse`], or [`ErrorKind::MissingFunction`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Where the mistake begins, in bytes from the start of the text.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The line of the mistake; the first is 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the mistake, in characters; the first is 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// What stands there, as a phrase such as `` `AND` `` or `the end`.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What would be right, as a phrase.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The line of `text` (what was parsed) with the mistake, and below it a mark at its place.
    #[must_use]
    pub fn excerpt(&self, text: &str) -> String {
        let line: String = text.lines().nth(self.line - 1).unwrap_or_default().replace('\t', " ");
        let mark = self.column.saturating_sub(1);
        // Of a long line, what is around the place.
        let from = mark.saturating_sub(EXCERPT_CHARS / 2);
        let shown: String = line.chars().skip(from).take(EXCERPT_CHARS).collect();
        format!("{shown}\n{}^", " ".repeat(mark - from))
    }
}

/// How many characters of a line an excerpt shows.
const EXCERPT_CHARS: usize = 96;

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 1 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "column {}: found {}, expected {}", self.column, self.found, self.expected)
    }
}

impl std::error::Error for ParseError {}

/// Something that went wrong while an expression was evaluated on an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationError {
    pub(crate) kind: ErrorKind,
    pub(crate) expression: String,
    pub(crate) message: String,
}

impl EvaluationError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The subexpression that raised it.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// What went wrong, such as `the event has no attribute subject`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.expression, self.message)
    }
}

impl std::error::Error for EvaluationError {}

/// At most `max` characters of a text on one line, the rest as `…`, with what cannot be printed escaped.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    let mut shown: String = text.chars().take(max).flat_map(printable).collect();
    if text.chars().nth(max).is_some() {
        shown.push('…');
    }
    shown
}

/// A character as it may stand on a terminal: control characters, also those of direction, as an escape.
pub(crate) fn printable(character: char) -> impl Iterator<Item = char> {
    let direction =
        matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escape = (character.is_control() || direction || matches!(character, '\u{2028}' | '\u{2029}'))
        .then(|| character.escape_unicode());
    let plain = escape.is_none().then_some(character);
    escape.into_iter().flatten().chain(plain)
}
