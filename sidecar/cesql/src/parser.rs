//! From tokens to nodes: a Pratt parser, whose ranks are those of the specification.

use crate::{
    error::{ErrorKind, ParseError, shortened},
    functions::Function,
    lexer::{Keyword, Spanned, Token, token},
    like::Pattern,
    print::rank,
    program::{Arithmetic, Builder, Comparison, Id, Logic, Node},
};

/// The longest expression that is read, in bytes of its text (64 KiB).
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// How deep an expression may nest, in brackets and in operators. A chain of one logical operator, however long, is one
/// level.
pub const DEPTH_MAX: usize = 100;

/// A place where an expression says something else than many take it for.
///
/// It is no error: the text is read as the specification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where, in bytes from the start of the text.
    pub offset: usize,
    /// What it says, and how the other is written.
    pub message: &'static str,
}

const NOT_BINDS_FIRST: &str = "NOT belongs to what stands right behind it, not to the whole comparison; \
     write NOT (…), or NOT LIKE, NOT IN and !=";
const NO_PRECEDENCE: &str =
    "AND, OR and XOR are of one rank and go from left to right; parentheses make it plain";

/// Reads an expression into the builder.
pub(crate) fn parse(text: &str, builder: &mut Builder) -> Result<(Id, Vec<Note>), ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        let found = format!("{} bytes", text.len());
        return Err(ParseError::new(text, 0, found, format!("at most {TEXT_BYTES_MAX} bytes")));
    }
    let mut parser = Parser { text, next: token(text, 0), builder, notes: Vec::new() };
    let root = parser.expression(0, 0)?;
    if parser.next.token != Token::End {
        return Err(parser.unexpected(AN_OPERATOR));
    }
    Ok((root, parser.notes))
}

const AN_EXPRESSION: &str = "an expression: an attribute's name, a value, a function, NOT, EXISTS or (";
const AN_OPERATOR: &str = "an operator such as =, AND or LIKE, or the end";

struct Parser<'t, 'b> {
    text: &'t str,
    next: Spanned<'t>,
    builder: &'b mut Builder,
    notes: Vec<Note>,
}

/// What may stand between two operands.
#[derive(Clone, Copy)]
enum Infix {
    Logic(Logic),
    Compare(Comparison),
    NotEqual,
    Arithmetic(Arithmetic),
    Like,
    In,
    /// `NOT LIKE` or `NOT IN`: what follows tells.
    Not,
}

