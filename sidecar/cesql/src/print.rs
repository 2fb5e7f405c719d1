//! Expressions as text: what is printed is read as the same expression again.

use std::fmt::{self, Display as _};

use crate::{
    like::Pattern,
    program::{Arithmetic, Comparison, Id, Logic, Node, Program},
};

/// How strongly an operator binds its operands (section 3.6). All of a rank go from left to right.
pub(crate) mod rank {
    /// AND, OR and XOR.
    pub(crate) const LOGIC: u8 = 1;
    /// `=` and the others.
    pub(crate) const COMPARISON: u8 = 2;
    /// `+` and `-`.
    pub(crate) const SUM: u8 = 3;
    /// `*`, `/` and `%`.
    pub(crate) const PRODUCT: u8 = 4;
    /// IN.
    pub(crate) const IN: u8 = 5;
    /// LIKE.
    pub(crate) const LIKE: u8 = 6;
    /// NOT and the sign.
    pub(crate) const UNARY: u8 = 7;
    /// What is one piece anyway.
    pub(crate) const ATOM: u8 = 8;
}

impl Comparison {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Arithmetic {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Add => "+",
            Self::Subtract => "-",
        }
    }

    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Multiply | Self::Divide | Self::Remainder => rank::PRODUCT,
            Self::Add | Self::Subtract => rank::SUM,
        }
    }
}

impl Logic {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::And => "AND",
            Self::Or => "OR",
            Self::Xor => "XOR",
        }
    }
}

/// A node with all that it is made of.
#[derive(Clone, Copy)]
pub(crate) struct Printed<'a> {
    pub(crate) program: &'a Program,
    pub(crate) id: Id,
    /// Whatever binds less is put into parentheses.
    pub(crate) rank: u8,
}

impl<'a> Printed<'a> {
    pub(crate) fn whole(program: &'a Program, id: Id) -> Self {
        Self { program, id, rank: 0 }
    }

    fn part(self, id: Id, rank: u8) -> Self {
        Self { id, rank, ..self }
    }

    fn own_rank(self) -> u8 {
        match self.program.node(self.id) {
            Node::Logic(..) => rank::LOGIC,
            Node::Compare(..) => rank::COMPARISON,
            Node::Arithmetic(how, ..) => how.rank(),
            Node::In(..) => rank::IN,
            Node::Like(..) => rank::LIKE,
            Node::Not(of) => match self.program.node(*of) {
                Node::Compare(Comparison::Equal, ..) | Node::In(..) | Node::Like(..) => {
                    self.part(*of, 0).own_rank()
                }
                _ => rank::UNARY,
            },
            Node::Negate(_) => rank::UNARY,
            Node::Holds(of) => self.part(*of, 0).own_rank(),
            _ => rank::ATOM,
        }
    }

    fn list(self, f: &mut fmt::Formatter<'_>, parts: &[Id], rank: u8, between: &str) -> fmt::Result {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(between)?;
            }
            self.part(*part, rank).fmt(f)?;
        }
        Ok(())
    }

    fn equal(self, f: &mut fmt::Formatter<'_>, left: Id, symbol: &str, right: Id, rank: u8) -> fmt::Result {
        write!(f, "{} {symbol} {}", self.part(left, rank), self.part(right, rank + 1))
    }

    fn like(self, f: &mut fmt::Formatter<'_>, of: Id, word: &str, pattern: &Pattern) -> fmt::Result {
        write!(f, "{} {word} ", self.part(of, rank::LIKE))?;
        quoted(f, &pattern.literal())
    }

    fn one_of(self, f: &mut fmt::Formatter<'_>, of: Id, word: &str, set: &[Id]) -> fmt::Result {
        write!(f, "{} {word} (", self.part(of, rank::IN))?;
        self.list(f, set, 0, ", ")?;
        f.write_str(")")
    }

    fn not(self, f: &mut fmt::Formatter<'_>, of: Id) -> fmt::Result {
        match self.program.node(of) {
            Node::Compare(Comparison::Equal, left, right) => {
                self.equal(f, *left, "!=", *right, rank::COMPARISON)
            }
            Node::Like(of, pattern) => self.like(f, *of, "NOT LIKE", pattern),
            Node::In(of, set) => self.one_of(f, *of, "NOT IN", set),
            _ => write!(f, "NOT {}", self.part(of, rank::UNARY)),
        }
    }

    fn plain(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.program.node(self.id);
        match node {
            Node::Boolean(_) | Node::Integer(_) | Node::Text(_) => match node.literal() {
                Some(value) => value.fmt(f),
                None => Ok(()),
            },
            Node::Attribute(name) => f.write_str(self.program.name(*name)),
            Node::Exists(name) => write!(f, "EXISTS {}", self.program.name(*name)),
            Node::Not(of) => self.not(f, *of),
            Node::Negate(of) => match self.program.node(*of) {
                // With its sign it would be one literal.
                Node::Integer(0..) => write!(f, "-({})", self.part(*of, 0)),
                _ => write!(f, "-{}", self.part(*of, rank::UNARY)),
            },
            Node::Compare(how, left, right) => self.equal(f, *left, how.symbol(), *right, rank::COMPARISON),
            Node::Arithmetic(how, left, right) => self.equal(f, *left, how.symbol(), *right, how.rank()),
            Node::Logic(how, parts) => self.list(f, parts, rank::COMPARISON, &format!(" {} ", how.word())),
            Node::Like(of, pattern) => self.like(f, *of, "LIKE", pattern),
            Node::In(of, set) => self.one_of(f, *of, "IN", set),
            Node::Call(function, arguments) => {
                write!(f, "{}(", function.name())?;
                self.list(f, arguments, 0, ", ")?;
                f.write_str(")")
            }
            Node::Holds(of) => self.part(*of, 0).plain(f),
        }
    }
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.own_rank() < self.rank {
            f.write_str("(")?;
            self.plain(f)?;
            f.write_str(")")
        } else {
            self.plain(f)
        }
    }
}

/// A text as a literal. One that no literal can say (that ends with a single `\`, say) is shown as well as may be.
pub(crate) fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let double = (text.contains('\'') && !text.contains('"')) || !can_be_in(text, '\'');
    let quote = if double && can_be_in(text, '"') { '"' } else { '\'' };
    write!(f, "{quote}")?;
    for piece in text.split_inclusive(quote) {
        match piece.strip_suffix(quote) {
            Some(before) => write!(f, "{before}\\{quote}")?,
            None => f.write_str(piece)?,
        }
    }
    write!(f, "{quote}")
}

/// Whether the text can stand between these quotes: none is behind an odd number of `\`, of which the last would be
/// taken for the quote's own.
fn can_be_in(text: &str, quote: char) -> bool {
    text.split(quote)
        .rev()
        .skip(1)
        .all(|before| before.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0)
}