impl Infix {
    fn of(token: &Token<'_>) -> Option<Self> {
        Some(match token {
            Token::Keyword(Keyword::And) => Self::Logic(Logic::And),
            Token::Keyword(Keyword::Or) => Self::Logic(Logic::Or),
            Token::Keyword(Keyword::Xor) => Self::Logic(Logic::Xor),
            Token::Keyword(Keyword::Not) => Self::Not,
            Token::Keyword(Keyword::Like) => Self::Like,
            Token::Keyword(Keyword::In) => Self::In,
            Token::Symbol(symbol) => match *symbol {
                "=" => Self::Compare(Comparison::Equal),
                "!=" | "<>" => Self::NotEqual,
                "<" => Self::Compare(Comparison::Less),
                "<=" => Self::Compare(Comparison::LessOrEqual),
                ">" => Self::Compare(Comparison::Greater),
                ">=" => Self::Compare(Comparison::GreaterOrEqual),
                "*" => Self::Arithmetic(Arithmetic::Multiply),
                "/" => Self::Arithmetic(Arithmetic::Divide),
                "%" => Self::Arithmetic(Arithmetic::Remainder),
                "+" => Self::Arithmetic(Arithmetic::Add),
                "-" => Self::Arithmetic(Arithmetic::Subtract),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn rank(self) -> u8 {
        match self {
            Self::Logic(_) => rank::LOGIC,
            Self::Compare(_) | Self::NotEqual => rank::COMPARISON,
            Self::Arithmetic(how) => how.rank(),
            // No operand is read with a rank between those of IN and LIKE.
            Self::In | Self::Not => rank::IN,
            Self::Like => rank::LIKE,
        }
    }
}

impl<'t> Parser<'t, '_> {
    /// Everything that binds at least as strongly as `least`.
    fn expression(&mut self, least: u8, depth: usize) -> Result<Id, ParseError> {
        let at = self.next.start;
        if depth >= DEPTH_MAX {
            return Err(self.too_deep(at));
        }
        let mut negated = (self.next.token == Token::Keyword(Keyword::Not)).then_some(at);
        let mut left = self.prefix(depth)?;
        while let Some(infix) = Infix::of(&self.next.token).filter(|infix| infix.rank() >= least) {
            let at = self.next.start;
            if let Infix::Logic(logic) = infix {
                left = self.chain(left, logic, depth)?;
            } else {
                if let Some(offset) = negated.take() {
                    self.notes.push(Note { offset, message: NOT_BINDS_FIRST });
                }
                self.advance();
                left = self.infix(infix, left, depth)?;
            }
            if self.builder.levels(left) > DEPTH_MAX {
                return Err(self.too_deep(at));
            }
        }
        Ok(left)
    }

    /// All operands of one logical operator; stops at another one.
    fn chain(&mut self, left: Id, logic: Logic, depth: usize) -> Result<Id, ParseError> {
        let mut operands = vec![left];
        while let Some(Infix::Logic(next)) = Infix::of(&self.next.token) {
            if next != logic {
                let offset = self.next.start;
                if self.notes.iter().all(|note| note.message != NO_PRECEDENCE) {
                    self.notes.push(Note { offset, message: NO_PRECEDENCE });
                }
                break;
            }
            self.advance();
            operands.push(self.expression(rank::COMPARISON, depth)?);
        }
        Ok(self.builder.logic(logic, &operands))
    }

    /// What follows an operator, and the node of both.
    fn infix(&mut self, infix: Infix, left: Id, depth: usize) -> Result<Id, ParseError> {
        let node = match infix {
            Infix::Compare(how) => Node::Compare(how, left, self.expression(rank::COMPARISON + 1, depth)?),
            Infix::NotEqual => {
                let right = self.expression(rank::COMPARISON + 1, depth)?;
                Node::Not(self.builder.node(Node::Compare(Comparison::Equal, left, right)))
            }
            Infix::Arithmetic(how) => Node::Arithmetic(how, left, self.expression(how.rank() + 1, depth)?),
            Infix::Logic(logic) => return self.chain(left, logic, depth),
            Infix::Like => self.like(left)?,
            Infix::In => self.one_of(left, depth)?,
            Infix::Not => {
                let inner = match self.next.token {
                    Token::Keyword(Keyword::Like) => {
                        self.advance();
                        self.like(left)?
                    }
                    Token::Keyword(Keyword::In) => {
                        self.advance();
                        self.one_of(left, depth)?
                    }
                    _ => return Err(self.unexpected("LIKE or IN behind NOT")),
                };
                Node::Not(self.builder.node(inner))
            }
        };
        Ok(self.builder.node(node))
    }

    fn like(&mut self, left: Id) -> Result<Node, ParseError> {
        let Token::Text(text) = &self.next.token else {
            return Err(self.unexpected("a pattern in quotes, such as 'abc%'"));
        };
        let pattern = Pattern::new(text);
        self.advance();
        Ok(Node::Like(left, pattern))
    }

    fn one_of(&mut self, left: Id, depth: usize) -> Result<Node, ParseError> {
        if self.next.token != Token::Symbol("(") {
            return Err(self.unexpected("a set such as (1, 2)"));
        }
        self.advance();
        Ok(Node::In(left, self.list(depth)?.into_boxed_slice()))
    }

    /// Expressions up to and with the closing bracket; at least one.
    fn list(&mut self, depth: usize) -> Result<Vec<Id>, ParseError> {
        let mut list = Vec::new();
        loop {
            list.push(self.expression(0, depth + 1)?);
            let token = self.next.token.clone();
            if !matches!(token, Token::Symbol("," | ")")) {
                return Err(self.unexpected("an operator, `,` or `)`"));
            }
            self.advance();
            if token == Token::Symbol(")") {
                return Ok(list);
            }
        }
    }

    /// What an expression begins with.
    fn prefix(&mut self, depth: usize) -> Result<Id, ParseError> {
        let Spanned { token, start, end } = self.next.clone();
        let node = match token {
            Token::Text(text) => Node::Text(text.into()),
            Token::Digits(digits) => return self.integer(start, digits),
            Token::Keyword(truth @ (Keyword::True | Keyword::False)) => Node::Boolean(truth == Keyword::True),
            Token::Keyword(Keyword::Not) => {
                self.advance();
                let of = self.expression(rank::UNARY, depth + 1)?;
                return self.unary(Node::Not(of), start);
            }
            Token::Keyword(Keyword::Exists) => {
                self.advance();
                let Token::Word(name) = self.next.token else {
                    return Err(self.unexpected("the name of an attribute"));
                };
                Node::Exists(self.attribute(name)?)
            }
            Token::Symbol("(") => {
                self.advance();
                let inner = self.expression(0, depth + 1)?;
                if self.next.token != Token::Symbol(")") {
                    return Err(self.unexpected("an operator or `)`"));
                }
                self.advance();
                return Ok(inner);
            }
            Token::Symbol(sign @ ("+" | "-")) => {
                self.advance();
                if let Token::Digits(_) = self.next.token
                    && self.next.start == end
                {
                    return self.integer(start, &self.text[start..self.next.end]);
                }
                if sign == "+" {
                    return Err(self.unexpected("digits right behind +"));
                }
                let of = self.expression(rank::UNARY, depth + 1)?;
                return self.unary(Node::Negate(of), start);
            }
            Token::Word(name) if self.is_call(end) => return self.call(name, depth),
            Token::Word(name) => Node::Attribute(self.attribute(name)?),
            _ => return Err(self.unexpected(AN_EXPRESSION)),
        };
        self.advance();
        Ok(self.builder.node(node))
    }

    fn unary(&mut self, node: Node, at: usize) -> Result<Id, ParseError> {
        let id = self.builder.node(node);
        if self.builder.levels(id) > DEPTH_MAX { Err(self.too_deep(at)) } else { Ok(id) }
    }

    fn integer(&mut self, start: usize, written: &'t str) -> Result<Id, ParseError> {
        let Ok(number) = written.parse() else {
            let expected = "a number from -2147483648 to 2147483647";
            return Err(ParseError::new(self.text, start, quoted(written), expected));
        };
        self.advance();
        Ok(self.builder.node(Node::Integer(number)))
    }

    /// Whether what ends at `end` is called.
    fn is_call(&self, end: usize) -> bool {
        token(self.text, end).token == Token::Symbol("(")
    }

    fn call(&mut self, name: &str, depth: usize) -> Result<Id, ParseError> {
        let start = self.next.start;
        self.advance();
        self.advance();
        let arguments = if self.next.token == Token::Symbol(")") {
            self.advance();
            Vec::new()
        } else {
            self.list(depth)?
        };
        let function = Function::find(name, arguments.len()).map_err(|expected| {
            let found = match arguments.len() {
                1 => format!("{} with 1 argument", quoted(name)),
                count => format!("{} with {count} arguments", quoted(name)),
            };
            let error = ParseError::new(self.text, start, found, expected);
            ParseError { kind: ErrorKind::MissingFunction, ..error }
        })?;
        self.unary(Node::Call(function, arguments.into_boxed_slice()), start)
    }

    /// The name in lower case, which is how every attribute is written.
    fn attribute(&mut self, name: &str) -> Result<u32, ParseError> {
        if name.contains('_') {
            return Err(self.unexpected("the name of an attribute, which has only letters and digits"));
        }
        Ok(self.builder.name(&name.to_ascii_lowercase()))
    }

    fn advance(&mut self) {
        self.next = token(self.text, self.next.end);
    }

    fn too_deep(&self, at: usize) -> ParseError {
        ParseError::new(self.text, at, "one level too many".to_owned(), format!("at most {DEPTH_MAX} levels"))
    }

    /// The error that `expected` does not come next.
    fn unexpected(&self, expected: &str) -> ParseError {
        let Spanned { token, start, end } = &self.next;
        let found = match token {
            Token::End => "the end".to_owned(),
            Token::Unclosed => "a text without its closing quote".to_owned(),
            _ => quoted(&self.text[*start..*end]),
        };
        let hint = self.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        ParseError::new(self.text, *start, found, format!("{expected}{hint}"))
    }

    /// What was probably meant, by those who know it from elsewhere.
    fn hint(&self) -> Option<&'static str> {
        let before = self.text[..self.next.start].chars().next_back();
        Some(match self.next.token {
            Token::Symbol("=") if before == Some('=') => "equality is a single =",
            Token::Other('&') => "AND is spelled out",
            Token::Other('|') => "OR is spelled out",
            Token::Other('!') => "NOT is spelled out",
            Token::Other('‘' | '’' | '“' | '”' | '„' | '`') => "texts stand between ' or \"",
            Token::Other('.') => "attributes have no members, and the data cannot be asked",
            Token::Text(_) if matches!(before, Some('\'' | '"')) => {
                "a quote within a text is written \\' or \\\""
            }
            Token::Unclosed => "a \\ before the closing quote makes it part of the text",
            _ => return None,
        })
    }
}

fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text, 24))
}
